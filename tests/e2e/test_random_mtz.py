"""Random networks that share neurons as in MTZ: right numbers, and every element stored once.

`MTS_RANDOM_MTZ=500` runs that many seeds; `MTS_FIRST_SEED` says where to begin.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from oracle import Reference
from partial_check import problems_of
from random_mtz import make_random

FIRST = int(os.environ.get("MTS_FIRST_SEED", "0"))
COUNT = int(os.environ.get("MTS_RANDOM_MTZ", "20"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_random_mtz(seed: int, tmp_path: Path):
    case, share_input = make_random(seed)
    reference = Reference(case.save(tmp_path, share_input))
    for strategy in ("stitch", "auto"):
        problems = problems_of(case, tmp_path, strategy, share_input, reference)
        assert not problems, f"seed {seed}, {strategy}: " + "\n".join(problems[:10])


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_odd_layers_stay_right(seed: int, tmp_path: Path):
    """Layers that mix, move or slice channels: what cannot be split stays whole, numbers and whole tensors are kept."""
    case, share_input = make_random(seed, odd=True)
    problems = problems_of(case, tmp_path, "stitch", share_input, whole_tensors=True)
    assert not problems, f"seed {seed}: " + "\n".join(problems[:10])
