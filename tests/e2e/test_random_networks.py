"""Random networks that share some weights: what ONNX Runtime computes before and after must agree.

`MTS_RANDOM_NETWORKS=500` runs that many seeds; `MTS_FIRST_SEED` says where to begin.
"""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import pytest
from cli import stitch
from oracle import Family, Reference, duplicated
from random_networks import make_family

FIRST = int(os.environ.get("MTS_FIRST_SEED", "0"))
COUNT = int(os.environ.get("MTS_RANDOM_NETWORKS", "80"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_random_networks(seed: int, tmp_path: Path):
    models, shared = make_family(seed, tmp_path)
    family = Family(f"random{seed}", models, share_inputs=shared, dims={"N": [1, 2, len(models), 5]})
    reference = Reference(family)
    for strategy in ("stitch", "auto", "netfuse"):
        fused = stitch(models, tmp_path / f"{strategy}.onnx", strategy, shared)
        problems = reference.differences(fused)
        if strategy != "netfuse":
            problems += duplicated([onnx.load(m) for m in models], onnx.load(fused))
        assert not problems, f"seed {seed}, {strategy}: " + "\n".join(problems[:10])
