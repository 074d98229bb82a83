"""Small families whose models share rows or blocks of their weights: VGG, ResNet, MobileNet, transformer, embedding.

In: a Population (who shares which neurons). Out: a PartialFamily: models and the bytes of their distinct elements.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from neurons import Population, Rows
from onnx import TensorProto, helper
from partial_network import PartialFamily, PartialNetwork, Signal


def vgg(population: Population) -> PartialFamily:
    """Convolutions without and with BatchNorm, pooling, and a Gemm head over flattened maps."""
    net = PartialNetwork(population)
    x = net.image(3, 16)
    for i, (width, norm) in enumerate([(16, False), (16, True), (24, True), (24, False)]):
        x = net.conv(f"features.{i}", x, population.layer(width), bias=not norm)
        if norm:
            x = net.batch_norm(f"features.{i}.bn", x)
        x = net.same(f"features.{i}.relu", "Relu", x)
        if i % 2:
            x = net.same(f"features.{i}.pool", "MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.same("features.last", "MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.flatten("flatten", x, places=4)
    x = net.same("classifier.1", "Relu", net.linear("classifier.0", x, population.layer(32)))
    return net.family("vgg", {"logits": net.linear("classifier.2", x, _classes(population))})


def _residual(net: PartialNetwork, path: str, x: Signal, out: list | None = None, stride: int = 1) -> Signal:
    """A basic block; `out`: the neurons of a new stream, with a projecting shortcut."""
    inner = net.population.layer(len(x.channels[0] if out is None else out[0]) // net.population.scale)
    y = net.batch_norm(f"{path}.bn1", net.conv(f"{path}.conv1", x, inner, stride=stride, bias=False))
    y = net.same(f"{path}.relu", "Relu", y)
    y = net.batch_norm(f"{path}.bn2", net.conv(f"{path}.conv2", y, x.channels if out is None else out, bias=False))
    if out is not None:
        x = net.conv(f"{path}.downsample.0", x, out, kernel=1, stride=stride, bias=False)
        x = net.batch_norm(f"{path}.downsample.1", x)
    return net.same(f"{path}.relu", "Relu", net.add(path, y, x))


def resnet(population: Population) -> PartialFamily:
    """Two stages of basic blocks: all producers of a stream write to one numbering of neurons."""
    net = PartialNetwork(population)
    x = net.batch_norm("bn1", net.conv("conv1", net.image(3, 16), population.layer(16), bias=False))
    x = net.same("relu", "Relu", x)
    x = net.same("maxpool", "MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = _residual(net, "layer1.0", x)
    x = _residual(net, "layer1.1", x)
    x = _residual(net, "layer2.0", x, population.layer(24), stride=2)
    x = _residual(net, "layer2.1", x)
    x = net.flatten("flatten", net.same("avgpool", "GlobalAveragePool", x))
    return net.family("resnet", {"logits": net.linear("fc", x, _classes(population))})


def _inverted(net: PartialNetwork, path: str, x: Signal, activation: str, out: list | None = None) -> Signal:
    """Expand, depthwise, squeeze-and-excite, project."""
    population = net.population
    y = net.conv(f"{path}.expand", x, population.layer(2 * len(x.channels[0]) // population.scale), kernel=1, bias=False)
    y = _activate(net, f"{path}.act1", net.batch_norm(f"{path}.bn1", y), activation)
    y = net.depthwise(f"{path}.depthwise", y, stride=1 if out is None else 2)
    y = _activate(net, f"{path}.act2", net.batch_norm(f"{path}.bn2", y), activation)
    if activation == "HardSwish":
        gate = net.same(f"{path}.se", "GlobalAveragePool", y)
        gate = net.same(f"{path}.se", "Relu", net.conv(f"{path}.se.fc1", gate, population.layer(8), kernel=1))
        gate = net.same(f"{path}.se", "HardSigmoid", net.conv(f"{path}.se.fc2", gate, y.channels, kernel=1))
        y = Signal(net.node(f"{path}.se", "Mul", gate.name, y.name), y.channels, y.rows)
    y = net.batch_norm(f"{path}.bn3", net.conv(f"{path}.project", y, x.channels if out is None else out, kernel=1, bias=False))
    return net.add(path, x, y) if out is None else y


def _activate(net: PartialNetwork, path: str, x: Signal, activation: str) -> Signal:
    return net.relu6(path, x) if activation == "Clip" else net.same(path, activation, x)


def mobilenet(population: Population) -> PartialFamily:
    """Inverted residuals with depthwise convolutions, Clip, HardSwish and gates."""
    net = PartialNetwork(population)
    x = net.conv("features.0", net.image(3, 16), population.layer(12), stride=2, bias=False)
    x = net.same("features.0.act", "HardSwish", net.batch_norm("features.0.bn", x))
    x = _inverted(net, "features.1", x, "Clip")
    x = _inverted(net, "features.2", x, "HardSwish", population.layer(16))
    x = _inverted(net, "features.3", x, "HardSwish")
    x = net.flatten("flatten", net.same("avgpool", "GlobalAveragePool", x))
    x = net.same("classifier.1", "HardSwish", net.linear("classifier.0", x, population.layer(24)))
    return net.family("mobilenet", {"logits": net.linear("classifier.2", x, _classes(population))})


def transformer(population: Population) -> PartialFamily:
    """An encoder: whole attention heads, neurons of the MLP, and channels of the stream."""
    net = PartialNetwork(population)
    x = net.linear("embed", net.sequence(6, 12), population.layer(24), matmul=True)
    for i in range(2):
        path = f"encoder.{i}"
        x = net.add(f"{path}.skip1", x, net.attention(f"{path}.attention", net.layer_norm(f"{path}.ln1", x), 10, 4))
        y = net.linear(f"{path}.fc1", net.layer_norm(f"{path}.ln2", x), population.layer(48), matmul=True)
        y = net.linear(f"{path}.fc2", net.gelu(f"{path}.gelu", y), x.channels, matmul=True)
        x = net.add(f"{path}.skip2", x, y)
    x = net.same("pool", "ReduceMean", net.layer_norm("norm", x), axes=[1], keepdims=0)
    return net.family("transformer", {"logits": net.linear("head", x, _classes(population))})


def embedding(population: Population) -> PartialFamily:
    """A table whose rows (entries of the vocabulary) and, for blocks, columns are shared, and an MLP on top."""
    net = PartialNetwork(population)
    vocabulary = population.layer(200)
    net.inputs = [helper.make_tensor_value_info("ids", TensorProto.INT64, ["N", 5])]
    net.ranges = {"ids": [0, min(len(v) for v in vocabulary)]}
    x = net.embedding("embeddings.word", "ids", vocabulary, population.layer(32))
    x = net.same("pool", "ReduceMean", x, axes=[1], keepdims=0)
    x = net.same("act", "Tanh", net.linear("fc1", x, population.layer(32)))
    return net.family("embedding", {"logits": net.linear("fc2", x, _classes(population))})


def densenet(population: Population) -> PartialFamily:
    """Layers that read everything before them, and an inception block: Concat on the channels."""
    net = PartialNetwork(population)
    x = net.same("relu0", "Relu", net.conv("conv0", net.image(3, 8), population.layer(12)))
    for i in range(2):
        y = net.same(f"dense.{i}.relu", "Relu", net.batch_norm(f"dense.{i}.norm", x))
        x = net.concat(f"dense.{i}", x, net.conv(f"dense.{i}.conv", y, population.layer(8), bias=False))
    branches = [net.conv(f"mixed.{k}", x, population.layer(8), kernel=k) for k in (1, 3)]
    branches.append(net.same("mixed.pool", "MaxPool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4))
    x = net.same("mixed.relu", "Relu", net.concat("mixed", *branches))
    x = net.flatten("flatten", net.same("avgpool", "GlobalAveragePool", x))
    return net.family("densenet", {"logits": net.linear("classifier", x, _classes(population))})


def _classes(population: Population) -> list:
    return population.specific([10 - 2 * (m % 3) for m in range(population.models)])


ARCHITECTURES: dict[str, Callable[[Population], PartialFamily]] = {
    "vgg": vgg, "resnet": resnet, "mobilenet": mobilenet, "transformer": transformer, "embedding": embedding, "densenet": densenet,
}  # fmt: skip
KINDS = {"blocks": Population, "rows": Rows}


def make(architecture: str, kind: str, models: int, fraction: float, seed: int = 0, **choices) -> PartialFamily:
    """`kind`: "blocks" (MTZ) or "rows" (partial fine-tuning); `choices`: arrangement, widths, subsets, scale of Population."""
    family = ARCHITECTURES[architecture](KINDS[kind](seed, models, fraction, **choices))
    return dataclasses.replace(family, name=f"{architecture}_{kind}_{models}_{fraction:.0%}".replace("%", ""))
