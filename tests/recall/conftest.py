"""A library of one office, whose capabilities say their input again, and a way to have memory learn a task."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.capability import Contract, Provenance
from metier.library import Library, Release
from metier.outcomes import Ran
from metier.recall import Decision
from tests.conftest import ECHO

TODAY = datetime(2023, 11, 30, 9, 0, tzinfo=UTC)
PEOPLE = "name,email\nkofi,kofi.mensah@atlas.com\nyuki,yuki.tanaka@atlas.com\nMary Major,mary.major@atlas.com\n"
FILES = {"files": [{"root": "office", "path": "people.csv", "access": "read"}]}


class Office:
    """Opens runtimes over one library at some time, and has them learn."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.library = Library.create(path / "capabilities")
        (path / "data").mkdir()
        self.people = path / "data" / "people.csv"
        self.people.write_text(PEOPLE, encoding="utf-8")
        self.settings(shadow=0)
        self.runtimes: list[Runtime] = []

    def settings(self, **recall: float) -> None:
        lines = "".join(f"{key} = {value}\n" for key, value in recall.items())
        toml = '[roots]\noffice = "../data"\n[[policy.files]]\nroot = "office"\npath = "**"\naccess = "write"\n'
        (self.library.path / "metier.toml").write_text(f"{toml}[recall]\n{lines}", encoding="utf-8")

    def open(self, now: datetime = TODAY, **options: Any) -> Runtime:
        runtime = Runtime.open(self.library.path, now=now, **options)
        self.runtimes.append(runtime)
        return runtime

    def publish(self, id: str, effects: str = "read", permissions: Any = FILES, **properties: Any) -> None:
        contract = Contract.model_validate(
            {
                "id": id,
                "summary": f"Does {id}.",
                "language": "wasm",
                "input_schema": {"type": "object", "properties": properties, "additionalProperties": False},
                "output_schema": {"type": "object"},
                "effects": effects,
                "permissions": permissions,
            }
        )
        by_hand = Provenance(author="hand", created="2026-01-01T00:00:00+00:00")
        release = Release(contract=contract, wasm=ECHO, source={}, engine=None, parent=None, provenance=by_hand)
        self.library.publish(release, expected_version=None)


def learn(runtime: Runtime, task: str, id: str, decision: Decision | None = None, **input: Any) -> None:
    """As if a model had solved the task by one run."""
    capability = runtime.library.get(id)
    ran = runtime.execute(capability, input)
    assert isinstance(ran, Ran), ran
    assert runtime.recall.learn(task, ran, capability, json.dumps(input), runtime.now(), "run", decision)


def said(runtime: Runtime, task: str, **options: Any) -> Any:
    """The arguments that memory would run with; None where it abstains."""
    decision = runtime.decide(task, **options)
    assert (decision.serves is None) == (decision.route is None)
    return decision.remembered.input if decision.serves and decision.remembered else None


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    yield office
    for runtime in office.runtimes:
        runtime.close()
