"""`metier replay RUN…`: recorded runs once more, offline."""

from __future__ import annotations

import click

from metier.cli import Cli
from metier.cli.output import opened, print_json, say
from metier.errors import UsageError


@click.command("replay")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("-n", "limit", default=0, type=click.IntRange(0), help="Instead of naming them: the latest so many.")
@click.pass_obj
@click.pass_context
def command(context: click.Context, cli: Cli, runs: tuple[str, ...], limit: int) -> None:
    """Execute recorded runs again with everything outside taken from the record, and compare byte for byte.

    The first difference is named: identity, effects, outcome, output or fuel. Status 1 if there is one.
    """
    if not runs and not limit:
        raise UsageError("name runs (metier runs lists them), or say how many of the latest with -n")
    with opened(cli) as runtime:
        chosen = runs or [row["run_id"] for row in runtime.journal.recent(limit)]
        comparisons = [runtime.replay(run_id) for run_id in chosen]
    if cli.as_json:
        fields = ("run_id", "capability", "version", "difference")
        print_json([{f: getattr(c, f) for f in fields} | {"identical": c.identical} for c in comparisons])
    else:
        for c in comparisons:
            say(f"{c.run_id} {c.capability}@{c.version}: {c.difference or 'identical'}")
    context.exit(0 if all(c.identical for c in comparisons) else 1)
