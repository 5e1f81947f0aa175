"""What others do in place of recall, on the same stream: they say with which capability and input to answer a task, or
that a model has to, and learn what the model did."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import numpy as np
from bench.workbench.scenario import Scenario, State, Task

from metier.memory import normalize_task
from metier.retrieval.embedders import WordLlamaEmbedder
from metier.wording import leaves

Call = tuple[str, str]
"""A capability and its input, as JSON text."""


def call_of(scenario: Scenario, task: Task) -> Call:
    """What the model calls for a task."""
    return scenario.families[task.family].capability, json.dumps(task.arguments, sort_keys=True)


class Policy(Protocol):
    @property
    def name(self) -> str: ...

    def route(self, text: str) -> Call | None: ...

    def learn(self, text: str, call: Call) -> None: ...


@dataclass(slots=True)
class ExactCache:
    name: str = "exact cache"
    _known: dict[str, Call] = field(default_factory=dict)

    def route(self, text: str) -> Call | None:
        return self._known.get(normalize_task(text))

    def learn(self, text: str, call: Call) -> None:
        self._known[normalize_task(text)] = call


class SemanticCache:
    """The call of the nearest task that was solved, from a cosine on. At -1 this is dense retrieval alone."""

    def __init__(self, name: str, embed: Callable[[str], Any], least: float) -> None:
        self.name = name
        self._embed, self._least = embed, least
        self._vectors: list[Any] = []
        self._calls: list[Call] = []

    def route(self, text: str) -> Call | None:
        if not self._calls:
            return None
        cosines = np.asarray(self._vectors) @ self._embed(text)
        best = int(np.argmax(cosines))
        return self._calls[best] if cosines[best] >= self._least else None

    def learn(self, text: str, call: Call) -> None:
        self._vectors.append(self._embed(text))
        self._calls.append(call)


class Embedded:
    """Texts as vectors, each embedded once."""

    def __init__(self) -> None:
        self._embedder = WordLlamaEmbedder()
        self._known: dict[str, Any] = {}

    def __call__(self, text: str) -> Any:
        if text not in self._known:
            self._known[text] = self._embedder.embed([text])[0]
        return self._known[text]


class BareTemplates:
    """Templates as induced in an afternoon: an argument that stands in the task becomes a slot for anything, and the
    first template that matches wins. Nothing is typed, nothing has to exist, no near tie is looked at."""

    name = "templates, no conditions"

    def __init__(self, year: int) -> None:
        self._year = year
        self._templates: list[tuple[re.Pattern[str], str, Any, list[tuple[str, str]]]] = []

    def route(self, text: str) -> Call | None:
        for pattern, id, input, slots in self._templates:
            match = pattern.fullmatch(text)
            if match:
                filled = json.loads(json.dumps(input))
                for number, (path, kind) in enumerate(slots):
                    _put(filled, path, self._value(match[f"s{number}"], kind))
                return id, json.dumps(filled, sort_keys=True)
        return None

    def learn(self, text: str, call: Call) -> None:
        input = json.loads(call[1])
        parts: list[str | int] = [text]
        slots: list[tuple[str, str]] = []
        values = [(path, value) for path, value in leaves(input) if path is not None]
        for path, value in sorted(values, key=lambda leaf: -len(str(leaf[1]))):
            found = self._said(text, value)
            if found is not None and any(isinstance(part, str) and found[0] in part for part in parts):
                parts = [piece for part in parts for piece in _cut(part, found[0], len(slots))]
                slots.append((path, found[1]))
        self._templates.append((re.compile(_pattern(parts), re.DOTALL | re.IGNORECASE), call[0], input, slots))

    def _said(self, text: str, value: Any) -> tuple[str, str] | None:
        """How a value stands in a text, and how to read what else may stand there."""
        if isinstance(value, bool) or value is None:
            return None
        at = text.casefold().find(str(value).casefold())
        if at >= 0:
            return text[at : at + len(str(value))], "number" if isinstance(value, (int, float)) else "text"
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            day = datetime.strptime(value, "%Y-%m-%d")
            said = f"{day:%B} {day.day}"
            return (said, "day") if said in text else None
        hours = re.search(r"(\d+(\.\d+)?) hours?", text)
        if isinstance(value, int) and hours and round(float(hours[1]) * 60) == value:
            return hours[0], "hours"
        return None

    def _value(self, said: str, kind: str) -> Any:
        try:
            if kind == "number":
                return int(said)
            if kind == "hours":
                amount, unit = said.split()
                return round(float(amount) * (60 if unit.startswith("hour") else 1))
            if kind == "day":
                return datetime.strptime(f"{said} {self._year}", "%B %d %Y").date().isoformat()
        except ValueError:
            pass
        return said


def _cut(part: str | int, said: str, slot: int) -> list[str | int]:
    """A piece of a template with a slot wherever `said` stands."""
    if isinstance(part, int):
        return [part]
    pieces = part.split(said)
    return [piece for text in pieces for piece in (text, slot)][:-1]


def _pattern(parts: Sequence[str | int]) -> str:
    seen: set[int] = set()
    pattern = ""
    for part in parts:
        if isinstance(part, str):
            pattern += re.escape(part)
        else:
            pattern += f"(?P=s{part})" if part in seen else f"(?P<s{part}>.+?)"
            seen.add(part)
    return pattern


def _put(value: Any, path: str, leaf: Any) -> None:
    *steps, last = path.split(".")
    for step in steps:
        value = value[int(step)] if isinstance(value, list) else value[step]
    value[int(last) if isinstance(value, list) else last] = leaf


@dataclass(frozen=True, slots=True)
class Routed:
    """What a policy did with a task: whether it called a model, and whether the tables hold what they must."""

    recalled: bool
    right: bool


def follow(
    policy: Policy,
    scenario: Scenario,
    days: Sequence[Sequence[Task]],
    outcome: Callable[[Call], State | None],
) -> list[list[Routed]]:
    """A policy through the days of a stream. `outcome` says what the tables hold after a call on the original data,
    None where it fails."""
    told = []
    for order in days:
        day = []
        for task in order:
            call = policy.route(task.text)
            if call is None:
                own = call_of(scenario, task)
                policy.learn(task.text, own)
                day.append(Routed(False, outcome(own) == task.expected))
            else:
                day.append(Routed(True, outcome(call) == task.expected))
        told.append(day)
    return told


def best_threshold(scenario: Scenario, order: Sequence[Task], embed: Callable[[str], Any]) -> float:
    """The cosine from which a semantic cache serves most right calls beyond its wrong ones, on the first day."""

    def gain(least: float) -> int:
        cache, total = SemanticCache("", embed, least), 0
        for task in order:
            call, own = cache.route(task.text), call_of(scenario, task)
            if call is None:
                cache.learn(task.text, own)
            else:
                total += 1 if call == own else -1
        return total

    return max((round(0.5 + step / 100, 2) for step in range(50)), key=lambda least: (gain(least), least))


def outcomes(scenario: Scenario, run: Callable[[str, Any], State | None]) -> Callable[[Call], State | None]:
    """What the tables hold after a call; each is carried out once."""
    known: dict[Call, State | None] = {}

    def outcome(call: Call) -> State | None:
        if call not in known:
            known[call] = run(call[0], json.loads(call[1]))
        return known[call]

    return outcome


def policies(scenario: Scenario, order: Sequence[Task]) -> list[Policy]:
    embed = Embedded()
    best = best_threshold(scenario, order, embed)
    return [
        ExactCache(),
        SemanticCache(f"semantic cache, best: cosine ≥ {best:.2f}", embed, best),
        SemanticCache("semantic cache, cosine ≥ 0.80", embed, 0.8),
        SemanticCache("dense only", embed, -1.0),
        BareTemplates(scenario.now.year),
    ]
