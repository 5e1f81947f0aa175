"""`metier runs`: the journal."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from metier.cli import Cli
from metier.cli.output import opened, print_json, table
from metier.journal import Journal
from metier.printable import visible

LOOK_SECONDS = 0.5
PAGE, MAX_PAGES = 200, 50


@click.command("runs")
@click.argument("action", required=False, type=click.Choice(["verify"]))
@click.option("-n", "limit", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many.")
@click.option(
    "-f", "--follow", is_flag=True, help="Then print each run as it ends, until Ctrl-C; with --json one a line."
)
@click.pass_obj
@click.pass_context
def command(context: click.Context, cli: Cli, action: str | None, limit: int, follow: bool) -> None:
    """List the latest runs, newest first. `metier runs verify` checks that none was changed or removed.

    With --follow the newest stands last, and those of every process that uses the library are told.
    """
    with opened(cli) as runtime:
        if follow:
            for row in _following(runtime.journal, limit):
                click.echo(json.dumps(row, ensure_ascii=False) if cli.as_json else visible("  ".join(_cells(row))))
        if action == "verify":
            count, problem = runtime.journal.verify()
            emptied = runtime.journal.emptied()
            if cli.as_json:
                print_json({"runs": count, "forgotten": emptied, "problem": problem})
            else:
                click.echo(problem or f"{count} runs, unchanged" + f"; {emptied} of them forgotten" * bool(emptied))
            context.exit(1 if problem else 0)
        rows = runtime.journal.recent(limit)
    if cli.as_json:
        print_json(rows)
        return
    table(["run", "when", "capability", "input", "outcome", "task"], [_cells(row) for row in rows])


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        row["run_id"],
        datetime.fromtimestamp(row["at"]).astimezone().isoformat(sep=" ", timespec="seconds"),
        f"{row['capability']}@{row['version']}",
        json.dumps(row["input"], ensure_ascii=False)[:80],
        (row["error"] or json.dumps(row["output"], ensure_ascii=False))[:120],
        (row["task"] or "")[:80],
    ]


def _following(journal: Journal, limit: int) -> Iterator[dict[str, Any]]:
    """The latest runs, oldest first, and then each that is added, for ever."""
    last: str | None = None
    rows = journal.recent(limit)
    while True:
        yield from reversed(rows)
        last = rows[0]["run_id"] if rows else last
        time.sleep(LOOK_SECONDS)
        rows = _newer(journal, last)


def _newer(journal: Journal, last: str | None) -> list[dict[str, Any]]:
    """The runs after the `last`, newest first; all where there was none. At most so many pages, however fast they
    come."""
    found: list[dict[str, Any]] = []
    for _ in range(MAX_PAGES):
        page = journal.recent(PAGE, before=found[-1]["run_id"] if found else None)
        new = list(itertools.takewhile(lambda row: row["run_id"] != last, page))
        found += new
        if len(new) < len(page) or len(page) < PAGE:
            break
    return found
