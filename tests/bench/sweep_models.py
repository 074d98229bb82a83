"""The networks of tests/bench/sweep.py: exports as torch makes them (BatchNorm folded), heads of their own on one trunk."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Network:
    """Collects nodes and weights; equal seeds give equal weights."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def ops(self, kind: str, inputs: list[str], outputs: int, **attributes) -> list[str]:
        names = [f"v{len(self.nodes)}" + (f".{i}" if i else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=f"/{kind}_{len(self.nodes)}", **attributes))
        return names

    def op(self, kind: str, inputs: list[str], **attributes) -> str:
        return self.ops(kind, inputs, 1, **attributes)[0]

    def weight(self, shape: tuple[int, ...], seed: int, scale: float | None = None) -> str:
        scale = 1 / math.sqrt(math.prod(shape[1:]) or 1) if scale is None else scale
        values = np.random.default_rng([seed, len(self.weights)]).standard_normal(shape, np.float32) * np.float32(scale)
        return self.constant(values)

    def constant(self, values: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def save(self, path: Path, inputs: list, output: str, dims: list) -> None:
        result = helper.make_tensor_value_info("y", TensorProto.FLOAT, dims)
        self.nodes.append(helper.make_node("Identity", [output], ["y"]))
        graph = helper.make_graph(self.nodes, path.stem, inputs, [result], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, path)


def move_weights(path: Path, data: Path) -> None:
    """Moves the weights that the file `data` holds, or may hold, there: models of one trunk can share one file."""
    model = onnx.load(path)
    known = data.read_bytes() if data.exists() else b""
    with data.open("ab") as stream:
        for tensor in model.graph.initializer:
            content = tensor.raw_data
            offset = known.find(content) if len(content) >= 4096 else -1
            if len(content) < 4096 or (known and offset < 0):
                continue  # the model's own
            if offset < 0:
                offset = stream.tell()
                stream.write(content)
            onnx.external_data_helper.set_external_data(tensor, data.name, offset, len(content))
            tensor.ClearField("raw_data")
    onnx.save(model, path)


def resnet18(path: Path, head: int, pixels: int, width: int) -> None:
    net = Network()

    def conv(x: str, inputs: int, outputs: int, kernel: int, stride: int = 1) -> str:
        w, b = net.weight((outputs, inputs, kernel, kernel), 0), net.weight((outputs,), 0, 0.1)
        return net.op("Conv", [x, w, b], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4)

    x = net.op("Relu", [conv("x", 3, width, 7, 2)])
    x = net.op("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = width
    for stage in range(4):
        for block in range(2):
            outputs, stride = width << stage, 2 if stage > 0 and block == 0 else 1
            y = net.op("Relu", [conv(x, channels, outputs, 3, stride)])
            y = conv(y, outputs, outputs, 3)
            if stride > 1:
                x = conv(x, channels, outputs, 1, stride)
            x, channels = net.op("Relu", [net.op("Add", [y, x])]), outputs
    x = net.op("Flatten", [net.op("GlobalAveragePool", [x])])
    y = net.op("Gemm", [x, net.weight((10, channels), 1 + head), net.weight((10,), 1 + head)], transB=1)
    net.save(path, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, pixels, pixels])], y, ["N", 10])


def bert(path: Path, head: int, length: int, width: int, layers: int = 4) -> None:
    net, heads = Network(), max(width // 64, 1)

    def linear(x: str, inputs: int, outputs: int, seed: int = 0) -> str:
        product = net.op("MatMul", [x, net.weight((inputs, outputs), seed, 1 / math.sqrt(inputs))])
        return net.op("Add", [net.weight((outputs,), seed, 0.1), product])

    def norm(x: str) -> str:
        scale = net.constant(np.ones(width, np.float32))
        return net.op("LayerNormalization", [x, scale, net.weight((width,), 0, 0.1)], axis=-1, epsilon=1e-12)

    def split_heads(x: str) -> str:
        parts = net.op("Reshape", [x, net.constant(np.array([0, 0, heads, width // heads]))])
        return net.op("Transpose", [parts], perm=[0, 2, 1, 3])

    words = net.op("Gather", [net.weight((1000, width), 0, 1.0), "ids"])
    x = norm(net.op("Add", [words, net.weight((1, length, width), 0, 1.0)]))
    for _ in range(layers):
        q, k, v = (split_heads(linear(x, width, width)) for _ in range(3))
        scores = net.op("MatMul", [q, net.op("Transpose", [k], perm=[0, 1, 3, 2])])
        scores = net.op("Softmax", [net.op("Div", [scores, net.constant(np.float32(math.sqrt(width / heads)))])], axis=-1)
        mixed = net.op("Transpose", [net.op("MatMul", [scores, v])], perm=[0, 2, 1, 3])
        mixed = net.op("Reshape", [mixed, net.constant(np.array([0, 0, width]))])
        x = norm(net.op("Add", [linear(mixed, width, width), x]))
        h = linear(x, width, 4 * width)
        erf = net.op("Erf", [net.op("Div", [h, net.constant(np.float32(math.sqrt(2)))])])
        gelu = net.op("Mul", [net.op("Mul", [h, net.op("Add", [erf, net.constant(np.float32(1))])]), net.constant(np.float32(0.5))])
        x = norm(net.op("Add", [linear(gelu, 4 * width, width), x]))
    first = net.op("Gather", [x, net.constant(np.array(0))], axis=1)
    y = linear(first, width, 10, 1 + head)
    net.save(path, [helper.make_tensor_value_info("ids", TensorProto.INT64, ["N", length])], y, ["N", 10])


NETWORKS = {"resnet18": resnet18, "bert": bert}
