"""One model alone: the latency of the bundled CPU executor beside ONNX Runtime's.

    MTS_BINARY=build/release/tools/mts/mts nice -n -15 python tests/bench/vs_onnxruntime.py [--only resnet50,gru]
        [--batches 1,8] [--threads 1,2] [--seconds 1] [--turns 5] [--cache build/bench_models] [--dump rows.json] [-o results.md]

In: the first model of every bundled family (models/families.json) and the networks of large_models.py, which are exported
into --cache when they are not there (then torch, torchvision, transformers are needed: models/requirements.txt).
Out: Markdown (and JSON): median latencies in ms, ratio = mts / ONNX Runtime (below 1: mts is faster), geometric mean, worst.
Exit code 1 when a bound is given (--mean 1.0, --worst 1.15) and not kept.

The two take short turns (mts, ort, mts, ort, ...), each with the machine for itself, the same inputs and the same number of
threads; a row is the median of its turns' medians, its ratio the median of the ratios of neighbouring turns. `mts bench` runs
in a process of its own; ONNX Runtime is called with bound inputs and outputs, which costs Python a few microseconds that
count for it: rows below --floor are listed, but left out of the mean and the worst. A row has no figure unless the outputs of
`mts run` are ONNX Runtime's within the contract's tolerances.
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
import zlib
from pathlib import Path

import numpy as np
import onnxruntime as ort

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from cli import mts  # noqa: E402
from large_models import LARGE, large_model  # noqa: E402
from mtz import processor, publish, table  # noqa: E402
from oracle import difference, draw, is_quantised  # noqa: E402

LONGEST = 10_000  # iterations a turn, as in mts bench


@dataclasses.dataclass
class Subject:
    """One model and how it is fed. `batch` is the symbol of its batch size; without one there is one size only."""

    name: str
    path: Path
    dims: dict[str, int]
    ranges: dict[str, list[float]]
    batch: str | None


@dataclasses.dataclass
class Row:
    name: str
    batch: int | None
    threads: int
    mts_ms: float | None = None
    ort_ms: float | None = None
    ratio: float | None = None
    problem: str = ""


def subjects(options: argparse.Namespace) -> list[Subject]:
    only = set(options.only.split(",")) if options.only else None
    found = []
    for family in json.loads((ROOT / "models" / "families.json").read_text(encoding="utf-8")):
        if only is None or family["name"] in only:
            dims = {symbol: sizes[0] for symbol, sizes in family["dims"].items()}
            path = ROOT / "models" / family["models"][0]
            found.append(Subject(family["name"], path, dims, family["ranges"], next(iter(dims), None)))
    for name, large in LARGE.items():
        if only is None or name in only:
            found.append(Subject(name, large_model(name, options.cache), {"N": 1, **large.dims}, large.ranges, "N"))
    if only and (unknown := only - {s.name for s in found}):
        raise SystemExit(f"no such models: {', '.join(sorted(unknown))}")
    return found


class OrtTurns:
    """A session with its inputs bound, run for some time."""

    def __init__(self, subject: Subject, binding: dict[str, int], threads: int):
        settings = ort.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
        self.session = ort.InferenceSession(str(subject.path), settings, providers=["CPUExecutionProvider"])
        random = np.random.default_rng(zlib.crc32(f"{subject.name}{sorted(binding.items())}".encode()))
        self.feeds = {i.name: draw(i, binding, subject.ranges, random) for i in self.session.get_inputs()}
        self.outputs = {
            node.name: value
            for node, value in zip(self.session.get_outputs(), self.session.run(None, self.feeds), strict=True)
        }
        self.bound = self._bind()

    def _bind(self) -> ort.IOBinding | None:
        """Nothing where inputs or outputs are not plain tensors of numbers."""
        values = [*self.feeds.values(), *self.outputs.values()]
        if not all(isinstance(v, np.ndarray) and v.dtype.kind in "fiub" for v in values):
            return None
        bound = self.session.io_binding()
        for name, value in self.feeds.items():
            bound.bind_cpu_input(name, value)
        self.held = {name: ort.OrtValue.ortvalue_from_numpy(np.empty_like(v)) for name, v in self.outputs.items()}
        for name, value in self.held.items():
            bound.bind_ortvalue_output(name, value)
        return bound

    def _run(self) -> None:
        if self.bound is not None:
            self.session.run_with_iobinding(self.bound)
        else:
            self.session.run(None, self.feeds)

    def median_ms(self, seconds: float) -> float:
        warm = time.perf_counter() + seconds / 4
        for i in range(LONGEST):
            self._run()
            if i >= 3 and time.perf_counter() > warm:
                break
        times: list[float] = []
        end = time.perf_counter() + seconds * 3 / 4
        while len(times) < 10 or (len(times) < LONGEST and time.perf_counter() < end):
            start = time.perf_counter()
            self._run()
            times.append(time.perf_counter() - start)
        return statistics.median(times) * 1e3


def check(subject: Subject, ort_turns: OrtTurns, folder: Path, threads: int) -> str:
    """Why the outputs of `mts run` are not ONNX Runtime's; empty when they are."""
    given = []
    for name, value in ort_turns.feeds.items():
        path = folder / (name.replace("/", "__") + ".npy")
        np.save(path, value)
        given += ["--input", f"{name}={path}"]
    outputs = folder / "outputs"
    done = mts("run", subject.path, *given, "--output-dir", outputs, f"--threads={threads}")
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or ["mts run failed"])[-1]
    quantised = is_quantised(subject.path)
    for name, reference in ort_turns.outputs.items():
        path = outputs / (name.replace("/", "__") + ".npy")
        if path.exists():
            got = np.load(path)
        else:
            got = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            reference = [{str(k): v for k, v in one.items()} if isinstance(one, dict) else one for one in reference]
        if problem := difference(reference, got, quantised):
            return f"{name}: {problem}"
    return ""


