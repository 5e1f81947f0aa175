"""How commands print: JSON for programs, tables and panels for terminals, plain text for pipes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from metier.cli import CONTROLS
from metier.errors import UsageError

if TYPE_CHECKING:
    from metier.cli import Cli
    from metier.runtime import Runtime


def print_json(value: Any) -> None:
    """One JSON value on stdout, in one line for a pipe and readable for a terminal."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def say(text: str, *, newline: bool = True) -> None:
    """Text on stdout: as it is in a pipe, without what steers a terminal on one."""
    click.echo(text.translate(CONTROLS) if sys.stdout.isatty() else text, nl=newline)


def note(text: str) -> None:
    """A line that is no data."""
    click.echo(text.translate(CONTROLS), err=True)


def task_text(text: str) -> str:
    """The task as it is.

    Raises:
        UsageError: it came as bytes that are not UTF-8; Python hands those on as halves of surrogate pairs.
    """
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UsageError("the task is not UTF-8 text")
    return text


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
    for number, heading in enumerate(headings):
        shown.add_column(heading, overflow="fold", no_wrap=number == 0)  # the first is what one types
    for row in rows:
        shown.add_row(*(Text(cell.translate(CONTROLS)) for cell in row))
    Console().print(shown)


def announcer(cli: Cli) -> Callable[[str], None]:
    """Says on stderr what takes long."""
    return (lambda _: None) if cli.quiet else note


def opened(cli: Cli, *, model: str | None = None, approver: Any = None) -> Runtime:
    """The runtime over the library that the command line names."""
    from metier.runtime import Runtime

    return Runtime.open(cli.library, model=model, approver=approver, announce=announcer(cli))
