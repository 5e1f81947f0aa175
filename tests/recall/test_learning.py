"""What memory takes from tasks that a model solves: templates, and how far they may be trusted."""

from __future__ import annotations

from collections.abc import Sequence
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
FRUITS = {"enum": ["sour apples", "ripe pears", "figs", "plums"]}
PACK = Program(
    "pack_box",
    "Returns what is in a box of fruit for somebody.",
    "pure",
    {"name": TEXT, "fruits": {"type": "array", "items": FRUITS}},
    {"packed": "integer"},
    """
    return {"packed": len(input["fruits"]) + len(input["name"])}""",
    {"name": "Ann", "fruits": ["figs"]},
)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "capabilities"
    Library.create(folder)
    (folder / "data").mkdir()
    (folder / "metier.toml").write_text(SETTINGS, encoding="utf-8")
    with Runtime.open(folder) as runtime:
        publish(runtime, PACK)
    return folder


def taught(folder: Path, lessons: Sequence[tuple[str, dict[str, Any]]]) -> Runtime:
    """A runtime whose model solves these tasks with these arguments, one after the other."""
    replies: list[Any] = []
    for _, arguments in lessons:
        call = {"capability_id": "pack_box", "input": arguments}
        replies += [{"tool_calls": [{"name": "run_capability", "arguments": call}]}, {"content": "It is packed."}]
    runtime = Runtime.open(folder, model=ScriptedModel(replies), now=at(DAY))
    for task, _ in lessons:
        runtime.run_sync(task)
    return runtime


def test_choices_in_a_list_are_slots(library: Path) -> None:
    lessons = [
        ('Pack figs and plums for "Ann"', {"name": "Ann", "fruits": ["figs", "plums"]}),
        ('Pack plums and sour apples for "Bob"', {"name": "Bob", "fruits": ["plums", "sour apples"]}),
    ]
    with taught(library, lessons) as runtime:
        way = runtime.decide('Pack ripe pears and figs for "Cleo"').serves
        assert way is not None
        assert way.input == {"name": "Cleo", "fruits": ["ripe pears", "figs"]}
        assert runtime.decide('Pack ripe pears and soap for "Cleo"').serves is None


def test_a_guess_that_memory_would_not_have_served_says_nothing_against_its_route(library: Path) -> None:
    lessons = [
        ('Pack the usual for "Ann"', {"name": "Ann", "fruits": ["figs"]}),
        ('Pack the usual for "Bob"', {"name": "Bob", "fruits": ["plums"]}),
    ]
    with taught(library, lessons) as runtime:
        assert runtime.recall.trust.needed("template") == 1
        assert runtime.decide('Pack the usual for "Cleo"').serves is None
