"""How well the cost model predicts: latency by the profile of this machine beside latency measured, on the bundled families.

    MTS_BINARY=build/release/tools/mts/mts python tests/bench/predicted.py [--profile FILE.json|NAME] [--seconds 1.5]
        [--threads 0] [--statistic min|p50]
        [--families a,b] [--dump points.json] [-o results.md]

In: models/families.json; a profile that `mts calibrate` wrote (made for the occasion when none is given).
Out: Markdown: microseconds predicted and measured of each way, error = predicted / measured - 1, Spearman's rank
correlation of latencies over all families and ways and of the speed-ups over sequential, and what the planner's choice
costs: the fastest of auto, concat and sequential / auto, which contract 7 wants to be at least 0.95.
Measured are the least latencies of `mts bench` (rows interleaved in one process, every row verified: what is not has no
figure); --statistic p50 takes medians, which a machine with other work to do does not give.
Sizes that a symbol leaves open are 1 (first axis) or 64 to the model, so they are that in the measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WAYS = ["auto", "sequential", "concat", "netfuse"]
FIRST_AXES = {"N", "batch", "batch_size"}
ROWS = {"auto": "fused"}  # names of `mts bench` where they are others


def mts(*arguments: str) -> str:
    program = os.environ.get("MTS_BINARY", str(ROOT / "build/release/tools/mts/mts"))
    done = subprocess.run([program, "-q", *arguments], capture_output=True, text=True, cwd=ROOT)
    if done.returncode != 0:
        raise RuntimeError(f"mts {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def microseconds(family: dict, profile: str, folder: Path, options: argparse.Namespace) -> tuple[dict, dict]:
    """(predicted, measured), by way."""
    models = [f"models/{path}" for path in family["models"]]
    shared = [f"--share-input={name}" for name in family["share_inputs"]]
    predicted = {}
    for way in ["auto", "concat", "netfuse"]:
        output = str(folder / f"{family['name']}.{way}.onnx")
        report = json.loads(
            mts("stitch", *models, "-o", output, f"--target={profile}", f"--strategy={way}", "--json", *shared))
        predicted[way] = report["predicted"]["latency_us_fused"]
        if way == "concat":
            predicted["sequential"] = report["predicted"]["latency_us_sequential"]
    ranges = [f"--range={name}={low}:{high}" for name, (low, high) in family["ranges"].items()]
    dims = [f"--dim={symbol}={1 if symbol in FIRST_AXES else 64}" for symbol in family["dims"]]
    bench = json.loads(mts("bench", str(folder / f"{family['name']}.auto.onnx"), "--against", *models, "--json",
                           f"--seconds={options.seconds}", f"--threads={options.threads}", *dims, *ranges))
    rows = {row["name"]: row for row in bench["rows"]}
    measured = {}
    for way in WAYS:
        row = rows.get(ROWS.get(way, way), {})
        if "latency_ms" in row and row["verified"] is not False:
            measured[way] = row["latency_ms"][options.statistic] * 1e3
    return predicted, measured


def ranks(values: list[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    result = [0.0] * len(values)
    for at, i in enumerate(order):
        result[i] = float(at)
    return result


def spearman(a: list[float], b: list[float]) -> float:
    return statistics.correlation(ranks(a), ranks(b))


def summary(points: dict) -> list[str]:
    lines = []
    for way in WAYS:
        errors = [p[way] / m[way] - 1 for p, m in points.values() if way in m]
        lines.append(f"| {way} | {statistics.median(map(abs, errors)):.0%} | {statistics.median(errors):+.0%} | "
                     f"{min(errors):+.0%} | {max(errors):+.0%} |")
    pairs = [(p[way], m[way]) for p, m in points.values() for way in WAYS if way in m]
    ups = [(p["sequential"] / p[way], m["sequential"] / m[way])
           for p, m in points.values() for way in WAYS if way != "sequential" and way in m]
    kept = [min(m[way] for way in ["auto", "concat", "sequential"] if way in m) / m["auto"] for p, m in points.values()]
    gains = [m["sequential"] / m["auto"] for p, m in points.values()]
    errors = [abs(p / m - 1) for p, m in pairs]
    head = [
        f"- rank correlation (Spearman) of {len(pairs)} latencies: **{spearman(*map(list, zip(*pairs))):.3f}**",
        f"- of {len(ups)} speed-ups over sequential: **{spearman(*map(list, zip(*ups))):.3f}**",
        f"- median error of a latency: **{statistics.median(errors):.0%}**",
        f"- auto over sequential: geometric mean {statistics.geometric_mean(gains):.3f}, least {min(gains):.2f}",
        f"- fastest of auto, concat, sequential / auto: least {min(kept):.2f}, below 0.95 in "
        f"{sum(k < 0.95 for k in kept)} of {len(kept)} families", "",
        "| way | median error, absolute | median | least | most |", "|---|---|---|---|---|"
    ]
    return head + lines


def table(points: dict) -> list[str]:
    lines = ["| family | " + " | ".join(f"{way}: predicted | measured" for way in WAYS) + " | speed-up predicted | measured |",
             "|---" * (2 * len(WAYS) + 3) + "|"]
    for name, (p, m) in points.items():
        cells = [f"{p[way]:.1f} | {m[way]:.1f}" if way in m else f"{p[way]:.1f} | -" for way in WAYS]
        lines.append(f"| {name} | " + " | ".join(cells) +
                     f" | {p['sequential'] / p['auto']:.2f} | {m['sequential'] / m['auto']:.2f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", help="of mts calibrate, or a name that --target knows")
    parser.add_argument("--seconds", type=float, default=1.5, help="of measuring, a family")
    parser.add_argument("--threads", type=int, default=0, help="0: one a core")
    parser.add_argument("--statistic", choices=["min", "p50"], default="min", help="of the latencies measured")
    parser.add_argument("--families", help="some of them, with commas between")
    parser.add_argument("--dump", type=Path, help="the figures as JSON")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    families = json.loads((ROOT / "models/families.json").read_text(encoding="utf-8"))
    if arguments.families:
        families = [family for family in families if family["name"] in arguments.families.split(",")]
    points, left_out = {}, []
    with tempfile.TemporaryDirectory() as folder:
        profile = arguments.profile
        if profile is None:
            profile = str(Path(folder) / "here.json")
            mts("calibrate", "-o", profile, f"--threads={arguments.threads}")
        for family in families:
            print(f"{family['name']} ...", file=sys.stderr, flush=True)
            point = microseconds(family, profile, Path(folder), arguments)
            if {"auto", "sequential"} <= point[1].keys():
                points[family["name"]] = point
            else:
                left_out.append(family["name"])
    if arguments.dump:
        arguments.dump.write_text(json.dumps(points, indent=1) + "\n", encoding="utf-8")
    text = "\n".join(summary(points) + ["", f"Microseconds ({arguments.statistic} of those measured):", ""] + table(points)) + "\n"
    if left_out:
        text += f"\nLeft out, since they do not run at those sizes: {', '.join(left_out)}.\n"
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
