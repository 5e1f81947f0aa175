"""What somebody else made, and brought along: state of a library, sources that look like something else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metier.cli.approval import screen
from metier.sandbox.intents import FOLDER, finish
from tests.conftest import capability

ENTRY: dict[str, Any] = {"root": "docs", "path": "new.txt", "directory": False, "removed": False, "content": "0"}


def _says(*changes: Any) -> Callable[[Path], None]:
    def write(intent: Path) -> None:
        (intent / "0").write_text("owned", encoding="utf-8")
        (intent / "changes.json").write_text(json.dumps(changes), encoding="utf-8")

    return write


def _nested(intent: Path) -> None:
    (intent / "changes.json").write_text("[" * 100_000, encoding="utf-8")


def _link(intent: Path) -> None:
    _says(ENTRY)(intent)
    (intent / "0").unlink()
    (intent / "0").symlink_to("../../../secret.txt")


def _pipe(intent: Path) -> None:
    _says(ENTRY)(intent)
    (intent / "0").unlink()
    os.mkfifo(intent / "0")


def _pipe_of_changes(intent: Path) -> None:
    os.mkfifo(intent / "changes.json")


@pytest.mark.parametrize(
    "craft",
    [
        pytest.param(_says({**ENTRY, "path": "../outside.txt"}), id="a path above the root"),
        pytest.param(_says({**ENTRY, "path": "sub/../../outside.txt"}), id="a path up and down"),
        pytest.param(_says({**ENTRY, "path": "/outside.txt"}), id="an absolute path"),
        pytest.param(_says({**ENTRY, "path": 7}), id="a path that is none"),
        pytest.param(_says({**ENTRY, "root": "other"}), id="a root that is none"),
        pytest.param(_says({**ENTRY, "content": "../../../secret.txt"}), id="content of elsewhere"),
        pytest.param(_says({**ENTRY, "path": "../secret.txt", "content": None}), id="content that is none"),
        pytest.param(_says("text", 7, None), id="no changes"),
        pytest.param(_nested, id="nested without end"),
        pytest.param(_link, id="a link to content"),
        pytest.param(_pipe, id="a pipe for content"),
        pytest.param(_pipe_of_changes, id="a pipe for changes"),
    ],
)
def test_a_crafted_commit_is_dropped_and_changes_nothing(tmp_path: Path, craft: Callable[[Path], None]) -> None:
    docs, intent = tmp_path / "docs", tmp_path / "state" / FOLDER / "0123456789abcdef"
    (docs / "sub").mkdir(parents=True)
    intent.mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    craft(intent)
    finish(tmp_path / "state", {"docs": docs})
    assert not intent.exists()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["commits", "docs", "secret.txt", "state", "sub"]
    assert (tmp_path / "secret.txt").read_text(encoding="utf-8") == "secret"


@pytest.mark.parametrize("end", ["\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_comment_does_not_look_like_code_to_who_approves(end: str) -> None:
    source = f"def run(input):\n    # {end}    if not allowed(input): return None\n    return steal(input)\n"
    shown = screen(capability(), (), source, None)
    assert [line for line in shown.split("\n") if line.strip().startswith("if ")] == []
    assert "# \ufffd    if not" in shown


def test_code_does_not_look_like_a_comment_to_who_approves() -> None:
    shown = screen(capability(), (), "def run(input):\n    # harmless\r    steal(input)\n", None).split("\n")
    assert "      steal(input)" in shown


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\u200b", "\x1b", "\U000e0041"])
def test_nothing_reorders_or_hides_what_is_approved(character: str) -> None:
    assert character not in screen(capability(), (f"x{character}y",), f"# {character}\n", f"{character}\n")
