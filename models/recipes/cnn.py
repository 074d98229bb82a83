"""Convolutional families: heads on a trunk, frozen stages, BatchNorm-only tuning, segmentation, shared stems."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import mobilenet_v3_small
from torchvision.models.resnet import BasicBlock, ResNet

from .export import dynamo, family, legacy, perturb, randomise

BATCH = {"image": {0: "N"}}


class NarrowResNet(ResNet):
    """torchvision's ResNet with `width` instead of 64 channels in the first stage."""

    def __init__(self, layers: list[int], width: int, classes: int):
        self.width = width
        super().__init__(BasicBlock, layers, num_classes=classes)
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.fc = nn.Linear(8 * width, classes)

    def _make_layer(self, block, planes, *args, **kwargs):
        if planes == 64:
            self.inplanes = self.width
        return super()._make_layer(block, planes * self.width // 64, *args, **kwargs)


def resnet(width: int, classes: int, layers: list[int] | None = None, seed: int = 0) -> NarrowResNet:
    torch.manual_seed(seed)
    return randomise(NarrowResNet(layers or [2, 2, 2, 2], width, classes), seed)


def with_head(trunk: NarrowResNet, classes: int, seed: int) -> NarrowResNet:
    torch.manual_seed(seed)
    model = deepcopy(trunk)
    model.fc = randomise(nn.Linear(trunk.fc.in_features, classes), seed)
    return model


def heads_on_trunk(out: Path) -> dict:
    trunk = resnet(6, 10, seed=1)
    files = []
    for i, (name, classes) in enumerate([("species", 10), ("colour", 4), ("age", 100), ("quality", 2)]):
        model = with_head(trunk, classes, 10 + i)
        files.append(legacy(model, (torch.randn(2, 3, 64, 64),), out / f"{name}.onnx", ["image"], ["scores"],
                            {**BATCH, "scores": {0: "N"}}))  # fmt: skip
    return family(
        files,
        "ResNet-18, width 6: one trunk, four classifiers of different class counts",
        dims={"N": [1, 2, 4, 3]},
    )


def eight_heads(out: Path) -> dict:
    trunk = resnet(4, 10, seed=2)
    files = [
        legacy(with_head(trunk, 10, 20 + i), (torch.randn(2, 3, 32, 32),), out / f"task{i}.onnx", ["image"], ["logits"],
               {**BATCH, "logits": {0: "N"}})
        for i in range(8)
    ]  # fmt: skip
    return family(
        files, "ResNet-18, width 4: eight models that differ only in the last Gemm", dims={"N": [1, 2, 8, 3]}
    )


def trunk_dynamo(out: Path) -> dict:
    trunk = resnet(6, 10, [1, 1, 1, 1], seed=3)
    files = []
    for i, (name, classes) in enumerate([("digits", 10), ("letters", 26), ("parity", 2)]):
        model = with_head(trunk, classes, 30 + i)
        files.append(
            dynamo(
                model, (torch.randn(2, 3, 32, 32),), out / f"{name}.onnx", ["x"], ["logits"], [{0: "batch"}]
            )
        )
    return family(
        files,
        "ResNet-10, width 6: one trunk, three heads, torch.export-based exporter",
        dims={"batch": [1, 2, 3, 5]},
    )


class Trunk(nn.Module):
    """Three strided stages of plain convolutions with residual blocks; [N,3,H,W] -> [N,4w,H/8,W/8]."""

    def __init__(self, width: int):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.stage1 = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.1),
            BasicBlock(2 * width, 2 * width),
        )
        self.stage2 = nn.Sequential(
            nn.Conv2d(2 * width, 4 * width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(4 * width),
            nn.SiLU(),
            BasicBlock(4 * width, 4 * width),
        )

    def forward(self, x):
        return self.stage2(self.stage1(self.stem(x)))


class Depth(nn.Module):
    def __init__(self, trunk: Trunk, channels: int):
        super().__init__()
        self.trunk, self.reduce, self.last = trunk, nn.Conv2d(channels, 8, 1), nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, image):
        y = F.relu(self.reduce(self.trunk(image)))
        y = F.interpolate(y, size=image.shape[-2:], mode="bilinear", align_corners=False)
        return F.softplus(self.last(y))


