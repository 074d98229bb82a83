"""Fused families beside ONNX Runtime on what they were made of, every input separate.

    MTS_BINARY=build/release/tools/mts/mts nice -n -15 python tests/bench/families.py [--only lora_bert,gru] [--batches 1]
        [--threads 1,2] [--seconds 0.3] [--turns 3] [--target NAME|FILE.json] [--objective bytes|latency] [--dump rows.json]
        [-o results.md]

In: the bundled families (models/families.json), stitched without --share-input: for the bundled executor (--target), for ONNX
Runtime (--target cpu-onnxruntime), and unstitched with weights deduplicated (--strategy concat).
Out: Markdown (and JSON): median latencies in ms of one pass over all models, and speeds: latency of the baseline / own, above
1 the fused graph is faster. Geometric means, and how many are slower.

The four take short turns (executor, sequential, concat, fused in ONNX Runtime, executor, ...), as in vs_onnxruntime.py: bound
inputs, the same shapes and threads; a speed is the median of those of neighbouring turns. No figure without numeric checks:
the fused files in ONNX Runtime against the originals (oracle.py), the executor against ONNX Runtime on the same file.
Where the two targets give the same graph it is measured once more all the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import onnxruntime as ort
from vs_onnxruntime import ROOT, OrtTurns, Subject, check, mts_median_ms

from cli import stitch  # the folder is added by vs_onnxruntime
from mtz import cpu_target, processor, publish, table
from oracle import Family, Reference

WAYS = ["mts", "sequential", "concat", "fused"]  # the last three in ONNX Runtime
SPEEDS = {  # name -> baseline, own, bound on the geometric mean
    "mts / sequential": ("sequential", "mts", 1.8),
    "mts / concat": ("concat", "mts", 1.4),
    "ORT fused / sequential": ("sequential", "fused", 1.35),
    "ORT fused / concat": ("concat", "fused", 1.15),
}


@dataclasses.dataclass
class Row:
    name: str
    models: int
    batch: int | None
    threads: int
    ms: dict[str, float] = dataclasses.field(default_factory=dict)
    speed: dict[str, float] = dataclasses.field(default_factory=dict)
    problem: str = ""


class Sequential(OrtTurns):
    """The originals one after another."""

    def __init__(self, originals: list[OrtTurns]):
        self.originals = originals

    def _run(self) -> None:
        for one in self.originals:
            one._run()


def subjects_of(family: Family, files: dict[str, Path]) -> tuple[list[Subject], dict[str, Subject]]:
    """The originals and the fused files, whose inputs are called model/input."""
    batch = next(iter(family.dims), None)
    dims = {symbol: sizes[0] for symbol, sizes in family.dims.items()}
    originals = [Subject(path.stem, path, dims, family.ranges, batch) for path in family.models]
    ranges = {f"{path.stem}/{name}": bounds for path in family.models for name, bounds in family.ranges.items()}
    return originals, {way: Subject(family.name, path, dims, ranges, batch) for way, path in files.items()}


def stitch_all(family: Family, folder: Path, options: argparse.Namespace) -> dict[str, Path]:
    objective = f"--objective={options.objective}"
    return {
        "mts": stitch(family.models, folder / "mts.onnx", "auto", (), f"--target={options.target}", objective),
        "fused": stitch(family.models, folder / "fused.onnx", "auto", (), "--target=cpu-onnxruntime", objective),
        "concat": stitch(family.models, folder / "concat.onnx", "concat"),
    }


def measure(family: Family, files: dict[str, Path], batch: int | None, threads: int, options: argparse.Namespace) -> Row:
    row = Row(family.name, len(family.models), batch, threads)
    originals, fused = subjects_of(family, files)
    binding = dict(fused["mts"].dims) | ({fused["mts"].batch: batch} if batch else {})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            runtime = {way: OrtTurns(fused[way], binding, threads) for way in ("concat", "fused")}
            runtime["sequential"] = Sequential([OrtTurns(s, binding, threads) for s in originals])
            row.problem = check(fused["mts"], OrtTurns(fused["mts"], binding, threads), folder, threads)
            if row.problem:
                return row
            turns: dict[str, list[float]] = {way: [] for way in WAYS}
            for _ in range(options.turns):
                turns["mts"].append(mts_median_ms(fused["mts"], folder, threads, options.seconds))
                for way in WAYS[1:]:
                    turns[way].append(runtime[way].median_ms(options.seconds))
        except Exception as error:  # noqa: BLE001  a family that one of them refuses is a row without figures
            row.problem = str(error).splitlines()[0][:300]
            return row
    row.ms = {way: statistics.median(times) for way, times in turns.items()}
    for label, (baseline, own, _) in SPEEDS.items():
        row.speed[label] = statistics.median(b / o for b, o in zip(turns[baseline], turns[own], strict=True))
    return row


def summary(rows: list[Row]) -> str:
    lines = []
    for threads in sorted({r.threads for r in rows}):
        some = [r for r in rows if r.threads == threads and r.speed]
        for label, (_, _, bound) in SPEEDS.items():
            if not some:
                continue
            speeds = [r.speed[label] for r in some]
            worst = min(some, key=lambda r: r.speed[label])
            mean = math.exp(statistics.fmean(map(math.log, speeds)))
            slower = sum(s < 1 for s in speeds)
            lines.append([f"{threads}, {label}", str(len(some)), f"{mean:.2f}", f"{bound:.2f}",
                          f"{worst.speed[label]:.2f} ({worst.name})", str(slower)])  # fmt: skip
    return table(["threads, speed", "families", "geometric mean", "wanted", "least", "below 1"], lines)


def report(rows: list[Row], options: argparse.Namespace) -> str:
    lines = []
    for r in rows:
        cells = [r.name, str(r.models), "-" if r.batch is None else str(r.batch), str(r.threads)]
        cells += [f"{r.ms[way]:.4g}" if r.ms else "-" for way in WAYS]
        cells += [f"{r.speed[label]:.2f}" if r.speed else "-" for label in SPEEDS]
        lines.append(cells)
    notes = [f"- {r.name}, batch {r.batch}, {r.threads} threads: {r.problem}" for r in rows if r.problem]
    head = ["family", "models", "batch", "threads", "mts, ms", *(f"ORT {way}, ms" for way in WAYS[1:]), *SPEEDS]
    return "\n".join(
        [
            f"# Fused families beside ONNX Runtime, {time.strftime('%Y-%m-%d')}\n",
            f"`tests/bench/families.py --seconds {options.seconds:g} --turns {options.turns}`: {processor()}; target of the "
            f"executor's files {options.target}; objective {options.objective}; commit {options.commit or 'not given'}; load of the machine at the end "
            f"{os.getloadavg()[0]:.1f}. ONNX Runtime {ort.__version__}. Every input separate; latencies of one pass over all "
            f"models; speeds: latency of the baseline / own, above 1 the fused graph is faster. {options.note}\n",
            summary(rows),
            table(head, lines),
            *(["Without figures, and why:\n", *notes, ""] if notes else []),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names, by comma")
    parser.add_argument("--batches", default="1")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=0.3, help="of each turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--target", default=cpu_target(), help="of the files for the bundled executor")
    parser.add_argument("--objective", default="bytes", choices=["bytes", "latency"], help="of the fused files")
    parser.add_argument("--commit", default="", help="what was measured, for the report")
    parser.add_argument("--note", default="", help="more about the machine, for the report")
    parser.add_argument("--dump", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    entries = json.loads((ROOT / "models" / "families.json").read_text(encoding="utf-8"))
    only = set(options.only.split(",")) if options.only else {e["name"] for e in entries}
    if unknown := only - {e["name"] for e in entries}:
        raise SystemExit(f"no such families: {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    for entry in entries:
        if entry["name"] not in only:
            continue
        family = Family.from_json({**entry, "share_inputs": []}, ROOT / "models")
        with tempfile.TemporaryDirectory() as name:
            files = stitch_all(family, Path(name), options)
            reference = Reference(family)
            wrong = next((f"{way}: {p[0]}" for way, path in files.items() if (p := reference.differences(path))), "")
            for batch in map(int, options.batches.split(",")) if family.dims else [None]:
                for threads in map(int, options.threads.split(",")):
                    if wrong:
                        rows.append(Row(family.name, len(family.models), batch, threads, problem=wrong))
                    else:
                        rows.append(measure(family, files, batch, threads, options))
                    print(dataclasses.asdict(rows[-1]), file=sys.stderr, flush=True)
        if options.dump:
            options.dump.write_text(json.dumps([dataclasses.asdict(r) for r in rows], indent=1) + "\n", encoding="utf-8")
    text = report(rows, options)
    publish(text, options.output)
    return 1 if any(r.problem for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
