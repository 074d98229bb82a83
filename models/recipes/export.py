"""Exporting one torch module to one ONNX file, by either of torch's exporters, and describing a family.

The files keep whatever the exporter wrote: no simplifier, no renaming. The one thing that is changed is the place
where packages were installed when the models were made: exporters record source paths in their stack traces, and
such a path would differ from machine to machine.
"""

from __future__ import annotations

import logging
import re
import site
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import onnx
import torch
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
_INSTALLED = re.compile(
    "|".join(
        re.escape(p)
        for p in sorted(
            {*site.getsitepackages(), sys.prefix, sys.base_prefix, str(ROOT)}, key=len, reverse=True
        )
    )
)


def family(
    models: Sequence[Path],
    notes: str,
    *,
    share_inputs: Sequence[str] = (),
    dims: Mapping[str, Sequence[int]] | None = None,
    ranges: Mapping[str, Sequence[float]] | None = None,
) -> dict:
    """What families.json says about a family; the driver adds its name."""
    return {
        "models": [str(m.relative_to(ROOT)) for m in models],
        "share_inputs": list(share_inputs),
        "dims": {k: list(v) for k, v in (dims or {}).items()},
        "ranges": {k: list(v) for k, v in (ranges or {}).items()},
        "notes": notes,
    }


def neutral_paths(path: Path) -> None:
    """Rewrites the exporter's source paths in metadata and doc strings (`<packages>/torch/...`)."""
    model = onnx.load(path, load_external_data=False)

    def clean(text: str) -> str:
        return _INSTALLED.sub("<packages>", text)

    def visit(graph: onnx.GraphProto | onnx.FunctionProto) -> None:
        graph.doc_string = clean(graph.doc_string)
        for node in graph.node:
            node.doc_string = clean(node.doc_string)
            for entry in node.metadata_props:
                entry.value = clean(entry.value)
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    visit(attribute.g)
        for entry in graph.metadata_props:
            entry.value = clean(entry.value)

    visit(model.graph)
    for function in model.functions:
        visit(function)
    path.write_bytes(model.SerializeToString(deterministic=True))


def legacy(
    module: nn.Module | Callable,
    args: tuple,
    path: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
    *,
    opset: int = 17,
    **options,
) -> Path:
    """torch.onnx's TorchScript exporter: BatchNorm folded, constants as nodes, names such as `onnx::Conv_193`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(module, nn.Module) and "training" not in options:
        module.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, args, str(path), input_names=list(inputs), output_names=list(outputs),
            dynamic_axes={k: dict(v) for k, v in (dynamic or {}).items()}, opset_version=opset, dynamo=False, **options,
        )  # fmt: skip
    neutral_paths(path)
    return path


def dynamo(
    module: nn.Module,
    args: tuple,
    path: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic: Sequence[Mapping[int, str] | None] | None = None,
    *,
    opset: int | None = None,
    external: bool = False,
    **options,
) -> Path:
    """torch.onnx's torch.export-based exporter: `dynamic` holds one {axis: symbol} for each positional argument."""
    path.parent.mkdir(parents=True, exist_ok=True)
    module.eval()
    shapes = (
        tuple({a: torch.export.Dim(s) for a, s in (d or {}).items()} for d in dynamic) if dynamic else None
    )
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module, args, dynamo=True, input_names=list(inputs), output_names=list(outputs), dynamic_shapes=shapes,
            opset_version=opset, verbose=False, **options,
        )  # fmt: skip
        program.save(str(path), external_data=external)
    neutral_paths(path)
    return path


# ---- weights ---------------------------------------------------------------------------------------------------


def randomise(module: nn.Module, seed: int) -> nn.Module:
    """Gives norms, biases and running statistics values that show a mistake (a fresh BatchNorm is an identity)."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(t: torch.Tensor, low: float, high: float) -> None:
        t.data.copy_(torch.rand(t.shape, generator=generator) * (high - low) + low)

    for m in module.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.running_mean is not None:
            uniform(m.running_mean, -0.3, 0.3)
            uniform(m.running_var, 0.5, 1.5)
        if (
            isinstance(m, (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm))
            and m.weight is not None
        ):
            uniform(m.weight, 0.7, 1.3)
            uniform(m.bias, -0.2, 0.2)
        elif getattr(m, "bias", None) is not None and isinstance(m.bias, nn.Parameter):
            uniform(m.bias, -0.2, 0.2)
    return module.eval()


def perturb(module: nn.Module, seed: int, match: Callable[[str], bool], scale: float = 0.1) -> nn.Module:
    """A fine-tuned variant: every parameter and running statistic whose name matches moves a little."""
    generator = torch.Generator().manual_seed(seed)
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    touched = 0
    for name, t in state.items():
        if match(name) and t.is_floating_point():
            noise = torch.randn(t.shape, generator=generator)
            spread = t.data.float().std() if t.numel() > 1 else t.data.float().abs()
            t.data.add_((noise * scale * (spread + 0.01)).to(t.dtype))
            if name.endswith("running_var"):
                t.data.abs_().add_(0.1)
            touched += 1
    if not touched:
        raise ValueError("no parameter matches: the variants would be equal")
    return module.eval()