class Normals(nn.Module):
    def __init__(self, trunk: Trunk, channels: int):
        super().__init__()
        self.trunk = trunk
        self.up1 = nn.ConvTranspose2d(channels, 8, 4, 2, 1)
        self.up2 = nn.ConvTranspose2d(8, 8, 4, 2, 1)
        self.up3 = nn.ConvTranspose2d(8, 3, 4, 2, 1)

    def forward(self, image):
        y = F.elu(self.up1(self.trunk(image)))
        return F.normalize(self.up3(torch.tanh(self.up2(y))), dim=1)


class Classes(nn.Module):
    def __init__(self, trunk: nn.Module, channels: int, classes: int):
        super().__init__()
        self.trunk, self.fc = trunk, nn.Linear(channels, classes)

    def forward(self, image):
        return F.log_softmax(self.fc(self.trunk(image).mean(dim=(2, 3))), dim=-1)


def common_input(out: Path) -> dict:
    torch.manual_seed(4)
    trunk = Trunk(12)
    tasks = {
        "classify": (Classes(trunk, 48, 20), {0: "N"}),
        "depth": (Depth(trunk, 48), {0: "N", 2: "H", 3: "W"}),
        "normals": (Normals(trunk, 48), {0: "N", 2: "H", 3: "W"}),
    }
    randomise(trunk, 4)
    files = []
    for i, (name, (model, axes)) in enumerate(tasks.items()):
        for child_name, child in model.named_children():
            if child_name != "trunk":
                randomise(child, 40 + i)
        files.append(legacy(model, (torch.randn(2, 3, 32, 48),), out / f"{name}.onnx", ["image"], [name],
                            {"image": {0: "N", 2: "H", 3: "W"}, name: axes}))  # fmt: skip
    return family(files, "classification, depth and surface normals of one camera image; dynamic batch, height and width",
                  share_inputs=["image"], dims={"N": [1, 2, 3], "H": [32, 64, 40], "W": [32, 48, 56]})  # fmt: skip


def frozen_stages(out: Path) -> dict:
    torch.manual_seed(5)
    base = randomise(mobilenet_v3_small(num_classes=12, width_mult=0.2), 5)
    files = []
    for i, first in enumerate([8, 10, 12]):
        tuned = {f"features.{k}." for k in range(first, 13)} | {"classifier."}
        model = perturb(deepcopy(base), 50 + i, lambda name: name.startswith(tuple(tuned)), 0.3)
        files.append(legacy(model, (torch.randn(2, 3, 64, 64),), out / f"from{first}.onnx", ["input.1"], ["logits"],
                            {"input.1": {0: "batch_size"}, "logits": {0: "batch_size"}}))  # fmt: skip
    return family(files, "MobileNetV3-small, width 0.2, fine-tuned from block 8, 10 and 12: what is shared differs by pair",
                  dims={"batch_size": [1, 2, 3, 5]})  # fmt: skip


def bn_only(out: Path) -> dict:
    base = resnet(6, 10, [1, 1, 1, 1], seed=6)
    files = []
    for i, name in enumerate(["day", "night", "rain"]):
        model = perturb(deepcopy(base), 60 + i, lambda n: "bn" in n or "downsample.1" in n, 0.5)
        files.append(legacy(model, (torch.randn(2, 3, 32, 32),), out / f"{name}.onnx", ["image"], ["logits"],
                            {**BATCH, "logits": {0: "N"}}, training=torch.onnx.TrainingMode.PRESERVE,
                            do_constant_folding=False))  # fmt: skip
    return family(
        files,
        "BatchNorm tuned per domain and exported unfolded: convolutions and head shared",
        dims={"N": [1, 2, 3, 5]},
    )


