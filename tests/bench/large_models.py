"""Networks of real size for tests/bench/vs_onnxruntime.py: random weights, exported by torch once and kept in a folder.

In: the folder, a name of LARGE. Out: the ONNX file (float32, batch `N` dynamic, BatchNorm folded as exporters do), what its
integer inputs are drawn from, and the sizes of its other symbols. Needs torch, torchvision and transformers only where the
file is not there yet. Seeds are fixed; files are up to 0.6 GB.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

VOCABULARY = 30522
TOKENS = 128


@dataclasses.dataclass
class Large:
    """How a network is made, and how it is fed."""

    make: Callable  # -> torch module, example inputs, input names
    dims: dict[str, int] = dataclasses.field(default_factory=dict)
    ranges: dict[str, list[float]] = dataclasses.field(default_factory=dict)


def _image(batch: int = 2):
    import torch

    return (torch.randn(batch, 3, 224, 224),)


def _torchvision(name: str) -> Callable:
    def make():
        import torchvision

        return getattr(torchvision.models, name)(weights=None), _image(), ["x"]

    return make


def _vit_small():
    import torchvision

    network = torchvision.models.VisionTransformer(
        image_size=224, patch_size=16, num_layers=12, num_heads=6, hidden_dim=384, mlp_dim=1536
    )
    return network, _image(), ["x"]


def _bert_base():
    import torch
    from transformers import BertConfig, BertModel

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = BertModel(BertConfig(vocab_size=VOCABULARY, attn_implementation="eager"))

        def forward(self, input_ids, attention_mask):
            result = self.model(input_ids=input_ids, attention_mask=attention_mask)
            return result.last_hidden_state, result.pooler_output

    ids = torch.randint(0, VOCABULARY, (2, TOKENS))
    return Encoder(), (ids, torch.ones_like(ids)), ["input_ids", "attention_mask"]


LARGE = {
    "resnet50": Large(_torchvision("resnet50")),
    "mobilenet_v3": Large(_torchvision("mobilenet_v3_large")),
    "vgg16": Large(_torchvision("vgg16")),
    "bert_base": Large(_bert_base, {"S": TOKENS}, {"input_ids": [0, VOCABULARY], "attention_mask": [0, 2]}),
    "vit_small": Large(_vit_small),
}


def large_model(name: str, folder: Path) -> Path:
    """The file of a network, exported when it is not there."""
    path = folder / f"{name}.onnx"
    if path.exists():
        return path
    import torch

    torch.manual_seed(7)
    module, example, inputs = LARGE[name].make()
    # As trained networks have them: statistics that are not 0 and 1, so that folding them changes numbers.
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(layer.running_var, 0.8, 1.2)
    axes = {i: {0: "N"} | ({1: "S"} if "S" in LARGE[name].dims else {}) for i in inputs}
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    torch.onnx.export(
        module.eval(), example, unfinished, input_names=inputs, dynamic_axes=axes, opset_version=17, dynamo=False
    )
    unfinished.rename(path)
    return path
