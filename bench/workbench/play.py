"""A stream of tasks through a runtime, one after the other, each on the data as it was in the beginning."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.workbench.oracle import Oracle
from bench.workbench.scenario import Scenario, Task

from metier import Runtime
from metier.errors import MetierError
from metier.library import Library

SETTINGS = """\
[roots]
{root} = "data/{root}"

[policy]
clock = "recorded"
files = [{{ root = "{root}", path = "**", access = "write" }}]

[policy.unasked]
clock = "recorded"
files = [{{ root = "{root}", path = "**", access = "write" }}]

[agent]
recall_writes = true
independence = "off"
"""
"""Drafts get what they need, as if a person had approved it, and memory may repeat what changes data. No tester is
asked: the oracle, who would be, knows what it wrote."""


CHECKED = "memory knew, and a model was asked to check it"


@dataclass(frozen=True, slots=True)
class Solved:
    """How one task of the stream came out."""

    task: str
    part: str
    family: str
    route: str
    """"recall", "model" or "failed"."""
    right: bool
    """Whether the tables hold what they must."""
    seconds: float
    model_calls: int
    reason: str
    """Why memory did not answer, where it did not."""
    capability: str = ""
    input: Any = None
    answer: str = ""
    run_seconds: float = 0.0
    """What of the seconds the program itself took."""
    decision_seconds: float = 0.0
    """How long memory takes to decide."""


def make_library(path: Path, scenario: Scenario) -> Path:
    """A library without capabilities over the tables of a scenario."""
    library = Library.create(path)
    data = data_folder(library.path, scenario)
    data.mkdir(parents=True)
    scenario.restore(data)
    (library.path / "metier.toml").write_text(SETTINGS.format(root=scenario.root), encoding="utf-8")
    return library.path


def data_folder(library: Path, scenario: Scenario) -> Path:
    return library / "data" / scenario.root


def shuffled(tasks: Sequence[Task], seed: int, day: int) -> list[Task]:
    """The tasks of a day, in an order of its own."""
    order = list(tasks)
    random.Random(f"{seed}/{day}").shuffle(order)
    return order


def play(library: Path, scenario: Scenario, order: Iterable[Task]) -> list[Solved]:
    """Opens the library and solves the tasks in this order, with the oracle for a model."""
    with Runtime.open(library, model=Oracle(scenario), now=scenario.now) as runtime:
        return [solve(runtime, scenario, task) for task in order]


def solve(runtime: Runtime, scenario: Scenario, task: Task) -> Solved:
    """One task, on the data as it was in the beginning."""
    data = data_folder(runtime.library.path, scenario)
    scenario.restore(data)
    started = time.perf_counter()
    decision = runtime.decide(task.text)
    decided = time.perf_counter() - started
    route, calls, id, input, said, ran = "failed", 0, "", None, "", 0.0
    started = time.perf_counter()
    try:
        answer = runtime.run_sync(task.text)
    except MetierError as error:
        said = str(error)
    else:
        route, calls, said = answer.route, answer.model_calls, answer.text
        if answer.used:
            id, input, ran = answer.used[-1].capability, answer.used[-1].input, answer.used[-1].seconds
    seconds = time.perf_counter() - started
    right = scenario.state(data) == task.expected
    reason = "" if route == "recall" else decision.reason if decision.route is None else CHECKED
    return Solved(
        task.text, task.file, task.family, route, right, seconds, calls, reason, id, input, said, ran, decided
    )
