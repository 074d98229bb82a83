"""Weights that are equal in some rows or blocks only: nothing is stored twice, down to the element.

A sample of the grid runs by default; `MTS_PARTIAL=full` runs all of it.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from cli import stitch
from neurons import ARRANGEMENTS, WIDTHS
from partial_check import SLACK, problems_of, weight_bytes
from partial_models import ARCHITECTURES, KINDS, make

GRID = list(
    itertools.product(ARCHITECTURES, KINDS, [2, 3, 8], [0.1, 0.5, 0.9], [False, True], ["auto", "stitch"])
)
# 13 is coprime to the length of every axis, so a sample of every 13th case meets all values of each of them.
CASES = GRID if os.environ.get("MTS_PARTIAL") == "full" else GRID[::13]


def choices(index: int) -> dict:
    """How the neurons lie: cycles through the arrangements, equal and other widths, and sharing by subsets."""
    return {
        "arrangement": ARRANGEMENTS[index // 2 % 3],
        "widths": WIDTHS[index // 6 % 2],
        "subsets": index // 3 % 2 == 0,
    }


def case_id(case: tuple) -> str:
    architecture, kind, models, fraction, shared, strategy = case
    return f"{architecture}-{kind}-{models}-{fraction:.0%}-{'one_input' if shared else 'inputs'}-{strategy}"


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_elements_are_stored_once(case: tuple, tmp_path: Path):
    architecture, kind, models, fraction, share_input, strategy = case
    index = GRID.index(case)
    family = make(architecture, kind, models, fraction, seed=index, **choices(index))
    problems = problems_of(family, tmp_path, strategy, share_input)
    assert not problems, f"{choices(index)}\n" + "\n".join(problems[:10])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_latency_keeps_whole_tensors_once(architecture: str, tmp_path: Path):
    """With `--objective latency` pieces may be stored twice, whole tensors never."""
    family = make(architecture, "blocks", 3, 0.5, seed=5, arrangement="permuted", subsets=True)
    flags = ["--objective", "latency"]
    problems = problems_of(family, tmp_path, "auto", False, whole_tensors=True, flags=flags)
    assert not problems, "\n".join(problems[:10])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("models", [2, 3])
def test_neurons_with_a_common_input_run_once(kind: str, models: int, tmp_path: Path):
    """The first layer of a common image has one output channel for each distinct filter, not one a model and filter."""
    family = make("vgg", kind, models, 0.5, seed=1, arrangement="scattered").save(tmp_path, share_input=True)
    fused = onnx.load(stitch(family.models, tmp_path / "fused.onnx", "stitch", family.share_inputs))
    filters = [onnx.numpy_helper.to_array(_initializer(onnx.load(m), "features.0.weight")) for m in family.models]
    distinct = len(np.unique(np.concatenate(filters).reshape(sum(map(len, filters)), -1), axis=0))
    shapes = {t.name: t.dims[0] for t in fused.graph.initializer}
    ran = sum(shapes[n.input[1]] for n in fused.graph.node if n.op_type == "Conv" and n.input[0] == "image")
    assert ran == distinct, f"{ran} filters run on the image, {distinct} are distinct"


def _initializer(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(t for t in model.graph.initializer if t.name == name)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", KINDS)
def test_families_are_what_they_claim(architecture: str, kind: str):
    """The oracle's own check: distinct elements by construction are the distinct rows and blocks that the files hold."""
    for fraction, models in ((0.0, 2), (0.5, 3), (1.0, 2)):
        family = make(architecture, kind, models, fraction, arrangement="permuted")
        total = sum(weight_bytes(m) for m in family.models)
        values = [onnx.numpy_helper.to_array(t) for m in family.models for t in m.graph.initializer]
        floats = np.concatenate([v.reshape(-1) for v in values if v.dtype == np.float32])
        distinct = 4 * len(np.unique(floats))
        # Two independent elements round to one float now and then, so the content may have a little fewer.
        assert distinct <= family.unique_bytes <= 1.01 * distinct + 16
        assert family.unique_bytes <= total
        if fraction == 1.0 and kind == "rows":
            assert family.unique_bytes <= SLACK * total / models
