"""Random networks whose neurons are shared as in MTZ: random layers, widths, index sets and subsets of the models."""

from __future__ import annotations

import numpy as np
import onnx
from neurons import ARRANGEMENTS, WIDTHS, Ids, Population, Rows, mix
from onnx import helper
from partial_network import PartialFamily, PartialNetwork, Signal

ACTIVATIONS = ["Relu", "Relu", "Sigmoid", "HardSwish", "Tanh", "LeakyRelu", "Elu"]


def _sharers(random: np.random.Generator, models: int) -> list[tuple[int, ...]]:
    """All models, and up to three random subsets of at least two."""
    found = [tuple(range(models))]
    for _ in range(int(random.integers(0, 4))):
        size = int(random.integers(2, models + 1))
        found.append(tuple(sorted(random.choice(models, size, replace=False).tolist())))
    return list(dict.fromkeys(found))


class RandomBlocks(Population):
    """A shared fraction of its own in every layer, now and then nothing or everything."""

    def layer(self, width: int, group: int = 1) -> Ids:
        self.fraction = float(self.random.choice([0.0, 1.0, 0.5, *self.random.random(5)]))
        return super().layer(width, group)


class RandomRows(Rows):
    def rows(self, channels: Ids) -> Ids:
        self.fraction = float(self.random.choice([0.0, 1.0, 0.5, *self.random.random(5)]))
        return super().rows(channels)


