"""Models that others wrote, each stitched with a variant of itself: ONNX's light model zoo and Debian's libonnx-testdata.

The light zoo (opset 9, IR 3, weights listed as inputs) comes with the onnx package; its weights are made random here.
libonnx-testdata's converted and simple graphs (opsets 6 to 17) are used where the package is installed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest
from cli import mts, stitch
from oracle import Family, Reference, duplicated
from variants import materialise, variant

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
DEBIAN = Path("/usr/share/libonnx-testdata/data")
TOO_LARGE = {
    "light_vgg19",
    "light_bvlc_alexnet",
    "light_zfnet512",
}  # 240 to 570 MB each once their weights are real


OLDEST_OPSET = 7  # what is older is refused


def light() -> list[Path]:
    return sorted(LIGHT.glob("light_*.onnx"))


def converted() -> list[Path]:
    return sorted(
        p
        for kind in ("pytorch-converted", "pytorch-operator", "simple")
        for p in DEBIAN.glob(f"{kind}/*/model.onnx")
    )


def pair(source: Path, folder: Path) -> Family:
    """The model and its variant in `folder`; skips what ONNX Runtime itself does not take or cannot be fed randomly."""
    first, second = folder / "plain.onnx", folder / "variant.onnx"
    shutil.copy(source, first)
    if source.parent == LIGHT and source.stem not in TOO_LARGE:
        onnx.save(materialise(onnx.load(first), 3), first)
    return Family(
        source.parent.name if source.parent != LIGHT else source.stem, [first, variant(first, second)]
    )


def check(family: Family, folder: Path, strategy: str) -> None:
    try:
        reference = Reference(family)
    except Exception as error:  # noqa: BLE001
        pytest.skip(f"the original does not run here: {str(error)[:200]}")
    if next(o.version for o in onnx.load(family.models[0]).opset_import if o.domain == "") < OLDEST_OPSET:
        refused = mts("stitch", *family.models, "-o", folder / "fused.onnx")
        assert refused.returncode == 3 and "opset" in refused.stderr and not (folder / "fused.onnx").exists()
        return
    fused = stitch(family.models, folder / "fused.onnx", strategy)
    problems = reference.differences(fused)
    problems += duplicated([onnx.load(m) for m in family.models], onnx.load(fused))
    assert not problems, "\n".join(problems[:10])


@pytest.mark.parametrize("strategy", ["auto", "stitch"])
@pytest.mark.parametrize("source", light(), ids=lambda p: p.stem)
def test_light_zoo(source: Path, strategy: str, tmp_path: Path):
    check(pair(source, tmp_path), tmp_path, strategy)


@pytest.mark.skipif(not DEBIAN.exists(), reason="libonnx-testdata is not installed")
@pytest.mark.parametrize("source", converted(), ids=lambda p: p.parent.name)
def test_debian_models(source: Path, tmp_path: Path):
    check(pair(source, tmp_path), tmp_path, "stitch")
