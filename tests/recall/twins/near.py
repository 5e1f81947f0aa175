"""What changes around memory after lessons: capabilities that look alike, go, come back or fail, and data that change."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from metier import Runtime
from tests.recall.twins import office
from tests.recall.twins.corpus import Twin
from tests.recall.twins.solved import lessons, unseen

Change = Callable[[Runtime, Path], None]
"""Done to an office that has learned, given its data folder as well."""


@dataclass(frozen=True)
class Situation:
    name: str
    change: Change
    families: tuple[str, ...]
    served: bool
    """Whether the tasks of these families still have a right call."""

    def twins(self) -> list[Twin]:
        """Solved and new tasks of the families, in this situation."""
        tasks = [lesson for lesson in lessons() if lesson.family in self.families]
        tasks += [new for family in self.families for new in unseen(family, 5)]
        return [Twin("near", task.task, task.call if self.served else None) for task in tasks]


def program(id: str) -> office.Program:
    return next(p for p in office.PROGRAMS if p.id == id)


def retire(*ids: str) -> Change:
    def change(runtime: Runtime, data: Path) -> None:
        for id in ids:
            runtime.library.set_status(id, "retired")

    return change


def quarantine(*ids: str) -> Change:
    def change(runtime: Runtime, data: Path) -> None:
        for id in ids:
            runtime.lifecycle.quarantine(runtime.library.get(id), "it was wrong")

    return change


def publish_like(id: str, new: str, body: str, summary: str | None = None) -> Change:
    """Another capability with the contract of one, and other semantics."""

    def change(runtime: Runtime, data: Path) -> None:
        old = program(id)
        office.publish(runtime, dataclasses.replace(old, id=new, body=body, summary=summary or old.summary))

    return change


def retire_beside_like(id: str, new: str, body: str) -> Change:
    def change(runtime: Runtime, data: Path) -> None:
        publish_like(id, new, body)(runtime, data)
        retire(id)(runtime, data)

    return change


def without(file: str, key: str, gone: Callable[[str], bool]) -> Change:
    """Rows of a file are not there any more."""

    def change(runtime: Runtime, data: Path) -> None:
        rows = json.loads((data / file).read_text(encoding="utf-8"))
        (data / file).write_text(json.dumps([row for row in rows if not gone(row[key])]), encoding="utf-8")

    return change


def again(*ids: str) -> Change:
    def change(runtime: Runtime, data: Path) -> None:
        for id in ids:
            runtime.library.set_status(id, "retired")
            runtime.library.set_status(id, "active")

    return change


HALF = """
    row = find(rows("people.json"), "name", input["name"])
    return {"name": row["name"], "salary": row["salary"] // 2}"""
LAST = """
    row = find(rows("people.json"), "name", input["name"])
    return {"name": row["name"], "manager": "nobody"}"""
BACK = """
    rates = {"EUR": 100, "USD": 92, "GBP": 117, "CHF": 104}
    return {"result": input["amount"] * rates[input["target"]] / rates[input["source"]], "target": input["source"]}"""

SITUATIONS = [
    Situation("one is retired", retire("get_total_pay", "days_between"), ("get_total_pay", "days_between"), False),
    Situation("its opposite alone is left", retire("enable_2fa", "delete_document"), ("enable_2fa", "delete_document"), False),
    Situation("one is quarantined", quarantine("get_stock", "top_customers"), ("get_stock", "top_customers"), False),
    Situation("a like one with the same summary comes", publish_like("get_salary", "get_pay", HALF), ("get_salary",), True),
    Situation(
        "a like one for the very words comes",
        publish_like("get_manager", "find_manager", LAST, "Who is somebody's manager, who does somebody report to."), ("get_manager",), True,
    ),
    Situation("the other direction comes", publish_like("convert_money", "convert_back", BACK), ("convert_money",), True),
    Situation("a like one is left alone", retire_beside_like("get_salary", "get_pay", HALF), ("get_salary",), False),
    Situation("one was away", again("train_minutes", "list_tasks"), ("train_minutes", "list_tasks"), True),
]  # fmt: skip
