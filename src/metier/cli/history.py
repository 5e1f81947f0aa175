"""`metier history ID`: the versions of a capability, what became of them and why, and what was made from them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime

import click

from metier.capability import Capability
from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.output import print_json, say
from metier.config import load_settings
from metier.evidence import Transition
from metier.journal import Journal
from metier.library import Library
from metier.lineage import children as made_from
from metier.lineage import history


@click.command("history")
@click.argument("id", shell_complete=capability_ids)
@click.pass_obj
def command(cli: Cli, id: str) -> None:
    """Show the versions of a capability, oldest first, as a tree with the capabilities made from them.

    Below a version stand the moves from state to state that the journal knows of, each with its reason.
    """
    library = Library.open(cli.library)
    versions = library.versions(id)
    journal = Journal(library.state, keep_runs=load_settings(library.path).journal.runs)
    with contextlib.closing(journal):
        if cli.as_json:
            print_json(history(library, journal.evidence, id))
        else:
            moves = journal.evidence.transitions(id)
            say("\n".join(_tree(versions, moves, made_from(library, id))))


def _tree(
    versions: Sequence[Capability], moves: Sequence[Transition], children: dict[str, list[Capability]]
) -> Iterator[str]:
    if versions[0].parent:
        yield f"{versions[0].parent}"
    for number, capability in enumerate(versions):
        last = number == len(versions) - 1
        yield f"{'└─' if last else '├─'} {_line(capability)}"
        bar = "   " if last else "│  "
        for move in moves:
            if move.version == capability.version:
                at = datetime.fromtimestamp(move.at).astimezone().isoformat(sep=" ", timespec="seconds")
                yield f"{bar}   {at}  {move.was} → {move.became}: {move.reason}"
        for child in children.get(capability.name, ()):
            yield f"{bar}└─ {child.id}, now {_line(child)}"


def _line(capability: Capability) -> str:
    made = capability.provenance
    parts = [capability.name, capability.status, *(["pinned"] if capability.pinned else [])]
    parts += [f"made {made.created} by {made.author}"] if made else []
    parts += [f"from {capability.parent}"] if capability.parent else []
    return "  ".join([*parts, (capability.sha256 or "")[:12]]).rstrip()
