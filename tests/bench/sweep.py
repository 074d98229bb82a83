"""Contract 7 over a sweep: is `auto` ever slower than the best alternative, and how well is latency predicted?

    MTS_BINARY=build/release/tools/mts/mts python tests/bench/sweep.py [--network resnet18|bert] [--models 2,4,8,16,32]
        [--sizes 32,64,128,224] [--widths 16,32,64] [--target NAME|FILE.json] [--flag=--tune=cpu] [--seconds 4] [--threads 0]
        [--engines mts,onnxruntime] [--dump points.json] [-o results.md]

In: networks of sweep_models.py: one trunk, a head a model, separate inputs. `sizes`: pixels, or tokens.
Out: Markdown and (--dump) JSON: speed relative to the originals one after another, of auto, stitch, concat and netfuse, in
the bundled executor (`mts bench`, rows interleaved in one process, each verified) and in ONNX Runtime (rounds forwards and
backwards through the ways; ways that made the same graph share the figures); contract 7 = latency of the best alternative /
auto's; predicted and measured latency of auto and sequential, in the first of the engines: give it a --target that is its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from cli import mts  # noqa: E402
from mtz import Row, check, cpu_target, find_twins, graph_of, processor, publish, runtime_speeds, table  # noqa: E402
from oracle import Family  # noqa: E402
from predicted import spearman  # noqa: E402
from sweep_models import NETWORKS  # noqa: E402

WAYS = ["auto", "stitch", "concat", "netfuse"]
ENGINES = {"mts": "speed", "onnxruntime": "runtime"}
MEMORY_ROWS = ["sequential", "concat", "netfuse", "stitch", "fused"]


def checked(*arguments: str) -> dict:
    done = mts("-q", *arguments, "--json")
    if done.returncode != 0:
        raise RuntimeError(f"mts {arguments[0]}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def bench_rows(point: dict, originals: list[Path], fused: Path, options: argparse.Namespace) -> None:
    bench = checked("bench", str(fused), "--against", *map(str, originals), f"--seconds={options.seconds}",
                    f"--threads={options.threads}")  # fmt: skip
    rows = {row["name"]: row for row in bench["rows"]}
    for row in ("fused", "stitch", "concat", "netfuse"):
        if (speed := rows.get(row, {}).get("speedup_vs_sequential")) is not None:
            point["speed"]["auto" if row == "fused" else row] = speed
    point["measured"] = {"auto": rows["fused"]["latency_ms"]["p50"],
                         "sequential": rows["sequential"]["latency_ms"]["p50"]}  # fmt: skip
    point["memory"] = {row: rows[row]["memory"] for row in rows if "memory" in rows[row]}


def runtime_rows(point: dict, family: Family, files: dict[str, Path], options: argparse.Namespace) -> None:
    row = Row("", 0)
    right = check(family, files, row)
    settings = argparse.Namespace(batch=1, threads=options.threads or os.cpu_count(), seconds=options.seconds)
    runtime_speeds(family, find_twins(right, row), settings, row)
    point["runtime"] = {way: row.runtime[twin] for way, twin in row.twin.items()}
    for way, why in row.problems.items():
        print(f"{family.name}, {way}: {why}", file=sys.stderr)
    point.setdefault("measured", {way: row.milliseconds[row.twin.get(way, way)] for way in ("auto", "sequential")})


def measure(network: str, models: int, size: int, width: int, options: argparse.Namespace) -> dict:
    point = {"network": network, "models": models, "size": size, "width": width, "speed": {}, "runtime": {}, "memory": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        originals = [folder / f"m{m}.onnx" for m in range(models)]
        for m, path in enumerate(originals):
            NETWORKS[network](path, m, size, width)
        files = {way: folder / f"{way}.onnx" for way in WAYS}
        for way in WAYS:
            flags = options.flag if way == "auto" else []
            report = checked("stitch", *map(str, originals), "-o", str(files[way]), f"--target={options.target}",
                             f"--strategy={way}", *flags)  # fmt: skip
            if way == "auto":
                point["groups"] = [len(group["models"]) for group in report["groups"]]
                point["predicted"] = {"auto": report["predicted"]["latency_us_fused"] / 1e3,
                                      "sequential": report["predicted"]["latency_us_sequential"] / 1e3}  # fmt: skip
        graphs = {way: graph_of(path) for way, path in files.items()}
        point["twins"] = [way for way in WAYS[1:] if graphs[way] == graphs["auto"]]
        if "mts" in options.engines:
            bench_rows(point, originals, files["auto"], options)
        if "onnxruntime" in options.engines:
            family = Family(name=network, models=originals, share_inputs=[], ranges={"ids": (0, 1000)}, dims={})
            runtime_rows(point, family, files, options)
    return point


def contract(point: dict, of: str) -> float:
    """Latency of the best alternative / latency of auto. The same graph is no alternative."""
    speeds = point[of]
    others = [way for way in WAYS[1:] if way in speeds and way not in point["twins"]]
    return speeds["auto"] / max([1.0] + [speeds[way] for way in others])


def summary(points: list[dict], of: str) -> str:
    counted = [p for p in points if "auto" in p[of]]
    if not counted:
        return ""
    kept = [contract(p, of) for p in counted]
    over = [p[of]["auto"] for p in counted]
    concat = [p[of]["auto"] / p[of]["concat"] for p in counted if "concat" in p[of]]
    return (f"- contract 7 (best alternative / auto): least **{min(kept):.2f}**, below 0.95 at {sum(k < 0.95 for k in kept)} of "
            f"{len(kept)} points\n- auto over sequential: geometric mean **{statistics.geometric_mean(over):.2f}**, over concat "
            f"**{statistics.geometric_mean(concat):.2f}**\n")  # fmt: skip


def report(points: list[dict], options: argparse.Namespace) -> str:
    lines = []
    for p in points:
        cells = [f"{p['network']} x {p['models']}", str(p["size"]), str(p["width"]), "+".join(map(str, p["groups"]))]
        for of in (ENGINES[engine] for engine in options.engines):
            cells += [f"{p[of][way]:.2f}" if way in p[of] else "-" for way in WAYS]
            cells.append(f"{contract(p, of):.2f}" if "auto" in p[of] else "-")
        cells += [f"{p['predicted'][w]:.2f} / {p['measured'][w]:.2f}" for w in ("auto", "sequential")]
        lines.append(cells)
    head = ["models", "size", "width", "groups"]
    head += [f"{engine}: {way}" for engine in options.engines for way in [*WAYS, "contract 7"]]
    head += ["auto, ms: predicted / measured", "sequential, ms"]
    pairs = [(p["predicted"][w], p["measured"][w]) for p in points for w in ("auto", "sequential")]
    errors = [abs(predicted / measured - 1) for predicted, measured in pairs]
    text = (f"# Sweep, {time.strftime('%Y-%m-%d')}\n\n`tests/bench/sweep.py {' '.join(sys.argv[1:])}`: {processor()}, threads: "
            f"{options.threads or 'all'}; target {options.target} {' '.join(options.flag)}; load of the machine at the end "
            f"{os.getloadavg()[0]:.1f}. Speeds are relative to the originals one after another.\n")  # fmt: skip
    for engine in options.engines:
        text += f"\n{engine}:\n{summary(points, ENGINES[engine])}"
    memory_rows = [
        [f"{p['network']} x {p['models']}", str(p["size"]), str(p["width"])]
        + [f"{p['memory'][row]['peak'] / 1e6:.1f}" if row in p["memory"] else "-" for row in MEMORY_ROWS]
        for p in points
    ]
    text += f"\n- predicted latency: rank correlation **{spearman(*map(list, zip(*pairs, strict=True))):.3f}**, median error **{statistics.median(errors):.0%}**\n\n"
    text += table(head, lines)
    if "mts" not in options.engines:
        return text
    text += "\nMemory held by the bundled executor, MB (weights, activations and scratch; `fused` is auto, `stitch` one group):\n\n"
    return text + table(["models", "size", "width", *MEMORY_ROWS], memory_rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet18", choices=NETWORKS)
    parser.add_argument("--models", default="2,4,8,16,32")
    parser.add_argument("--sizes", default="32,64,128,224")
    parser.add_argument("--widths", default="16,32,64")
    parser.add_argument("--target", default=cpu_target())
    parser.add_argument("--flag", action="append", default=[], help="of mts stitch, for auto")
    parser.add_argument("--seconds", type=float, default=4, help="of each mts bench")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--engines", default="mts", type=lambda text: text.split(","), help="of mts,onnxruntime")
    parser.add_argument("--dump", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    points = []
    for models, size, width in itertools.product(*(map(int, text.split(",")) for text in (options.models, options.sizes, options.widths))):
        points.append(measure(options.network, models, size, width, options))
        print({k: points[-1][k] for k in ("models", "size", "width", "groups", "speed", "runtime")}, file=sys.stderr, flush=True)
        if options.dump:
            options.dump.write_text(json.dumps(points, indent=1) + "\n", encoding="utf-8")
    text = report(points, options)
    publish(text, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
