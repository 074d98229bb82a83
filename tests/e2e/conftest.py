"""Families under test: those of models/, and, for one's own exports, every family.json below MTS_EXTRA_FAMILIES."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from oracle import Family, Reference  # noqa: E402

MODELS = Path(__file__).resolve().parents[2] / "models"


def families() -> list[Family]:
    found = [Family.from_json(e, MODELS) for e in json.loads((MODELS / "families.json").read_text())]
    extra = os.environ.get("MTS_EXTRA_FAMILIES")
    if extra:
        found += [
            Family.from_json(json.loads(f.read_text()), f.parent)
            for f in sorted(Path(extra).glob("*/family.json"))
        ]
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "family" in metafunc.fixturenames:
        metafunc.parametrize("family", families(), ids=lambda f: f.name, scope="module", indirect=True)


@pytest.fixture(scope="module")
def family(request: pytest.FixtureRequest) -> Family:
    return request.param


@pytest.fixture(scope="module")
def reference(family: Family) -> Reference:
    return Reference(family)
