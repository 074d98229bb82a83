"""Families for one property each: control flow, recurrence, quantisation, functions, pipelines, odd outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxscript
import torch
import torch.nn.functional as F
import torchvision
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxscript import opset18 as op
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from .cnn import Stem, Trunk, resnet, with_head
from .export import dynamo, family, legacy, neutral_paths, randomise


class Steps(nn.Module):
    """A refinement loop whose count is computed, and a branch on the image's sum, which inputs with mean 0 take both
    ways: Loop and If that capture weights."""

    def __init__(self, trunk: nn.Module, classes: int):
        super().__init__()
        self.trunk, self.refine, self.high, self.low = (
            trunk,
            nn.Linear(32, 32),
            nn.Linear(32, classes),
            nn.Linear(32, classes),
        )

    def forward(self, x: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        y = self.trunk(x).mean(dim=[2, 3])
        for _ in range(int(steps)):
            y = torch.tanh(self.refine(y)) + y
        if bool(x.sum() > 0):
            z = self.high(y)
        else:
            z = self.low(y) * 2
        return z


def control_flow(out: Path) -> dict:
    torch.manual_seed(40)
    trunk = randomise(Stem(), 40)
    refine = randomise(nn.Linear(32, 32), 41)
    files = []
    for i, classes in enumerate([5, 5, 3]):
        torch.manual_seed(400 + i)
        model = Steps(trunk, classes)
        model.refine = refine
        randomise(model.high, 400 + i), randomise(model.low, 410 + i)
        scripted = torch.jit.script(model.eval())
        files.append(legacy(scripted, (torch.randn(2, 3, 16, 16), torch.tensor(2)), out / f"loop{i}.onnx", ["image", "steps"], ["scores"],
                            {"image": {0: "N"}, "scores": {0: "N"}}))  # fmt: skip
    return family(files, "scripted Loop and If after a shared stem; the bodies capture a shared weight and distinct ones",
                  dims={"N": [1, 2, 3]}, ranges={"steps": [0, 4]})  # fmt: skip


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], core: nn.RNNBase | None, classes: int):
        super().__init__()
        self.core = (
            core
            if core is not None
            else kind(12, 20, num_layers=2, bidirectional=kind is nn.LSTM, batch_first=True)
        )
        self.head = nn.Linear(self.core.hidden_size * (2 if self.core.bidirectional else 1), classes)

    def forward(self, series):
        y, _ = self.core(series)
        return self.head(y)


def recurrent(out: Path, kind: type[nn.RNNBase], seed: int, notes: str) -> dict:
    core, files = None, []
    for i, classes in enumerate([4, 4, 7]):
        torch.manual_seed(seed * 10 + i)
        model = Recurrent(kind, core, classes)
        core = model.core
        randomise(model.head, seed * 10 + i)
        files.append(legacy(model, (torch.randn(2, 9, 12),), out / f"{kind.__name__.lower()}{i}.onnx", ["series"], ["tags"],
                            {"series": {0: "N", 1: "T"}, "tags": {0: "N", 1: "T"}}))  # fmt: skip
    return family(files, notes, dims={"N": [1, 2, 3], "T": [9, 5]})


def lstm(out: Path) -> dict:
    return recurrent(out, nn.LSTM, 42, "two bidirectional LSTM layers shared, three heads")


def gru(out: Path) -> dict:
    return recurrent(out, nn.GRU, 43, "two GRU layers shared, three heads")


class Samples(CalibrationDataReader):
    def __init__(self, name: str, shape: tuple[int, ...], count: int = 8):
        random = np.random.default_rng(44)
        self.batches = iter([{name: random.standard_normal(shape, dtype=np.float32)} for _ in range(count)])

    def get_next(self):
        return next(self.batches, None)


def quantized_qdq(out: Path) -> dict:
    """Statically quantised per channel; the two models were calibrated on the same data, so trunk scales agree."""
    trunk = resnet(8, 10, [1, 1, 1, 1], seed=44)
    files = []
    for i, classes in enumerate([10, 5]):
        source = legacy(with_head(trunk, classes, 440 + i), (torch.randn(2, 3, 32, 32),), out / f"float{i}.onnx", ["image"], ["logits"],
                        {"image": {0: "N"}, "logits": {0: "N"}})  # fmt: skip
        target = out / f"qdq{i}.onnx"
        quant_pre_process(str(source), str(target))
        quantize_static(str(target), str(target), Samples("image", (2, 3, 32, 32)), quant_format=QuantFormat.QDQ, per_channel=True,
                        weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8)  # fmt: skip
        source.unlink()
        files.append(target)
    return family(
        files, "QDQ: int8 weights per channel, uint8 activations, one calibration", dims={"N": [1, 2, 3]}
    )


def quantized_dynamic(out: Path) -> dict:
    torch.manual_seed(45)
    body = randomise(
        nn.Sequential(nn.Linear(24, 48), nn.GELU(), nn.LayerNorm(48), nn.Linear(48, 32), nn.ReLU()), 45
    )
    files = []
    for i, classes in enumerate([6, 6, 3]):
        torch.manual_seed(450 + i)
        model = nn.Sequential(body, randomise(nn.Linear(32, classes), 450 + i))
        source = legacy(
            model,
            (torch.randn(2, 5, 24),),
            out / f"float{i}.onnx",
            ["x"],
            ["y"],
            {"x": {0: "N", 1: "T"}, "y": {0: "N", 1: "T"}},
        )
        target = out / f"dynamic{i}.onnx"
        quantize_dynamic(str(source), str(target), weight_type=QuantType.QInt8)
        source.unlink()
        files.append(target)
    return family(files, "dynamically quantised: DynamicQuantizeLinear takes one scale over the whole tensor, MatMulInteger",
                  dims={"N": [1, 2, 3], "T": [5, 3]})  # fmt: skip


DOMAIN = onnxscript.values.Opset("mts.example", 1)


@onnxscript.script(DOMAIN)
def gated(x, w, v):
    """x w * sigmoid(x v), kept as a model-local function."""
    return op.Mul(op.MatMul(x, w), op.Sigmoid(op.MatMul(x, v)))


@onnxscript.script(DOMAIN)
def block(x, w, v, scale):
    y = gated(x, w, v)
    return op.LayerNormalization(op.Add(x, y), scale, axis=-1)


def functions(out: Path) -> dict:
    random = np.random.default_rng(46)
    shared = [random.standard_normal((16, 16), dtype=np.float32) * 0.3 for _ in range(4)]
    scale = random.uniform(0.5, 1.5, 16).astype(np.float32)
    files = []
    for i, classes in enumerate([3, 5]):
        w1, v1, w2, v2 = (onnx.numpy_helper.from_array(w) for w in shared)
        norm = onnx.numpy_helper.from_array(scale)
        head = onnx.numpy_helper.from_array(random.standard_normal((16, classes), dtype=np.float32))

        @onnxscript.script(default_opset=op)
        def network(x: onnxscript.FLOAT["N", 16]) -> onnxscript.FLOAT["N", None]:  # noqa: F821
            y = block(x, op.Constant(value=w1), op.Constant(value=v1), op.Constant(value=norm))
            y = block(y, op.Constant(value=w2), op.Constant(value=v2), op.Constant(value=norm))
            return op.MatMul(y, op.Constant(value=head))

        path = out / f"net{i}.onnx"
        onnx.save(network.to_model_proto(), path)
        neutral_paths(path)
        files.append(path)
    return family(
        files,
        "onnxscript: nested model-local functions of an own domain, weights in Constant nodes",
        dims={"N": [1, 2, 3]},
    )


def sklearn(out: Path) -> dict:
    """Two scikit-learn pipelines that share a scaler and a torch perceptron, on digits as vectors of 64."""
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32)
    scaler = StandardScaler().fit(x)
    files = []
    for name, model, target in (
        ("linear", LogisticRegression(max_iter=200), y),
        ("forest", RandomForestClassifier(8, max_depth=5, random_state=0), y % 2),
    ):
        model.fit(scaler.transform(x), target)
        converted = to_onnx(
            Pipeline([("scaler", scaler), (name, model)]),
            initial_types=[("x", FloatTensorType([None, 64]))],
            target_opset=17,
            name=name,
        )
        (out / f"{name}.onnx").write_bytes(converted.SerializeToString(deterministic=True))
        files.append(out / f"{name}.onnx")
    torch.manual_seed(47)
    perceptron = randomise(nn.Sequential(nn.Linear(64, 20), nn.Tanh(), nn.Linear(20, 10), nn.Softmax(-1)), 47)
    files.append(
        legacy(
            perceptron,
            (torch.randn(2, 64),),
            out / "perceptron.onnx",
            ["x"],
            ["p"],
            {"x": {0: "N"}, "p": {0: "N"}},
        )
    )
    return family(files, "pipelines of scikit-learn (ai.onnx.ml: Scaler, LinearClassifier, TreeEnsemble, ZipMap) beside a perceptron",
                  share_inputs=["x"], dims={"N": [1, 2, 3]})  # fmt: skip


class Projection(nn.Module):
    """One Linear written in three ways, so that exporters store its weight in three layouts."""

    def __init__(self, first: nn.Linear, second: nn.Linear, head: nn.Linear, way: str):
        super().__init__()
        self.first, self.second, self.head, self.way = first, second, head, way

    def forward(self, x):
        if self.way == "gemm":
            y = torch.relu(self.first(x))
            return self.head(torch.relu(self.second(y)))
        if self.way == "matmul":
            y = torch.relu(self.first(x.unsqueeze(1)))
            return self.head(torch.relu(self.second(y)).squeeze(1))
        y = torch.relu(x @ self.first.weight.t() + self.first.bias)
        return self.head(torch.relu(F.linear(y, self.second.weight) + self.second.bias))


def linear_layouts(out: Path) -> dict:
    torch.manual_seed(48)
    first, second = randomise(nn.Linear(20, 32), 480), randomise(nn.Linear(32, 24), 481)
    files = []
    for i, (way, folding) in enumerate([("gemm", True), ("matmul", True), ("transpose", False)]):
        torch.manual_seed(482 + i)
        model = Projection(first, second, randomise(nn.Linear(24, 4 + i), 482 + i), way)
        files.append(legacy(model, (torch.randn(2, 20),), out / f"{way}.onnx", ["x"], ["y"], {"x": {0: "N"}, "y": {0: "N"}},
                            do_constant_folding=folding))  # fmt: skip
    torch.manual_seed(486)
    model = Projection(first, second, randomise(nn.Linear(24, 3), 486), "matmul")
    files.append(dynamo(model, (torch.randn(2, 20),), out / "dynamo.onnx", ["x"], ["y"], [{0: "N"}]))
    return family(
        files,
        "the same two Linear layers as Gemm, MatMul of a transposed constant, and MatMul behind a Transpose",
        dims={"N": [1, 2, 3]},
    )


class Echo(nn.Module):
    def __init__(self, trunk: nn.Module, head: nn.Module):
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, image, key):
        features = self.trunk(image).mean(dim=(2, 3))
        scores = self.head(features)
        return scores, features, features, key, scores.argmax(1), scores > 0


def echoes(out: Path) -> dict:
    torch.manual_seed(49)
    trunk = randomise(Trunk(4), 49)
    files = []
    for i, classes in enumerate([6, 9]):
        torch.manual_seed(490 + i)
        model = Echo(trunk, randomise(nn.Linear(16, classes), 490 + i))
        outputs = ["scores", "features", "again", "key_out", "label", "positive"]
        files.append(legacy(model, (torch.randn(2, 3, 16, 16), torch.arange(2)), out / f"echo{i}.onnx", ["image", "key"], outputs,
                            {n: {0: "N"} for n in ["image", "key", *outputs]}))  # fmt: skip
    return family(files, "an input echoed as an output, one value twice, integer and boolean outputs", dims={"N": [1, 2, 3]},
                  ranges={"key": [0, 1000]})  # fmt: skip


class Detector(nn.Module):
    """A one-level detector for one image: TopK, Gather and NonMaxSuppression, so the output's length is unknown."""

    def __init__(self, trunk: nn.Module, classes: int):
        super().__init__()
        self.trunk, self.boxes, self.scores = trunk, nn.Conv2d(24, 4, 1), nn.Conv2d(24, classes, 1)

    def forward(self, image):
        features = self.trunk(image)
        centre, size = self.boxes(features).flatten(2).transpose(1, 2)[0].chunk(2, dim=-1)
        boxes = torch.cat([centre - size.exp(), centre + size.exp()], -1)
        best, label = self.scores(features).flatten(2).softmax(1)[0].max(0)
        best, order = best.topk(12)
        boxes = boxes[order]
        keep = torchvision.ops.nms(boxes, best, 0.5)
        return boxes[keep], best[keep], label[order][keep]


