"""What memory decides about a task, and why: a hit or an abstention, each with its conditions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from metier.capability import Capability
from metier.memory import Remembered

Route = Literal["exact", "template", "semantic"]


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that has to hold before a task is done from memory."""

    name: str
    holds: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """One way to do the task from memory, and what holds of it."""

    route: Route
    capability: str | None
    input: Any = None
    template: str | None = None
    slots: tuple[tuple[str, str], ...] = ()
    """What was found in the task: kind and words."""
    left_over: tuple[str, ...] = ()
    """Words of the task that nothing accounts for."""
    conditions: tuple[Condition, ...] = ()
    signature: str | None = None

    @property
    def serves(self) -> bool:
        return self.capability is not None and all(condition.holds for condition in self.conditions)

    @property
    def reason(self) -> str:
        """The first condition that does not hold; empty where all do."""
        failing = next((c for c in self.conditions if not c.holds), None)
        return "" if failing is None else f"{failing.name}: {failing.detail}" if failing.detail else failing.name

    @property
    def judged_as(self) -> str:
        """The route whose wrong rate a check of this counts for: that of what would have been served, or another."""
        trusted = all(c.holds for c in self.conditions if c.name == "trusted")
        return self.route if trusted else f"{self.route}, not trusted"

    def proposes(self) -> bool:
        """Whether it says a whole call, trusted or not, so that a model's can be compared with it."""
        return self.capability is not None and not any(
            not c.holds and c.name not in ("trusted", "changes nothing unasked") for c in self.conditions
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """What memory would do with a task. Nothing was executed."""

    task: str
    serves: Tried | None
    """The way that serves; None: a model has to be asked."""
    tried: tuple[Tried, ...]
    capability: Capability | None = None
    """The version that would run."""
    remembered: Remembered | None = None
    """How the answer is worded."""
    reason: str = ""
    """Why it serves or abstains, in a line."""
    waits: bool = field(default=False)
    """Whether only the operator's consent to a change is missing; `capability` and `remembered` say what would run."""

    @property
    def route(self) -> Route | None:
        return self.serves.route if self.serves is not None else None


def decision_json(decision: Decision) -> dict[str, Any]:
    """The decision as JSON values, as `metier why --json` prints it."""
    return {
        "task": decision.task,
        "route": decision.route,
        "reason": decision.reason,
        "capability": decision.capability.id if decision.capability else None,
        "version": decision.capability.version if decision.capability else None,
        "input": decision.remembered.input if decision.remembered else None,
        "waits": decision.waits,
        "tried": [
            {
                "route": tried.route,
                "capability": tried.capability,
                "input": tried.input,
                "template": tried.template,
                "slots": [{"kind": kind, "words": words} for kind, words in tried.slots],
                "left_over": list(tried.left_over),
                "conditions": [{"name": c.name, "holds": c.holds, "detail": c.detail} for c in tried.conditions],
                "reason": tried.reason,
            }
            for tried in decision.tried
        ],
    }
