"""`metier history ID`: the versions of a capability."""

from __future__ import annotations

import click

from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.output import print_json, table
from metier.library import Library


@click.command("history")
@click.argument("id", shell_complete=capability_ids)
@click.pass_obj
def command(cli: Cli, id: str) -> None:
    """List the versions of a capability, oldest first."""
    versions = Library.open(cli.library).versions(id)
    if cli.as_json:
        keys = ("id", "version", "sha256", "status", "parent", "replaced_by", "summary")
        rows = [c.model_dump(mode="json", include=set(keys) | {"provenance"}) for c in versions]
        print_json(rows)
        return
    table(
        ["version", "status", "made", "by", "from", "hash"],
        [
            [
                c.name,
                c.status,
                c.provenance.created if c.provenance else "",
                c.provenance.author if c.provenance else "",
                c.parent or "",
                (c.sha256 or "")[:12],
            ]
            for c in versions
        ],
    )
