"""What the planner predicts for a device that is not here: latency, memory, groups and the roofline's floor.

    MTS_BINARY=build/release/tools/mts/mts python tests/bench/simulated.py [--target h200] [--network resnet18|bert]
        [--models 1,2,4,8,16,32,64,128,256] [--size 224] [--width 64] [--folder DIR] [-o results.md]

In: networks of sweep_models.py: one trunk, a head a model, separate inputs; kept in DIR where one is given. Out: Markdown,
the figures that the paper reports beside the same ratios. Nothing is measured but the processor seconds of the planning.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from mtz import publish, table  # noqa: E402
from sweep import checked  # noqa: E402
from sweep_models import NETWORKS, move_weights  # noqa: E402


# The abstract of Wang, He, Zhou et al., SECON 2022, on its GPUs and models: each is the best that it reports.
PAPER = {"over sequential": "up to 6.0", "over netfuse": "up to 2.5", "netfuse memory / auto's": "up to 3.7"}
HEAD = ["models", "sequential, us", "netfuse, us", "one group, us", "auto, us", "over sequential", "over netfuse", "floor, us",
        "of the floor", "groups", "peak, MB", "netfuse peak, MB", "netfuse memory / auto's", "planned in, processor s"]  # fmt: skip


def make_models(folder: Path, count: int, options: argparse.Namespace) -> list[Path]:
    paths = [folder / f"m{m}.onnx" for m in range(count)]
    for m, path in enumerate(paths):
        if path.exists():
            continue
        NETWORKS[options.network](path, m, options.size, options.width)
        move_weights(path, folder / "trunk.data")  # 256 copies of a trunk would fill the disk
    return paths


def row(paths: list[Path], options: argparse.Namespace) -> list[str]:
    predicted, groups, seconds = {}, [], 0.0
    for strategy in ("auto", "stitch", "netfuse"):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        made = checked("inspect", "--plan", *map(str, paths), f"--target={options.target}", f"--strategy={strategy}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        predicted[strategy] = made["predicted"]
        if strategy == "auto":
            groups = [len(group["models"]) for group in made["groups"]]
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    auto, netfuse = predicted["auto"], predicted["netfuse"]
    fused, sequential = auto["latency_us_fused"], auto["latency_us_sequential"]
    return [str(len(paths)), f"{sequential:.0f}", f"{netfuse['latency_us_fused']:.0f}",
            f"{predicted['stitch']['latency_us_fused']:.0f}", f"{fused:.0f}", f"{sequential / fused:.2f}",
            f"{netfuse['latency_us_fused'] / fused:.2f}", f"{auto['floor_us']:.0f}", f"{auto['floor_us'] / fused:.0%}",
            "+".join(map(str, groups)) if len(groups) < 9 else f"{len(groups)} groups",
            f"{auto['peak_memory_bytes'] / 1e6:.0f}", f"{netfuse['peak_memory_bytes'] / 1e6:.0f}",
            f"{netfuse['peak_memory_bytes'] / auto['peak_memory_bytes']:.2f}", f"{seconds:.1f}"]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="h200")
    parser.add_argument("--network", default="resnet18", choices=NETWORKS)
    parser.add_argument("--models", default="1,2,4,8,16,32,64,128,256")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--folder", type=Path, help="of models of this network; made where they are missing")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    counts = [int(count) for count in options.models.split(",")]
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        paths = make_models(folder, max(counts), options)
        rows = [row(paths[:count], options) for count in counts]
    rows.append([PAPER.get(column, "paper" if column == "models" else "") for column in HEAD])
    text = (f"# Simulated: {options.network}, {options.size}, width {options.width}, on {options.target}, {time.strftime('%Y-%m-%d')}\n\n"
            f"`tests/bench/simulated.py {' '.join(sys.argv[1:])}`. Predicted by the cost model, **nothing here was measured on a "
            f"GPU**. The last row is what the paper (SECON 2022) reports, on its GPUs and models. Memory is weights and "
            f"activations; netfuse's holds the shared weights once a model. Planning reads and hashes the models, too.\n\n")  # fmt: skip
    text += table(HEAD, rows)
    publish(text, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
