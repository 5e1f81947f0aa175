"""`metier import PATH`: a capability of another library, with its history."""

from __future__ import annotations

from pathlib import Path

import click

from metier.approval import who
from metier.cli import Cli
from metier.cli.approval import terminal_approver
from metier.cli.output import note, opened, print_json
from metier.importing import bring_in


@click.command("import")
@click.argument("folder", metavar="PATH", type=click.Path(path_type=Path))
@click.option("--as", "id", metavar="ID", help="The id that it has here.")
@click.option("--trust", is_flag=True, help="Keep the state that it had; otherwise it starts as a candidate.")
@click.option("--yes", is_flag=True, help="Allow what it asks for beyond what is given unasked.")
@click.pass_obj
def command(cli: Cli, folder: Path, id: str | None, trust: bool, yes: bool) -> None:
    """Take in a capability's folder, as metier export --folder writes it or another library has it.

    Every version is verified, examples run again on copies of the data. All of it is imported, or nothing.
    """
    with opened(cli, approver=terminal_approver()) as runtime:
        done = bring_in(runtime, folder, by=who(), id=id, trust=trust, approved=yes)
    c = done.capability
    if cli.as_json:
        about = {"id": c.id, "version": c.version, "status": c.status, "was": done.was, "versions": done.versions}
        print_json(about | {"examples": len(c.examples), "held": done.held, "notes": done.notes})
        return
    versions = "1 version" if done.versions == 1 else f"{done.versions} versions"
    note(f"imported {c.name} ({versions}), {c.status}; {done.held} of {len(c.examples)} examples hold here")
    for line in done.notes:
        note(f"  {line}")
