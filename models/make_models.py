#!/usr/bin/env python3
"""Makes the model families of this folder: `make_models.py [family ...]` (all of them without arguments).

Every family is a folder of .onnx files and an entry of families.json. Needs the packages of requirements.txt.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import onnx
import torch
from recipes import cnn, trained, transformer, various

ROOT = Path(__file__).resolve().parent
RECIPES = {
    recipe.__name__: recipe for module in (cnn, transformer, trained, various) for recipe in module.FAMILIES
}


def make(name: str) -> dict:
    """Exports one family into a fresh folder and checks every file."""
    out = ROOT / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    torch.manual_seed(0)
    entry = {"name": name, **RECIPES[name](out)}
    for file in entry["models"]:
        onnx.checker.check_model(str(ROOT / file))
    return entry


def main(wanted: list[str]) -> int:
    unknown = [name for name in wanted if name not in RECIPES]
    if unknown:
        print(f"no such family: {', '.join(unknown)}; there are {', '.join(RECIPES)}", file=sys.stderr)
        return 2
    index = ROOT / "families.json"
    entries = {e["name"]: e for e in json.loads(index.read_text())} if index.exists() else {}
    for name in wanted or RECIPES:
        start = time.monotonic()
        entries[name] = make(name)
        size = sum(f.stat().st_size for f in (ROOT / name).iterdir())
        print(
            f"{name:20} {len(entries[name]['models'])} models {size / 1e3:9.1f} kB {time.monotonic() - start:6.1f} s",
            flush=True,
        )
        ordered = [entries[n] for n in RECIPES if n in entries]
        index.write_text(json.dumps(ordered, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
