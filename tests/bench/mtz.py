"""Benchmark of MTZ pairs and octets: `mts stitch` for both objectives beside sequential, concat, netfuse and stitch.

    MTS_BINARY=build/release/tools/mts/mts python tests/bench/mtz.py [--networks resnet,vgg] [--models 2,8]
        [--sharing 0,25,50,75,100] [--scale 4] [--batch 1] [--common-input] [--target NAME|FILE.json] [--engines mts] [--seconds 2] [-o results.md]

In: networks of tests/e2e/partial_models.py whose neurons are shared in part, at other places in each model.
Out: Markdown: bytes of weights, and speed relative to the originals one after another, in the bundled executor
(`mts bench` of each way in turns, with all baselines interleaved in the same process) and in ONNX Runtime (A B C .. C B A;
medians of the ratios within a round, and over turns with sessions made anew). Ways that made the same graph are measured once and share the figures.
No figure without a numeric check: what ONNX Runtime finds wrong is listed below the tables. Contract 7 is the latency of
the best alternative / auto's: for the objective bytes over the alternatives that store no element twice (within 1 %), for
the objective latency over all.
What the program cannot do (an older one without --objective) is left out, with a note.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from cli import mts  # noqa: E402
from oracle import Family, Reference  # noqa: E402
from partial_check import SLACK, weight_bytes  # noqa: E402
from partial_models import make  # noqa: E402

# name of a way -> flags of mts stitch; "sequential" are the originals themselves
WAYS = {
    "auto, bytes": ["--objective", "bytes"],
    "auto, latency": ["--objective", "latency"],
    "stitch": ["--strategy", "stitch"],
    "concat": ["--strategy", "concat"],
    "netfuse": ["--strategy", "netfuse"],
}
ENGINES = {"mts": "executor", "onnxruntime": "runtime"}  # -> the field of Row
COLUMNS = ["sequential", *WAYS]


@dataclasses.dataclass
class Row:
    """One family: what it stores and how fast it runs, by way."""

    name: str
    distinct: int
    stored: dict[str, int] = dataclasses.field(default_factory=dict)
    executor: dict[str, float] = dataclasses.field(default_factory=dict)  # speed / sequential's
    runtime: dict[str, float] = dataclasses.field(default_factory=dict)
    milliseconds: dict[str, float] = dataclasses.field(default_factory=dict)  # in ONNX Runtime
    problems: dict[str, str] = dataclasses.field(default_factory=dict)  # way -> why it has no number
    twin: dict[str, str] = dataclasses.field(default_factory=dict)  # way -> the first one that made the same graph

    def contract(self, speeds: dict[str, float], auto: str) -> float | None:
        """Latency of the best alternative / latency of auto. The same graph is no alternative."""
        counted = [w for w in ("sequential", "stitch", "concat", "netfuse") if w in speeds]
        counted = [w for w in counted if self.twin.get(w, w) != self.twin.get(auto, auto)] or [auto]
        if auto == "auto, bytes":
            counted = [w for w in counted if self.stored[w] <= SLACK * self.distinct]
        if auto not in speeds:
            return None
        return speeds[auto] / max((speeds[w] for w in counted), default=speeds[auto])


def cpu_target() -> str:
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "cpu-avx512" if "avx512f" in flags else "cpu-avx2"


def stitch_all(family: Family, folder: Path, row: Row, target: str) -> dict[str, Path]:
    """A fused file for each way that the program knows."""
    files = {}
    shared = [f"--share-input={name}" for name in family.share_inputs]
    for way, flags in WAYS.items():
        path = folder / f"{way.replace(', ', '_')}.onnx"
        done = mts("stitch", *family.models, "-o", path, f"--target={target}", *flags, *shared)
        if done.returncode != 0:
            row.problems[way] = (done.stderr.strip().splitlines() or ["failed"])[-1]
            continue
        files[way] = path
        row.stored[way] = weight_bytes(onnx.load(path))
    return files


def check(family: Family, files: dict[str, Path], row: Row) -> dict[str, Path]:
    """The files whose numbers are right, by ONNX Runtime."""
    reference = Reference(family)
    for way, path in files.items():
        if problems := reference.differences(path):
            row.problems[way] = f"wrong: {problems[0]}"
    return {way: path for way, path in files.items() if way not in row.problems}


def graph_of(path: Path) -> bytes:
    """What a file computes, without what it says about itself: equal for two ways that made the same graph."""
    model = onnx.load(path)
    for node in model.graph.node:
        del node.metadata_props[:]
    graph = model.graph
    graph.name = ""
    return hashlib.sha256(graph.SerializeToString(deterministic=True)).digest()


def find_twins(files: dict[str, Path], row: Row) -> dict[str, Path]:
    """The files that are to be measured: one of each graph. `row.twin` says whose figures the others take."""
    first: dict[bytes, str] = {}
    for way, path in files.items():
        row.twin[way] = first.setdefault(graph_of(path), way)
    return {way: path for way, path in files.items() if row.twin[way] == way}


def executor_speeds(family: Family, files: dict[str, Path], options: argparse.Namespace, row: Row) -> None:
    """`mts bench` of every fused file in turns, each time with all baselines beside it; medians over the turns."""
    speeds: dict[str, list[float]] = {}
    ways = [w for w in ("auto, bytes", "auto, latency", "stitch") if w in files]
    for turn in range(options.turns):
        for way in ways if turn % 2 == 0 else reversed(ways):
            done = mts(
                "bench", files[way], "--against", *family.models, "--json", f"--seconds={options.seconds / options.turns}",
                f"--dim=N={options.batch}", f"--threads={options.threads}",
            )  # fmt: skip
            if done.returncode != 0:
                row.problems[way] = "mts bench: " + (done.stderr.strip().splitlines() or ["failed"])[-1]
                continue
            for one in json.loads(done.stdout)["rows"]:
                key = way if one["name"] == "fused" else one["name"]
                speed = one.get("speedup_vs_sequential")
                if speed is not None:
                    speeds.setdefault(key, []).append(speed)
                elif key != "sequential":
                    row.problems[key] = f"mts bench: {one.get('error') or 'not verified'}"
    row.executor = {way: statistics.median(values) for way, values in speeds.items()} | {"sequential": 1.0}


def runtime_speeds(family: Family, files: dict[str, Path], options: argparse.Namespace, row: Row) -> None:
    """ONNX Runtime on all cores: forwards and backwards through the ways until the time is over."""
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads

    def load(path: Path) -> tuple[ort.InferenceSession, dict[str, np.ndarray]]:
        session = ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        random = np.random.default_rng(1)
        feeds = {}
        for node in session.get_inputs():
            shape = [d if isinstance(d, int) else options.batch for d in node.shape]
            low, high = family.ranges.get(node.name.split("/")[-1], (0, 2))
            whole = node.type == "tensor(int64)"
            feeds[node.name] = random.integers(low, high, shape) if whole else random.standard_normal(shape, np.float32)
        return session, feeds

    # Sessions differ by 5 % with where their weights come to lie: several of each, loaded in another order each turn.
    turns = getattr(options, "turns", 1)
    paths = {"sequential": family.models} | {way: [path] for way, path in files.items()}
    ratios: dict[str, list[float]] = {way: [] for way in paths}
    medians: dict[str, list[float]] = {way: [] for way in paths}
    for turn in range(turns):
        names = list(paths)[turn % len(paths) :] + list(paths)[: turn % len(paths)]
        ways = {way: [load(path) for path in paths[way]] for way in names}
        times: dict[str, list[float]] = {way: [] for way in ways}
        order = names + list(reversed(names))
        end = time.perf_counter() + options.seconds * len(ways) / 3 / turns
        while time.perf_counter() < end or len(times["sequential"]) < 8:
            for way in order:
                start = time.perf_counter()
                for session, feeds in ways[way]:
                    session.run(None, feeds)
                times[way].append(time.perf_counter() - start)
        # Ratios within a round, so that a machine that slows down slows down both; the first rounds warm up.
        warm = len(times["sequential"]) // 5
        for way, values in times.items():
            ratios[way].append(statistics.median(own / other for own, other in zip(times["sequential"][warm:], values[warm:], strict=True)))
            medians[way].append(statistics.median(values[warm:]) * 1e3)
    row.runtime = {way: statistics.median(values) for way, values in ratios.items()}
    row.milliseconds |= {way: statistics.median(values) for way, values in medians.items()}


def measure(network: str, models: int, sharing: int, options: argparse.Namespace) -> Row:
    case = make(network, "blocks", models, sharing / 100, seed=1, arrangement="permuted", scale=options.scale)
    row = Row(f"{network} x {models}, {sharing} %", case.unique_bytes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        family = case.save(folder, options.common_input)
        row.stored["sequential"] = sum(weight_bytes(m) for m in case.models)
        files = check(family, stitch_all(family, folder, row, options.target), row)
        measured = find_twins(files, row)
        if "mts" in options.engines:
            executor_speeds(family, measured, options, row)
        if "onnxruntime" in options.engines:
            runtime_speeds(family, measured, options, row)
        for speeds in (row.executor, row.runtime):
            speeds |= {way: speeds[twin] for way, twin in row.twin.items() if twin in speeds}
    return row


# ---- tables ------------------------------------------------------------------------------------------------------


def publish(text: str, output: Path | None) -> None:
    """To standard output and, where one is given, to a file."""
    if output:
        output.write_text(text, encoding="utf-8")
    print(text)


def table(head: list[str], lines: list[list[str]]) -> str:
    marks = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, marks, *lines]) + "\n"


def speed_table(rows: list[Row], of: str) -> str:
    lines = []
    for row in rows:
        speeds = getattr(row, of)
        kept = [row.contract(speeds, auto) for auto in ("auto, bytes", "auto, latency")]
        cells = [f"{speeds[way]:.2f}" if way in speeds else "-" for way in COLUMNS]
        lines.append([row.name, *cells, *("-" if k is None else f"{k:.2f}" for k in kept)])
    return table(["family", *COLUMNS, "contract 7, bytes", "contract 7, latency"], lines)


def bytes_table(rows: list[Row]) -> str:
    lines = [
        [row.name, f"{row.distinct / 1000:.1f}"]
        + [f"{row.stored[way] / row.distinct:.3f}" if way in row.stored else "-" for way in COLUMNS]
        for row in rows
    ]
    return table(["family", "distinct, kB", *COLUMNS], lines)


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {os.cpu_count()} cores, {'AVX-512' if cpu_target() == 'cpu-avx512' else 'AVX2'}"


def report(rows: list[Row], options: argparse.Namespace) -> str:
    notes = [f"- {row.name}, {way}: {why}" for row in rows for way, why in row.problems.items()]
    inputs = "one common input" if options.common_input else "an input a model"
    return "\n".join(
        [
            f"# MTZ pairs and octets, {time.strftime('%Y-%m-%d')}\n",
            f"`tests/bench/mtz.py`: {processor()}, threads: {options.threads}; target {options.target}; commit "
            f"{options.commit or 'not given'}; batch {options.batch}, {inputs}, widths x {options.scale}; load of the machine at "
            f"the end {os.getloadavg()[0]:.1f}. ONNX Runtime {ort.__version__}. {options.note}\n",
            "## Bytes of weights / distinct bytes\n",
            bytes_table(rows),
            *(part for engine in options.engines for part in (f"## {engine}: speed relative to sequential\n", speed_table(rows, ENGINES[engine]))),
            *(["## Without a number, and why\n", *notes, ""] if notes else []),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default="vgg,resnet,transformer")
    parser.add_argument("--models", default="2,8")
    parser.add_argument("--sharing", default="0,25,50,75,100", help="per cent of the neurons of each layer")
    parser.add_argument("--scale", type=int, default=4, help="of the widths of layers")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--common-input", action="store_true")
    parser.add_argument("--seconds", type=float, default=3, help="of `mts bench` for each way, over all turns")
    parser.add_argument("--turns", type=int, default=3, help="in how many turns the ways take each other's place")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--target", default=cpu_target())
    parser.add_argument("--engines", default="mts,onnxruntime", type=lambda text: text.split(","))
    parser.add_argument("--commit", default="", help="what was measured, for the report")
    parser.add_argument("--note", default="", help="more about the machine, for the report")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    rows = []
    for network in options.networks.split(","):
        for models in map(int, options.models.split(",")):
            for sharing in map(int, options.sharing.split(",")):
                rows.append(measure(network, models, sharing, options))
                print(rows[-1].name, rows[-1].executor, rows[-1].runtime, rows[-1].problems or "", file=sys.stderr)
    text = report(rows, options)
    publish(text, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