def detector(out: Path) -> dict:
    torch.manual_seed(50)
    trunk = randomise(Trunk(6), 50)
    files = []
    for i, classes in enumerate([3, 6]):
        torch.manual_seed(500 + i)
        model = Detector(trunk, classes)
        randomise(model.boxes, 500 + i), randomise(model.scores, 510 + i)
        files.append(legacy(model, (torch.randn(1, 3, 48, 48),), out / f"detector{i}.onnx", ["image"], ["boxes", "scores", "labels"],
                            {"boxes": {0: "K"}, "scores": {0: "K"}, "labels": {0: "K"}}))  # fmt: skip
    return family(
        files,
        "shared trunk, box and class heads, TopK and NonMaxSuppression: the number of boxes depends on the data",
    )


def nothing_shared(out: Path) -> dict:
    torch.manual_seed(51)
    image = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6 * 49, 10))
    table = nn.Sequential(nn.Linear(12, 32), nn.BatchNorm1d(32), nn.GELU(), nn.Linear(32, 1))
    signal = nn.Sequential(
        nn.Conv1d(2, 8, 5, stride=2),
        nn.GLU(1),
        nn.Conv1d(4, 8, 3, dilation=2),
        nn.AdaptiveMaxPool1d(1),
        nn.Flatten(),
    )
    inputs = {"image": (image, (2, 1, 16, 16)), "table": (table, (2, 12)), "signal": (signal, (2, 2, 64))}
    files = [
        legacy(randomise(model, 51 + i), (torch.randn(*shape),), out / f"{name}.onnx", [name], ["y"], {name: {0: "N"}, "y": {0: "N"}})
        for i, (name, (model, shape)) in enumerate(inputs.items())
    ]  # fmt: skip
    return family(
        files, "three unrelated networks: nothing to stitch, and nothing may get worse", dims={"N": [1, 2, 3]}
    )


