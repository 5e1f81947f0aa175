"""`metier rollback ID VERSION`: an earlier version as the next one."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from metier.capability import Contract, Provenance, contract_fields
from metier.cli import Cli
from metier.cli.approval import who
from metier.cli.completing import capability_ids
from metier.cli.output import note, print_json
from metier.library import Library, Release


@click.command("rollback")
@click.argument("id", shell_complete=capability_ids)
@click.argument("version", type=click.IntRange(1))
@click.pass_obj
def command(cli: Cli, id: str, version: int) -> None:
    """Publish an earlier version again, as the next one. Nothing is lost: the present version stays in the history."""
    library = Library.open(cli.library)
    current, past = library.get(id), library.load(id, version)
    made = past.capability.provenance
    provenance = Provenance(
        author=who(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        prompt_sha256=made.prompt_sha256 if made else None,
        toolchain=made.toolchain if made else None,
        approved_by=who(),
    )
    release = Release(
        contract=Contract(**contract_fields(past.capability)),
        wasm=past.wasm,
        source=past.source,
        engine=past.capability.engine,
        parent=past.capability.name,
        provenance=provenance,
    )
    published = library.publish(release, expected_version=current.version)
    if cli.as_json:
        print_json({"id": published.id, "version": published.version, "from": version})
    else:
        note(f"{published.name} is what {past.capability.name} was")
