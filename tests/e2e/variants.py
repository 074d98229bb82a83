"""Makes a sibling of any model: the same graph with its last weights changed, as fine-tuning the head does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16}


def weight(shape, random: np.random.Generator) -> np.ndarray:
    """A matrix or filter that damps what passes (residual sums must not saturate a softmax); a vector fit for a variance."""
    if len(shape) < 2:
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    return (random.standard_normal(shape) * (0.25 / np.prod(shape[1:])) ** 0.5).astype(np.float32)


def materialise(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    """Gives a light model real weights: the light model zoo fills each weight with one value by a ConstantOfShape.

    With equal values everywhere a softmax says 1/1000 whatever the network does, so no mistake would show.
    """
    random = np.random.default_rng(seed)
    shapes = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    made, kept = [], []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape" or node.input[0] not in shapes:
            kept.append(node)
            continue
        shape = shapes[node.input[0]].tolist()
        made.append(onnx.numpy_helper.from_array(weight(shape, random), node.output[0]))
    gone = {n.input[0] for n in model.graph.node if n.op_type == "ConstantOfShape"} - {
        n for k in kept for n in k.input
    }
    weights = [t for t in model.graph.initializer if t.name not in gone]
    for tensor in weights:
        if (
            tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 1
        ):  # scales, biases, running statistics
            tensor.CopyFrom(onnx.numpy_helper.from_array(weight(tensor.dims, random), tensor.name))
    inputs = [i for i in model.graph.input if i.name not in gone]
    listed = {i.name for i in inputs}
    inputs += [
        onnx.helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in made if t.name not in listed
    ]  # IR 3 wants them listed
    for field, values in (("node", kept), ("initializer", weights + made), ("input", inputs)):
        copies = [type(v).FromString(v.SerializeToString()) for v in values]
        del getattr(model.graph, field)[:]
        getattr(model.graph, field).extend(copies)
    return model


def variant(path: Path, output: Path, seed: int = 1, last: int = 2) -> Path:
    """Writes a copy of the model with its `last` last float weights perturbed; an exact copy when it has none."""
    model = onnx.load(path)
    used = {name: i for i, node in enumerate(model.graph.node) for name in node.input}
    weights = [t for t in model.graph.initializer if t.data_type in FLOATS and t.name in used]
    random = np.random.default_rng(seed)
    for tensor in sorted(weights, key=lambda t: (used[t.name], t.name))[-last:]:
        array = onnx.numpy_helper.to_array(tensor)
        moved = array + random.uniform(0.05, 0.2, array.shape) * (np.abs(array).mean() + 0.01)
        tensor.CopyFrom(onnx.numpy_helper.from_array(moved.astype(array.dtype), tensor.name))
    onnx.save(model, output)
    return output
