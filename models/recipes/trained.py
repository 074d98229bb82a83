"""Families trained on scikit-learn's digits (1797 images of 8x8): the numbers of these models mean something."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from .export import family, legacy

DIMS = {"image": {0: "N"}, "logits": {0: "N"}}
TASKS = {"digit": lambda y: y, "parity": lambda y: y % 2, "half": lambda y: (y >= 5).long()}


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    return images, torch.tensor(data.target.astype(np.int64))


def fit(model: nn.Module, parameters, x, y, steps: int, seed: int, after_step=None) -> float:
    """Minibatch Adam on cross-entropy; returns the accuracy on the last fifth, which is not trained on."""
    torch.use_deterministic_algorithms(True)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(list(parameters), lr=3e-3)
    split = len(x) * 4 // 5
    model.train()
    for _ in range(steps):
        batch = torch.randint(0, split, (128,), generator=generator)
        optimiser.zero_grad()
        F.cross_entropy(model(x[batch]), y[batch]).backward()
        optimiser.step()
        if after_step:
            after_step()
    return evaluate(model, x, y)


def evaluate(model: nn.Module, x, y) -> float:
    split = len(x) * 4 // 5
    with torch.no_grad():
        return (model.eval()(x[split:]).argmax(1) == y[split:]).float().mean().item()


def trunk() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 48), nn.ReLU(),
    )  # fmt: skip


def export(model: nn.Module, path: Path) -> Path:
    return legacy(model, (torch.randn(2, 1, 8, 8),), path, ["image"], ["logits"], DIMS)


def digits_heads(out: Path) -> dict:
    torch.manual_seed(30)
    x, y = digits()
    shared = trunk()
    first = nn.Sequential(shared, nn.Linear(48, 10))
    accuracy = {"digit": fit(first, first.parameters(), x, y, 250, 30)}
    files = [export(first, out / "digit.onnx")]
    for name, classes in (("parity", 2), ("half", 2)):
        model = nn.Sequential(shared, nn.Sequential(nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, classes)))
        fit(model, model[1].parameters(), x, TASKS[name](y), 150, 31, freeze(shared))
        accuracy[name] = evaluate(model, x, TASKS[name](y))
        files.append(export(model, out / f"{name}.onnx"))
    return family(
        files,
        f"trained on digits: trunk frozen, heads for {described(accuracy)}",
        share_inputs=["image"],
        dims={"N": [1, 2, 3, 17]},
    )


def freeze(module: nn.Module):
    """Puts the module's state back after each step: a BatchNorm's statistics move although nothing is optimised."""
    state = deepcopy(module.state_dict())
    return lambda: module.load_state_dict(state)


def described(accuracy: dict[str, float]) -> str:
    return ", ".join(f"{name} ({value:.0%})" for name, value in accuracy.items())


def digits_finetuned(out: Path) -> dict:
    """One network fine-tuned on flipped and on noisy digits with its first convolution frozen."""
    torch.manual_seed(31)
    x, y = digits()
    base = nn.Sequential(trunk(), nn.Linear(48, 10))
    fit(base, base.parameters(), x, y, 200, 32)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(33)) * 0.2
    accuracy, files = {"plain": evaluate(base, x, y)}, [export(base, out / "plain.onnx")]
    for name, images in (("mirrored", x.flip(-1)), ("noisy", x + noise)):
        model = deepcopy(base)
        tuned = [p for n, p in model.named_parameters() if not n.startswith(("0.0.", "0.1."))]
        fit(model, tuned, images, y, 120, 34, freeze(model[0][:4]))
        accuracy[name] = evaluate(model, images, y)
        files.append(export(model, out / f"{name}.onnx"))
    return family(
        files,
        f"trained on digits: first block frozen, the rest fine-tuned for {described(accuracy)}",
        dims={"N": [1, 2, 3, 17]},
    )


class Perceptron(nn.Module):
    def __init__(self, widths: list[int], classes: int):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = (
            nn.Linear(64, widths[0]),
            nn.Linear(widths[0], widths[1]),
            nn.Linear(widths[1], classes),
        )

    def forward(self, image):
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(image.flatten(1))))))


def digits_mtz(out: Path) -> dict:
    """Two perceptrons whose leading neurons are trained together and stay equal: W_m = [W~ A_m; B_m C_m]."""
    torch.manual_seed(32)
    x, y = digits()
    a, b = Perceptron([48, 40], 10), Perceptron([40, 40], 2)
    shared = {"fc1": (32, 64), "fc2": (24, 32)}

    def tie() -> None:
        with torch.no_grad():
            for name, (rows, columns) in shared.items():
                first, second = a.get_submodule(name), b.get_submodule(name)
                weight = (first.weight[:rows, :columns] + second.weight[:rows, :columns]) / 2
                bias = (first.bias[:rows] + second.bias[:rows]) / 2
                for layer in (first, second):
                    layer.weight[:rows, :columns] = weight
                    layer.bias[:rows] = bias

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = a, b

        def forward(self, images):
            return torch.cat([self.a(images), self.b(images)], 1)

    both = Both()
    optimiser = torch.optim.Adam(both.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(35)
    for _ in range(300):
        batch = torch.randint(0, len(x) * 4 // 5, (128,), generator=generator)
        optimiser.zero_grad()
        (F.cross_entropy(a(x[batch]), y[batch]) + F.cross_entropy(b(x[batch]), y[batch] % 2)).backward()
        optimiser.step()
        tie()
    accuracy = {"digit": evaluate(a, x, y), "parity": evaluate(b, x, y % 2)}
    files = [export(a, out / "digit.onnx"), export(b, out / "parity.onnx")]
    return family(
        files,
        f"trained on digits: two perceptrons zipped neuron by neuron, {described(accuracy)}",
        dims={"N": [1, 2, 3, 17]},
    )


FAMILIES = [digits_heads, digits_finetuned, digits_mtz]
