"""`metier restore ID`."""

from __future__ import annotations

import click

from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.status import set_status


@click.command("restore")
@click.argument("id", shell_complete=capability_ids)
@click.pass_obj
def command(cli: Cli, id: str) -> None:
    """Take a retired or quarantined capability back into use."""
    set_status(cli, id, "active")
