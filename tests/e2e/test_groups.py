"""Groups, budgets and replayed plans over every family: numbers, bytes, order, and the memory that is really held."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx
import pytest
from cli import mts
from conftest import families
from oracle import Family, Reference, duplicated

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

from sweep_models import NETWORKS  # noqa: E402


def report(family: Family, output, *flags) -> dict:
    shared = [f"--share-input={name}" for name in family.share_inputs]
    done = mts("-q", "stitch", *family.models, "-o", output, "--json", *shared, *flags)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def metadata(model: onnx.ModelProto, key: str) -> str:
    return next((p.value for p in model.metadata_props if p.key == key), "")


@pytest.fixture(scope="module", params=[2, 0], ids=["two", "each"])
def grouped(request, family: Family, tmp_path_factory):
    """The family in two groups, and each model by itself, with the plan that was made."""
    if len(family.models) < 2:
        pytest.skip("one model")
    count = request.param or len(family.models)
    folder = tmp_path_factory.mktemp(family.name)
    output = folder / "fused.onnx"
    made = report(family, output, f"--groups={count}", f"--save-plan={folder / 'plan.json'}")
    assert len(made["groups"]) == count
    assert sorted(m for g in made["groups"] for m in g["models"]) == sorted(m.stem for m in family.models)
    return output, made["groups"], folder / "plan.json"


def test_numbers_and_names(grouped, reference: Reference):
    problems = reference.differences(grouped[0])
    assert not problems, "\n".join(problems[:20])


def test_no_weight_is_stored_twice(grouped, family: Family):
    problems = duplicated([onnx.load(m) for m in family.models], onnx.load(grouped[0]))
    assert not problems, "\n".join(problems[:20])


def test_groups_run_one_after_another(grouped):
    model = onnx.load(grouped[0])
    assert json.loads(metadata(model, "mts.groups")) == [g["models"] for g in grouped[1]]
    group_of = {name: g for g, group in enumerate(grouped[1]) for name in group["models"]}
    reached = 0
    for node in model.graph.node:
        origin = next((p.value for p in node.metadata_props if p.key == "mts.origin"), "")
        groups = {group_of[part.split(":")[0]] for part in origin.split(";") if part.split(":")[0] in group_of}
        if not groups or node.name.startswith(("mts/shape", "mts/constant")):
            continue  # what depends on the inputs' sizes only, or on nothing, is computed first
        # A node of several groups runs in the first of them.
        assert min(groups) <= reached or min(groups) == reached + 1, f"{node.name} of {origin} runs too early"
        assert max(groups) >= reached, f"{node.name} of {origin} runs too late"
        reached = max(reached, min(groups))


def test_plan_is_replayed_byte_by_byte(grouped, family: Family, tmp_path):
    again = tmp_path / "fused.onnx"
    report(family, again, f"--plan={grouped[2]}")
    assert again.read_bytes() == grouped[0].read_bytes()


def by_name(name: str) -> Family:
    return next(f for f in families() if f.name == name)


def held(path) -> dict:
    """What the bundled executor holds, in bytes."""
    done = mts("-q", "bench", path, "--seconds=0.1", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["rows"][0]["memory"]


def test_more_groups_hold_less(tmp_path):
    arenas = []
    for count in (1, 2, 4, 8):
        report(by_name("eight_heads"), tmp_path / "fused.onnx", f"--groups={count}", "--target=generic-gpu")
        arenas.append(held(tmp_path / "fused.onnx")["arena"])
    assert arenas == sorted(arenas, reverse=True)
    assert arenas[-1] < 0.4 * arenas[0], arenas


@pytest.mark.parametrize(("network", "size", "width", "most"), [("resnet18", 96, 32, 7), ("bert", 128, 64, 8)])
def test_memory_budget_is_kept(tmp_path, network, size, width, most):
    """Half of the activations of one group: what the executor really holds stays within the budget."""
    models = [tmp_path / f"m{m}.onnx" for m in range(8)]
    for m, path in enumerate(models):
        NETWORKS[network](path, m, size, width)
    family = Family(network, models)
    stored = report(family, tmp_path / "one.onnx", "--groups=1", "--strategy=stitch")["output"]["weight_bytes"]
    budget = stored + held(tmp_path / "one.onnx")["arena"] // 2
    made = report(family, tmp_path / "fused.onnx", f"--memory-budget={budget}", "--strategy=stitch")
    assert 1 < len(made["groups"]) <= most
    memory = held(tmp_path / "fused.onnx")
    assert stored + memory["arena"] <= budget, memory
    assert memory["peak"] <= 1.03 * budget, "weights in the kernels' layout and scratch"
    assert made["predicted"]["peak_memory_bytes"] <= budget
    refused = mts("stitch", *models, "-o", tmp_path / "no.onnx", "--memory-budget=1kB")
    assert refused.returncode == 1
    assert "cannot be kept" in refused.stderr
    assert not (tmp_path / "no.onnx").exists()


def test_latency_budget_takes_the_least_memory(tmp_path):
    family = by_name("eight_heads")
    fastest = report(family, tmp_path / "a.onnx")["predicted"]
    tight = report(family, tmp_path / "b.onnx", f"--latency-budget={fastest['latency_us_fused'] * 1.001:.3f}us")
    loose = report(family, tmp_path / "c.onnx", "--latency-budget=10s")
    assert tight["predicted"]["latency_us_fused"] <= 1.001 * fastest["latency_us_fused"]
    assert loose["predicted"]["peak_memory_bytes"] < tight["predicted"]["peak_memory_bytes"]
    assert len(loose["groups"]) == 8


def test_families_are_found_among_mixed_models(tmp_path):
    """Done when: mixed sets find their families by themselves."""
    mixed = [m for name in ("eight_heads", "bert_heads", "segmentation") for m in by_name(name).models]
    mixed = mixed[::2] + mixed[1::2]
    named = [f"{m.parent.name}_{m.stem}={m}" for m in mixed]
    done = mts("-q", "stitch", *named, "-o", tmp_path / "fused.onnx", "--groups=3", "--json")
    assert done.returncode == 0, done.stderr
    groups = [{name.rsplit("_", 1)[0].split("_")[0] for name in g["models"]} for g in json.loads(done.stdout)["groups"]]
    assert all(len(group) == 1 for group in groups), groups


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--groups=0"], "--groups"),
        (["--groups=9"], "8 models cannot be divided into 9 groups"),
        (["--groups=many"], "--groups"),
        (["--memory-budget=lots"], "--memory-budget"),
        (["--latency-budget=5"], "--latency-budget"),
        (["--plan=nowhere.json"], "nowhere.json"),
        (["--plan=plan.json", "--groups=2"], "--plan"),
    ],
)
def test_wrong_flags(tmp_path, flags, says):
    done = mts("stitch", *by_name("eight_heads").models, "-o", tmp_path / "fused.onnx", *flags)
    assert done.returncode in (2, 4), done.stdout
    assert says in done.stderr
    assert not (tmp_path / "fused.onnx").exists()


def test_tuned_plans_are_right_and_replayed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    family = by_name("digits_heads")
    made = report(family, tmp_path / "a.onnx", "--tune=cpu", f"--save-plan={tmp_path / 'plan.json'}")
    assert len(made["measured"]) > 3
    assert not Reference(family).differences(tmp_path / "a.onnx")
    again = report(family, tmp_path / "b.onnx", "--tune=cpu")
    assert again["measured"] == made["measured"], "taken from the cache: no two measurements are equal"
    replayed = report(family, tmp_path / "c.onnx", f"--plan={tmp_path / 'plan.json'}", f"--save-plan={tmp_path / 'again.json'}")
    assert replayed["measured"] == made["measured"]
    assert (tmp_path / "plan.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes() == (tmp_path / "c.onnx").read_bytes()
