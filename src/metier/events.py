"""What happens during a task, in one vocabulary for the command line, HTTP, MCP, traces and the journal."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class TaskStarted:
    run_id: str
    task: str


@dataclass(frozen=True, slots=True)
class Recalled:
    """Memory answers: it knows the version and the arguments that solve the task."""

    capability: str
    version: int
    input: Any
    way: str = "exact"
    """"exact", "template" or "semantic"."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """The capabilities that the model gets to see: (id, score), best first."""

    candidates: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class ModelAsked:
    role: Literal["chat", "author", "tester"]
    model: str


@dataclass(frozen=True, slots=True)
class ModelAnswered:
    role: Literal["chat", "author", "tester"]
    tokens: int


@dataclass(frozen=True, slots=True)
class RunStarted:
    capability: str
    version: int
    input: Any


@dataclass(frozen=True, slots=True)
class RunEnded:
    capability: str
    version: int
    ok: bool
    summary: str
    """The output or the error, shortened to a line."""
    seconds: float


@dataclass(frozen=True, slots=True)
class MutationStarted:
    task: str
    parent: str | None


@dataclass(frozen=True, slots=True)
class AuthorLooked:
    """The author looked at something or tried its draft, and what it was told, shortened."""

    tool: str
    told: str


@dataclass(frozen=True, slots=True)
class DraftChecked:
    """One round of a mutation: what the gates found; nothing means it passed."""

    round: int
    capability: str | None
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Published:
    capability: str
    version: int


@dataclass(frozen=True, slots=True)
class WaitsForApproval:
    """A draft that a person has to decide on: `metier approve ID`."""

    capability: str
    beyond: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ToolRefused:
    """A tool call that was not carried out, and why."""

    tool: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The end of a task that was solved: what `run --json` prints."""

    answer: str
    run_id: str
    route: Literal["recall", "model"]
    candidates: tuple[dict[str, Any], ...]
    used: tuple[dict[str, Any], ...]
    created: tuple[str, ...]
    waiting: tuple[str, ...]
    """Ids of drafts that wait for approval."""
    withheld: tuple[str, ...]
    """Ids of capabilities that were not run, because they change data and nobody had allowed that."""
    model_calls: int
    tokens: int


@dataclass(frozen=True, slots=True)
class MutationEnded:
    """What an order for a new capability came to; `capability` is the one that is there or waits now."""

    outcome: Literal["published", "exists", "waits", "nothing", "failed"]
    capability: str | None


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """A task that was not solved: what `Runtime.run` raised. Told to those that watch a runtime; its caller has it."""

    run_id: str
    kind: str
    """The error's class, as in `SetupMissing`."""
    error: str


Event = (
    TaskStarted
    | Recalled
    | Nearest
    | ModelAsked
    | ModelAnswered
    | RunStarted
    | RunEnded
    | MutationStarted
    | AuthorLooked
    | DraftChecked
    | Published
    | WaitsForApproval
    | ToolRefused
    | MutationEnded
    | TaskFailed
    | Answered
)


def event_json(event: Event) -> dict[str, Any]:
    """The event as a JSON object; `type` is its name in snake case, as in `run_started`."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    return {"type": name, **dataclasses.asdict(event)}