def bn_folded(out: Path) -> dict:
    base = resnet(4, 10, [1, 1, 1, 1], seed=6)
    files = []
    for i, name in enumerate(["day", "night"]):
        model = perturb(deepcopy(base), 60 + i, lambda n: "bn" in n or "downsample.1" in n, 0.5)
        files.append(legacy(model, (torch.randn(2, 3, 32, 32),), out / f"{name}.onnx", ["image"], ["logits"],
                            {**BATCH, "logits": {0: "N"}}))  # fmt: skip
    return family(
        files,
        "the same tuning exported as usual: BatchNorm folded, only the head is still shared bitwise",
        dims={"N": [1, 2, 3]},
    )


class Double(nn.Sequential):
    def __init__(self, cin: int, cout: int, norm: nn.Module):
        super().__init__(
            nn.Conv2d(cin, cout, 3, padding=1),
            norm,
            nn.ReLU(),
            nn.Conv2d(cout, cout, 3, padding=1),
            nn.PReLU(cout),
        )


class UNet(nn.Module):
    """Encoder shared, decoder per task: `resize` or transposed convolution on the way up, skips by Concat."""

    def __init__(self, classes: int, transposed: bool):
        super().__init__()
        self.enc1, self.enc2 = Double(1, 8, nn.BatchNorm2d(8)), Double(8, 16, nn.GroupNorm(4, 16))
        self.mid = Double(16, 24, nn.InstanceNorm2d(24, affine=True))
        self.transposed = transposed
        if transposed:
            self.up2, self.up1 = nn.ConvTranspose2d(24, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)
        else:
            self.up2, self.up1 = nn.Conv2d(24, 16, 1), nn.Conv2d(16, 8, 1)
        self.dec2, self.dec1 = Double(32, 16, nn.BatchNorm2d(16)), Double(16, 8, nn.BatchNorm2d(8))
        self.last = nn.Conv2d(8, classes, 1)

    def up(self, layer: nn.Module, x):
        return layer(x) if self.transposed else layer(F.interpolate(x, scale_factor=2, mode="nearest"))

    def forward(self, x):
        a = self.enc1(x)
        b = self.enc2(F.max_pool2d(a, 2))
        m = self.mid(F.avg_pool2d(b, 2))
        y = self.dec2(torch.cat([self.up(self.up2, m), b], 1))
        y = self.dec1(torch.cat([self.up(self.up1, y), a], 1))
        return torch.sigmoid(self.last(y))


def segmentation(out: Path) -> dict:
    files = []
    encoder = None
    for i, (name, classes, transposed) in enumerate(
        [("vessels", 1, False), ("lesions", 3, False), ("organs", 5, True)]
    ):
        torch.manual_seed(70 + i)
        model = randomise(UNet(classes, transposed), 70 + i)
        encoder = encoder or {k: v for k, v in model.state_dict().items() if k.startswith(("enc", "mid"))}
        model.load_state_dict(encoder, strict=False)
        files.append(legacy(model, (torch.randn(2, 1, 32, 32),), out / f"{name}.onnx", ["scan"], ["mask"],
                            {"scan": {0: "N"}, "mask": {0: "N"}}))  # fmt: skip
    return family(
        files,
        "U-Net: encoder shared, decoders per task (two with Resize, one with ConvTranspose)",
        dims={"N": [1, 2, 3]},
    )


class Stem(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 24, 3, 1, 1), nn.BatchNorm2d(24), nn.Hardswish(),
            nn.Conv2d(24, 32, 3, 2, 1), nn.ReLU6(),
        )  # fmt: skip


class Inverted(nn.Module):
    """Depthwise block with squeeze and excitation."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.expand, self.depthwise = (
            nn.Conv2d(channels, hidden, 1),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
        )
        self.squeeze, self.excite = nn.Conv2d(hidden, 8, 1), nn.Conv2d(8, hidden, 1)
        self.project = nn.Conv2d(hidden, channels, 1)

    def forward(self, x):
        y = F.hardswish(self.depthwise(F.relu6(self.expand(x))))
        y = y * F.hardsigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1)))))
        return x + self.project(y)


class Patches(nn.Module):
    """Attention over the stem's pixels: another architecture on the same stem."""

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.norm, self.qkv, self.out = (
            nn.LayerNorm(channels),
            nn.Linear(channels, 3 * channels),
            nn.Linear(channels, classes),
        )

    def forward(self, x):
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        q, k, v = self.qkv(tokens).chunk(3, dim=-1)
        attention = torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5, dim=-1)
        return self.out((attention @ v).mean(1))


