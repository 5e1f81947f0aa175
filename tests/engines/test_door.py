"""The doors of standalone programs are what their sources give, and fit the engine that is shipped."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.resources
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from metier.engines.door.build import ZIGLANG, doors
from metier.sandbox.shipped import JAVASCRIPT

ENGINES = importlib.resources.files("metier.engines")


@pytest.fixture
def about() -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads(ENGINES.joinpath("door.json").read_text(encoding="utf-8"))
    return recorded


def test_the_doors_are_those_whose_hashes_are_recorded(about: dict[str, Any]) -> None:
    for name, sha256 in about["sha256"].items():
        assert hashlib.sha256(ENGINES.joinpath(f"door-{name}.wasm").read_bytes()).hexdigest() == sha256


def test_they_were_built_for_the_javascript_engine_that_is_shipped(about: dict[str, Any]) -> None:
    assert about["javascript"] == JAVASCRIPT.pin, "its memory may end elsewhere: run engines/door/build.py"


@pytest.mark.compilers
def test_their_sources_give_the_same_bytes(about: dict[str, Any], tmp_path: Path) -> None:
    if importlib.util.find_spec("ziglang") is None or importlib.metadata.version("ziglang") != ZIGLANG:
        pytest.skip(f"no ziglang {ZIGLANG}")
    made = doors([sys.executable, "-m", "ziglang"], tmp_path)
    assert {name: hashlib.sha256(wasm).hexdigest() for name, wasm in made.items()} == about["sha256"]
