"""Teaches the office what a model solved, and puts tasks to its memory when no model is there any more."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from metier import Runtime
from metier.errors import ApprovalPending, RunFailed, SetupMissing
from metier.testing import ScriptedModel
from metier.wording import readable
from tests.recall.twins import office
from tests.recall.twins.corpus import Twin
from tests.recall.twins.solved import BY_ID, TODAY, Call, Solved, worded


class Oracle:
    """A model's script that solves each task as it was told to."""

    def __init__(self, lessons: tuple[Solved, ...]) -> None:
        self._lessons = sorted(lessons, key=lambda lesson: -len(lesson.task))

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        asked, last = (request["messages"][index]["content"] for index in (1, -1))
        lesson = next(lesson for lesson in self._lessons if lesson.task in asked)
        if request["messages"][-1]["role"] != "tool":
            call = {"capability_id": lesson.call.capability, "input": json.loads(lesson.call.arguments)}
            return {"tool_calls": [{"name": "run_capability", "arguments": call}]}
        output = re.search(r"\{.*\}", last, re.DOTALL)
        assert output is not None, (lesson.task, last)
        return {"content": worded(lesson.answer, json.loads(output[0]))}


def at(day: date) -> datetime:
    """Nine in the morning of a day, where the office's clock stands."""
    return datetime.combine(day, time(9), UTC)


def teach(folder: Path, lessons: tuple[Solved, ...], day: date = TODAY) -> None:
    """Has a model solve the lessons in the library at `folder`, each once, on data as it was before."""
    model = ScriptedModel(Oracle(lessons))
    with Runtime.open(folder, model=model, now=at(day)) as runtime:
        for lesson in lessons:
            answer = runtime.run_sync(lesson.task, allow_writes=True)
            assert [Call.of(r.capability, r.input) for r in answer.used] == [lesson.call], (lesson, answer)
            office.write_data(folder / "data", only=office.written_by(lesson.call.capability))


def school(folder: Path, lessons: tuple[Solved, ...]) -> Path:
    """A library in a new folder that has learned the lessons."""
    office.build(folder)
    teach(folder, lessons)
    return folder


@dataclass(frozen=True)
class Served:
    """What memory did with a task: nothing (`calls` is empty), or calls with an answer."""

    calls: tuple[Call, ...]
    text: str
    outputs: tuple[Any, ...] = ()


class Desk:
    """A school's library without a model, at nine in the morning of a day. Every figure in the data
    is another one than when the lessons were solved, and each task finds the data as they are before it."""

    def __init__(self, school: Path, folder: Path, day: date = TODAY) -> None:
        shutil.copytree(school, folder)
        self.data = folder / "data"
        office.write_data(self.data, later=True)
        self.runtime = Runtime.open(folder, now=at(day))

    def put(self, task: str) -> Served:
        """Puts one task, with leave to change data."""
        try:
            answer = self.runtime.run_sync(task, allow_writes=True)
        except SetupMissing:
            return Served((), "")
        except RunFailed as failed:
            outcome = failed.outcome
            return Served((Call.of(outcome.capability, outcome.input),), str(failed))
        except ApprovalPending as pending:
            raise AssertionError(f"asked for leave that was given: {pending}") from None
        written = [name for ran in answer.used for name in office.written_by(ran.capability)]
        office.write_data(self.data, later=True, only=written)
        calls = tuple(Call.of(r.capability, r.input) for r in answer.used)
        return Served(calls, answer.text, tuple(r.output for r in answer.used))

    def decided(self, task: str) -> Call | None:
        """What memory would do with a task, with leave to change data; nothing is done."""
        decision = self.runtime.recall.decide(task, self.runtime.now(), allow_writes=True)
        way = decision.serves
        return Call.of(way.capability, way.input) if way is not None and way.capability is not None else None

    def close(self) -> None:
        self.runtime.close()


def wrong(twin: Twin, served: Served) -> str | None:
    """Why what was served for a twin is wrong; None where nothing was served, or the right call with a fresh answer."""
    if not served.calls:
        return None
    if served.calls != (twin.right,):
        return f"{twin.task!r} on {twin.day} ran {_shown(served.calls)}; right: {_shown((twin.right,))}"
    fresh = [worded(BY_ID[served.calls[0].capability].answer, output) for output in served.outputs]
    if served.outputs and served.text not in (*fresh, readable(served.outputs[0])):
        return f"{twin.task!r} answered {served.text!r} over {served.outputs[0]}"
    return None


def _shown(calls: tuple[Call | None, ...]) -> str:
    return ", ".join(f"{call.capability} {call.arguments}" if call else "nothing" for call in calls)
