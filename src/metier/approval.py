"""Who says yes when a draft asks for more than it would get unasked. No approver means: it waits."""

from __future__ import annotations

import difflib
import getpass
import json
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


def screen(contract: Contract, beyond: tuple[str, ...], source: str, parent_source: str | None) -> str:
    """What is decided on: the wish, the source (as a difference where there is a parent), permissions, examples."""
    lines = [f"{contract.id}: {contract.summary}", "", "source:"]
    if parent_source is None:
        lines += [f"  {line}" for line in _lines(source)]
    else:
        diff = difflib.unified_diff(_lines(parent_source), _lines(source), "parent", contract.id, lineterm="")
        lines += [f"  {line}" for line in diff]
    lines += ["", "examples:"]
    for example in contract.examples:
        outcome = {"error": example.error.model_dump(exclude_none=True)} if example.error else example.output
        lines.append(f"  {json.dumps(example.input, ensure_ascii=False)} → {json.dumps(outcome, ensure_ascii=False)}")
    lines += ["", "it may:", *(f"  {ask}" for ask in contract.permissions.sentences())]
    lines += ["beyond what is given unasked:", *(f"  {ask}" for ask in beyond)]
    return "\n".join("".join(c if c.isprintable() else "�" for c in line) for line in lines)


def _lines(source: str) -> list[str]:
    """Lines as compilers see them. `str.splitlines` knows more ends of lines, behind which a comment would look like
    code."""
    return source.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
