"""The oracle itself: it accepts a right merge of real models and rejects every way of being wrong that matters."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from conftest import families
from merge import merge
from oracle import Family, Reference, difference, duplicated, stored_weights, unique_bytes
from test_light_models import light, pair
from variants import variant


@pytest.fixture(scope="module")
def heads() -> Family:
    return next(f for f in families() if f.name == "heads_on_trunk")


@pytest.fixture(scope="module")
def truth(heads: Family) -> Reference:
    return Reference(heads)


@pytest.fixture
def merged(heads: Family) -> onnx.ModelProto:
    return merge(heads.models)


def verdict(truth: Reference, model: onnx.ModelProto, folder) -> list[str]:
    onnx.save(model, folder / "fused.onnx")
    return truth.differences(folder / "fused.onnx")


def test_accepts_a_right_merge(truth, heads, merged, tmp_path):
    assert verdict(truth, merged, tmp_path) == []
    assert duplicated([onnx.load(m) for m in heads.models], merged) == []


def test_every_float_family_runs_alone(family, reference):
    """Each family's own dims and ranges feed its models, and outputs are neither constant nor all NaN."""
    for _, _, outputs in reference.runs:
        for model, values in outputs.items():
            floats = [
                v for v in values.values() if isinstance(v, np.ndarray) and v.dtype.kind == "f" and v.size > 1
            ]
            for value in floats:
                assert np.isfinite(value).any() and np.ptp(value[np.isfinite(value)]) > 0, model


def test_batches_are_tried(heads):
    assert {1, 2, 4} < {b["N"] for b in heads.bindings()}


def test_rejects_a_changed_weight(truth, merged, tmp_path):
    weight = max(merged.graph.initializer, key=lambda t: np.prod(t.dims))
    array = onnx.numpy_helper.to_array(weight).copy()
    array.reshape(-1)[: array.size // 2] *= 1.01
    weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    assert any("error" in p for p in verdict(truth, merged, tmp_path))


def test_rejects_swapped_inputs(truth, merged, tmp_path):
    """Two models of one trunk that read each other's image: the commonest mistake of a stitcher."""
    first, second = [i.name for i in merged.graph.input][:2]
    swap = {first: second, second: first}
    for node in merged.graph.node:
        names = [swap.get(n, n) for n in node.input]
        del node.input[:]
        node.input.extend(names)
    problems = verdict(truth, merged, tmp_path)
    assert {p.split("output ")[1].split(":")[0] for p in problems} == {
        first.replace("image", "scores"),
        second.replace("image", "scores"),
    }


def test_rejects_a_batch_that_was_baked_in(truth, merged, tmp_path):
    for node in merged.graph.node:
        if node.op_type == "Flatten":
            merged.graph.initializer.append(
                onnx.numpy_helper.from_array(np.array([1, -1]), f"{node.output[0]}_shape")
            )
            node.op_type = "Reshape"
            del node.attribute[:]
            node.input.append(f"{node.output[0]}_shape")
            break
    problems = verdict(truth, merged, tmp_path)
    assert problems and not any(p.startswith("{'N': 1}") for p in problems)


def test_rejects_a_missing_and_an_unexpected_output(truth, merged, tmp_path):
    merged.graph.output[0].name = "species/logits"
    merged.graph.node.append(onnx.helper.make_node("Identity", ["species/scores"], ["species/logits"]))
    assert verdict(truth, merged, tmp_path) == [
        "output species/scores: missing",
        "output species/logits: unexpected",
    ]


def test_sees_a_weight_that_is_stored_twice(heads, merged):
    originals = [onnx.load(m) for m in heads.models]
    weight = onnx.TensorProto()
    weight.CopyFrom(max(merged.graph.initializer, key=lambda t: np.prod(t.dims)))
    weight.name = "copy"
    merged.graph.initializer.append(weight)
    problems = duplicated(originals, merged)
    assert any("copy" in p for p in problems) and any("unique in the originals" in p for p in problems)


def test_sees_a_copy_inside_a_concatenated_weight(heads, merged):
    """Bytes are counted, so a copy that is hidden in a larger weight is seen too."""
    originals = [onnx.load(m) for m in heads.models]
    big = max(merged.graph.initializer, key=lambda t: np.prod(t.dims))
    array = onnx.numpy_helper.to_array(big)
    big.CopyFrom(onnx.numpy_helper.from_array(np.concatenate([array, array]), big.name))
    assert duplicated(originals, merged)


def test_generated_constants_are_exempt(heads, merged):
    merged.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(64, np.float32), "zeros"))
    merged.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(64, np.float32), "more_zeros"))
    merged.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0, -1], np.int64), "shape"))
    assert duplicated([onnx.load(m) for m in heads.models], merged) == []


