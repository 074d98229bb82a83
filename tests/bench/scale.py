"""Is `mts stitch` as fast as the disk, whatever the number and the size of the models, and how much memory does it take?

    MTS_BINARY=build/release/tools/mts/mts python tests/bench/scale.py [--cases 64,1000] [--models 1] [--bytes 1]
        [--rounds 3] [--steps 5] [--against OTHER_MTS] [--compose 4] [--folder DIR] [-o results.md]

In: the sets of scale_models.py that begin with one of --cases, with --models times as many models of --bytes times the
size. A set is written before it is measured (so it is in the page cache where that is large enough) and removed before
the next: at most about 11 GB of disk at a time.
Out: Markdown. Of each set, in turns (A B A B ...): `cat` of its bytes to /dev/null, `mts stitch`, and once that of --against (an
older binary): seconds (median and least), GB of input a second, seconds of processor, and the largest
anonymous memory (RssAnon, every 5 ms; mapped files do not count) beside its budget of 100 MB + the largest weight + 1 KB
a node. Then seconds by number of models, and `onnx.compose` on the first --compose models of sets without external data
(it grows with the square of the models).
No thresholds: figures for a note. Peers are measured in the same run, so the load of the machine hits all alike.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from mtz import processor, publish, table  # noqa: E402
from scale_models import SETS, Set, SetWriter  # noqa: E402

COMPOSE = """
import sys, onnx, onnx.compose
merged = None
for i, path in enumerate(sys.argv[2:]):
    model = onnx.compose.add_prefix(onnx.load(path), f"m{i}/")
    merged = model if merged is None else onnx.compose.merge_models(merged, model, io_map=[])
onnx.save(merged, sys.argv[1])
"""


@dataclasses.dataclass
class Run:
    """One process: wall and processor seconds, largest anonymous memory in bytes."""

    seconds: float
    processor: float
    anonymous: int


def anonymous_bytes(process: int) -> int:
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # it has ended
    return 0


def run(command: list[str], folder: Path) -> Run:
    """A RuntimeError with the program's own words when it fails."""
    errors = folder / "stderr.txt"
    with errors.open("wb") as stream:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stream)
        largest = 0
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            largest = max(largest, anonymous_bytes(process.pid))
            time.sleep(0.005)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {errors.read_text()[-2000:]}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, largest)


class Case:
    """A set on disk, and what is run on it."""

    def __init__(self, name: str, of: Set, folder: Path, options: argparse.Namespace) -> None:
        self.name, self.of, self.folder = name, of, folder
        writer = SetWriter(of)
        self.paths = [folder / f"m{m}.onnx" for m in range(of.models)]
        self.bytes = [writer.write(path, m) for m, path in enumerate(self.paths)]
        self.programs = {"mts": os.environ["MTS_BINARY"]}
        if options.against:
            self.programs["mts, older"] = options.against
        self.written = 0
        self.budget = 100e6 + of.channels**2 * 9 * 4 + 1e3 * of.models * (5 * of.blocks + 3)

    def stitch(self, program: str, models: int) -> Run:
        output = self.folder / "fused.onnx"
        result = run([self.programs[program], "-q", "stitch", *map(str, self.paths[:models]), "-o", str(output)], self.folder)
        files = [output, Path(f"{output}.data")]
        self.written = sum(file.stat().st_size for file in files if file.exists())
        for file in files:
            file.unlink(missing_ok=True)
        return result

    def cat(self, models: int) -> Run:
        files = [f for path in self.paths[:models] for f in (path, Path(f"{path}.data")) if f.exists()]
        return run(["sh", "-c", 'cat "$@" > /dev/null', "sh", *map(str, files)], self.folder)

    def compose(self, models: int) -> Run:
        output = self.folder / "composed.onnx"
        result = run([sys.executable, "-c", COMPOSE, str(output), *map(str, self.paths[:models])], self.folder)
        output.unlink()
        return result


