"""`metier memory` and what it prints."""

from __future__ import annotations

import json

import pytest

from metier import Runtime
from metier.library import Library
from metier.testing import ScriptedModel
from tests.cli.test_commands import Shell, library, metier
from tests.test_runtime import runs

__all__ = ["library", "metier"]

TASK = "How much does John earn?"


@pytest.fixture
def solved(library: Library) -> Library:
    model = ScriptedModel([runs("get_salary_details", name="John"), {"content": "John Smith earns 85000 USD."}])
    with Runtime.open(library.path, model=model) as runtime:
        runtime.run_sync(TASK)
    return library


def test_what_is_kept_is_listed_shown_and_exported(metier: Shell, solved: Library) -> None:
    (row,) = metier.json("memory", "list")
    assert (row["task"], row["answer"]) == ("how much does john earn", "John Smith earns 85000 USD.")
    assert metier.json("memory", "show", "how much does JOHN earn") == row
    status, out, _ = metier("memory", "export")
    assert (status, [json.loads(line) for line in out.splitlines()]) == (0, [row])
    assert "get_salary_details@1" in metier("memory", "list")[1]
    assert 'input: {"name": "John"}' in metier("memory", "show", TASK)[1]


def test_a_task_is_forgotten_once(metier: Shell, solved: Library) -> None:
    status, out, _ = metier("memory", "forget", TASK)
    assert (status, out.splitlines()[0]) == (0, "forgotten; 1 records left the journal")
    assert out.splitlines()[1].startswith("stays: inputs and outputs of 1 run in the journal")
    assert metier("memory", "forget", TASK)[::2] == (1, "nothing was known of it\n")
    assert metier.json("memory", "list") == []


def test_the_emptied_runs_are_told_by_the_check_of_the_journal(metier: Shell, solved: Library) -> None:
    assert metier.json("memory", "forget", TASK, "--runs")["emptied"]
    assert metier("runs", "verify")[:2] == (0, "1 runs, unchanged; 1 of them forgotten\n")
    assert metier.json("runs")[0]["error"] is None
    assert metier("runs")[0] == 0
    status, _, err = metier("replay", metier.json("runs")[0]["run_id"])
    assert (status, "was forgotten" in err) == (2, True)


def test_memory_is_pruned_and_made_anew(metier: Shell, solved: Library) -> None:
    (solved.state / "memory.sqlite").unlink()
    assert metier.json("memory", "rebuild") == {"kept": 1}
    assert metier.json("memory", "prune", "--older-than", "90d") == {"dropped": 0, "kept": 1}
    assert metier("memory", "prune", "--keep", "0")[:2] == (0, "1 dropped, 0 kept\n")
    assert metier("memory", "rebuild")[:2] == (0, "0 solved tasks, from the journal\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "Who?"), "memory has nothing of 'Who?'"),
        (("prune", "--older-than", "soon"), "'soon' is no age; write 12h, 90d or 8w"),
        (("prune", "--keep", "-1"), "-1 is not in the range"),
        (("forget",), "Missing argument 'TASK'"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(metier: Shell, arguments: tuple[str, ...], said: str) -> None:
    status, out, err = metier("memory", *arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_memory_that_is_off_cannot_be_made_anew_but_pruned_away(metier: Shell, solved: Library) -> None:
    (solved.path / "metier.toml").write_text("[memory]\nkeep = false\n", encoding="utf-8")
    assert metier("memory", "rebuild")[0] == 2
    assert metier.json("memory", "prune") == {"dropped": 1, "kept": 0}
