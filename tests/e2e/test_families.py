"""Every family, every strategy: what `mts stitch` writes keeps the contract, judged by ONNX Runtime and onnx.checker."""

from __future__ import annotations

import onnx
import pytest
from cli import STRATEGIES, mts, stitch
from oracle import Family, Reference, count, domains, duplicated


@pytest.fixture(scope="module", params=STRATEGIES)
def fused(request, family: Family, tmp_path_factory):
    """The fused file of one family and strategy, made once for all tests below."""
    strategy = request.param
    output = tmp_path_factory.mktemp(family.name) / f"{strategy}.onnx"
    return strategy, stitch(family.models, output, strategy, family.share_inputs)


def passes(check, *arguments, **options) -> bool:
    try:
        check(*arguments, **options)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return False
    return True


def test_numbers_and_names(fused, reference: Reference):
    problems = reference.differences(fused[1])
    assert not problems, "\n".join(problems[:20])


def test_checker(fused, family: Family):
    onnx.checker.check_model(str(fused[1]))
    if all(passes(onnx.checker.check_model, str(m), full_check=True) for m in family.models):
        onnx.checker.check_model(str(fused[1]), full_check=True)


def test_domains(fused, family: Family):
    assert domains(onnx.load(fused[1])) <= {""}.union(*(domains(onnx.load(m)) for m in family.models))


def test_no_weight_is_stored_twice(fused, family: Family):
    strategy, path = fused
    if strategy == "netfuse":
        pytest.skip("netfuse duplicates weights by definition")
    problems = duplicated([onnx.load(m) for m in family.models], onnx.load(path))
    assert not problems, "\n".join(problems[:20])


def test_same_bytes_again(fused, family: Family, tmp_path):
    strategy, path = fused
    again = stitch(family.models, tmp_path / path.name, strategy, family.share_inputs)
    assert again.read_bytes() == path.read_bytes()


def test_verify_agrees(fused, family: Family):
    flags = [f"--dim={symbol}={values[1 % len(values)]}" for symbol, values in family.dims.items()]
    flags += [f"--range={name}={low}:{high}" for name, (low, high) in family.ranges.items()]
    done = mts("verify", fused[1], "--against", *family.models, *flags)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.parametrize("operator", ["Conv", "Relu", "MaxPool", "Add"])
def test_eight_trunks_become_one(tmp_path, operator):
    """Done-when 3: stitching eight models of one trunk with separate inputs leaves the trunk's nodes of one model."""
    from conftest import families

    family = next(f for f in families() if f.name == "eight_heads")
    model = onnx.load(stitch(family.models, tmp_path / "fused.onnx", "stitch"))
    # A grouped head is a MatMul and an Add: what came from heads does not count.
    heads = [n for n in model.graph.node if any(p.key == "mts.origin" and "/fc/" in p.value for p in n.metadata_props)]
    left = count(model, operator) - sum(n.op_type == operator for n in heads)
    assert left == count(onnx.load(family.models[0]), operator)
