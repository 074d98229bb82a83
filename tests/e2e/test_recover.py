"""`--recover`: what folded BatchNorms, merged LoRA and rounding hide is stored once, within the bounds and the tolerances."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
from cli import mts, stitch
from oracle import Family, Reference, duplicated, stored_weights
from recover_models import (
    base_weights,
    bert,
    factor_bytes,
    float_bytes,
    merged_lora,
    resnet,
    rounded_apart,
)


def saved(folder: Path, models: dict[str, onnx.ModelProto]) -> list[Path]:
    for name, model in models.items():
        onnx.save(model, folder / f"{name}.onnx")
    return [folder / f"{name}.onnx" for name in models]


def family(models: Sequence[Path]) -> Family:
    """ResNets: [N,3,32,32] images. BERTs: [N,S] tokens below 100."""
    return Family("recover", list(models), dims={"N": [1, 2], "S": [7, 3]}, ranges={"ids": [0, 100]})


def weight_bytes(path: Path) -> int:
    return sum(len(w.data) for w in stored_weights(onnx.load(path)))


def check(fused: Path, models: Sequence[Path]) -> None:
    """Numbers by ONNX Runtime, nothing stored twice, `mts verify` agrees."""
    problems = Reference(family(models)).differences(fused)
    assert not problems, "\n".join(problems[:20])
    onnx.checker.check_model(str(fused), full_check=True)
    assert not duplicated([onnx.load(m) for m in models], onnx.load(fused))
    flags = ["--range", "ids=0:100"] if any(i.name == "ids" for i in onnx.load(models[0]).graph.input) else []
    done = mts("verify", fused, "--against", *models, *flags)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def convolutions_of(path: Path, parts: int = 1) -> set[bytes]:
    """Weights of more than 64 KB, as they are and cut into equal parts (grouped ones lie side by side)."""
    large = [w.data for w in stored_weights(onnx.load(path)) if len(w.data) > 1 << 16]
    pieces = [d[i : i + len(d) // parts] for d in large for i in range(0, len(d), len(d) // parts)]
    return {*large, *pieces}


def recovered(fused: Path, models: Sequence[Path], kinds: str) -> list[dict]:
    """Stitches with --recover; what the report says of it."""
    report = fused.with_suffix(".json")
    stitch(models, fused, "auto", (), "--recover", kinds, "--report", str(report))
    return json.loads(report.read_text())["recovered"]


@pytest.fixture(scope="module")
def folded(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("folded")
    return saved(folder, {name: resnet(1, 10 + i, True) for i, name in enumerate(["day", "night", "rain"])})


def test_folded_batchnorms_cost_no_more_than_unfolded_ones(folded, tmp_path):
    unfolded = saved(tmp_path, {m.stem: resnet(1, 10 + i, False) for i, m in enumerate(folded)})
    limit = 1.1 * weight_bytes(stitch(unfolded, tmp_path / "unfolded.onnx"))
    assert weight_bytes(stitch(folded, tmp_path / "exact.onnx")) > 2 * limit
    weights = recovered(tmp_path / "fused.onnx", folded, "scaled")
    assert len(weights) == 3 * 20
    assert {w["kind"] for w in weights} == {"scaled"}
    assert weight_bytes(tmp_path / "fused.onnx") <= limit
    check(tmp_path / "fused.onnx", folded)


@pytest.mark.parametrize("with_base", [True, False], ids=["base_given", "base_unknown"])
def test_merged_lora_costs_its_base_and_its_factors(tmp_path, with_base):
    base = base_weights(3)
    models = {f"lora{i}": bert(merged_lora(base, 20 + i), 5, i) for i in range(3)}
    plain = bert(base, 5, 100)
    if with_base:
        models["base"] = plain
    paths = saved(tmp_path, models)
    heads = sum(float_bytes(m, lambda name: name == "head") for m in models.values())
    whole = float_bytes(plain, lambda name: name != "head") + heads + 3 * factor_bytes(8)
    weights = recovered(tmp_path / "fused.onnx", paths, "lowrank=1e-5")
    assert [w["rank"] for w in weights] == [8] * 36
    assert weight_bytes(tmp_path / "fused.onnx") <= 1.15 * whole
    assert weight_bytes(tmp_path / "fused.onnx") <= 1.001 * whole  # in fact
    check(tmp_path / "fused.onnx", paths)


def test_two_exporters_of_one_trunk_are_stored_once(tmp_path):
    model = resnet(1, 10, True)
    paths = saved(tmp_path, {"one": model, "other": rounded_apart(model, 7)})
    assert weight_bytes(stitch(paths, tmp_path / "exact.onnx")) > 1.9 * float_bytes(model)
    weights = recovered(tmp_path / "fused.onnx", paths, "near")
    assert {w["model"] for w in weights} == {"other"}
    assert weight_bytes(tmp_path / "fused.onnx") == float_bytes(model)
    check(tmp_path / "fused.onnx", paths)


def test_kinds_work_together(tmp_path):
    """Two tuned networks, one of them also by another exporter."""
    day, night = resnet(1, 10, True), resnet(1, 11, True)
    paths = saved(tmp_path, {"day": day, "night": night, "again": rounded_apart(night, 3)})
    weights = recovered(tmp_path / "fused.onnx", paths, "near=1e-6,scaled=1e-6,lowrank=1e-5")
    assert {w["kind"] for w in weights} == {"near", "scaled"}
    assert weight_bytes(tmp_path / "fused.onnx") < 1.05 * float_bytes(day)
    check(tmp_path / "fused.onnx", paths)


def test_every_recovered_weight_is_reported(folded, tmp_path):
    weights = recovered(tmp_path / "fused.onnx", folded, "scaled=1e-6")
    model = onnx.load(folded[1])
    convolutions = {n.input[1]: n.name for n in model.graph.node if n.op_type == "Conv"}
    own = {w["value"]: w for w in weights if w["model"] == "night"}
    assert set(own) == set(convolutions)
    for name, weight in own.items():
        assert weight["node"] == convolutions[name]
        assert 0 < weight["error"] <= 1e-6
        assert weight["bytes_before"] == float_bytes(model, lambda n, name=name: n == name)
        assert weight["bytes_after"] < weight["bytes_before"]
    entry = {p.key: p.value for p in onnx.load(tmp_path / "fused.onnx").metadata_props}["mts.recovered"]
    assert [(w["model"], w["value"], w["error"]) for w in json.loads(entry)] == [
        (w["model"], w["value"], w["error"]) for w in weights
    ]
    shown = mts("inspect", *folded, "--recover", "scaled")
    assert shown.returncode == 0, shown.stderr
    assert "scaled" in shown.stdout
    assert json.loads(mts("inspect", *folded, "--recover", "scaled", "--json").stdout)["recovered"] == weights


def test_same_bytes_again(tmp_path):
    base = base_weights(3)
    paths = saved(tmp_path, {f"lora{i}": bert(merged_lora(base, 20 + i), 5, i) for i in range(3)})
    files = [
        stitch(paths, tmp_path / name, "auto", (), "--recover", "lowrank").read_bytes()
        for name in ("a.onnx", "b.onnx")
    ]
    assert files[0] == files[1]


def test_nothing_is_recovered_unasked(folded, tmp_path):
    fused = stitch(folded, tmp_path / "fused.onnx", "concat")  # the others split weights for equal rows
    assert "mts.recovered" not in {p.key for p in onnx.load(fused).metadata_props}
    assert not [m for m in folded if convolutions_of(m) - convolutions_of(fused, parts=len(folded))]


def test_verify_fails_when_the_bound_was_too_loose(tmp_path):
    """Weights 0.8 % apart are taken for one when that is asked for; the outputs then leave the tolerance."""
    model = resnet(1, 10, True)
    paths = saved(tmp_path, {"one": model, "other": rounded_apart(model, 7, 8e-3)})
    assert recovered(tmp_path / "tight.onnx", paths, "near") == []
    assert len(recovered(tmp_path / "fused.onnx", paths, "near=1e-2")) > 0
    done = mts("verify", tmp_path / "fused.onnx", "--against", *paths)
    assert done.returncode == 1, done.stdout[-2000:]
    assert "above tolerance" in done.stdout