class RandomLayers:
    """Appends random layers to a network. Every layer takes a signal and returns one."""

    def __init__(self, net: PartialNetwork) -> None:
        self.net, self.population, self.random = net, net.population, net.population.random
        self.count = 0

    def path(self, kind: str) -> str:
        self.count += 1
        return f"layers.{self.count}.{kind}"

    def channels(self) -> Ids:
        return self.population.layer(int(self.random.integers(4, 25)))

    def chance(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def activation(self, x: Signal) -> Signal:
        if self.chance(0.15):
            return self.net.relu6(self.path("act"), x)
        return self.net.same(self.path("act"), str(self.random.choice(ACTIVATIONS)), x)

    def conv(self, x: Signal, out: Ids | None = None, stride: int = 1) -> Signal:
        norm = self.chance(0.4)
        kernel = int(self.random.choice([1, 3]))
        out = self.channels() if out is None else out
        y = self.net.conv(self.path("conv"), x, out, kernel, stride, bias=not norm and self.chance(0.8))
        return self.net.batch_norm(self.path("bn"), y) if norm else y

    def image_layer(self, x: Signal, size: int) -> tuple[Signal, int]:
        net = self.net
        kind = int(self.random.integers(0, 9))
        if kind <= 1:
            stride = 2 if size >= 4 and self.chance(0.3) else 1
            y = self.conv(x, stride=stride)
            return (self.activation(y) if self.chance(0.7) else y), (size + stride - 1) // stride
        if kind == 2:
            return net.depthwise(self.path("depthwise"), x, bias=self.chance(0.5)), size
        if kind == 3:
            return net.batch_norm(self.path("norm"), x), size
        if kind == 4 and size >= 4:
            operator = str(self.random.choice(["MaxPool", "AveragePool"]))
            return net.same(self.path("pool"), operator, x, kernel_shape=[2, 2], strides=[2, 2]), size // 2
        if kind == 5:  # residual: the inner neurons are new, the last layer writes to the stream
            y = self.conv(self.activation(self.conv(x)), x.channels)
            return net.add(self.path("residual"), x, y), size
        if kind == 6:  # branches side by side; the input may be one of them
            branches = [self.conv(x) for _ in range(int(self.random.integers(1, 3)))]
            return net.concat(self.path("cat"), *([x] if self.chance(0.5) or len(branches) < 2 else []), *branches), size
        if kind == 7:
            gate = net.same(self.path("gate"), "GlobalAveragePool", x)
            gate = net.conv(self.path("gate"), gate, x.channels, kernel=1)
            gate = net.same(self.path("gate"), str(self.random.choice(["Sigmoid", "HardSigmoid"])), gate)
            return Signal(net.node(self.path("gate"), "Mul", x.name, gate.name), x.channels, x.rows), size
        return self.activation(x), size

    def odd_layer(self, x: Signal, size: int) -> tuple[Signal, int]:
        """What mixes channels, moves them, or has parameters in unusual shapes."""
        net, path = self.net, self.path("odd")
        kind = int(self.random.integers(0, 12))
        column = [r[:, None, None] for r in x.rows]
        if kind == 0:
            return net.same(path, "Softmax", x, axis=1), size
        if kind == 1:
            return net.same(path, "PRelu", x, net.parameter(f"{path}.slope", column, 0.3)), size
        if kind == 2:
            weights = [net.positive(f"{path}.weight", x.rows), net.parameter(f"{path}.bias", x.rows)]
            return net.same(path, "InstanceNormalization", x, *weights), size
        if kind == 3 and size <= 8:
            out = self.channels()
            place = np.arange(4).reshape(2, 2)
            ids = [mix(r[None, :, None, None], c[:, None, None, None], place) for r, c in zip(out, x.channels, strict=True)]
            y = net.node(path, "ConvTranspose", x.name, net.parameter(f"{path}.weight", ids, 0.2), strides=[2, 2])
            return Signal(y, out, out), size * 2
        if kind == 4:
            return net.same(path, "Mul", x, net.positive(f"{path}.scale", [c[None] for c in column])), size
        if kind == 5:
            mean = net.node(path, "ReduceMean", x.name, axes=[1], keepdims=1)
            return net.same(path, "Sub", x, mean), size
        if kind == 6:
            return net.same(path, "LRN", x, size=3), size
        if kind == 7:  # a channel shuffle of its own in each model
            orders = [self.random.permutation(len(c)) for c in x.channels]
            y = net.node(path, "Gather", x.name, net.ints(f"{path}.order", *(o.tolist() for o in orders)), axis=1)
            parts = [[i[o] for i, o in zip(ids, orders, strict=True)] for ids in (x.channels, x.rows)]
            return Signal(y, *parts), size
        if kind == 8 and min(len(c) for c in x.channels) > 2:  # the first channels by position
            limits = [net.ints(f"{path}.{name}", [value]) for name, value in (("start", 0), ("end", 2), ("axis", 1))]
            return Signal(net.node(path, "Slice", x.name, *limits), [c[:2] for c in x.channels], [r[:2] for r in x.rows]), size
        if kind == 9:  # channels last, a dense layer there, and back
            y = net.same(path, "Transpose", x, perm=[0, 2, 3, 1])
            y = self.activation(net.linear(f"{path}.dense", y, self.channels(), matmul=True))
            return net.same(path, "Transpose", y, perm=[0, 3, 1, 2]), size
        if kind == 10:  # attention over places, with the channels as features
            y = net.node(path, "Reshape", x.name, net.ints(f"{path}.rows", *([0, len(c), -1] for c in x.channels)))
            scores = net.node(path, "MatMul", net.node(path, "Transpose", y, perm=[0, 2, 1]), y)
            y = net.node(path, "MatMul", y, net.node(path, "Softmax", scores, axis=-1))
            shape = net.ints(f"{path}.image", *([0, len(c), size, size] for c in x.channels))
            return Signal(net.node(path, "Reshape", y, shape), x.channels, x.rows), size
        return net.same(path, "Mul", x, net.node(path, "Sigmoid", x.name)), size

    def to_vector(self, x: Signal, size: int) -> Signal:
        if self.chance(0.5):
            return self.net.flatten(self.path("flatten"), x, places=size * size)
        return self.net.flatten(self.path("flatten"), self.net.same(self.path("pool"), "GlobalAveragePool", x))

    def vector_layer(self, x: Signal) -> Signal:
        net = self.net
        kind = int(self.random.integers(0, 5))
        if kind == 0:
            return net.layer_norm(self.path("norm"), x)
        if kind == 1:
            inner = self.activation(net.linear(self.path("mlp"), x, self.channels(), matmul=self.chance(0.5)))
            return net.add(self.path("residual"), x, net.linear(self.path("mlp"), inner, x.channels, matmul=self.chance(0.5)))
        y = net.linear(self.path("linear"), x, self.channels(), bias=self.chance(0.8), matmul=self.chance(0.5))
        return self.activation(y) if self.chance(0.6) else y

    def token_layer(self, x: Signal) -> Signal:
        net = self.net
        if self.chance(0.4):
            y = net.layer_norm(self.path("norm"), x) if self.chance(0.7) else x
            heads, size = int(self.random.integers(1, 5)), int(self.random.choice([2, 4]))
            return net.add(self.path("residual"), x, net.attention(self.path("attention"), y, heads, size))
        y = net.linear(self.path("fc1"), net.layer_norm(self.path("norm"), x), self.channels(), matmul=True)
        y = net.gelu(self.path("gelu"), y) if self.chance(0.5) else self.activation(y)
        return net.add(self.path("residual"), x, net.linear(self.path("fc2"), y, x.channels, matmul=True))


def make_random(seed: int, odd: bool = False) -> tuple[PartialFamily, bool]:
    """A family and whether its models read one common input. `odd`: images only, half of the layers are odd ones."""
    random = np.random.default_rng(seed)
    models = int(random.integers(2, 6))
    kind = RandomRows if random.random() < 0.25 else RandomBlocks
    arrangement, widths = str(random.choice(ARRANGEMENTS)), str(random.choice(WIDTHS))
    population = kind(seed, models, 0.5, arrangement, widths)
    population.sharers = _sharers(random, models)
    net = PartialNetwork(population)
    layers = RandomLayers(net)
    form = "image" if odd else str(random.choice(["image", "image", "image", "vector", "tokens"]))
    outputs: dict[str, Signal] = {}
    if form == "image":
        size = 8
        x = layers.conv(net.image(3, size))
        for _ in range(int(random.integers(1, 7))):
            x, size = layers.odd_layer(x, size) if odd and layers.chance(0.5) else layers.image_layer(x, size)
        if random.random() < 0.2:
            outputs["features"] = x
        x = layers.to_vector(x, size)
    elif form == "tokens":
        x = net.linear("embed", net.sequence(4, 6), layers.channels(), matmul=True)
        for _ in range(int(random.integers(1, 4))):
            x = layers.token_layer(x)
        x = net.same("pool", "ReduceMean", x, axes=[1], keepdims=0)
    else:
        x = net.linear("first", net.features(7), layers.channels())
    for _ in range(int(random.integers(0, 4))):
        x = layers.vector_layer(x)
    classes = population.specific(random.integers(4, 9, models).tolist())  # one alone may be close to 0
    outputs["scores"] = net.linear("head", x, classes)
    family = net.family(f"random_mtz{'_odd' if odd else ''}{seed}", outputs)
    for model in family.models[1:]:
        if random.random() < 0.2:  # this model goes on where the others stop
            model.graph.node.append(_goes_on(model))
    return family, bool(random.random() < 0.4)


def _goes_on(model: onnx.ModelProto) -> onnx.NodeProto:
    """Puts an Abs behind the last output."""
    node, output = model.graph.node[-1], model.graph.output[-1].name
    node.output[0] = f"{output}_before"
    return helper.make_node("Abs", [f"{output}_before"], [output], name="/more/Abs")
