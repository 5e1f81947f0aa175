"""A person at the terminal who decides on permissions, seeing source, permissions and examples on one screen."""

from __future__ import annotations

import sys

import click

from metier.approval import Approver, Decision, Request, screen, who


def terminal_approver() -> Approver | None:
    """Asks at the terminal; None where there is none, so that the draft waits."""
    return TerminalApprover() if sys.stdin.isatty() and sys.stderr.isatty() else None


class TerminalApprover:
    """Shows everything on stderr and asks."""

    def decide(self, request: Request) -> Decision:
        click.echo(screen(request.contract, request.beyond, request.source, request.parent_source), err=True)
        yes = click.confirm("Approve?", default=False, err=True)
        return Decision(yes, who(), "a person said no")
