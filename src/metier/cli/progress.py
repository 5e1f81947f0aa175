"""A task on the terminal while it is being solved: one line an event, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from metier import events
from metier.narration import describe


def follower(*, quiet: bool) -> Callable[[events.Event], None]:
    """What hears a task's events: prints them on a terminal, keeps still otherwise."""
    if quiet or not sys.stderr.isatty():
        return lambda _: None

    def tell(event: events.Event) -> None:
        line = describe(event)
        if line:
            click.secho(line, dim=True, err=True)

    return tell
