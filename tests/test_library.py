"""The library on a real file system: bad folders, versions, crashes at every step, many writers at once."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metier.capability import Contract, Example, Provenance
from metier.config import load_settings
from metier.errors import BrokenCapability, LibraryError, PublishConflict, UnknownCapability, UsageError
from metier.library import Artifact, Library, Release
from metier.locks import exclusive

WASM = b"\0asm\1\0\0\0"
HAND = Provenance(author="hand", created="2025-01-01T00:00:00Z")
SPAWN = multiprocessing.get_context("spawn")


def wasm(number: int) -> bytes:
    """A module of its own for each number: a custom section holds it."""
    payload = b"\1n" + number.to_bytes(4, "little")
    return WASM + bytes([0, len(payload)]) + payload


def release(id: str = "get_salary", number: int = 1, **changes: Any) -> Release:
    contract = Contract(
        id=id,
        summary=f"Gets a salary, try {number}; in €",
        language="python",
        input_schema={"type": "object"},
        examples=(Example(input={"name": "John"}, output={"salary": number}),),
    )
    source = {"capability.py": f"# {number}\n".encode(), f"lib/part_{number}.py": b"\xff raw\n"}
    whole: dict[str, Any] = {"contract": contract, "wasm": wasm(number), "source": source}
    whole |= {"engine": None, "parent": None, "provenance": HAND}
    return Release(**whole | changes)


def contract(id: str) -> Contract:
    return Contract(id=id, summary="Does it")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create(tmp_path / "capabilities")


def sketch(library: Library, id: str = "old", binary: str | None = None, content: bytes = WASM) -> Path:
    folder = library.path / id
    name = binary or f"{id}.wasm"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_bytes(content)
    (folder / "meta.json").write_text(json.dumps({"id": id, "summary": "By hand", "binary": name}), encoding="utf-8")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Every file beneath, but not the state."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".metier" not in path.parts
    }


# Opening and creating


def test_a_created_library_opens_and_its_settings_are_the_defaults(tmp_path: Path) -> None:
    library = Library.create(tmp_path / "deep" / "capabilities")
    assert library.path == tmp_path / "deep" / "capabilities"
    assert library.state == library.path / ".metier"
    assert (library.state / ".gitignore").read_bytes() == b"*\n"
    assert load_settings(library.path) == load_settings(tmp_path)
    assert Library.open(library.path).capabilities() == []


def test_the_settings_template_says_what_loads(library: Library) -> None:
    file = library.path / "metier.toml"
    lines = file.read_text(encoding="utf-8").splitlines()
    set_up = [line.removeprefix("# ") for line in lines if line.startswith("# [") or " = " in line]
    file.write_text("\n".join(set_up), encoding="utf-8")
    settings = load_settings(library.path)
    assert settings.roots == {"hr": "data/hr"}
    assert settings.policy.files[0].covers(settings.policy.unasked.files[0])


def test_creating_over_a_library_keeps_it(library: Library) -> None:
    library.publish(release(), expected_version=None)
    (library.path / "metier.toml").write_text("[limits]\nseconds = 1.0\n", encoding="utf-8")
    before = tree(library.path)
    Library.create(library.path)
    assert tree(library.path) == before


def test_creating_makes_a_library_of_a_folder_that_has_only_capabilities_or_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "a" / ".git").mkdir(parents=True)
    Library.create(tmp_path / "a")
    (tmp_path / "b" / "old").mkdir(parents=True)
    (tmp_path / "b" / "old" / "meta.json").write_text("{}", encoding="utf-8")
    Library.create(tmp_path / "b")


def test_creating_over_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "homework.txt").touch()
    with pytest.raises(UsageError, match="not empty and not a library"):
        Library.create(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        Library.create(tmp_path / "homework.txt")
    with pytest.raises(UsageError, match="cannot make a library"):
        Library.create(tmp_path / "homework.txt" / "capabilities")
    assert [path.name for path in tmp_path.iterdir()] == ["homework.txt"]


def test_opening_nothing_or_a_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no library at .*absent; make one with `metier init`"):
        Library.open(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        Library.open(tmp_path / "file")
    with pytest.raises(UsageError):
        Library.open("null\0byte")
    (tmp_path / "metier.toml").write_text("color = 1", encoding="utf-8")
    with pytest.raises(UsageError, match="color is not a key"):
        Library.open(tmp_path)


# Publishing and reading back


def test_what_was_published_is_read_back_whole(library: Library) -> None:
    draft = release(engine="python:sha256:00", parent="other@3", status="candidate")
    published = library.publish(draft, expected_version=None)
    assert (published.version, published.status, published.parent) == (1, "candidate", "other@3")
    artifact = Library.open(library.path).load("get_salary")
    assert artifact == Artifact(published, draft.wasm, dict(draft.source))
    assert library.capabilities() == library.live() == [published]
    assert library.get("get_salary") == library.get("get_salary", 1) == published
    assert library.check() == library.broken() == []


def test_meta_json_is_what_a_person_reads_in_a_diff(library: Library) -> None:
    library.publish(release(), expected_version=None)
    text = (library.path / "get_salary" / "meta.json").read_bytes()
    assert text.endswith(b"}\n")
    assert b"\r" not in text
    assert '\n  "summary": "Gets a salary, try 1; in €",\n'.encode() in text
    assert list(json.loads(text))[:4] == ["id", "summary", "binary", "version"]


def test_every_version_stays(library: Library) -> None:
    for number in (1, 2, 3):
        published = library.publish(release(number=number), expected_version=number - 1 or None)
        assert published.version == number
    states = [(c.version, c.status, c.replaced_by) for c in library.versions("get_salary")]
    assert states == [
        (1, "superseded", "get_salary@2"),
        (2, "superseded", "get_salary@3"),
        (3, "active", None),
    ]
    for number in (1, 2, 3):
        artifact = library.load("get_salary", number)
        assert (artifact.wasm, artifact.source) == (wasm(number), dict(release(number=number).source))
    assert library.load("get_salary").capability.version == 3
    assert not (library.path / "get_salary" / "src" / "lib" / "part_2.py").exists()
    assert library.check() == []
    assert not (library.state / "staging").exists()


def test_a_version_that_was_not_live_keeps_its_status_in_the_archive(library: Library) -> None:
    library.publish(release(), expected_version=None)
    library.set_status("get_salary", "quarantined")
    library.publish(release(number=2), expected_version=1)
    assert [c.status for c in library.versions("get_salary")] == ["quarantined", "active"]


def test_sources_come_and_go(library: Library) -> None:
    library.publish(release(source={}), expected_version=None)
    assert library.load("get_salary").source == {}
    library.publish(release(number=2, source={"a.py": b""}), expected_version=1)
    assert library.load("get_salary").source == {"a.py": b""}
    library.publish(release(number=3, source={}), expected_version=2)
    assert library.load("get_salary").source == {}
    assert library.load("get_salary", 2).source == {"a.py": b""}
    assert library.check() == []


def test_what_editors_and_python_leave_in_src_breaks_nothing(library: Library) -> None:
    library.publish(release(), expected_version=None)
    cache = library.path / "get_salary" / "src" / "__pycache__"
    cache.mkdir()
    (cache / "capability.cpython-311.pyc").touch()
    (library.path / "get_salary" / "src" / ".DS_Store").touch()
    assert library.check() == []


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a//b", "./a", "a/", "", ".", "a\\b", "a\0b", ".env", "__pycache__/x.pyc", "lib"]
)
def test_a_source_path_that_is_not_plain_is_refused(library: Library, path: str) -> None:
    with pytest.raises(BrokenCapability, match="cannot be published"):
        library.publish(release(source={path: b"", "lib/x.py": b""}), expected_version=None)
    assert not (library.path / "get_salary").exists()


@pytest.mark.parametrize("program", [b"", b"#!/bin/sh\n", b"\0asm"])
def test_what_is_not_wasm_is_not_published(library: Library, program: bytes) -> None:
    with pytest.raises(BrokenCapability, match="cannot be published"):
        library.publish(release(wasm=program), expected_version=None)
    assert library._names() == []


def test_what_could_not_be_read_back_is_not_published(library: Library) -> None:
    odd = release().contract.model_copy(update={"input_schema": {"description": "\ud800"}})
    with pytest.raises(BrokenCapability):
        library.publish(release(contract=odd), expected_version=None)
    with pytest.raises(BrokenCapability, match="parent"):
        library.publish(release(parent="not lineage"), expected_version=None)
    assert library._names() == []


def test_versions_are_never_numbered_twice(library: Library) -> None:
    for number in (1, 2, 3):
        library.publish(release(number=number), expected_version=number - 1 or None)
    folder = library.path / "get_salary"
    shutil.move(folder / "versions" / "1", folder / "first")
    shutil.rmtree(folder / "src")
    for name in ("meta.json", "get_salary.wasm", "src"):
        shutil.move(folder / "first" / name, folder / name)
    current = library.get("get_salary")
    assert current.version == 1
    assert library.publish(release(number=9), expected_version=1).version == 3
    assert library.load("get_salary", 2).wasm == wasm(2)


# Compare and swap


def test_a_new_capability_does_not_overwrite_one_that_exists(library: Library) -> None:
    library.publish(release(), expected_version=None)
    before = tree(library.path)
    with pytest.raises(PublishConflict, match="exists, at version 1"):
        library.publish(release(number=2), expected_version=None)
    with pytest.raises(PublishConflict, match="at version 1, not 2: another writer"):
        library.publish(release(number=2), expected_version=2)
    with pytest.raises(PublishConflict, match="not in the library"):
        library.publish(release("other"), expected_version=1)
    assert tree(library.path) == before


def test_what_stands_in_the_way_is_not_overwritten(library: Library) -> None:
    (library.path / "get_salary").write_text("mine", encoding="utf-8")
    with pytest.raises(LibraryError, match="stands in the way"):
        library.publish(release(), expected_version=None)
    (library.path / "empty").mkdir()
    with pytest.raises(BrokenCapability, match=r"no meta\.json"):
        library.publish(release("empty"), expected_version=None)


def test_a_capability_that_was_changed_by_hand_is_not_lost_by_publishing_over_it(library: Library) -> None:
    library.publish(release(), expected_version=None)
    (library.path / "get_salary" / "src" / "capability.py").write_text("# by hand", encoding="utf-8")
    with pytest.raises(BrokenCapability, match="changed since it was published"):
        library.publish(release(number=2), expected_version=1)
    assert (library.path / "get_salary" / "src" / "capability.py").read_bytes() == b"# by hand"


# Status


def test_status_and_successor_are_set_and_cleared(library: Library) -> None:
    published = library.publish(release(), expected_version=None)
    retired = library.set_status("get_salary", "retired", replaced_by="other@1")
    assert (retired.status, retired.replaced_by, retired.sha256) == ("retired", "other@1", published.sha256)
    assert library.live() == []
    assert library.capabilities() == [retired] == [library.load("get_salary").capability]
    assert library.set_status("get_salary", "active") == published
    with pytest.raises(UnknownCapability):
        library.set_status("get_salry", "active")
    with pytest.raises(BrokenCapability, match="replaced_by"):
        library.set_status("get_salary", "retired", replaced_by="nonsense")
    assert library.get("get_salary") == published


# Three keys


def test_a_three_key_capability_loads_unverified(library: Library) -> None:
    folder = sketch(library)
    (folder / "old.wasm").write_bytes(wasm(7))
    artifact = library.load("old")
    assert (artifact.wasm, artifact.capability.language, artifact.capability.sha256) == (wasm(7), "wasm", None)
    assert library.check() == []
    assert set(json.loads((folder / "meta.json").read_bytes())) == {"id", "summary", "binary"}


@pytest.mark.parametrize("binary", ["old.wasm", "bin/prog.wasm", "src/prog.wasm"])
def test_publishing_over_a_three_key_capability_archives_it_as_version_1(library: Library, binary: str) -> None:
    sketch(library, binary=binary, content=wasm(7))
    assert library.publish(release("old", 2), expected_version=1).version == 2
    first = library.load("old", 1)
    assert (first.wasm, first.capability.status, first.capability.summary) == (wasm(7), "superseded", "By hand")
    assert library.load("old").wasm == wasm(2)
    assert library.check() == []


def test_a_three_key_capability_can_be_retired(library: Library) -> None:
    sketch(library)
    assert library.set_status("old", "retired").sha256 is not None
    assert library.load("old").capability.status == "retired"


# Finding


def test_an_unknown_id_names_those_that_are_close(library: Library) -> None:
    library.publish(release("get_salary"), expected_version=None)
    with pytest.raises(UnknownCapability, match=r"no capability 'get_salry'; did you mean get_salary\?"):
        library.get("get_salry")
    with pytest.raises(UnknownCapability, match="get_salary has no version 2; it has 1"):
        library.get("get_salary", 2)
    with pytest.raises(UnknownCapability, match="`metier list`"):
        library.get("zzz")


@pytest.mark.parametrize(
    "id", ["", ".", "..", "../capabilities", ".metier", "a/b", "/etc", "a\0", "x" * 5000, "\ud800"]
)
@pytest.mark.parametrize("version", [None, 1])
def test_an_id_is_never_a_path(library: Library, id: str, version: int | None) -> None:
    with pytest.raises(UnknownCapability):
        library.load(id, version)


def test_folders_that_are_data_hidden_or_set_aside_are_no_capabilities(library: Library) -> None:
    (library.path / "metier.toml").write_text('[roots]\nhr = "data/hr"\nlogs = "logs"\nall = "."\n', encoding="utf-8")
    for name in ("data/hr", "logs", "_drafts", ".git"):
        (library.path / name).mkdir(parents=True)
    library.publish(release(), expected_version=None)
    assert [c.id for c in library.capabilities()] == ["get_salary"]
    assert library.broken() == library.check() == []
    with pytest.raises(LibraryError, match="folder of data"):
        library.publish(release("data"), expected_version=None)
    with pytest.raises(UnknownCapability):
        library.get("logs")


def test_a_change_by_hand_is_seen_by_the_next_call(library: Library) -> None:
    folder = sketch(library)
    assert library.get("old").summary == "By hand"
    for summary in ("By foot", "By head"):
        text = (folder / "meta.json").read_text(encoding="utf-8")
        (folder / "meta.json").write_text(text.replace("By hand", summary).replace("By foot", summary), "utf-8")
        assert library.capabilities()[0].summary == summary
    shutil.rmtree(folder)
    assert library.capabilities() == []


def test_what_was_listed_once_is_not_parsed_again(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metier.library.SETTLED_NS", 0)  # as if the files were older than a tick of the clock
    for number in range(20):
        sketch(library, f"tool_{number:04}")
    first = library.capabilities()
    assert all(a is b for a, b in zip(first, library.capabilities(), strict=True))


def test_what_is_younger_than_a_tick_of_the_clock_is_parsed_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metier.library.SETTLED_NS", 10**18)
    sketch(library)
    assert library.get("old") is not library.get("old")


def test_a_thousand_capabilities_are_listed(library: Library) -> None:
    for number in range(1000):
        sketch(library, f"tool_{number:04}")
    assert [c.id for c in library.capabilities()] == [f"tool_{number:04}" for number in range(1000)]
    assert len(library.live()) == 1000


# Broken folders


def _meta(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def break_it(folder: Path) -> None:
        meta = json.loads((folder / "meta.json").read_bytes())
        change(meta)
        (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")

    return break_it


def _text(content: bytes) -> Callable[[Path], None]:
    def break_it(folder: Path) -> None:
        (folder / "meta.json").write_bytes(content)

    return break_it


def _link(name: str, target: str) -> Callable[[Path], None]:
    def break_it(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.symlink_to(target)

    return break_it


def _fifo(folder: Path) -> None:
    (folder / "meta.json").unlink()
    os.mkfifo(folder / "meta.json")


SEEN_AT_ONCE = {
    "no meta.json": lambda folder: (folder / "meta.json").unlink(),
    "not JSON": _text(b"{"),
    "empty": _text(b""),
    "not UTF-8": _text(b"\xff"),
    "not an object": _text(b"[1]"),
    "too deep": _text(b"[" * 100_000),
    "too large": _text(b" " * (4 * 2**20 + 1)),
    "duplicate key": _text(b'{"id": "a", "id": "a"}'),
    "half of a pair": _text(b'{"id": "get_salary", "summary": "\\ud800", "binary": "get_salary.wasm"}'),
    "unknown key": _meta(lambda meta: meta.update({"color\n": "red"})),
    "missing key": _meta(lambda meta: meta.pop("effects")),
    "wrong type": _meta(lambda meta: meta.update(version="1")),
    "wrong permissions": _meta(lambda meta: meta.update(permissions={"file": []})),
    "another id": _meta(lambda meta: meta.update(id="other")),
    "no id": _meta(lambda meta: meta.update(id="Not an id")),
    "binary above": _meta(lambda meta: meta.update(binary="../outside.wasm")),
    "binary absolute": _meta(lambda meta: meta.update(binary="/bin/sh")),
    "binary missing": lambda folder: (folder / "get_salary.wasm").unlink(),
    "binary with a long name": _meta(lambda meta: meta.update(binary="x" * 5000)),
    "binary a folder": _meta(lambda meta: meta.update(binary="src")),
    "binary linked outside": _link("get_salary.wasm", "../../outside.wasm"),
    "binary linked in a circle": _link("get_salary.wasm", "get_salary.wasm"),
    "meta.json linked outside": _link("meta.json", "../../outside.json"),
    "meta.json a folder": lambda folder: ((folder / "meta.json").unlink(), (folder / "meta.json").mkdir()),
    "meta.json a pipe": _fifo,
}
SEEN_ON_LOAD = {
    "binary of 0 bytes": lambda folder: (folder / "get_salary.wasm").write_bytes(b""),
    "binary truncated": lambda folder: (folder / "get_salary.wasm").write_bytes(wasm(1)[:-1]),
    "binary no wasm": lambda folder: (folder / "get_salary.wasm").write_bytes(b"#!/bin/sh\n"),
    "another binary": lambda folder: (folder / "get_salary.wasm").write_bytes(wasm(2)),
    "source changed": lambda folder: (folder / "src" / "capability.py").write_bytes(b"#"),
    "source added": lambda folder: (folder / "src" / "more.py").write_bytes(b"#"),
    "source gone": lambda folder: shutil.rmtree(folder / "src"),
    "source linked": _link("src", "../../outside"),
    "source file linked": _link("src/capability.py", "../../../outside.wasm"),
    "binary without end": lambda folder: os.truncate(folder / "get_salary.wasm", 2**40),
    "source without end": lambda folder: os.truncate(folder / "src" / "capability.py", 2**40),
    "source a pipe": lambda folder: os.mkfifo(folder / "src" / "pipe"),
    "summary changed": _meta(lambda meta: meta.update(summary="Another promise")),
    "permissions changed": _meta(lambda meta: meta.update(permissions={"clock": "recorded"})),
    "example changed": _meta(lambda meta: meta["examples"][0].update(output=0)),
}


@pytest.mark.parametrize("name", [*SEEN_AT_ONCE, *SEEN_ON_LOAD])
def test_a_broken_folder_is_told_and_hides_no_other(library: Library, name: str) -> None:
    outside = library.path.parent
    (outside / "outside").mkdir()
    (outside / "outside.wasm").write_bytes(WASM)
    library.publish(release(), expected_version=None)
    shutil.copy(library.path / "get_salary" / "meta.json", outside / "outside.json")
    other = library.publish(release("other"), expected_version=None)
    (SEEN_AT_ONCE | SEEN_ON_LOAD)[name](library.path / "get_salary")
    if name in SEEN_AT_ONCE:
        assert library.capabilities() == [other]
        assert [broken.folder for broken in library.broken()] == ["get_salary"]
        with pytest.raises(BrokenCapability):
            library.get("get_salary")
    else:
        assert library.broken() == []
    (found,) = library.check()
    assert found.folder == "get_salary"
    assert "get_salary" in found.problem
    assert "\n" not in found.problem
    with pytest.raises(BrokenCapability):
        library.load("get_salary")
    assert library.load("other").capability == other


def test_linked_folders_load_only_from_inside_the_library(library: Library) -> None:
    away = Library.create(library.path.parent / "away")
    away.publish(release(), expected_version=None)
    (library.path / "get_salary").symlink_to(away.path / "get_salary")
    (library.path / "loop").symlink_to("loop")
    library.publish(release("other"), expected_version=None)
    assert [c.id for c in library.capabilities()] == ["other"]
    assert "leads out of the library" in library.broken()[0].problem
    with pytest.raises(BrokenCapability, match="leads out of the library"):
        library.load("get_salary")


def test_a_broken_version_of_the_past_is_found_by_check(library: Library) -> None:
    for number in (1, 2, 3):
        library.publish(release(number=number), expected_version=number - 1 or None)
    versions = library.path / "get_salary" / "versions"
    (versions / "1" / "get_salary.wasm").write_bytes(b"")
    shutil.copytree(versions / "2", versions / "7")
    assert [broken.folder for broken in library.check()] == ["get_salary/versions/1", "get_salary/versions/7"]
    assert [c.version for c in library.versions("get_salary")] == [1, 2, 3]
    with pytest.raises(BrokenCapability, match="0 bytes"):
        library.load("get_salary", 1)


def test_the_past_loads_although_the_present_is_broken(library: Library) -> None:
    for number in (1, 2):
        library.publish(release(number=number), expected_version=number - 1 or None)
    (library.path / "get_salary" / "meta.json").unlink()
    assert library.load("get_salary", 1).wasm == wasm(1)


# Crashes

SCENARIOS = ("new", "adopted", "next", "next of three keys", "status", "fallback", "quarantine of the past")


def _prepare(library: Library, scenario: str) -> None:
    library.publish(release("other"), expected_version=None)
    if scenario == "next of three keys":
        sketch(library, "get_salary", "bin/prog.wasm", wasm(1))
    elif scenario not in ("new", "adopted"):
        library.publish(release(), expected_version=None)
    if scenario == "quarantine of the past":
        library.publish(release(number=2), expected_version=1)


def _act(library: Library, scenario: str) -> None:
    if scenario == "adopted":
        with tempfile.TemporaryDirectory() as folder:
            other = Library.create(folder)
            other.publish(release(), expected_version=None)
            other.publish(release(number=2), expected_version=1)
            library.adopt([other.load("get_salary", 1), other.load("get_salary")])
    elif scenario == "status":
        library.set_status("get_salary", "retired")
    elif scenario == "quarantine of the past":
        library.quarantine_past("get_salary", 1)
    elif scenario == "fallback":
        library.publish(release(number=2), expected_version=1, leaving="quarantined")
    else:
        library.publish(release(number=2), expected_version=None if scenario == "new" else 1)


def _look(library: Library) -> dict[str, Any]:
    """Everything that a reader can see. What a three-key capability gains by being written whole is no difference."""
    seen: dict[str, Any] = {}
    for capability in library.capabilities():
        artifact = library.load(capability.id)
        seen[capability.id] = (artifact.capability.model_dump(exclude={"sha256"}), artifact.wasm, artifact.source)
    past = [(c.version, c.status) for c in library.versions("get_salary")] if "get_salary" in seen else []
    return seen | {"past": past, "broken": library.broken()}


class StopAt:
    """A checkpoint that acts at the step with this number."""

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self.number, self.act, self.steps = number, act, list[str]()

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        if len(self.steps) == self.number:
            self.act()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _killed_at(path: Path, scenario: str, number: int) -> bool:
    """Act on the library in a child that is killed before the step; whether it was."""
    child = os.fork()
    if child == 0:
        try:
            _act(Library.open(path, checkpoint=StopAt(number, _die)), scenario)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _crash_everywhere(base: str, scenario: str, results: Any) -> None:
    """In a process of its own, which has no threads and may fork. Sends what a reader sees after each crash."""
    folder, number, killed = Path(base), 0, True
    try:
        while killed:
            number += 1
            path = folder / str(number)
            shutil.copytree(folder / "before", path)
            killed = _killed_at(path, scenario, number)
            results.put((number, _look(Library.open(path)), killed))
    finally:
        results.put(None)


def _all_crashes(base: Path, scenario: str) -> list[tuple[int, dict[str, Any], bool]]:
    results = SPAWN.Queue()
    process = SPAWN.Process(target=_crash_everywhere, args=(str(base), scenario, results))
    process.start()
    found = list(iter(results.get, None))
    process.join()
    results.close()
    assert process.exitcode == 0
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_crash_at_any_step_leaves_the_library_as_before_or_as_after(tmp_path: Path, scenario: str) -> None:
    _prepare(Library.create(tmp_path / "before"), scenario)
    shutil.copytree(tmp_path / "before", tmp_path / "after")
    _act(Library.open(tmp_path / "after"), scenario)
    before, after = _look(Library.open(tmp_path / "before")), _look(Library.open(tmp_path / "after"))
    crashes = _all_crashes(tmp_path, scenario)
    assert crashes[-1][1:] == (after, False)
    assert len(crashes) > 3
    assert [seen for _, seen, _ in crashes] == sorted(
        (seen for _, seen, _ in crashes), key=lambda seen: (before, after).index(seen)
    )
    for number, seen, killed in crashes:
        library = Library.open(tmp_path / str(number))
        assert library.check() == []
        assert _look(library) == seen
        # What the dead publish archived must not stand in for later changes by hand.
        if seen == before and "past" not in scenario:
            assert not (library.path / "get_salary" / "versions" / "1").exists()
        if killed and seen == before:
            _act(library, scenario)
        assert _look(library) == after
        assert library.check() == []
        assert not (library.state / "staging").exists()
        if scenario not in ("new", "adopted"):
            assert tree(library.path) == tree(tmp_path / "after")


def test_a_crash_while_another_crash_is_mended_loses_nothing(tmp_path: Path) -> None:
    library = Library.create(tmp_path / "once")
    _prepare(library, "next")
    before = _look(library)

    def give_up() -> None:
        raise SystemExit  # as a kill, but with the mending at the end of publish made to fail as well

    probe = StopAt(0, give_up)
    shutil.copytree(tmp_path / "once", tmp_path / "probe")
    _act(Library.open(tmp_path / "probe", checkpoint=probe), "next")
    exchange = probe.steps.index("replace get_salary.wasm") + 3
    base = tmp_path / "twice"
    base.mkdir()
    process = SPAWN.Process(target=_killed_at, args=(library.path, "next", exchange))
    process.start()
    process.join()
    assert not (library.path / "get_salary" / "src").exists()
    assert _look(Library.open(library.path)) == before
    shutil.copytree(library.path, base / "before")
    crashes = _all_crashes(base, "next")
    assert len(crashes) > len(probe.steps)
    for number, seen, killed in crashes:
        again = Library.open(base / str(number))
        assert seen == before or seen["get_salary"][1] == wasm(2)
        assert again.check() == []
        if killed and seen == before:
            _act(again, "next")
        assert again.load("get_salary").wasm == wasm(2)
        assert again.load("get_salary", 1).wasm == wasm(1)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("problem", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("lasts", [False, True])
def test_a_step_that_fails_leaves_the_library_as_before_or_as_after(
    tmp_path: Path, scenario: str, problem: int, lasts: bool
) -> None:
    _prepare(Library.create(tmp_path / "before"), scenario)
    shutil.copytree(tmp_path / "before", tmp_path / "after")
    _act(Library.open(tmp_path / "after"), scenario)
    before, after = _look(Library.open(tmp_path / "before")), _look(Library.open(tmp_path / "after"))
    words = {errno.ENOSPC: "no space left", errno.EROFS: "is read-only", errno.EIO: "cannot write"}[problem]

    def refuse() -> None:
        stop.number += lasts  # the next step fails as well, those of the clean-up included
        raise OSError(problem, os.strerror(problem), "a file")

    number, failed, committed = 0, True, False
    while failed:
        number += 1
        path = tmp_path / str(number)
        shutil.copytree(tmp_path / "before", path)
        stop = StopAt(number, refuse)
        library = Library.open(path, checkpoint=stop)
        try:
            _act(library, scenario)
            failed = False
        except LibraryError as error:
            assert words in str(error)
            assert "\n" not in str(error)
        assert not (library.state / "staging").exists()
        seen = _look(library)
        if committed or seen != before:
            committed = True  # and so at every later step
            assert seen == after
        elif not lasts and scenario != "next of three keys":
            assert tree(path) == tree(tmp_path / "before")  # put back at once, not by the next writer
        if not lasts:
            assert library.check() == []


def _publish_with_little_disk(path: str) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        Library.open(path).publish(release(number=2, wasm=wasm(2) + bytes(10_000)), expected_version=1)
    except LibraryError as error:
        print(error)
        os._exit(1)
    os._exit(0)


def test_a_file_system_that_refuses_a_write_changes_nothing(library: Library) -> None:
    library.publish(release(), expected_version=None)
    before = tree(library.path)
    process = SPAWN.Process(target=_publish_with_little_disk, args=(str(library.path),))
    process.start()
    process.join()
    assert process.exitcode == 1
    assert tree(library.path) == before


def _publish_as_nobody(path: str) -> None:
    if os.geteuid() == 0:
        os.setuid(65534)
    library = Library.open(path)
    assert library.load("get_salary").wasm == wasm(1)
    assert library.check() == []
    try:
        library.publish(release(number=2), expected_version=1)
    except LibraryError as error:
        os._exit(0 if "is read-only" in str(error) else 1)
    os._exit(2)


def test_a_read_only_library_is_read_and_not_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("shared")
    library = Library.create(folder / "capabilities")
    library.publish(release(), expected_version=None)
    shared = Path(tempfile.gettempdir())
    for parent in [path for path in (folder, *folder.parents) if shared in path.parents]:
        parent.chmod(0o755)  # pytest keeps its folders to itself, and root has to become someone whom modes bind
    for path in [library.path, *library.path.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    process = SPAWN.Process(target=_publish_as_nobody, args=(str(library.path),))
    process.start()
    process.join()
    for path in [library.path, *library.path.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert process.exitcode == 0


def test_a_failed_publish_over_a_linked_state_folder_says_so(library: Library) -> None:
    shutil.rmtree(library.state)
    library.state.write_text("a file", encoding="utf-8")
    with pytest.raises(LibraryError, match="cannot write to the library"):
        library.publish(release(), expected_version=None)
    assert library.capabilities() == []


# Many at once


def _publish_own(path: str, who: int, count: int) -> None:
    library = Library.open(path)
    for number in range(count):
        library.publish(release(f"tool_{who}_{number}", number), expected_version=None)


def _follow_on(path: str, who: int, count: int) -> None:
    """Publish the next version `count` times, starting again where another was faster."""
    library, done = Library.open(path), 0
    while done < count:
        current = library.get("get_salary").version
        try:
            library.publish(release(number=1000 * who + done), expected_version=current)
            done += 1
        except PublishConflict:
            continue


def _run_all(target: Callable[..., None], path: Path, processes: int, count: int) -> None:
    running = [SPAWN.Process(target=target, args=(str(path), who, count)) for who in range(1, processes + 1)]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0] * processes


def test_processes_that_publish_at_once_lose_nothing(library: Library) -> None:
    _run_all(_publish_own, library.path, 3, 30)
    assert {c.id for c in library.capabilities()} == {f"tool_{who}_{n}" for who in (1, 2, 3) for n in range(30)}
    assert library.check() == []


def test_processes_that_follow_on_the_same_capability_lose_nothing_and_readers_never_see_a_mixture(
    library: Library,
) -> None:
    library.publish(release(number=0), expected_version=None)
    over, problems = threading.Event(), list[str]()

    def read() -> None:
        reader = Library.open(library.path)
        while not over.is_set():
            artifact = reader.load("get_salary")
            (said,) = (example.output["salary"] for example in artifact.capability.examples)
            if artifact.wasm != wasm(said) or artifact.source != dict(release(number=said).source):
                problems.append(f"{artifact.capability.name} mixed with {said}")

    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in readers:
        thread.start()
    try:
        _run_all(_follow_on, library.path, 3, 15)
    finally:
        over.set()
        for thread in readers:
            thread.join()
    assert problems == []
    versions = library.versions("get_salary")
    assert [c.version for c in versions] == list(range(1, 47))
    outputs = {c.examples[0].output["salary"] for c in versions}
    assert outputs == {0} | {1000 * who + n for who in (1, 2, 3) for n in range(15)}
    assert library.check() == []


def test_threads_that_share_a_library_exclude_each_other(library: Library) -> None:
    threads = [threading.Thread(target=_publish_own, args=(str(library.path), who, 8)) for who in range(4)]
    threads += [
        threading.Thread(target=library.publish, args=(release(f"shared_{n}"),), kwargs={"expected_version": None})
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(library.capabilities()) == 40
    assert library.check() == []


def test_a_writer_that_waits_too_long_is_told_who_is_waited_for(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metier.library.LOCK_SECONDS", 0.05)
    with exclusive(library.state / "lock", timeout=1), pytest.raises(LibraryError, match="held by another writer"):
        library.publish(release(), expected_version=None)
    library.publish(release(), expected_version=None)


def test_the_lock_goes_with_the_process_that_held_it(library: Library) -> None:
    code = (
        "import sys, pathlib; from metier.locks import exclusive\n"
        "with exclusive(pathlib.Path(sys.argv[1]), timeout=1):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    lock = library.state / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LibraryError), exclusive(lock, timeout=0):
            pass
        holder.kill()
        holder.wait()
        with exclusive(lock, timeout=1):
            pass


def test_leftovers_of_a_dead_writer_are_swept_by_the_next(library: Library) -> None:
    leftover = library.state / "staging" / "1-dead" / "get_salary"
    leftover.mkdir(parents=True)
    library.publish(release(), expected_version=None)
    assert not leftover.exists()
