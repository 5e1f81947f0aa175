"""`metier rollback ID VERSION`: an earlier version as the next one."""

from __future__ import annotations

import click

from metier.approval import who
from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.output import note, opened, print_json


@click.command("rollback")
@click.argument("id", shell_complete=capability_ids)
@click.argument("version", type=click.IntRange(1))
@click.pass_obj
def command(cli: Cli, id: str, version: int) -> None:
    """Publish an earlier version again, as the next one. Nothing is lost: the present version stays in the history."""
    with opened(cli) as runtime:
        if runtime.library.get(id, version).status == "quarantined":
            note(f"{id}@{version} was quarantined; `metier history {id}` says why")
        published = runtime.lifecycle.roll_back(id, version, who())
    if cli.as_json:
        print_json({"id": published.id, "version": published.version, "from": version, "status": published.status})
    else:
        note(f"{published.name} is what {id}@{version} was, and {published.status}")
