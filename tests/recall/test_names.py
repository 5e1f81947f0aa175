"""Names in the data: what a task may name, as a run found them before it changed anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.errors import RunFailed, SetupMissing
from metier.testing import ScriptedModel
from tests.recall.twins import office
from tests.recall.twins.office import SETTINGS, TEXT, Program, publish
from tests.recall.twins.school import at
from tests.recall.twins.solved import TODAY

SHREDS = Program(
    "shred_file",
    "Removes one file from the list for good.",
    "write",
    {"name": TEXT},
    {"left": "integer"},
    """
    left = [row for row in rows("files.json") if row["name"] != input["name"]]
    find(rows("files.json"), "name", input["name"])
    save("files.json", left)
    return {"left": len(left)}""",
    {"name": "one"},
    {"files.json": "write"},
)
OPENS = Program(
    "open_file",
    "Puts a new file on the list.",
    "write",
    {"name": TEXT},
    {"count": "integer"},
    """
    all_rows = rows("files.json")
    all_rows.append({"name": input["name"]})
    save("files.json", all_rows)
    return {"count": len(all_rows)}""",
    {"name": "four"},
    {"files.json": "write"},
)
NAMES = ["one", "two", "three", "old plan"]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "capabilities"
    office.Library.create(folder)
    (folder / "data").mkdir()
    (folder / "metier.toml").write_text(SETTINGS, encoding="utf-8")
    write(folder, NAMES)
    with Runtime.open(folder) as runtime:
        publish(runtime, SHREDS)
        publish(runtime, OPENS)
    return folder


def write(folder: Path, names: list[str]) -> None:
    (folder / "data" / "files.json").write_text(json.dumps([{"name": name} for name in names]), encoding="utf-8")


def solve(folder: Path, capability: str, tasks: dict[str, str]) -> None:
    """Has a model solve each task with the name beside it."""
    replies: list[Any] = []
    for name in tasks.values():
        call = {"capability_id": capability, "input": {"name": name}}
        replies += [{"tool_calls": [{"name": "run_capability", "arguments": call}]}, {"content": "Done."}]
    with Runtime.open(folder, model=ScriptedModel(replies), now=at(TODAY)) as runtime:
        for task in tasks:
            runtime.run_sync(task, allow_writes=True)


def done(folder: Path, task: str) -> Any:
    """The input of what memory ran for a task, None where it abstained."""
    with Runtime.open(folder, now=at(TODAY)) as runtime:
        try:
            return runtime.run_sync(task, allow_writes=True).used[0].input
        except SetupMissing:
            return None


def test_what_a_run_removed_was_a_name_and_only_names_are_removed_from_memory(library: Path) -> None:
    solve(library, "shred_file", {'Shred the file "one"': "one", 'Shred the file "two"': "two"})
    assert done(library, 'Shred the file "everything"') is None
    assert done(library, 'Shred the file "three and old plan"') is None
    with pytest.raises(RunFailed, match="no name 'one'"):
        done(library, 'Shred the file "one"')  # the same task again is the program's to refuse


def test_a_name_is_taken_in_any_case_and_passed_on_as_it_is_stored(library: Path) -> None:
    solve(library, "shred_file", {'Shred the file "one"': "one", 'Shred the file "two"': "two"})
    assert done(library, 'Shred the file "OLD Plan"') == {"name": "old plan"}


def test_what_a_run_made_was_no_name_and_any_text_makes_the_next(library: Path) -> None:
    solve(library, "open_file", {'Open a file "five"': "five", 'Open a file "six"': "six"})
    assert done(library, 'Open a file "Seven & 8"') == {"name": "Seven & 8"}


def test_a_text_reaches_the_program_in_the_users_own_characters(library: Path) -> None:
    solve(library, "open_file", {'Open a file "five"': "five", 'Open a file "six"': "six"})
    assert done(library, "Open a file “it’s ｆull”") == {"name": "it’s ｆull"}


@pytest.mark.parametrize("quoted", ['"on"e"', '"one"/"two"', '"one" "two"', '"*"'])
def test_what_may_be_two_quotations_names_nothing(library: Path, quoted: str) -> None:
    solve(library, "shred_file", {'Shred the file "one"': "one", 'Shred the file "two"': "two"})
    write(library, NAMES)
    assert done(library, f"Shred the file {quoted}") is None
