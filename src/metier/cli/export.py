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
@click.option(
    "--folder", type=click.Path(path_type=Path), metavar="DIR", help="A folder with all versions, for metier import."
)
@click.pass_obj
def command(cli: Cli, name: str, standalone: bool, output: Path | None, folder: Path | None) -> None:
    """Write a capability as something that lives without this library: one program, or a folder with its history."""
    id, version = parse_name(name)
    if standalone == (folder is not None):
        raise UsageError("say what to export, one of the two: --standalone or --folder DIR")
    if folder is None:
        _standalone(cli, id, version, output or Path(f"{id}.wasm"))
    elif version is not None or output is not None:
        raise UsageError(
            "--folder takes all versions of a capability, and is the place that they go to: metier export ID"
        )
    else:
        _folder(cli, id, folder)


def _folder(cli: Cli, id: str, folder: Path) -> None:
    from metier.portable.folders import write_history

    history = write_history(Library.open(cli.library), id, folder)
    if cli.as_json:
        versions = [{"version": c.version, "sha256": c.sha256, "status": c.status} for c in history]
        print_json({"id": id, "folder": str(folder), "versions": versions})
    else:
        count = "1 version" if len(history) == 1 else f"{len(history)} versions"
        note(f"{id}: {count} in {folder}; metier --library OTHER import {folder}")


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
