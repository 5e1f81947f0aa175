"""How commands print: JSON for programs, tables and panels for terminals, plain text for pipes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from metier.cli import Cli
    from metier.runtime import Runtime


def print_json(value: Any) -> None:
    """One JSON value on stdout, in one line for a pipe and readable for a terminal."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def note(text: str) -> None:
    """A line that is no data."""
    click.echo(text, err=True)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows on stdout: a table on a terminal, tab-separated in a pipe."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(" ".join(cell.split()) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        shown.add_column(heading, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row))
    Console().print(shown)


def announcer(cli: Cli) -> Callable[[str], None]:
    """Says on stderr what takes long."""
    return (lambda _: None) if cli.quiet else note


def opened(cli: Cli, *, model: str | None = None, approver: Any = None) -> Runtime:
    """The runtime over the library that the command line names."""
    from metier.runtime import Runtime

    return Runtime.open(cli.library, model=model, approver=approver, announce=announcer(cli))
