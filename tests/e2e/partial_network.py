"""Writes one architecture once for all models of a family whose neurons are partly shared; numpy and onnx only.

In: a Population that says which neurons are shared. Out: one ModelProto a model, with names as exporters give them, and the
bytes of the float elements that are distinct by construction (each element of a shared block counted once).
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import onnx
from neurons import Ids, Population, mix, normal
from onnx import TensorProto, helper, numpy_helper
from oracle import Family


@dataclasses.dataclass(frozen=True)
class Signal:
    """A value of all models. `channels`: who its features are; `rows`: whose parameters made them.

    `places`: features that one channel of a flattened image has; they move as one.
    """

    name: str
    channels: Ids
    rows: Ids
    places: int = 1


@dataclasses.dataclass
class PartialFamily:
    """Models that share some elements of their weights."""

    name: str
    models: list[onnx.ModelProto]
    unique_bytes: int  # of distinct float elements over all models
    input: str
    ranges: dict[str, list[float]]

    def save(self, folder: Path, share_input: bool = False) -> Family:
        paths = []
        for i, model in enumerate(self.models):
            paths.append(folder / f"net{i}.onnx")
            onnx.save(model, paths[-1])
        shared = [self.input] if share_input else []
        return Family(self.name, paths, share_inputs=shared, dims={"N": [1, 2, 3]}, ranges=self.ranges)


def scope(path: str, operator: str) -> str:
    return "/" + path.replace(".", "/") + f"/{operator}"


class PartialNetwork:
    """Layers by name, as in PyTorch: every weight is written for each model from its own index sets."""

    def __init__(self, population: Population) -> None:
        self.population, self.models = population, population.models
        self.nodes: list[list[onnx.NodeProto]] = [[] for _ in range(self.models)]
        self.initializers: list[list[onnx.TensorProto]] = [[] for _ in range(self.models)]
        self.inputs: list[onnx.ValueInfoProto] = []
        self.ranges: dict[str, list[float]] = {}
        self._elements: list[np.ndarray] = []  # identities of all stored elements
        self._scalars: dict[bytes, int] = {}
        self._layers = 0
        self._names: dict[str, int] = {}

    # ---- pieces ----

    def image(self, channels: int = 3, size: int = 16) -> Signal:
        self.inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", channels, size, size])]
        return self._as_input("image", channels)

    def features(self, width: int) -> Signal:
        self.inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", width])]
        return self._as_input("x", width)

    def sequence(self, length: int, width: int) -> Signal:
        self.inputs = [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["N", length, width])]
        return self._as_input("tokens", width)

    def _as_input(self, name: str, width: int) -> Signal:
        ids = self.population.common(width)
        return Signal(name, ids, ids)

    def node(self, path: str, operator: str, *inputs: str, each: dict[str, list] | None = None, **attributes) -> str:
        """Adds the node to every model; `each` holds attributes that have one value a model. Returns its output."""
        name = scope(path, operator)
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        name += f"_{count}" if count else ""
        for m, nodes in enumerate(self.nodes):
            own = {key: values[m] for key, values in (each or {}).items()}
            nodes.append(
                helper.make_node(operator, list(inputs), [f"{name}_output_0"], name=name, **attributes, **own)
            )
        return f"{name}_output_0"

    def parameter(self, name: str, ids: Ids, scale: float = 1.0, shift: float = 0.0, count: Ids | None = None) -> str:
        """One tensor a model, of the shape of its identities; elements of equal identity are equal.

        `count`: the identities by which its elements are counted as distinct, where they are others.
        """
        layer = self._layers
        self._layers += 1
        for m, own in enumerate(ids):
            element = mix(own, layer)
            value = (normal(element) * scale + shift).astype(np.float32)
            self.initializers[m].append(numpy_helper.from_array(value, name))
            self._elements.append(element.reshape(-1) if count is None else mix(count[m], layer))
        return name

    def positive(self, name: str, ids: Ids, count: Ids | None = None) -> str:
        return self.parameter(name, ids, scale=0.1, shift=1.0, count=count)

    def scalar(self, name: str, value: float) -> str:
        array = np.array(value, np.float32)
        self._scalars[array.tobytes()] = array.nbytes
        for tensors in self.initializers:
            tensors.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, name: str, *values: list[int]) -> str:
        """An int64 vector: one for all models, or one a model."""
        for m, tensors in enumerate(self.initializers):
            tensors.append(numpy_helper.from_array(np.array(values[m % len(values)], np.int64), name))
        return name

    # ---- layers ----

    def conv(
        self, path: str, x: Signal, out: Ids, kernel: int = 3, stride: int = 1, bias: bool = True, rows: Ids | None = None
    ) -> Signal:
        rows = self.population.rows(out) if rows is None else rows
        place = np.arange(kernel * kernel).reshape(kernel, kernel)
        ids = [mix(r[:, None, None, None], c[None, :, None, None], place) for r, c in zip(rows, x.channels, strict=True)]
        scale = 1.4 / math.sqrt(kernel * kernel * _mean_width(x.channels))
        weights = [self.parameter(f"{path}.weight", ids, scale)]
        if bias:
            weights.append(self.parameter(f"{path}.bias", rows, 0.2))
        y = self.node(
            path, "Conv", x.name, *weights, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4,
            dilations=[1, 1], group=1,
        )  # fmt: skip
        return Signal(y, out, rows)

    def depthwise(self, path: str, x: Signal, kernel: int = 3, stride: int = 1, bias: bool = False) -> Signal:
        rows = self.population.rows(x.channels)
        place = np.arange(kernel * kernel).reshape(1, kernel, kernel)
        weights = [self.parameter(f"{path}.weight", [mix(r[:, None, None, None], place) for r in rows], 1.4 / kernel)]
        if bias:
            weights.append(self.parameter(f"{path}.bias", rows, 0.2))
        y = self.node(
            path, "Conv", x.name, *weights, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4,
            dilations=[1, 1], each={"group": [len(c) for c in x.channels]},
        )  # fmt: skip
        return Signal(y, x.channels, rows)

    def batch_norm(self, path: str, x: Signal) -> Signal:
        weights = [
            self.positive(f"{path}.weight", x.rows),
            self.parameter(f"{path}.bias", x.rows, 0.2),
            self.parameter(f"{path}.running_mean", x.rows, 0.2),
            self.positive(f"{path}.running_var", x.rows),
        ]
        y = self.node(path, "BatchNormalization", x.name, *weights, epsilon=1e-5, momentum=0.9)
        return Signal(y, x.channels, x.rows)

    def layer_norm(self, path: str, x: Signal) -> Signal:
        rows = self.population.rows(x.channels)
        count = self._elements_that_pay(rows, x.places, parameters=2)
        weights = [self.positive(f"{path}.weight", rows, count), self.parameter(f"{path}.bias", rows, 0.2, count=count)]
        y = self.node(path, "LayerNormalization", x.name, *weights, axis=-1, epsilon=1e-5)
        return Signal(y, x.channels, rows, x.places)

    def _elements_that_pay(self, rows: Ids, places: int, parameters: int) -> Ids:
        """The identities by which parameters that share elements *inside* channels are counted as distinct.

        A channel of `places` features moves as one, so no order of the channels brings such elements together; a graph
        that stores them once needs an index for every element of every model but the first, of at least 2 bytes (the
        narrowest integer that is no weight), the same for all `parameters`. Where these indices take as much as is
        saved, only parameters of whole channels count as shared.
        """
        if places == 1:
            return rows
        runs = []
        for own in rows:
            run = mix(*own.reshape(-1, places).T)
            runs.append(mix(run[:, None], np.arange(places)).reshape(-1))
        saved = 4 * parameters * (len(np.unique(np.concatenate(runs))) - len(np.unique(np.concatenate(rows))))
        return rows if saved > 2 * sum(len(own) for own in rows[1:]) else runs

    def linear(self, path: str, x: Signal, out: Ids, bias: bool = True, matmul: bool = False) -> Signal:
        """A Gemm with transB as exporters write it for matrices, or MatMul and Add as they do for sequences."""
        rows = self.population.rows(out)
        scale = 1.4 / math.sqrt(_mean_width(x.channels))
        ids = [mix(r[:, None], c[None, :]) for r, c in zip(rows, x.channels, strict=True)]
        if not matmul:
            weights = [self.parameter(f"{path}.weight", ids, scale)]
            if bias:
                weights.append(self.parameter(f"{path}.bias", rows, 0.2))
            return Signal(self.node(path, "Gemm", x.name, *weights, alpha=1.0, beta=1.0, transB=1), out, rows)
        weight = self.parameter(f"onnx::MatMul_{self._layers + 100}", [i.T for i in ids], scale)
        y = self.node(path, "MatMul", x.name, weight)
        if bias:
            y = self.node(path, "Add", self.parameter(f"{path}.bias", rows, 0.2), y)
        return Signal(y, out, rows)

    def embedding(self, path: str, ids_name: str, vocabulary: Ids, out: Ids) -> Signal:
        """A table with a row an entry of the vocabulary and a column a feature, read by Gather."""
        rows = self.population.rows(vocabulary)
        ids = [mix(r[:, None], c[None, :]) for r, c in zip(rows, out, strict=True)]
        return Signal(self.node(path, "Gather", self.parameter(f"{path}.weight", ids), ids_name, axis=0), out, out)

    def same(self, path: str, operator: str, x: Signal, *more: str, **attributes) -> Signal:
        """An operator that keeps channels where they are: activations, pooling."""
        return Signal(self.node(path, operator, x.name, *more, **attributes), x.channels, x.rows, x.places)

    def relu6(self, path: str, x: Signal) -> Signal:
        return self.same(path, "Clip", x, self.scalar(f"{path}.min", 0.0), self.scalar(f"{path}.max", 6.0))

    def gelu(self, path: str, x: Signal) -> Signal:
        inner = self.node(path, "Erf", self.node(path, "Div", x.name, self.scalar(f"{path}.sqrt2", math.sqrt(2))))
        inner = self.node(path, "Add", inner, self.scalar(f"{path}.one", 1.0))
        y = self.node(path, "Mul", self.node(path, "Mul", x.name, inner), self.scalar(f"{path}.half", 0.5))
        return Signal(y, x.channels, x.rows)

    def add(self, path: str, x: Signal, y: Signal) -> Signal:
        assert all((a == b).all() for a, b in zip(x.channels, y.channels, strict=True)), "other neurons"
        return Signal(self.node(path, "Add", x.name, y.name), x.channels, y.rows, x.places)

    def concat(self, path: str, *parts: Signal) -> Signal:
        joined = [[np.concatenate(i) for i in zip(*(getattr(p, of) for p in parts), strict=True)] for of in ("channels", "rows")]
        return Signal(self.node(path, "Concat", *(p.name for p in parts), axis=1), *joined)

    def flatten(self, path: str, x: Signal, places: int = 1) -> Signal:
        """[N, C, H, W] -> [N, C * places]: each channel becomes H * W columns."""
        spread = [mix(c[:, None], np.arange(places)).reshape(-1) if places > 1 else c for c in x.channels]
        return Signal(self.node(path, "Flatten", x.name, axis=1), spread, spread, places)

    def attention(self, path: str, x: Signal, heads: int, size: int) -> Signal:
        """Self-attention over [N, S, D]; whole heads are shared, each model has its own number of them."""
        inner = self.population.layer(heads, group=size)
        split = self.ints(f"{path}.split", *([0, 0, len(i) // size, size] for i in inner))
        parts = {}
        for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
            y = self.linear(f"{path}.{part}", x, inner, matmul=True)
            parts[part] = self.node(path, "Transpose", self.node(path, "Reshape", y.name, split), perm=order)
        scores = self.node(path, "MatMul", parts["query"], parts["key"])
        scores = self.node(path, "Div", scores, self.scalar(f"{path}.scale", math.sqrt(size)))
        y = self.node(path, "MatMul", self.node(path, "Softmax", scores, axis=-1), parts["value"])
        y = self.node(path, "Transpose", y, perm=[0, 2, 1, 3])
        y = self.node(path, "Reshape", y, self.ints(f"{path}.join", *([0, 0, len(i)] for i in inner)))
        return self.linear(f"{path}.output", Signal(y, inner, inner), x.channels, matmul=True)

    # ---- out ----

    def family(self, name: str, outputs: dict[str, Signal]) -> PartialFamily:
        models = []
        for m in range(self.models):
            names = {signal.name: output for output, signal in outputs.items()}
            for node in self.nodes[m]:
                node.input[:] = [names.get(n, n) for n in node.input]
                node.output[:] = [names.get(n, n) for n in node.output]
            graph = helper.make_graph(
                self.nodes[m],
                f"net{m}",
                self.inputs,
                [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs],
                self.initializers[m],
            )
            model = helper.make_model(
                graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="pytorch"
            )
            models.append(onnx.shape_inference.infer_shapes(model, strict_mode=True))
            onnx.checker.check_model(models[-1])
        unique = 4 * len(np.unique(np.concatenate(self._elements))) + sum(self._scalars.values())
        return PartialFamily(name, models, unique, self.inputs[0].name, self.ranges)


def _mean_width(channels: Ids) -> float:
    return max(1.0, float(np.mean([len(c) for c in channels])))