def line(case: Case, name: str, runs: list[Run], models: int) -> list[str]:
    size = sum(case.bytes[:models])
    seconds = statistics.median(r.seconds for r in runs)
    memory = max(r.anonymous for r in runs) / 1e6
    budget = f"{case.budget / 1e6:.0f}" if name.startswith("mts") else "-"
    return [f"{case.name}: {name}" + (f" ({models} models)" if models < case.of.models else ""), f"{size / 1e9:.2f}",
            f"{seconds:.2f} ({min(r.seconds for r in runs):.2f})", f"{size / 1e9 / seconds:.2f}",
            f"{statistics.median(r.processor for r in runs):.2f}", f"{memory:.0f}", budget]  # fmt: skip


def measure(case: Case, options: argparse.Namespace) -> tuple[list[list[str]], list[list[str]], str]:
    """Rows of the two tables, and a sentence about what was written."""
    runs: dict[str, list[Run]] = {name: [] for name in ["cat", *case.programs]}
    for turn in range(options.rounds):
        runs["cat"].append(case.cat(case.of.models))
        for program in case.programs:
            if turn == 0 or program == "mts":
                runs[program].append(case.stitch(program, case.of.models))
    rows = [line(case, name, of, case.of.models) for name, of in runs.items()]
    written = f"- {case.name}: {sum(case.bytes) / 1e9:.2f} GB in {case.of.models} models become {case.written / 1e9:.2f} GB\n"
    if options.compose and not case.of.external:
        models = min(options.compose, case.of.models)
        rows.append(line(case, "mts", [case.stitch("mts", models)], models))
        rows.append(line(case, "onnx.compose", [case.compose(models)], models))
    steps = []
    counts = [case.of.models >> s for s in reversed(range(options.steps)) if case.of.models >> s >= 2]
    for models in counts if len(counts) > 1 else []:
        result = min((case.stitch("mts", models) for _ in range(options.rounds)), key=lambda r: r.seconds)
        steps.append([case.name, str(models), f"{result.seconds:.3f}", f"{1e3 * result.seconds / models:.2f}",
                      f"{sum(case.bytes[:models]) / 1e9 / result.seconds:.2f}", f"{result.processor:.2f}", f"{result.anonymous / 1e6:.0f}"])  # fmt: skip
    return rows, steps, written


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(SETS), help="how their names begin")
    parser.add_argument("--models", type=float, default=1, help="factor on the number of models")
    parser.add_argument("--bytes", type=float, default=1, help="factor on the size of each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5, help="numbers of models, halving; 0: none")
    parser.add_argument("--against", help="another mts, once in the same run")
    parser.add_argument("--compose", type=int, default=4, help="models that onnx.compose merges; 0: it is left out")
    parser.add_argument("--folder", type=Path, help="where the sets are written, instead of the temporary folder")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    wanted = [text.strip() for text in options.cases.split(",")]
    sets = {name: of for name, of in SETS.items() if any(name.startswith(text) for text in wanted if text)}
    rows, steps, written = [], [], ""
    for name, of in sets.items():
        folder = Path(tempfile.mkdtemp(prefix="mts-scale-", dir=options.folder))
        try:
            of = of.scaled(options.models, options.bytes)
            found = measure(Case(name, of, folder, options), options)
        finally:
            shutil.rmtree(folder)
        rows, steps, written = rows + found[0], steps + found[1], written + found[2]
        print(*found[0], *found[1], sep="\n", file=sys.stderr, flush=True)
    slowest = min((float(row[3]) for row in rows if row[0].endswith(": mts")), default=math.nan)
    text = (f"# `mts stitch` at scale, {time.strftime('%Y-%m-%d')}\n\n`tests/bench/scale.py {' '.join(sys.argv[1:])}`: "
            f"{processor()}; load of the machine at the end {os.getloadavg()[0]:.1f}.\n\n{written}- least speed of mts: "
            f"**{slowest:.2f} GB/s**\n\n")  # fmt: skip
    text += table(["set: program", "input, GB", "seconds: median (least)", "GB/s", "processor, s", "anonymous memory, MB", "budget, MB"], rows)
    if steps:
        text += "\nBy number of models (least of the rounds):\n\n"
        text += table(["set", "models", "seconds", "ms a model", "GB/s", "processor, s", "anonymous memory, MB"], steps)
    publish(text, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
