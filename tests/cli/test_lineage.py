"""Lineage on the command line: history, pin, rollback, edit, rebuild, repair."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.errors import RunFailed
from metier.library import Library
from metier.lifecycle import republished
from metier.outcomes import Mutated, NotMutated
from tests.cli.test_commands import Shell
from tests.conftest import ECHO
from tests.mutation.test_draft import DRAFT

BROKEN_FOR_7 = 'def run(input: dict) -> dict:\n    return {"twice": 2 * input["n"] if input["n"] != 7 else "x"}\n'


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create(tmp_path / "capabilities")


@pytest.fixture
def metier(library: Library, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(library.path, capsys, monkeypatch)


def publish(library: Library, *, by_hand: bool = False, parent: str | None = None, **changes: Any) -> Any:
    with Runtime.open(library.path) as runtime:
        artifact = library.load(parent) if parent else None
        return runtime.mutator().submit({**DRAFT, **changes}, artifact, "test:author", by_hand=by_hand)


def better(number: int = 1) -> str:
    return DRAFT["source"].replace("2 *", "2 * 1 *" + number * " 1 *")


def editor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
    """An editor that runs Python `code` over the paths `source` and `contract`."""
    script = tmp_path / "editor.py"
    script.write_text(
        f"import pathlib, sys\nsource, contract = map(pathlib.Path, sys.argv[1:])\n{code}\n", encoding="utf-8"
    )
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_history_is_a_tree_with_states_reasons_and_children(metier: Shell, library: Library) -> None:
    publish(library)
    publish(library, parent="double", source=better())
    four = [{"input": {"n": n}, "output": {"twice": 4 * n}} for n in (1, 2, 3)]
    publish(library, parent="double", id="quadruple", source=DRAFT["source"].replace("2 *", "4 *"), examples=four)
    metier("call", "double", '{"n": 40}')
    metier("retire", "double")
    lines = metier("history", "double")[1].splitlines()
    assert lines[0].startswith("├─ double@1  superseded")
    assert lines[1].startswith("└─ double@2  retired")
    assert "candidate → active: ran well on 1 input beyond its examples" in lines[2]
    assert "active → retired: by " in lines[3]
    assert "└─ quadruple, now quadruple@1  candidate" in lines[4]
    assert metier("history", "quadruple")[1].startswith("double@2\n└─ quadruple@1")
    rows = metier.json("history", "double")
    assert [(r["status"], r["children"]) for r in rows] == [("superseded", []), ("retired", ["quadruple@1"])]
    assert [m["became"] for m in rows[1]["moves"]] == ["active", "retired"]


def test_a_pinned_capability_is_replaced_by_a_person_only(metier: Shell, library: Library) -> None:
    publish(library)
    publish(library, parent="double", source=better())
    before = library.get("double").sha256
    assert metier.json("pin", "double@1") == {"id": "double", "version": 3, "pinned": True}
    assert library.get("double").sha256 == library.get("double", 1).sha256 != before
    refused = publish(library, parent="double", source=better(2))
    assert isinstance(refused, NotMutated)
    assert "a person pinned it" in refused.findings[0]
    assert ", pinned" in metier("show", "double")[1]
    assert isinstance(publish(library, parent="double", source=better(3), by_hand=True), Mutated)
    assert (library.get("double").version, library.get("double").pinned) == (4, True)
    assert library.get("double", 3).pinned is None
    metier("pin", "--unpin", "double")
    assert isinstance(publish(library, parent="double", source=better(4)), Mutated)
    assert library.check() == []


def test_a_pinned_version_that_breaks_its_contract_has_no_successor(metier: Shell, library: Library) -> None:
    examples = [{"input": {"n": n}, "output": {"twice": 2 * n}} for n in (1, 2, 3)]
    publish(library, id="fourteen", source=BROKEN_FOR_7, examples=examples)
    publish(library, parent="fourteen", id="fourteen", source=BROKEN_FOR_7.replace("2 *", "1 * 2 *"), examples=examples)
    metier("pin", "fourteen")
    assert "is quarantined" in metier("call", "fourteen", '{"n": 7}')[2]
    assert [c.status for c in library.versions("fourteen")] == ["superseded", "quarantined"]


def test_rebuilding_gives_the_same_bytes_or_says_what_differs(metier: Shell, library: Library) -> None:
    publish(library)
    assert metier.json("rebuild", "--check") == [{"id": "double", "version": 1, "verdict": "same", "detail": ""}]
    module = library.path.parent / "echo.wasm"
    module.write_bytes(ECHO)
    schema = '{"type": "object", "properties": {"n": {"type": "integer"}}}'
    options = ["--summary", "Returns its input.", "--input-schema", schema, "--output-schema", schema]
    metier("add", str(module), *options, "--effects", "pure", "--example", '{"input": {"n": 1}, "output": {"n": 1}}')
    status, out, _ = metier("rebuild", "--check")
    assert (status, out.splitlines()) == (
        4,
        ["double@1: same", "echo@1: cannot, it has no source: it was added as wasm"],
    )
    assert metier("rebuild")[0] == 2


def test_a_source_that_was_not_what_the_wasm_was_built_from_differs(metier: Shell, library: Library) -> None:
    publish(library)
    artifact = library.load("double")
    other = dataclasses.replace(
        republished(artifact, status="active"), source={"capability.py": better().replace("2 *", "3 *").encode()}
    )
    library.publish(other, expected_version=1)
    status, out, _ = metier("rebuild", "--check", "double", "double@1")
    assert status == 1
    assert out.splitlines()[0].startswith("double@2: differs, the wasm has ")
    assert out.splitlines()[1] == "double@1: same"


def test_editing_publishes_what_comes_back(
    metier: Shell, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(library)
    editor(monkeypatch, tmp_path, 'source.write_text(source.read_text() + "# edited\\n")')
    assert metier.json("edit", "double") == {"id": "double", "version": 2}
    assert library.get("double").status == "active"
    assert library.load("double").source["capability.py"].endswith(b"# edited\n")
    assert list(tmp_path.glob("metier-double-*")) == []
    editor(monkeypatch, tmp_path, "pass")
    assert "nothing was changed" in metier("edit", "double")[2]
    assert library.get("double").version == 2


def test_an_edit_that_does_not_pass_is_kept(
    metier: Shell, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(library)
    editor(monkeypatch, tmp_path, 'source.write_text(source.read_text().replace("2 *", "3 *"))')
    status, _, err = metier("edit", "double")
    assert status == 1
    assert "expected output" in err
    (kept,) = tmp_path.glob("metier-double-*")
    assert f"metier add --id double {kept}/capability.py --contract {kept}/contract.json" in err
    assert "3 *" in (kept / "capability.py").read_text(encoding="utf-8")
    editor(monkeypatch, tmp_path, 'contract.write_text("{")')
    assert metier("edit", "double")[0] == 2
    monkeypatch.setenv("EDITOR", "no-such-editor")
    assert metier("edit", "double")[0] == 4


def test_what_was_failed_on_is_listed_and_can_be_dropped(metier: Shell, library: Library) -> None:
    def bad(source: str) -> dict[str, Any]:
        return {"source": source, "examples": [{"input": {"n": n}, "output": {"twice": 2 * n}} for n in (1, 2, 3)]}

    publish(library, **bad(BROKEN_FOR_7))
    with Runtime.open(library.path) as runtime, pytest.raises(RunFailed):
        runtime.call("double", {"n": 7})
    (row,) = metier.json("repair")
    assert (row["capability"], row["input"], row["kind"]) == ("double", {"n": 7}, "contract")
    assert "double@1" in metier("repair")[1]
    assert metier("repair", "double")[0] == 4  # no model
    assert metier("repair", "--drop", "double")[0] == 0
    assert metier.json("repair") == []
    assert "has not failed" in metier("repair", "double")[2]


def test_a_difference_names_permissions_and_examples_too(metier: Shell, library: Library) -> None:
    publish(library)
    more = [*DRAFT["examples"], {"input": {"n": 50}, "output": {"twice": 100}}]
    publish(library, parent="double", source=better(), examples=more, permissions={"random": "seeded"})
    changes = metier.json("diff", "double")["changes"]
    assert set(changes) >= {"examples", "permissions", "src/capability.py"}
    assert json.dumps(changes["examples"]).count("+") > 3