def mixed_stem(out: Path) -> dict:
    torch.manual_seed(8)
    stem = randomise(Stem(), 8)
    bodies = {
        "residual": nn.Sequential(BasicBlock(32, 32), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 16, 7)),
        "inverted": nn.Sequential(
            Inverted(32, 64), Inverted(32, 48), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 5)
        ),
        "patches": Patches(32, 9),
    }
    files = [
        legacy(nn.Sequential(stem, randomise(body, 80 + i)), (torch.randn(2, 3, 32, 32),), out / f"{name}.onnx", ["pixels"], [name],
               {"pixels": {0: "N"}, name: {0: "N"}})
        for i, (name, body) in enumerate(bodies.items())
    ]  # fmt: skip
    return family(
        files,
        "three architectures (residual, inverted bottleneck, attention) on one stem",
        dims={"N": [1, 2, 3, 5]},
    )


class Zipped(nn.Module):
    """A small VGG whose layers are zipped neuron by neuron with another network's (MTZ, arXiv 1805.09791)."""

    def __init__(self, widths: list[int], classes: int):
        super().__init__()
        w0, w1, w2, w3 = widths
        self.conv1, self.conv2, self.conv3 = (
            nn.Conv2d(3, w0, 3, padding=1),
            nn.Conv2d(w0, w1, 3, padding=1),
            nn.Conv2d(w1, w2, 3, padding=1),
        )
        self.fc1, self.fc2 = nn.Linear(w2, w3), nn.Linear(w3, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.adaptive_avg_pool2d(F.relu(self.conv3(x)), 1).flatten(1)
        return self.fc2(F.relu(self.fc1(x)))


def zip_pair(a: nn.Module, b: nn.Module, shared: dict[str, tuple[int, int]]) -> None:
    """Makes the leading [rows, columns] block of each named layer of `b` equal to that of `a`, biases included."""
    for name, (rows, columns) in shared.items():
        x, y = a.get_submodule(name), b.get_submodule(name)
        y.weight.data[:rows, :columns] = x.weight.data[:rows, :columns]
        y.bias.data[:rows] = x.bias.data[:rows]


def mtz_pair(out: Path) -> dict:
    torch.manual_seed(9)
    a, b = randomise(Zipped([16, 24, 32, 40], 10), 90), randomise(Zipped([12, 24, 40, 32], 6), 91)
    zip_pair(a, b, {"conv1": (12, 3), "conv2": (16, 12), "conv3": (24, 16), "fc1": (24, 24)})
    files = [
        legacy(
            m,
            (torch.randn(2, 3, 32, 32),),
            out / f"{n}.onnx",
            ["image"],
            ["logits"],
            {**BATCH, "logits": {0: "N"}},
        )
        for n, m in (("scenes", a), ("objects", b))
    ]
    return family(files, "two networks zipped neuron by neuron: W_m = [W~ A_m; B_m C_m], the shared block leads; layers of other widths",
                  dims={"N": [1, 2, 3]})  # fmt: skip


class Baked(nn.Module):
    """Written for one image: the batch of one is a constant of the graph."""

    def __init__(self, features: nn.Module, classes: int):
        super().__init__()
        self.features, self.fc1, self.fc2 = features, nn.Linear(16 * 16, 24), nn.Linear(24, classes)

    def forward(self, x):
        y = self.features(x)
        return torch.softmax(self.fc2(torch.relu(self.fc1(y.view(1, -1)))), dim=1)


def batch1_baked(out: Path) -> dict:
    torch.manual_seed(10)
    features = randomise(nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1), BasicBlock(8, 8),
                                       nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU()), 10)  # fmt: skip
    files = []
    for i, classes in enumerate([5, 5, 3, 12]):
        torch.manual_seed(100 + i)
        model = Baked(features, classes)
        randomise(model.fc1, 100 + i), randomise(model.fc2, 100 + i)
        files.append(legacy(model, (torch.randn(1, 3, 32, 32),), out / f"net{i}.onnx", ["input"], ["output"]))
    return family(files, "no dynamic axes, x.view(1, -1): the batch of 1 is baked into Reshape constants")


