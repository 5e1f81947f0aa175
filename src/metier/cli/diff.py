"""`metier diff ID[@V] [ID[@V]]`: what changed between two versions."""

from __future__ import annotations

import difflib
import json

import click

from metier.capability import contract_json
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
    parts = [_part(name, _texts(old).get(name, ""), text, old, new) for name, text in _texts(new).items()]
    parts += [_part(name, text, "", old, new) for name, text in _texts(old).items() if name not in _texts(new)]
    changed = {name: lines for name, lines in parts if lines}
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


def _texts(artifact: Artifact) -> dict[str, str]:
    contract = contract_json(artifact.capability)
    texts = {key: json.dumps(value, indent=2, ensure_ascii=False) for key, value in contract.items() if key != "id"}
    return texts | {f"src/{path}": text.decode("utf-8", "replace") for path, text in sorted(artifact.source.items())}


def _part(name: str, old: str, new: str, before: Artifact, after: Artifact) -> tuple[str, list[str]]:
    labels = (f"{before.capability.name}/{name}", f"{after.capability.name}/{name}")
    return name, list(difflib.unified_diff(old.splitlines(), new.splitlines(), *labels, lineterm=""))
