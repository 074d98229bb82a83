"""Calls the program under test, found through the environment variable MTS_BINARY."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

STRATEGIES = ["auto", "stitch", "netfuse", "concat"]


def mts(*arguments: str | Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    binary = os.environ.get("MTS_BINARY")
    if not binary:
        raise RuntimeError("MTS_BINARY does not say where mts is")
    return subprocess.run(
        [binary, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False
    )


def stitch(
    models: Sequence[Path], output: Path, strategy: str = "auto", share_inputs: Sequence[str] = (), *more: str
) -> Path:
    """`mts stitch`; an assertion with the program's own words when it fails."""
    shared = [f for name in share_inputs for f in ("--share-input", name)]
    done = mts("stitch", *models, "-o", output, "--strategy", strategy, *shared, *more)
    assert done.returncode == 0, (
        f"mts stitch --strategy {strategy} ended with {done.returncode}:\n{done.stderr[-3000:]}"
    )
    return output