def mts_median_ms(subject: Subject, folder: Path, threads: int, seconds: float) -> float:
    """`folder` holds the inputs, and with them the sizes of all symbols."""
    done = mts("bench", subject.path, "--json", f"--seconds={seconds}", f"--threads={threads}", "--inputs", folder)
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["mts bench failed"])[-1])
    return json.loads(done.stdout)["rows"][0]["latency_ms"]["p50"]


def measure(subject: Subject, batch: int | None, threads: int, options: argparse.Namespace) -> Row:
    row = Row(subject.name, batch, threads)
    binding = dict(subject.dims) | ({subject.batch: batch} if subject.batch and batch else {})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            turns = OrtTurns(subject, binding, threads)
            row.problem = check(subject, turns, folder, threads)
            if row.problem:
                return row
            ours, theirs = [], []
            for _ in range(options.turns):
                ours.append(mts_median_ms(subject, folder, threads, options.seconds))
                theirs.append(turns.median_ms(options.seconds))
        except Exception as error:  # noqa: BLE001  a model that one of the two refuses is a row without figures
            row.problem = str(error).splitlines()[0][:300]
            return row
    row.mts_ms, row.ort_ms = statistics.median(ours), statistics.median(theirs)
    row.ratio = statistics.median(o / t for o, t in zip(ours, theirs, strict=True))
    return row


# ---- report ------------------------------------------------------------------------------------------------------


def counted(rows: list[Row], floor: float) -> list[Row]:
    return [r for r in rows if r.ratio is not None and r.ort_ms >= floor]


def mean(rows: list[Row]) -> float:
    return math.exp(statistics.fmean(math.log(r.ratio) for r in rows))


def summary(rows: list[Row], floor: float) -> str:
    lines = []
    for threads in sorted({r.threads for r in rows}):
        mine = [r for r in rows if r.threads == threads]
        kinds = {
            "all": mine,
            "families": [r for r in mine if r.name not in LARGE],
            "large": [r for r in mine if r.name in LARGE],
        }
        for kind, some in kinds.items():
            if not (some := counted(some, floor)):
                continue
            worst = max(some, key=lambda r: r.ratio)
            above = sum(r.ratio > 1.15 for r in some)
            batch = "" if worst.batch is None else f" x {worst.batch}"
            cells = [f"{mean(some):.3f}", f"{worst.ratio:.2f} ({worst.name}{batch})", str(above)]
            lines.append([f"{threads}, {kind}", str(len(some)), *cells])
    return table(["threads, models", "rows", "geometric mean", "worst", "above 1.15"], lines)


def report(rows: list[Row], options: argparse.Namespace) -> str:
    lines = []
    for row in rows:
        figures = ["-", "-", "-"]
        if row.ratio is not None:
            figures = [f"{row.mts_ms:.4g}", f"{row.ort_ms:.4g}", f"{row.ratio:.2f}"]
        lines.append([row.name, "-" if row.batch is None else str(row.batch), str(row.threads), *figures])
    notes = [f"- {r.name}, batch {r.batch}, {r.threads} threads: {r.problem}" for r in rows if r.problem]
    tiny = "" if options.floor == 0 else f" Rows below {options.floor * 1e3:g} us do not count."
    return "\n".join(
        [
            f"# The CPU executor beside ONNX Runtime, {time.strftime('%Y-%m-%d')}\n",
            f"`tests/bench/vs_onnxruntime.py --seconds {options.seconds:g} --turns {options.turns}`: {processor()}; commit "
            f"{options.commit or 'not given'}; load of the machine at the end {os.getloadavg()[0]:.1f}. ONNX Runtime "
            f"{ort.__version__}. Ratio: mts / ONNX Runtime, below 1 mts is faster.{tiny} {options.note}\n",
            summary(rows, options.floor),
            table(["model", "batch", "threads", "mts, ms", "ONNX Runtime, ms", "ratio"], lines),
            *(["Without a figure, and why:\n", *notes, ""] if notes else []),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names, by comma")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=1, help="of each turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--floor", type=float, default=0, help="ms: rows that ONNX Runtime finishes in less do not count")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "bench_models", help="where exports are kept")
    parser.add_argument("--mean", type=float, help="the geometric mean that is allowed")
    parser.add_argument("--worst", type=float, help="the ratio that is allowed")
    parser.add_argument("--commit", default="", help="what was measured, for the report")
    parser.add_argument("--note", default="", help="more about the machine, for the report")
    parser.add_argument("--dump", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    rows = []
    for subject in subjects(options):
        for batch in map(int, options.batches.split(",")) if subject.batch else [None]:
            for threads in map(int, options.threads.split(",")):
                rows.append(measure(subject, batch, threads, options))
                print(dataclasses.asdict(rows[-1]), file=sys.stderr, flush=True)
        if options.dump:
            options.dump.write_text(json.dumps([dataclasses.asdict(r) for r in rows], indent=1) + "\n", encoding="utf-8")
    text = report(rows, options)
    publish(text, options.output)
    kept = counted(rows, options.floor)
    failed = any(r.problem for r in rows)
    failed |= options.mean is not None and bool(kept) and mean(kept) > options.mean
    failed |= options.worst is not None and bool(kept) and max(r.ratio for r in kept) > options.worst
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
