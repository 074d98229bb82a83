"""What must hold for models that share rows or blocks of weights, after `mts stitch`: numbers, bytes, verify, determinism.

`MTS_KEEP_CASES=folder` keeps the models and the fused file of every case that fails.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from cli import mts, stitch
from onnx import TensorProto
from oracle import GENERATED_LIMIT, Family, Reference, all_nodes, stored_weights, unique_bytes
from partial_network import PartialFamily

SLACK = 1.01  # stored bytes / distinct bytes
INDICES = {TensorProto.INT16, TensorProto.UINT16, TensorProto.INT32, TensorProto.UINT32, TensorProto.UINT64}


def _is_generated(data: np.ndarray) -> bool:
    """A small tensor of zeros or ones, which a rewriter may add; anything else counts as weight, however small."""
    return data.nbytes <= GENERATED_LIMIT and bool((data == 0).all() or (data == 1).all())


def weight_bytes(model: onnx.ModelProto) -> int:
    """Bytes of float and quantised tensors wherever they lie: initializers and Constant nodes of any form.

    Wider integers are indices (which row of a merged embedding an entry has), no weights.
    """
    weights = [w for w in stored_weights(model) if w.dtype not in INDICES]
    total = sum(len(w.data) for w in weights if not (w.fill and _fill_is_generated(w)))
    for node in all_nodes(model):
        for attribute in node.attribute if node.op_type == "Constant" else []:
            total += 4 * (len(attribute.floats) + (attribute.name == "value_float"))
    return total


def _fill_is_generated(weight) -> bool:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(weight.dtype)
    return _is_generated(np.frombuffer(weight.data, dtype))


def problems_of(
    case: PartialFamily,
    folder: Path,
    strategy: str,
    share_input: bool,
    reference: Reference | None = None,
    whole_tensors: bool = False,
    flags: Sequence[str] = (),
) -> list[str]:
    """Everything that is wrong with the stitched models of `case`; writes them and the fused file into `folder`.

    `whole_tensors`: only those must be stored once, not every element. `flags`: more of them for `mts stitch`.
    """
    family = case.save(folder, share_input)
    fused = stitch(family.models, folder / "fused.onnx", strategy, family.share_inputs, *flags)
    problems = (reference or Reference(family)).differences(fused)
    stored = weight_bytes(onnx.load(fused))
    distinct = unique_bytes(case.models) if whole_tensors else case.unique_bytes
    if stored > (1 if whole_tensors else SLACK) * distinct:
        whole = sum(weight_bytes(m) for m in case.models)
        problems.append(f"{stored} weight bytes, {distinct} distinct ({stored / distinct:.3f}), {whole} in the originals")
    again = stitch(family.models, folder / "again.onnx", strategy, family.share_inputs, *flags)
    if again.read_bytes() != fused.read_bytes():
        problems.append("other bytes in the second run")
    problems += _verify(family, case, fused)
    if problems:
        _keep(folder, f"{case.name}_{strategy}" + ("_shared_input" if share_input else ""))
    return problems


def _verify(family: Family, case: PartialFamily, fused: Path) -> list[str]:
    ranges = [f"--range={name}={low}:{high}" for name, (low, high) in case.ranges.items()]
    done = mts("verify", fused, "--against", *family.models, "--dim=N=2", *ranges)
    return [] if done.returncode == 0 else [f"verify: {done.returncode}\n{done.stdout[-1500:]}{done.stderr[-500:]}"]


def _keep(folder: Path, name: str) -> None:
    if kept := os.environ.get("MTS_KEEP_CASES"):
        shutil.copytree(folder, Path(kept) / name, dirs_exist_ok=True)
