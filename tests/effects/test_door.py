"""The effect door: what is asked is checked, answered in words, and bounded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metier.effects import INSIDE, OUTSIDE, Context, Door
from metier.permissions import Grant, Permissions
from metier.record import LiveRecord
from metier.sandbox.files import FileSystem, HostFiles
from metier.sandbox.limits import Limits
from metier.sandbox.wasi import LimitReached


class Plenty:
    def fuel_left(self) -> int:
        return 1_000_000

    def burn(self, fuel: int) -> None:
        pass

    def seconds_left(self) -> float:
        return 10.0


BUDGET = Plenty()


def door(root: Path, *, access: str = "write", limits: Limits | None = None) -> Door:
    granted = Permissions.model_validate({"files": [{"root": "hr", "path": "**", "access": access}]})
    bounds = limits or Limits()
    grant = Grant((granted,))
    return Door(
        INSIDE, OUTSIDE, Context(FileSystem(HostFiles({"hr": root}, 1000), grant, bounds), grant, bounds, LiveRecord())
    )


def ask(at: Door, **request: Any) -> Any:
    answer = json.loads(at.call(json.dumps(request), BUDGET))
    return answer["ok"] if "ok" in answer else answer["kind"]


def test_files_are_written_read_listed_and_removed(tmp_path: Path) -> None:
    at = door(tmp_path)
    assert ask(at, op="files.write", path="/hr/a.txt", text="ä") == {}
    assert ask(at, op="files.read", path="/hr/a.txt") == {"text": "ä"}
    assert ask(at, op="files.write", path="/hr/b.bin", base64="/w==") == {}
    assert ask(at, op="files.read", path="/hr/b.bin") == {"base64": "/w=="}
    assert ask(at, op="files.stat", path="/hr/b.bin") == {"kind": "file", "size": 1}
    assert ask(at, op="files.mkdir", path="/hr/sub") == {}
    assert ask(at, op="files.rename", path="/hr/a.txt", to="/hr/sub/c.txt") == {}
    assert ask(at, op="files.list", path="/hr") == [
        {"name": "b.bin", "kind": "file", "size": 1},
        {"name": "sub", "kind": "directory", "size": 0},
    ]
    assert ask(at, op="files.rmdir", path="/hr/sub") == "not_empty"
    assert ask(at, op="files.remove", path="/hr/sub/c.txt") == {}
    assert ask(at, op="files.rmdir", path="/hr/sub") == {}
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_is_not_written_over(tmp_path: Path) -> None:
    at = door(tmp_path)
    assert ask(at, op="files.write", path="/hr/a", text="1", mode="create") == {}
    assert ask(at, op="files.write", path="/hr/a", text="2", mode="create") == "exists"
    assert ask(at, op="files.write", path="/hr/a", text="3", mode="replace") == {}


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "/hr/../etc/passwd", "hr/../../x", "/"])
def test_paths_lead_nowhere_else(tmp_path: Path, path: str) -> None:
    assert ask(door(tmp_path), op="files.read", path=path) in ("not_found", "is_directory")


def test_a_reader_is_denied_writing(tmp_path: Path) -> None:
    assert ask(door(tmp_path, access="read"), op="files.write", path="/hr/a", text="1") == "denied"


@pytest.mark.parametrize(
    "request_",
    [
        "",
        "[]",
        "{}",
        '{"op": 1}',
        '{"op": "files.read"}',
        '{"op": "files.read", "path": 3}',
        '{"op": "files.read", "path": "a\\u0000b"}',
        '{"op": "files.write", "path": "/hr/a"}',
        '{"op": "files.write", "path": "/hr/a", "base64": "%%"}',
        "[" * 1000,
    ],
)
def test_a_request_that_makes_no_sense_is_answered_as_invalid(tmp_path: Path, request_: str) -> None:
    assert json.loads(door(tmp_path).call(request_, BUDGET))["kind"] == "invalid"


def test_an_effect_that_does_not_exist_is_denied(tmp_path: Path) -> None:
    assert ask(door(tmp_path), op="shell.run", command="id") == "denied"


def test_effects_are_counted_denied_ones_too(tmp_path: Path) -> None:
    at = door(tmp_path, limits=Limits(effects=2))
    ask(at, op="nothing")
    ask(at, op="nothing")
    with pytest.raises(LimitReached, match="2 effects"):
        ask(at, op="nothing")


@given(st.text(max_size=200))
def test_no_request_breaks_the_door(request_: str) -> None:
    answer = json.loads(door(Path("/nonexistent")).call(request_, BUDGET))
    assert set(answer) <= {"ok", "error", "kind"}