class Video(nn.Module):
    def __init__(self, trunk: nn.Module, classes: int):
        super().__init__()
        self.trunk, self.head = trunk, nn.Conv3d(12, classes, 1)

    def forward(self, clip):
        return self.head(self.trunk(clip)).amax(dim=(3, 4))


def video(out: Path) -> dict:
    torch.manual_seed(52)
    trunk = randomise(nn.Sequential(nn.Conv3d(3, 8, 3, (1, 2, 2), 1), nn.BatchNorm3d(8), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(8, 12, (3, 1, 1)),
                                    nn.Mish()), 52)  # fmt: skip
    files = []
    for i, classes in enumerate([4, 4]):
        torch.manual_seed(520 + i)
        model = Video(trunk, classes)
        randomise(model.head, 520 + i)
        files.append(
            legacy(
                model,
                (torch.randn(2, 3, 8, 16, 16),),
                out / f"clip{i}.onnx",
                ["clip"],
                ["events"],
                {"clip": {0: "N"}, "events": {0: "N"}},
            )
        )
    return family(files, "Conv3d trunk, two heads of equal shape and distinct weights", dims={"N": [1, 2, 3]})


FAMILIES = [
    control_flow, lstm, gru, quantized_qdq, quantized_dynamic, functions, sklearn, linear_layouts, echoes, detector, nothing_shared, video,
]  # fmt: skip
