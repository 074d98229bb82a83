"""Models whose sharing is hidden: BatchNorm folded into convolutions, LoRA merged into its base, weights rounded apart.

Made with onnx.helper alone. In: numpy generators. Out: ModelProtos.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Collects nodes and float32 initializers of one graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}

    def weight(self, name: str, value: np.ndarray) -> str:
        self.weights[name] = np.asarray(value)
        return name

    def op(self, op_type: str, inputs: Sequence[str], **attributes) -> str:
        name = f"{op_type}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [f"{name}_out"], name, **attributes))
        return f"{name}_out"

    def model(self, inputs: list[onnx.ValueInfoProto], output: str, shape: list) -> onnx.ModelProto:
        self.nodes.append(helper.make_node("Identity", [output], ["y"], "out"))
        graph = helper.make_graph(
            self.nodes, "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(v, n) for n, v in self.weights.items()],
        )  # fmt: skip
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


# ---- ResNet-18 ---------------------------------------------------------------------------------------------------

Norm = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # gamma, beta, mean, variance, each [C]


def tuned_norm(random: np.random.Generator, channels: int) -> Norm:
    """Parameters of a tuned BatchNorm: some channels negated, one switched off."""
    gamma = random.uniform(0.4, 1.6, channels) * np.where(random.random(channels) < 0.1, -1, 1)
    gamma[random.integers(channels)] = 0
    return tuple(
        v.astype(np.float32)
        for v in (gamma, random.normal(0, 0.2, channels), random.normal(0, 0.2, channels), random.uniform(0.5, 2, channels))
    )  # fmt: skip


def resnet(trunk_seed: int, norm_seed: int, folded: bool, width: int = 24) -> onnx.ModelProto:
    """ResNet-18 of `width` channels: convolutions and head from one seed, BatchNorms from the other."""
    shared, own = np.random.default_rng(trunk_seed), np.random.default_rng(norm_seed)
    b = Builder()

    def conv_norm(x: str, inputs: int, outputs: int, kernel: int, stride: int) -> str:
        name = f"c{len(b.nodes)}"
        w = shared.normal(0, np.sqrt(2 / (inputs * kernel**2)), (outputs, inputs, kernel, kernel)).astype(
            np.float32
        )
        gamma, beta, mean, variance = tuned_norm(own, outputs)
        attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2] * 4}
        if folded:
            scale = gamma / np.sqrt(variance + np.float32(1e-5))
            operands = [
                x,
                b.weight(f"{name}.w", w * scale[:, None, None, None]),
                b.weight(f"{name}.b", beta - mean * scale),
            ]
            return b.op("Conv", operands, **attributes)
        y = b.op("Conv", [x, b.weight(f"{name}.w", w)], **attributes)
        parameters = zip("gbmv", (gamma, beta, mean, variance), strict=True)
        return b.op(
            "BatchNormalization", [y, *(b.weight(f"{name}.{p}", v) for p, v in parameters)], epsilon=1e-5
        )

    def block(x: str, inputs: int, outputs: int, stride: int) -> str:
        y = b.op("Relu", [conv_norm(x, inputs, outputs, 3, stride)])
        y = conv_norm(y, outputs, outputs, 3, 1)
        if inputs != outputs:
            x = conv_norm(x, inputs, outputs, 1, stride)
        return b.op("Relu", [b.op("Add", [y, x])])

    x = b.op("Relu", [conv_norm("x", 3, width, 7, 2)])
    x = b.op("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = width
    for stage in range(4):
        for position in range(2):
            outputs = width << stage
            x = block(x, channels, outputs, 2 if stage > 0 and position == 0 else 1)
            channels = outputs
    x = b.op("Flatten", [b.op("GlobalAveragePool", [x])])
    head = shared.normal(0, 0.1, (10, channels)).astype(np.float32)
    x = b.op("Gemm", [x, b.weight("fc.w", head), b.weight("fc.b", np.zeros(10, np.float32))], transB=1)
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 32, 32])
    return b.model([image], x, ["N", 10])


def rounded_apart(model: onnx.ModelProto, seed: int, most: float = 1.2e-7) -> onnx.ModelProto:
    """The same network as another exporter would write it: every weight off by up to an ulp."""
    random = np.random.default_rng(seed)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype == np.float32:
            noisy = (value * (1 + random.uniform(-most, most, value.shape))).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(noisy, tensor.name))
    return copy


# ---- BERT --------------------------------------------------------------------------------------------------------

HIDDEN, LAYERS, HEADS, VOCABULARY = 128, 2, 4, 100
LINEAR = {"query": (128, 128), "key": (128, 128), "value": (128, 128), "output": (128, 128), "up": (128, 256), "down": (256, 128)}  # fmt: skip


def base_weights(seed: int) -> dict[str, np.ndarray]:
    """The [in, out] matrices of all layers."""
    random = np.random.default_rng(seed)
    return {
        f"{layer}.{name}": random.normal(0, 0.06, shape).astype(np.float32)
        for layer in range(LAYERS)
        for name, shape in LINEAR.items()
    }


def merged_lora(
    base: dict[str, np.ndarray], seed: int, rank: int = 8, size: float = 0.02
) -> dict[str, np.ndarray]:
    """W + B A in float32, for every matrix."""
    random = np.random.default_rng(seed)
    merged = {}
    for name, w in base.items():
        down = random.normal(0, size, (w.shape[0], rank)).astype(np.float32)
        up = random.normal(0, 1, (rank, w.shape[1])).astype(np.float32) / np.float32(np.sqrt(rank))
        merged[name] = w + down @ up
    return merged


def factor_bytes(rank: int) -> int:
    """Of one model's factors of all matrices."""
    return LAYERS * sum(4 * rank * (i + o) for i, o in LINEAR.values())


