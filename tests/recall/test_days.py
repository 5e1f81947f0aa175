"""Arguments that a model took from the clock without a word for them: another day they are other ones."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.library import Library
from metier.testing import ScriptedModel
from tests.recall.twins.office import SETTINGS, TEXT, Program, publish
from tests.recall.twins.school import at

DAY = date(2026, 11, 24)
LEFT = Program(
    "days_left",
    "Returns how many vacation days somebody has left in a period.",
    "pure",
    {"name": TEXT, "of": {}},
    {"days": "integer"},
    """
    return {"days": len(input["name"]) + len(str(input["of"]))}""",
    {"name": "Ann", "of": 2020},
)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "capabilities"
    Library.create(folder)
    (folder / "data").mkdir()
    (folder / "metier.toml").write_text(SETTINGS, encoding="utf-8")
    with Runtime.open(folder) as runtime:
        publish(runtime, LEFT)
    return folder


def solve(folder: Path, of: Any) -> None:
    """Has a model solve two tasks with a period that their words do not say."""
    replies: list[Any] = []
    tasks = {f'How many days has "{name}" left?': name for name in ("Ann", "Bob")}
    for name in tasks.values():
        call = {"capability_id": "days_left", "input": {"name": name, "of": of}}
        replies += [{"tool_calls": [{"name": "run_capability", "arguments": call}]}, {"content": "A few days."}]
    with Runtime.open(folder, model=ScriptedModel(replies), now=at(DAY)) as runtime:
        for task in tasks:
            runtime.run_sync(task)


def decided(folder: Path, name: str, day: date) -> Any:
    """The arguments of what memory would do; None where it abstains."""
    with Runtime.open(folder, now=at(day)) as runtime:
        way = runtime.recall.decide(f'How many days has "{name}" left?', runtime.now()).serves
        return way.input if way is not None else None


@pytest.mark.parametrize("name", ["Ann", "Cleo"])
@pytest.mark.parametrize(
    ("of", "same", "another"),
    [
        (2026, date(2026, 12, 30), date(2027, 1, 2)),
        ("2026", date(2026, 12, 30), date(2027, 1, 2)),
        ("Q4", date(2026, 12, 30), date(2027, 1, 2)),
        (11, date(2026, 11, 30), date(2026, 12, 1)),
        ("November", date(2026, 11, 30), date(2026, 12, 1)),
        ("Tuesday", date(2026, 12, 1), date(2026, 12, 2)),
        ("2026-11-24", DAY, date(2026, 11, 25)),
        ("2026-11", DAY, date(2026, 12, 1)),
    ],
)
def test_what_the_clock_said_is_not_taken_for_what_was_meant(
    library: Path, name: str, of: Any, same: date, another: date
) -> None:
    solve(library, of)
    assert decided(library, name, same) == {"name": name, "of": of}
    assert decided(library, name, another) is None


def test_what_has_nothing_of_a_day_stays(library: Path) -> None:
    solve(library, "whole")
    assert decided(library, "Cleo", date(2031, 5, 6)) == {"name": "Cleo", "of": "whole"}
