"""What the planner predicts for a device that is not here: latency, memory, groups and the roofline's floor.

    MTS_BINARY=build/release/tools/mts/mts python tests/bench/simulated.py [--target h200] [--network resnet18|bert]
        [--models 1,2,4,8,16,32,64,128,256] [--size 224] [--width 64] [-o results.md]

In: networks of sweep_models.py: one trunk, a head a model, separate inputs. Out: Markdown. Nothing is measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from mtz import table  # noqa: E402
from sweep import checked  # noqa: E402
from sweep_models import NETWORKS, move_weights  # noqa: E402


def row(models: int, options: argparse.Namespace) -> list[str]:
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name) / f"m{m}.onnx" for m in range(models)]
        for m, path in enumerate(paths):
            NETWORKS[options.network](path, m, options.size, options.width)
            move_weights(path, Path(name) / "trunk.data")  # 256 copies of a trunk would fill the disk
        predicted, groups, seconds = {}, [], 0.0
        for strategy in ("auto", "stitch", "netfuse"):
            start = time.perf_counter()
            made = checked("inspect", "--plan", *map(str, paths), f"--target={options.target}", f"--strategy={strategy}")
            predicted[strategy] = made["predicted"]
            if strategy == "auto":
                groups, seconds = [len(group["models"]) for group in made["groups"]], time.perf_counter() - start
    auto = predicted["auto"]
    fused, sequential = auto["latency_us_fused"], auto["latency_us_sequential"]
    return [str(models), f"{sequential:.0f}", f"{predicted['netfuse']['latency_us_fused']:.0f}",
            f"{predicted['stitch']['latency_us_fused']:.0f}", f"{fused:.0f}", f"{sequential / fused:.2f}",
            f"{predicted['netfuse']['latency_us_fused'] / fused:.2f}", f"{auto['floor_us'] / fused:.0%}",
            "+".join(map(str, groups)) if len(groups) < 9 else f"{len(groups)} groups",
            f"{auto['peak_memory_bytes'] / 1e6:.0f}", f"{seconds:.1f}"]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="h200")
    parser.add_argument("--network", default="resnet18", choices=NETWORKS)
    parser.add_argument("--models", default="1,2,4,8,16,32,64,128,256")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    head = ["models", "sequential, us", "netfuse, us", "one group, us", "auto, us", "over sequential", "over netfuse", "of the floor",
            "groups", "peak, MB", "planned in, s"]  # fmt: skip
    text = (f"# Simulated: {options.network}, {options.size}, width {options.width}, on {options.target}, {time.strftime('%Y-%m-%d')}\n\n"
            f"`tests/bench/simulated.py {' '.join(sys.argv[1:])}`. Predicted by the cost model, **nothing here was measured on a "
            f"GPU**. The paper (SECON 2022) reports up to 6.0x over sequential, and 2.5x lower latency and 3.7x less memory than "
            f"NETFUSE, on its GPUs and models.\n\n")  # fmt: skip
    text += table(head, [row(models, options) for models in map(int, options.models.split(","))])
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