def bert(weights: dict[str, np.ndarray], seed: int, head_seed: int) -> onnx.ModelProto:
    """A small BERT: everything but `weights` (linear layers) and the head comes from `seed`."""
    random = np.random.default_rng(seed)
    b = Builder()

    def bias(name: str, size: int) -> str:
        return b.weight(name, random.normal(0, 0.1, size).astype(np.float32))

    def linear(x: str, layer: int, name: str) -> str:
        w = weights[f"{layer}.{name}"]
        y = b.op("MatMul", [x, b.weight(f"{layer}.{name}.w", w)])
        return b.op("Add", [y, bias(f"{layer}.{name}.b", w.shape[1])])

    def norm(x: str, name: str) -> str:
        scale = b.weight(f"{name}.s", random.uniform(0.7, 1.3, HIDDEN).astype(np.float32))
        return b.op("LayerNormalization", [x, scale, bias(f"{name}.b", HIDDEN)], axis=-1)

    heads = b.weight("heads", np.array([0, 0, HEADS, HIDDEN // HEADS]))
    whole = b.weight("whole", np.array([0, 0, HIDDEN]))
    root = b.weight("root", np.float32(np.sqrt(HIDDEN // HEADS)))
    x = b.op(
        "Gather", [b.weight("words", random.normal(0, 1, (VOCABULARY, HIDDEN)).astype(np.float32)), "ids"]
    )
    x = norm(x, "embedding")
    for layer in range(LAYERS):
        q, k, v = (
            b.op("Transpose", [b.op("Reshape", [linear(x, layer, n), heads])], perm=p)
            for n, p in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
        )
        scores = b.op("Softmax", [b.op("Div", [b.op("MatMul", [q, k]), root])], axis=-1)
        mixed = b.op("Transpose", [b.op("MatMul", [scores, v])], perm=[0, 2, 1, 3])
        mixed = linear(b.op("Reshape", [mixed, whole]), layer, "output")
        x = norm(b.op("Add", [x, mixed]), f"{layer}.attention")
        x = norm(
            b.op("Add", [x, linear(b.op("Relu", [linear(x, layer, "up")]), layer, "down")]), f"{layer}.feed"
        )
    head = np.random.default_rng(head_seed).normal(0, 0.1, (HIDDEN, 4)).astype(np.float32)
    x = b.op("MatMul", [x, b.weight("head", head)])
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["N", "S"])
    return b.model([ids], x, ["N", "S", 4])


def float_bytes(model: onnx.ModelProto, wanted: Callable[[str], bool] = lambda _: True) -> int:
    """Bytes of the float initializers whose names are wanted."""
    return sum(
        numpy_helper.to_array(t).nbytes for t in model.graph.initializer if t.data_type == TensorProto.FLOAT and wanted(t.name)
    )  # fmt: skip
