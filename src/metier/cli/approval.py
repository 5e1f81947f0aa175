"""A person at the terminal who decides on permissions, seeing source, permissions and examples on one screen."""

from __future__ import annotations

import difflib
import json
import sys

import click

from metier.approval import Approver, Decision, Request, who
from metier.capability import Contract


def terminal_approver() -> Approver | None:
    """Asks at the terminal; None where there is none, so that the draft waits."""
    return TerminalApprover() if sys.stdin.isatty() and sys.stderr.isatty() else None


class TerminalApprover:
    """Shows everything on stderr and asks."""

    def decide(self, request: Request) -> Decision:
        click.echo(screen(request.contract, request.beyond, request.source, request.parent_source), err=True)
        yes = click.confirm("Approve?", default=False, err=True)
        return Decision(yes, who(), "a person said no")


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