def test_encodings_are_one_content():
    """The same numbers as raw_data, as typed field and in a Constant node are one weight."""
    array = np.arange(6, dtype=np.float32)
    raw = onnx.numpy_helper.from_array(array, "raw")
    typed = onnx.helper.make_tensor("typed", onnx.TensorProto.FLOAT, [6], array.tolist())
    nodes = [
        onnx.helper.make_node("Constant", [], ["c"], value=raw),
        onnx.helper.make_node("Add", ["c", "typed"], ["d"]), onnx.helper.make_node("Add", ["d", "raw"], ["y"]),
    ]  # fmt: skip
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [6])
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [output], [raw, typed]))
    assert len(stored_weights(model)) == 3
    assert unique_bytes([model]) == 24


@pytest.mark.parametrize(
    ("reference", "got", "quantised", "equal"),
    [
        (np.float32([1, 2]), np.float32([1, 2.0001]), False, True),
        (np.float32([1, 2]), np.float32([1, 2.0003]), False, False),
        (np.float32([1e-6, 1e3]), np.float32([5e-2, 1e3]), False, True),  # relative to the largest magnitude
        (np.float16([1, 2]), np.float16([1, 2.008]), False, True),
        (np.float16([1, 2]), np.float16([1, 2.03]), False, False),
        (np.float32([1, 2]), np.float32([1, 2.03]), True, True),
        (np.float32([1, 2]), np.float32([1, 2.05]), True, False),
        (np.float32([1, np.nan]), np.float32([1, np.nan]), False, True),
        (np.float32([1, np.nan]), np.float32([1, 2]), False, False),
        (np.float32([1, np.inf]), np.float32([1, -np.inf]), False, False),
        (np.float32([0, 0]), np.float32([0, 1e-3]), False, False),
        (np.float32([[1]]), np.float32([1]), False, False),
        (np.float32([1]), np.float64([1]), False, False),
        (np.int64([1, 2]), np.int64([1, 3]), False, False),
        (np.array(["a"], object), np.array(["b"], object), False, False),
        ([{0: 0.5, 1: 0.5}], [{0: 0.5, 1: 0.5}], False, True),
        ([{0: 0.5, 1: 0.5}], [{0: 0.6, 1: 0.4}], False, False),
        ([{0: 0.5}], [], False, False),
    ],
)
def test_difference(reference, got, quantised, equal):
    assert (difference(reference, got, quantised) == "") == equal


def test_variant_differs_and_keeps_the_trunk(heads, tmp_path):
    first = heads.models[0]
    family = Family("pair", [first, variant(first, tmp_path / "other.onnx")], ["image"], {"N": [2]})
    (_, _, outputs), *_ = Reference(family).runs
    assert difference(outputs[first.stem]["scores"], outputs["other"]["scores"])
    before, after = onnx.load(first), onnx.load(tmp_path / "other.onnx")
    own = {w.content for w in stored_weights(before)}
    assert len({w.content for w in stored_weights(after)} - own) == 2


@pytest.mark.parametrize("name", ["light_squeezenet", "light_shufflenet"])
def test_materialised_light_models_say_something(name, tmp_path):
    source = next(p for p in light() if p.stem == name)
    family = pair(source, tmp_path)
    (_, _, outputs), *_ = Reference(family).runs
    plain, other = (next(iter(o.values())) for o in outputs.values())
    assert np.ptp(plain) > 1e-3 and difference(plain, other)
