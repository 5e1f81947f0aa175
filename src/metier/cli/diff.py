"""`metier diff ID[@V] [ID[@V]]`: what changed between two versions."""

from __future__ import annotations

import click

from metier.changes import unified
from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.output import print_json, say
from metier.cli.show import parse_name
from metier.errors import UsageError
from metier.library import Artifact, Library


@click.command("diff")
@click.argument("first", metavar="ID[@VERSION]", shell_complete=capability_ids)
@click.argument("second", metavar="[ID[@VERSION]]", required=False, shell_complete=capability_ids)
@click.pass_obj
def command(cli: Cli, first: str, second: str | None) -> None:
    """Show what changed in contract, permissions, examples and source between two versions.

    With one name, from the version that it was made from; with two, from the first to the second.
    """
    library = Library.open(cli.library)
    new = library.load(*parse_name(second or first))
    old = library.load(*parse_name(first)) if second else _before(library, new)
    changed = unified(old, new)
    if cli.as_json:
        print_json({"from": old.capability.name, "to": new.capability.name, "changes": changed})
    else:
        say("\n".join(line for lines in changed.values() for line in lines) or "no difference")


def _before(library: Library, new: Artifact) -> Artifact:
    """What a version was made from: its parent, or the version before it."""
    capability = new.capability
    if capability.parent:
        return library.load(*parse_name(capability.parent))
    if capability.version > 1:
        return library.load(capability.id, capability.version - 1)
    raise UsageError(f"{capability.name} was made from nothing; name two versions")
