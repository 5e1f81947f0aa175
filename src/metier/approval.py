"""Who says yes when a draft asks for more than it would get unasked. No approver means: it waits."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import Protocol

from metier.capability import Contract


@dataclass(frozen=True, slots=True)
class Request:
    """What a person decides on: the contract with its permissions, what goes beyond the usual, and the source."""

    contract: Contract
    beyond: tuple[str, ...]
    source: str
    parent_source: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`approved` is None where nobody could be asked: the draft waits then."""

    approved: bool | None
    by: str
    """Who decided, as provenance keeps it."""
    reason: str = ""


class Approver(Protocol):
    def decide(self, request: Request) -> Decision: ...


class NoApprover:
    """Nobody is there to ask."""

    def decide(self, request: Request) -> Decision:
        return Decision(None, "nobody", "nobody is there to approve it")


class Always:
    """Decides without a person: `[approval] mode = "auto"` or `"deny"`."""

    def __init__(self, approved: bool) -> None:
        self._approved = approved

    def decide(self, request: Request) -> Decision:
        return Decision(self._approved, "policy", "this library gives drafts no more than [policy.unasked]")


def who() -> str:
    """The person, as provenance keeps them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
