"""`metier export ID`: a capability as one file that other hosts run, or as a folder for another library."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from pathlib import Path

import click

from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.output import note, print_json
from metier.cli.show import parse_name
from metier.errors import UsageError
from metier.library import Library


@click.command("export")
@click.argument("name", metavar="ID[@VERSION]", shell_complete=capability_ids)
@click.option("--standalone", is_flag=True, help="One wasm file that wasmtime runs by itself, without Metier.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The file; ID.wasm here by default, - for standard output."
)
@click.pass_obj
def command(cli: Cli, name: str, standalone: bool, output: Path | None) -> None:
    """Write a capability as something that lives without this library."""
    id, version = parse_name(name)
    if not standalone:
        raise UsageError("say what to export: --standalone")
    _standalone(cli, id, version, output or Path(f"{id}.wasm"))


def _standalone(cli: Cli, id: str, version: int | None, output: Path) -> None:
    from metier.portable.standalone import standalone

    artifact = Library.open(cli.library).load(id, version)
    made = standalone(artifact)
    to_stdout = str(output) == "-"
    if to_stdout:
        if sys.stdout.isatty() or cli.as_json:
            raise UsageError("the file is binary; write it to a file with -o, or to a pipe without --json")
        sys.stdout.buffer.write(made.wasm)
    else:
        _write(output, made.wasm)
    if cli.as_json:
        about = {"id": id, "version": artifact.capability.version, "file": str(output), "kind": made.kind}
        about |= {"bytes": len(made.wasm), "sha256": hashlib.sha256(made.wasm).hexdigest()}
        print_json(about | {"roots": made.roots, "unavailable": made.unavailable})
        return
    folders = "".join(f" --dir FOLDER::/{root}" for root in made.roots)
    note(f"{artifact.capability.name}: a {made.kind} of {len(made.wasm):,} bytes")
    note(f"wasmtime run{folders} {output} < input.json")
    if made.unavailable:
        note(f"it asks for {', '.join(made.unavailable)}, which fail there with the kind 'unavailable'")


def _write(file: Path, content: bytes) -> None:
    """The whole file or nothing, in place of one that is there."""
    staged = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
    try:
        try:
            staged.write_bytes(content)
            os.replace(staged, file)  # noqa: PTH105 - Path.replace says less about what it could not do
        finally:
            staged.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
