"""`metier restore ID`."""

from __future__ import annotations

import click

from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.output import note, print_json
from metier.library import Library


@click.command("restore")
@click.argument("id", shell_complete=capability_ids)
@click.pass_obj
def command(cli: Cli, id: str) -> None:
    """Take a retired or quarantined capability back into use."""
    capability = Library.open(cli.library).set_status(id, "active")
    if cli.as_json:
        print_json({"id": capability.id, "status": capability.status})
    else:
        note(f"{capability.name} is {capability.status}")
