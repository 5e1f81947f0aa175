"""`metier retire ID`."""

from __future__ import annotations

import click

from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.status import set_status


@click.command("retire")
@click.argument("id", shell_complete=capability_ids)
@click.pass_obj
def command(cli: Cli, id: str) -> None:
    """Take a capability out of use; its versions stay, and restore brings it back."""
    set_status(cli, id, "retired")
