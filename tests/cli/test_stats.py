"""`metier stats` and what it prints."""

from __future__ import annotations

import pytest

from metier.library import Library
from tests.cli.test_commands import Shell, library, metier

__all__ = ["library", "metier"]


def test_figures_for_people_and_for_programs(metier: Shell, library: Library) -> None:
    metier("call", "get_salary_details", '{"name": "John"}')
    metier("What's John's salary?")
    status, out, _ = metier("stats")
    assert status == 0
    assert out.splitlines()[0] == "tasks       1 asked, 1 answered: 1 by recall (100%), 0 by a model"
    assert any(line.startswith("get_salary_details\t") for line in out.splitlines())
    found = metier.json("stats", "--examples")
    assert found["tasks"]["by_recall"] == 1
    assert found["capabilities"][0] | {"last_run": None} == {
        "id": "get_salary_details",
        "status": "active",
        "runs": 2,
        "failed": 0,
        "wrong_inputs": 0,
        "contract_failures": 0,
        "solved_tasks": 0,
        "last_run": None,
    }
    assert found["regression"]["examples"]["failed"] == 0
    assert "examples    1 hold, 0 fail" in metier("stats", "--examples")[1]


@pytest.mark.parametrize(("since", "asked"), [("1h", 1), ("2w", 1), ("2020-01-01", 1), ("9999-01-01", 0)])
def test_figures_begin_where_they_are_told_to(metier: Shell, since: str, asked: int) -> None:
    metier("What's John's salary?")
    assert metier.json("stats", "--since", since)["tasks"]["asked"] == asked


@pytest.mark.parametrize("since", ["yesterday", "7", "d", "-1d", "2026-13-01", ""])
def test_what_is_no_time_is_said(metier: Shell, since: str) -> None:
    status, out, err = metier("stats", "--since", since)
    assert (status, out) == (2, "")
    assert "is no time" in err
    assert "Traceback" not in err
