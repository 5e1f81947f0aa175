"""`metier list`: what there is."""

from __future__ import annotations

import click

from metier.cli import Cli
from metier.cli.output import note, print_json, table
from metier.library import Library


@click.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what is retired, quarantined or superseded.")
@click.pass_obj
def command(cli: Cli, everything: bool) -> None:
    """List the capabilities. Folders that do not load are named on stderr and hide nothing."""
    library = Library.open(cli.library)
    shown = library.capabilities() if everything else library.live()
    broken = library.broken()
    if cli.as_json:
        rows = [
            {"id": c.id, "version": c.version, "language": c.language, "effects": c.effects, "status": c.status}
            | {"summary": c.summary}
            for c in shown
        ]
        print_json({"capabilities": rows, "broken": [{"folder": b.folder, "problem": b.problem} for b in broken]})
        return
    table(
        ["id", "version", "language", "effects", "status", "summary"],
        [[c.id, str(c.version), c.language, c.effects, c.status, c.summary] for c in shown],
    )
    for b in broken:
        note(f"broken: {b.problem}")
