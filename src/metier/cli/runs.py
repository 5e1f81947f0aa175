"""`metier runs`: the journal."""

from __future__ import annotations

import json
from datetime import datetime

import click

from metier.cli import Cli
from metier.cli.output import opened, print_json, table


@click.command("runs")
@click.argument("action", required=False, type=click.Choice(["verify"]))
@click.option("-n", "limit", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many.")
@click.pass_obj
@click.pass_context
def command(context: click.Context, cli: Cli, action: str | None, limit: int) -> None:
    """List the latest runs, newest first. `metier runs verify` checks that none was changed or removed."""
    with opened(cli) as runtime:
        if action == "verify":
            count, problem = runtime.journal.verify()
            if cli.as_json:
                print_json({"runs": count, "problem": problem})
            else:
                click.echo(problem or f"{count} runs, unchanged")
            context.exit(1 if problem else 0)
        rows = runtime.journal.recent(limit)
    if cli.as_json:
        print_json(rows)
        return
    table(
        ["run", "when", "capability", "input", "outcome", "task"],
        [
            [
                row["run_id"],
                datetime.fromtimestamp(row["at"]).astimezone().isoformat(sep=" ", timespec="seconds"),
                f"{row['capability']}@{row['version']}",
                json.dumps(row["input"], ensure_ascii=False)[:80],
                (row["error"] or json.dumps(row["output"], ensure_ascii=False))[:120],
                (row["task"] or "")[:80],
            ]
            for row in rows
        ],
    )
