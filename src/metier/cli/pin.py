"""`metier pin ID[@VERSION]`."""

from __future__ import annotations

import click

from metier.approval import who
from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.output import note, opened, print_json
from metier.cli.show import parse_name


@click.command("pin")
@click.argument("name", metavar="ID[@VERSION]", shell_complete=capability_ids)
@click.option("--unpin", is_flag=True, help="Let go of it again.")
@click.pass_obj
def command(cli: Cli, name: str, unpin: bool) -> None:
    """Keep a capability as it is: no mutation replaces, merges or retires it, only a person does.

    With a version that is not the current one, that version is published again first, as rollback does. If a pinned
    version breaks its contract it is quarantined, and nothing takes its place by itself.
    """
    id, version = parse_name(name)
    with opened(cli) as runtime:
        if version is not None and not unpin and runtime.library.get(id).version != version:
            runtime.lifecycle.roll_back(id, version, who())
        capability = runtime.library.pin(id, pinned=not unpin)
    if cli.as_json:
        print_json({"id": capability.id, "version": capability.version, "pinned": not unpin})
    else:
        note(f"{capability.name} is {'not pinned any more' if unpin else 'pinned'}")
