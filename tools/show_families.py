"""Stitches, verifies and benches bundled model families and prints one table. Called by tools/quickstart.

In: --program, the built mts; --output, a folder for the stitched models; names of families (default: a choice that
shows what pays and what does not).
Out: a line a family: weights and nodes of the originals and of the stitched model, the latency of the originals run
one after another, of two other ways of fusing them and of the stitched model, and whether `mts verify` found every
output equal.
Exit code: 0 when every family was stitched and verified, else 1.
"""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHOICE = [
    "eight_heads",
    "heads_on_trunk",
    "bn_only",
    "segmentation",
    "lora_bert",
    "vit_heads",
    "digits_heads",
    "mixed_stem",
    "nothing_shared",
]
COLUMNS = [  # title, width, alignment
    ("family", 17, "<"),
    ("models", 6, ">"),
    ("weights, MB", 14, ">"),
    ("nodes", 11, ">"),
    ("sequential", 10, ">"),
    ("concat", 8, ">"),
    ("netfuse", 8, ">"),
    ("stitched", 8, ">"),
    ("faster", 7, ">"),
    ("verified", 8, ">"),
]
LATENCIES = ["sequential", "concat", "netfuse", "fused"]  # the rows of `mts bench`, as in COLUMNS


class StepFailed(Exception):
    """A command of mts ended with an error; the text says which one and why."""


def run(program, *arguments):
    command = [program, *arguments]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it said nothing"]
        raise StepFailed(f"mts {arguments[0]} ended with {done.returncode}: {reason[-1]}")
    return done.stdout


def cpu_target():
    """The device profile that comes closest to this CPU."""
    try:
        flags = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        flags = ""
    return "cpu-avx512" if "avx512f" in flags else "cpu-avx2"


def measure(program, family, folder, target):
    """Runs the three commands on one family. Returns the cells of its line."""
    models = [f"models/{path}" for path in family["models"]]
    fused = folder / f"{family['name']}.onnx"
    report_path = folder / f"{family['name']}.json"
    shared = [f"--share-input={name}" for name in family["share_inputs"]]
    run(program, "stitch", *models, "-o", str(fused), f"--report={report_path}", f"--target={target}", *shared)
    ranges = [f"--range={name}={low}:{high}" for name, (low, high) in family["ranges"].items()]
    run(program, "verify", str(fused), "--against", *models, *ranges)
    dims = [f"--dim={symbol}={values[0]}" for symbol, values in family["dims"].items()]
    measured = run(program, "bench", str(fused), "--against", *models, "--json", "--seconds=2", *dims, *ranges)

    report = json.loads(report_path.read_text(encoding="utf-8"))
    rows = {row["name"]: row for row in json.loads(measured)["rows"]}
    before = {key: sum(model[key] for model in report["inputs"]) for key in ("nodes", "weight_bytes")}
    speedup = rows["fused"]["speedup_vs_sequential"]
    return [
        len(models),
        f"{before['weight_bytes'] / 1e6:.2f} -> {report['output']['weight_bytes'] / 1e6:.2f}",
        f"{before['nodes']} -> {report['output']['nodes']}",
        *(milliseconds(rows.get(name)) for name in LATENCIES),
        "-" if speedup is None else f"{speedup:.2f} x",
        "yes",
    ]


def milliseconds(row):
    """Three significant digits; a row that was not measured, or whose numeric check failed, has none."""
    if not row or not row.get("latency_ms"):
        return "-"
    value = row["latency_ms"]["p50"]
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}" if value > 0 else "0"


def line(cells):
    return "  ".join(f"{cell:{align}{width}}" for cell, (_, width, align) in zip(cells, COLUMNS)).rstrip()


def main():
    families = {f["name"]: f for f in json.loads((ROOT / "models/families.json").read_text(encoding="utf-8"))}
    parser = argparse.ArgumentParser(prog="tools/quickstart")
    parser.add_argument("families", nargs="*", metavar="FAMILY")
    parser.add_argument("--all", action="store_true", help="every bundled family")
    parser.add_argument("--list", action="store_true", help="print the families and stop")
    parser.add_argument("--program", default="build/release/tools/mts/mts", help=argparse.SUPPRESS)
    parser.add_argument("--output", default="build/quickstart", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.list:
        for family in families.values():
            print(f"{family['name']:<18} {len(family['models'])} models: {family['notes']}")
        return 0
    names = list(families) if options.all else options.families or CHOICE
    unknown = [name for name in names if name not in families]
    if unknown:
        parser.error(f"no family {', '.join(unknown)} in models/families.json; see --list")

    program = str(ROOT / options.program)
    folder = ROOT / options.output
    folder.mkdir(parents=True, exist_ok=True)
    target = cpu_target()
    terminal = sys.stdout.isatty()
    started = time.monotonic()
    print(f"\nN models that share weights -> one ONNX graph (target {target}, {os.cpu_count()} cores, batch 1)\n")
    print(line([title for title, _, _ in COLUMNS]))
    print(line(["-" * width for _, width, _ in COLUMNS]))
    failures = []
    for name in names:
        if terminal:
            print(f"{name} ...", end="", flush=True)
        try:
            text = line([name, *measure(program, families[name], folder, target)])
        except StepFailed as failure:
            failures.append(f"{name}: {failure}")
            text = line([name, len(families[name]["models"]), *[""] * (len(COLUMNS) - 3), "FAILED"])
        print(("\r\x1b[K" if terminal else "") + text, flush=True)

    relative = folder.relative_to(ROOT)
    print(
        "\nArrows go from the originals to the stitched model. Latencies are medians in ms, measured interleaved:\n"
        "sequential: the originals one after another; concat: in one file, nothing stitched; netfuse: every operator\n"
        "grouped, shared weights duplicated. faster: stitched against sequential."
    )
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > 2 * cores:
        print(f"Other work keeps this machine busy (load {load:.0f} on {cores} cores): do not trust these latencies.")
    print(f"Took {time.monotonic() - started:.0f} s. The models are in {relative}/; look into one with")
    print(f"  {options.program} inspect {relative}/{names[0]}.onnx")
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