def static_batches(out: Path) -> dict:
    torch.manual_seed(11)
    trunk = randomise(Trunk(6), 11)
    files = []
    for i, batch in enumerate([1, 4, 2]):
        torch.manual_seed(110 + i)
        model = Classes(trunk, 24, 6)
        randomise(model.fc, 110 + i)
        files.append(
            legacy(model, (torch.randn(batch, 3, 32, 32),), out / f"batch{batch}.onnx", ["image"], ["scores"])
        )
    return family(files, "one trunk exported with the static batch sizes 1, 4 and 2")


def mixed_opsets(out: Path) -> dict:
    torch.manual_seed(12)
    trunk = randomise(nn.Sequential(Stem(), nn.GroupNorm(4, 32), Inverted(32, 32)), 12)
    files = []
    for i, opset in enumerate([13, 17, 21]):
        torch.manual_seed(120 + i)
        model = nn.Sequential(
            trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten(), randomise(nn.Linear(32, 6), 120 + i)
        )
        args, path = (torch.randn(2, 3, 32, 32),), out / f"opset{opset}.onnx"
        if opset <= 20:
            files.append(
                legacy(model, args, path, ["image"], ["scores"], {**BATCH, "scores": {0: "N"}}, opset=opset)
            )
        else:
            files.append(dynamo(model, args, path, ["image"], ["scores"], [{0: "N"}], opset=opset))
    return family(
        files,
        "one trunk exported at opsets 13, 17 (TorchScript exporter) and 21 (torch.export-based)",
        dims={"N": [2, 3, 1]},
    )


def old_style(out: Path) -> dict:
    torch.manual_seed(13)
    trunk = randomise(Stem(), 13)
    files = []
    for i, classes in enumerate([4, 8]):
        torch.manual_seed(130 + i)
        model = nn.Sequential(trunk, nn.Upsample(scale_factor=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(),
                              randomise(nn.Linear(32, classes), 130 + i))  # fmt: skip
        files.append(legacy(model, (torch.randn(2, 3, 16, 16),), out / f"old{i}.onnx", ["data"], ["prob"],
                            {"data": {0: "batch"}, "prob": {0: "batch"}}, opset=9, keep_initializers_as_inputs=True))  # fmt: skip
    return family(
        files,
        "opset 9, initializers also listed as graph inputs, Upsample instead of Resize",
        dims={"batch": [1, 2, 3]},
    )


def half(out: Path) -> dict:
    trunk = resnet(8, 10, [1, 1, 1, 1], seed=14)
    files = [
        legacy(with_head(trunk, classes, 140 + i).half(), (torch.randn(2, 3, 32, 32).half(),), out / f"half{i}.onnx", ["image"], ["logits"],
               {**BATCH, "logits": {0: "N"}})
        for i, classes in enumerate([10, 6])
    ]  # fmt: skip
    return family(files, "float16 weights, inputs and outputs", dims={"N": [1, 2, 3]})


def external_data(out: Path) -> dict:
    trunk = resnet(6, 10, [1, 1, 1, 1], seed=15)
    files = [
        dynamo(with_head(trunk, classes, 150 + i), (torch.randn(2, 3, 32, 32),), out / f"ext{i}.onnx", ["image"], ["logits"], [{0: "N"}],
               external=True)
        for i, classes in enumerate([10, 6])
    ]  # fmt: skip
    return family(files, "weights in a .data file beside each model", dims={"N": [1, 2, 3]})


FAMILIES = [
    heads_on_trunk, eight_heads, trunk_dynamo, common_input, frozen_stages, bn_only, bn_folded, segmentation, mixed_stem, mtz_pair,
    batch1_baked, static_batches, mixed_opsets, old_style, half, external_data,
]  # fmt: skip
