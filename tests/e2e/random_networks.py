"""Random families of small networks that share some of their weights, for the end-to-end suite."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


@dataclass
class Weights:
    """Draws weights that groups of models share: each tensor has its own random partition of the models."""

    rng: np.random.Generator
    models: int
    sharing: float
    drawn: list[list[np.ndarray]] = field(default_factory=list)

    def draw(self, shape: tuple[int, ...], scale: float = 0.5, positive: bool = False) -> list[np.ndarray]:
        classes = [
            0 if self.rng.random() < self.sharing else int(self.rng.integers(1, self.models + 1))
            for _ in range(self.models)
        ]
        values = {}
        for name in classes:
            if name not in values:
                value = self.rng.normal(scale=scale, size=shape)
                values[name] = (np.abs(value) + 0.5 if positive else value).astype(np.float32)
        self.drawn.append([values[name] for name in classes])
        return self.drawn[-1]


class Network:
    """One architecture, written down once for all models; every weight is a list with one tensor a model."""

    def __init__(self, rng: np.random.Generator, models: int, sharing: float) -> None:
        self.rng, self.models = rng, models
        self.weights = Weights(rng, models, sharing)
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[list[onnx.TensorProto]] = [[] for _ in range(models)]
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def weight(self, *shape: int, scale: float = 0.5, positive: bool = False) -> str:
        name = self.name()
        for tensors, value in zip(self.initializers, self.weights.draw(shape, scale, positive), strict=True):
            tensors.append(numpy_helper.from_array(value, name))
        return name

    def ints(self, *values: int) -> str:
        name = self.name()
        for tensors in self.initializers:
            tensors.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: object) -> str | list[str]:
        names = [self.name() for _ in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"/{op}_{self.count}", **attributes))
        return names[0] if outputs == 1 else names

    def image_layer(self, x: str, c: int, size: int) -> tuple[str, int, int]:
        kind = int(self.rng.integers(0, 14))
        if kind == 0:
            k = int(self.rng.choice([c, c, 6]))
            bias = [self.weight(k)] if self.rng.random() < 0.7 else []
            return self.node("Conv", x, self.weight(k, c, 3, 3), *bias, pads=[1, 1, 1, 1]), k, size
        if kind == 1:
            return self.node("Conv", x, self.weight(c, 1, 3, 3), self.weight(c), pads=[1] * 4, group=c), c, size
        if kind == 2:
            stats = [self.weight(c, positive=True), self.weight(c), self.weight(c), self.weight(c, positive=True)]
            return self.node("BatchNormalization", x, *stats), c, size
        if kind == 3:
            return self.node(str(self.rng.choice(["Relu", "Sigmoid", "HardSwish", "Tanh", "Elu"])), x), c, size
        if kind == 4:
            other, _, _ = self.image_layer(x, c, size)
            if _same(other, x) or _ != size:
                return x, c, size
            y = self.node("Conv", x, self.weight(c, c, 1, 1))
            return self.node("Add", x, y), c, size
        if kind == 5 and size >= 4:
            op = str(self.rng.choice(["MaxPool", "AveragePool"]))
            return self.node(op, x, kernel_shape=[2, 2], strides=[2, 2]), c, size // 2
        if kind == 6:
            y = self.node("Conv", x, self.weight(2, c, 1, 1), self.weight(2))
            return self.node("Concat", x, y, axis=1), c + 2, size
        if kind == 7:
            return self.node("Mul", x, self.weight(1, c, 1, 1)), c, size
        if kind == 8:
            return self.node("InstanceNormalization", x, self.weight(c), self.weight(c)), c, size
        if kind == 9:
            pooled = self.node("GlobalAveragePool", x)
            gate = self.node("Sigmoid", self.node("Conv", pooled, self.weight(c, c, 1, 1), self.weight(c)))
            return self.node("Mul", x, gate), c, size
        if kind == 10 and c % 2 == 0:
            first, second = self.node("Split", x, outputs=2, axis=1)
            return self.node("Concat", second, first, axis=1), c, size
        if kind == 11 and size <= 8:
            y = self.node("ConvTranspose", x, self.weight(c, 4, 2, 2), self.weight(4), strides=[2, 2])
            return y, 4, size * 2
        if kind == 12:
            return self.node("PRelu", x, self.weight(c, 1, 1)), c, size
        y = self.node("Softmax", x, axis=int(self.rng.choice([1, -1])))
        return self.node("Add", x, y), c, size

    def vector_layer(self, x: str, c: int) -> tuple[str, int]:
        kind = int(self.rng.integers(0, 9))
        if kind <= 1:
            k = int(self.rng.choice([c, 7]))
            return self.node("Gemm", x, self.weight(k, c), self.weight(k), transB=1), k
        if kind == 2:
            return self.node("Add", self.node("MatMul", x, self.weight(c, 5)), self.weight(5)), 5
        if kind == 3:
            return self.node("LayerNormalization", x, self.weight(c), self.weight(c)), c
        if kind == 4:
            return self.node(str(self.rng.choice(["Relu", "Erf", "Tanh"])), x), c
        if kind == 5:
            return self.node("Softmax", x, axis=-1), c
        if kind == 6:
            mean = self.node("ReduceMean", x, axes=[1], keepdims=1)
            return self.node("Sub", x, mean), c
        if kind == 7:
            return self.node("Slice", x, self.ints(0), self.ints(c - 1), self.ints(1)), c - 1
        order = self.ints(*self.rng.permutation(c).tolist())
        return self.node("Gather", x, order, axis=1), c


def _same(a: str, b: str) -> bool:
    return a == b


def make_family(seed: int, folder: Path) -> tuple[list[Path], list[str]]:
    """Models in `folder`, and the inputs that a user would share (none or `x`)."""
    rng = np.random.default_rng(seed)
    models = int(rng.integers(2, 5))
    network = Network(rng, models, sharing=float(rng.choice([0.0, 0.5, 0.8, 1.0])))
    batch = rng.choice(["N", "N", "one", "ragged"])
    batches = {"N": ["N"] * models, "one": [1] * models, "ragged": [int(rng.integers(1, 4)) for _ in range(models)]}[batch]
    x, c, size = "x", 4, 8
    for _ in range(int(rng.integers(1, 7))):
        x, c, size = network.image_layer(x, c, size)
    outputs = []
    if rng.random() < 0.3:
        outputs.append(x)
    if rng.random() < 0.8:
        if rng.random() < 0.5:
            x, c = network.node("Flatten", network.node("GlobalAveragePool", x)), c
        else:
            width = c * size * size
            first = 1 if batch == "one" and rng.random() < 0.5 else -1
            target = (first, width) if first == -1 else (1, -1)
            x, c = network.node("Reshape", x, network.ints(*target)), width
            x, c = network.node("Gemm", x, network.weight(6, c, scale=0.1), network.weight(6), transB=1), 6
        for _ in range(int(rng.integers(0, 5))):
            if c >= 2:
                x, c = network.vector_layer(x, c)
    outputs.append(x)
    outputs = [o for o in dict.fromkeys(outputs) if o != "x"]
    if not outputs:
        outputs = [network.node("Relu", "x")]
    shared = ["x"] if batch != "ragged" and rng.random() < 0.3 else []
    paths = []
    for m in range(models):
        nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in network.nodes]
        results = list(outputs)
        if m > 0 and rng.random() < 0.3:  # this model goes on where the others stop
            nodes.append(helper.make_node("Abs", [results[-1]], ["more"], name="/more"))
            results[-1] = "more"
        value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batches[m], 4, 8, 8])
        graph = helper.make_graph(
            nodes,
            f"net{m}",
            [value],
            [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in results],
            network.initializers[m],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model)
        path = folder / f"net{m}.onnx"
        onnx.save(model, path)
        paths.append(path)
    return paths, shared
