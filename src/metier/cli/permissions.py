"""`metier permissions ID`: what a capability may do here, in plain words."""

from __future__ import annotations

import click

from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.output import print_json, say
from metier.cli.show import parse_name
from metier.config import load_settings
from metier.errors import UsageError
from metier.library import Library
from metier.mutation.pending import PendingDrafts


@click.command("permissions")
@click.argument("name", metavar="ID[@VERSION]", shell_complete=capability_ids)
@click.pass_obj
def command(cli: Cli, name: str) -> None:
    """Say what a capability asks for, and what of it this library's policy does not allow."""
    library = Library.open(cli.library)
    id, version = parse_name(name)
    waits = id in {draft.id for draft in PendingDrafts(library.state).all()}
    if waits and id not in {c.id for c in library.capabilities()}:
        raise UsageError(f"{id} is a draft that waits for a person; `metier approve {id}` shows what it asks for")
    capability = library.get(id, version)
    settings = load_settings(library.path)
    asks = capability.permissions.sentences()
    refused = capability.permissions.beyond(settings.policy)
    by = capability.provenance.approved_by if capability.provenance else None
    if cli.as_json:
        print_json({"id": capability.id, "asks": asks, "refused_by_policy": refused, "approved_by": by})
        return
    say("\n".join(f"{ask}{'  (not allowed by the policy)' if ask in refused else ''}" for ask in asks) or "nothing")
    if by:
        say(f"approved by {by}")
