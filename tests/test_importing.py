"""Capabilities moved between libraries: nothing is lost on the way, and nothing is believed."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.approval import Always, Decision, Request
from metier.errors import ApprovalPending, BrokenCapability, InvalidModule, LibraryError, PublishConflict, UsageError
from metier.importing import bring_in
from metier.library import Library
from metier.lifecycle import republished
from metier.outcomes import Mutated
from metier.permissions import Permissions
from metier.portable.folders import write_history
from tests.cli.test_commands import Shell
from tests.mutation.test_draft import DRAFT

SETTINGS = """
[roots]
hr = "data"
[policy]
files = [{ root = "hr", path = "**", access = "write" }]
call = ["*"]
[policy.unasked]
files = [{ root = "hr", path = "open.txt", access = "read" }]
"""
READS = """
def run(input: dict) -> dict:
    with open("/hr/" + input["file"]) as file:
        return {"text": file.read()}
"""


@pytest.fixture
def there(tmp_path: Path) -> Library:
    """A library in which `double` has two versions, the second trusted, and `read_text` reads a file."""
    library = made(tmp_path / "there")
    publish(library)
    publish(library, parent="double", source=DRAFT["source"].replace("2 *", "2 * 1 *"))
    with Runtime.open(library.path) as runtime:
        runtime.lifecycle.set_status("double", "trusted", "for this test")
    return library


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Runtime]:
    with Runtime.open(made(tmp_path / "here").path) as runtime:
        yield runtime


def made(path: Path, settings: str = SETTINGS) -> Library:
    Library.create(path)
    (path / "metier.toml").write_text(settings, encoding="utf-8")
    (path / "data").mkdir()
    for name in ("open.txt", "closed.txt"):
        (path / "data" / name).write_text(f"{name} as it is", encoding="utf-8")
    return Library.open(path)


def publish(library: Library, *, parent: str | None = None, **changes: Any) -> None:
    with Runtime.open(library.path, approver=Always(approved=True)) as runtime:
        artifact = library.load(parent) if parent else None
        outcome = runtime.mutator().submit({**DRAFT, **changes}, artifact, "test:author", by_hand=True)
        assert isinstance(outcome, Mutated), outcome


def reading(file: str, *, fixtures: bool = False) -> dict[str, Any]:
    held = {"fixtures": {f"hr/{file}": "frozen"}} if fixtures else {}
    text = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    return {
        "id": "read_text",
        "summary": "Returns the text of a file.",
        "input_schema": {"type": "object", "properties": {"file": {"type": "string"}}, "required": ["file"]},
        "output_schema": text,
        "effects": "read",
        "permissions": {"files": [{"root": "hr", "path": file, "access": "read"}]},
        "examples": [
            {"input": {"file": file}, "output": {"text": "frozen" if fixtures else f"{file} as it is"}, **held}
        ],
        "source": READS,
    }


def exported(library: Library, id: str, folder: Path) -> Path:
    write_history(library, id, folder)
    return folder


def test_a_history_comes_over_whole_and_starts_as_a_candidate(there: Library, here: Runtime, tmp_path: Path) -> None:
    done = bring_in(here, exported(there, "double", tmp_path / "moved"), by="ann")
    assert (done.was, done.versions, done.held, done.notes) == ("double@2", 2, 3, ())
    assert here.library.check() == []
    for number in (1, 2):
        was, now = there.load("double", number), here.library.load("double", number)
        assert (now.wasm, now.source, now.capability.sha256) == (was.wasm, was.source, was.capability.sha256)
    past, current = here.library.versions("double")
    assert (past.status, past.replaced_by) == ("superseded", "double@2")
    assert (current.status, current.parent) == ("candidate", "double@1")
    assert current.provenance is not None
    assert "by ann, from double@2 (trusted" in current.provenance.gates["imported"]
    assert here.call("double", {"n": 21}) == {"twice": 42}
    move, *_ = here.journal.evidence.transitions("double")
    assert (move.was, move.became, move.reason) == ("trusted", "candidate", "imported by ann from double@2")


def test_a_capabilitys_own_folder_is_taken_in_as_well(there: Library, here: Runtime) -> None:
    assert bring_in(here, there.path / "double", by="ann").versions == 2


def test_what_is_exported_again_is_what_was_imported(there: Library, here: Runtime, tmp_path: Path) -> None:
    bring_in(here, exported(there, "double", tmp_path / "once"), by="ann", trust=True)
    exported(here.library, "double", tmp_path / "twice")
    files = {p.relative_to(tmp_path / "once"): p.read_bytes() for p in (tmp_path / "once").rglob("*") if p.is_file()}
    again = {p.relative_to(tmp_path / "twice"): p.read_bytes() for p in (tmp_path / "twice").rglob("*") if p.is_file()}
    assert {path for path in files if files[path] != again.get(path)} == {Path("meta.json")}  # says where it came from
    assert len(files) == len(again)


def test_a_person_may_trust_it(there: Library, here: Runtime) -> None:
    there.pin("double", pinned=True)
    done = bring_in(here, there.path / "double", by="ann", trust=True)
    assert (done.capability.status, done.capability.pinned) == ("trusted", True)


def test_nobody_else_pins_anything_here(there: Library, here: Runtime) -> None:
    there.pin("double", pinned=True)
    assert bring_in(here, there.path / "double", by="ann").capability.pinned is None


@pytest.mark.parametrize("status", ["quarantined", "retired"])
def test_what_was_out_of_use_stays_so(status: Any, there: Library, here: Runtime) -> None:
    publish(there, id="other", examples=[{"input": {"n": 5}, "output": {"twice": 10}}])
    there.set_status("double", status, "other@1")
    done = bring_in(here, there.path / "double", by="ann", trust=True)
    assert (done.capability.status, done.capability.replaced_by) == (status, None)


def test_an_id_that_is_taken_is_said_and_another_one_may_be_given(there: Library, here: Runtime) -> None:
    bring_in(here, there.path / "double", by="ann")
    with pytest.raises(PublishConflict, match=r"double exists here, at version 2; import it under another id: --as ID"):
        bring_in(here, there.path / "double", by="ann")
    done = bring_in(here, there.path / "double", by="ann", id="twice")
    assert (done.capability.name, done.was, done.capability.parent) == ("twice@2", "double@2", "twice@1")
    assert here.library.get("twice", 1).replaced_by == "twice@2"
    assert here.library.check() == []
    assert here.call("twice", {"n": 4}) == {"twice": 8}
    with pytest.raises(UsageError, match="'No-id' is no id"):
        bring_in(here, there.path / "double", by="ann", id="No-id")


class Person:
    def __init__(self, *, yes: bool) -> None:
        self.yes, self.asked = yes, list[Request]()

    def decide(self, request: Request) -> Decision:
        self.asked.append(request)
        return Decision(self.yes, "ann", "a person said no")


def test_what_asks_for_more_than_is_given_unasked_waits_for_a_person(there: Library, tmp_path: Path) -> None:
    publish(there, **reading("closed.txt"))
    library, folder = made(tmp_path / "here"), there.path / "read_text"
    waits = r"asks for more .*read hr/closed.txt.*nothing was imported.*--yes"
    with Runtime.open(library.path) as runtime, pytest.raises(ApprovalPending, match=waits):
        bring_in(runtime, folder, by="ann")
    person = Person(yes=False)
    said_no = pytest.raises(LibraryError, match="a person said no; nothing was imported")
    with Runtime.open(library.path, approver=person) as runtime, said_no:
        bring_in(runtime, folder, by="ann")
    assert person.asked[0].beyond == ("read hr/closed.txt",)
    assert READS.strip() in person.asked[0].source
    assert library.capabilities() == []
    with Runtime.open(library.path, approver=Person(yes=True)) as runtime:
        done = bring_in(runtime, folder, by="ann")
    assert done.capability.provenance is not None
    assert (done.capability.provenance.approved_by, done.held) == ("ann", 1)


def test_what_only_an_earlier_version_asked_for_is_asked_as_well(there: Library, here: Runtime) -> None:
    """It could come back by itself, where the current one breaks its contract."""
    publish(there, **reading("closed.txt"))
    again = republished(there.load("read_text"), status="active")
    less = again.contract.model_copy(update={"permissions": Permissions(), "effects": "pure", "examples": ()})
    there.publish(dataclasses.replace(again, contract=less), expected_version=1)
    with pytest.raises(ApprovalPending, match=r"read hr/closed\.txt"):
        bring_in(here, there.path / "read_text", by="ann")
    assert bring_in(here, there.path / "read_text", by="ann", approved=True).versions == 2


def test_what_this_library_allows_nobody_is_refused_even_if_approved(there: Library, tmp_path: Path) -> None:
    publish(there, **reading("closed.txt"))
    library = made(tmp_path / "strict", '[roots]\nhr = "data"\n')
    refused = r"read hr/closed.txt is not allowed in this library.*metier\.toml"
    with Runtime.open(library.path) as runtime, pytest.raises(LibraryError, match=refused):
        bring_in(runtime, there.path / "read_text", by="ann", approved=True)
    assert library.capabilities() == []


def test_examples_tell_of_other_data_or_hold_on_their_own(there: Library, here: Runtime) -> None:
    publish(there, **reading("open.txt"))
    (here.library.path / "data" / "open.txt").write_text("other data", encoding="utf-8")
    done = bring_in(here, there.path / "read_text", by="ann")
    assert done.held == 0
    assert "example 1 does not hold on the data here" in done.notes[0]
    publish(there, **reading("open.txt", fixtures=True) | {"id": "read_frozen"})
    assert bring_in(here, there.path / "read_frozen", by="ann").held == 1


def test_an_example_that_depends_on_nothing_here_must_hold(there: Library, here: Runtime, tmp_path: Path) -> None:
    folder = exported(there, "double", tmp_path / "moved")
    about = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    about["examples"][0]["output"] = {"twice": 7}
    about["sha256"] = None  # as one who wants it believed would have it
    (folder / "meta.json").write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(LibraryError, match=r"example 1 does not hold.*nothing was imported"):
        bring_in(here, folder, by="ann")
    assert here.library.capabilities() == []


def test_examples_that_reach_beyond_the_library_are_not_run_and_that_is_said(there: Library, here: Runtime) -> None:
    calls = 'import host\n\ndef run(input: dict) -> dict:\n    return host.call("double", input)\n'
    publish(there, id="calls", effects="read", permissions={"call": ["double"]}, source=calls)
    done = bring_in(here, there.path / "calls", by="ann", approved=True)
    assert (done.held, done.notes) == (
        0, ("no example was run: the program asks for call, which reaches beyond this library",)
    )  # fmt: skip


@pytest.mark.parametrize(
    "path", ["double.wasm", "src/capability.py", "versions/1/double.wasm", "versions/1/src/capability.py"]
)
def test_a_changed_byte_in_any_version_is_found(path: str, there: Library, here: Runtime, tmp_path: Path) -> None:
    folder = exported(there, "double", tmp_path / "moved")
    content = bytearray((folder / path).read_bytes())
    content[-1] ^= 1
    (folder / path).write_bytes(content)
    with pytest.raises(BrokenCapability, match="sha256 differs"):
        bring_in(here, folder, by="ann")
    assert here.library.capabilities() == []


@pytest.mark.parametrize("key", ["summary", "permissions", "examples"])
def test_a_changed_contract_is_found(key: str, there: Library, here: Runtime, tmp_path: Path) -> None:
    folder = exported(there, "double", tmp_path / "moved")
    about = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    about[key] = {"summary": "Other.", "permissions": {"env": {"A": "b"}}, "examples": []}[key]
    (folder / "meta.json").write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(BrokenCapability, match="sha256 differs"):
        bring_in(here, folder, by="ann")


def test_versions_belong_where_they_lie(there: Library, here: Runtime, tmp_path: Path) -> None:
    folder = exported(there, "double", tmp_path / "moved")
    (folder / "versions" / "1").rename(folder / "versions" / "7")
    with pytest.raises(BrokenCapability, match="is double@1, which does not belong there"):
        bring_in(here, folder, by="ann")


def test_links_that_lead_out_are_not_followed(there: Library, here: Runtime, tmp_path: Path) -> None:
    folder = exported(there, "double", tmp_path / "moved")
    (folder / "src" / "capability.py").unlink()
    (folder / "src" / "capability.py").symlink_to("/etc/hostname")
    with pytest.raises(BrokenCapability, match="not a regular file"):
        bring_in(here, folder, by="ann")


def test_a_module_that_the_sandbox_does_not_admit_stays_outside(there: Library, here: Runtime, tmp_path: Path) -> None:
    folder = exported(there, "double", tmp_path / "moved")
    about = json.loads((folder / "meta.json").read_text(encoding="utf-8")) | {"sha256": None, "engine": None}
    (folder / "meta.json").write_text(json.dumps(about), encoding="utf-8")
    (folder / "double.wasm").write_bytes(b"\0asm\1\0\0\0")
    with pytest.raises(InvalidModule, match="exports no function _start"):
        bring_in(here, folder, by="ann")
    assert here.library.capabilities() == []


def _import_once(library: str, folder: str, results: Any) -> None:
    with Runtime.open(library) as runtime:
        try:
            results.put(bring_in(runtime, Path(folder), by=str(os.getpid())).capability.name)
        except PublishConflict:
            results.put(None)


def test_of_several_who_import_at_once_one_does(there: Library, here: Runtime, tmp_path: Path) -> None:
    folder = exported(there, "double", tmp_path / "moved")
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    arguments = (str(here.library.path), str(folder), results)
    everyone = [spawn.Process(target=_import_once, args=arguments) for _ in range(3)]
    for process in everyone:
        process.start()
    told = [results.get() for _ in everyone]
    for process in everyone:
        process.join()
    assert sorted(told, key=str) == [None, None, "double@2"]
    assert here.library.check() == []


# On the command line


@pytest.fixture
def metier(here: Runtime, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(here.library.path, capsys, monkeypatch)


def test_export_and_import_as_commands(metier: Shell, there: Library, tmp_path: Path) -> None:
    folder = str(tmp_path / "moved")
    told = metier.json("-L", str(there.path), "export", "double", "--folder", folder)
    assert [(v["version"], v["status"]) for v in told["versions"]] == [(1, "superseded"), (2, "trusted")]
    assert metier("-L", str(there.path), "export", "double", "--folder", folder)[2].startswith(
        f"metier: {folder} is not an empty folder"
    )
    status, out, err = metier("import", folder, "--as", "twice")
    assert (status, out) == (0, "")
    assert "imported twice@2 (2 versions), candidate; 3 of 3 examples hold here" in err
    told = metier.json("import", folder)
    assert told == {
        "id": "double", "version": 2, "status": "candidate", "was": "double@2", "versions": 2,
        "examples": 3, "held": 3, "notes": [],
    }  # fmt: skip
    assert metier("test", "double", "twice")[0] == 0


def test_an_import_that_waits_has_its_own_status(metier: Shell, there: Library) -> None:
    publish(there, **reading("closed.txt"))
    status, out, err = metier("import", str(there.path / "read_text"))
    assert (status, out) == (3, "")
    assert "nothing was imported" in err
    assert metier("import", str(there.path / "read_text"), "--yes")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["import", "/nowhere"], "/nowhere: no such folder"),
        (["export", "double", "--folder", "x", "--standalone"], "one of the two"),
        (["export", "double@1", "--folder", "x"], "takes all versions"),
        (["export", "nothing", "--folder", "x"], "no capability 'nothing'"),
    ],
)
def test_what_makes_no_sense_is_one_message(arguments: list[str], words: str, metier: Shell) -> None:
    status, out, err = metier(*arguments)
    assert status in (1, 2)
    assert out == ""
    assert words in err
    assert "Traceback" not in err


def test_an_export_that_cannot_be_finished_leaves_nothing(there: Library, tmp_path: Path) -> None:
    shutil.copy(there.path / "double" / "double.wasm", tmp_path / "good")
    (there.path / "double" / "versions" / "1" / "double.wasm").write_bytes(b"\0asm\1\0\0\0")
    with pytest.raises(BrokenCapability, match="sha256 differs"):
        write_history(there, "double", tmp_path / "moved")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good", "there"]
