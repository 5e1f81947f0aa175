"""`metier retire ID`."""

from __future__ import annotations

import click

from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.output import note, print_json
from metier.library import Library


@click.command("retire")
@click.argument("id", shell_complete=capability_ids)
@click.pass_obj
def command(cli: Cli, id: str) -> None:
    """Take a capability out of use; its versions stay, and restore brings it back."""
    capability = Library.open(cli.library).set_status(id, "retired")
    if cli.as_json:
        print_json({"id": capability.id, "status": capability.status})
    else:
        note(f"{capability.name} is {capability.status}")
