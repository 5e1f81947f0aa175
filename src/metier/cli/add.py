"""`metier add FILE`: hand-written source or ready wasm, through the same checks as a model's drafts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from metier.approval import who
from metier.cli import Cli
from metier.cli.approval import terminal_approver
from metier.cli.outcome import say_published
from metier.cli.output import opened
from metier.errors import UnknownCapability, UsageError
from metier.library import Artifact, Library
from metier.schemas import InvalidJson, parse

PARTS = ("id", "summary", "input_schema", "output_schema", "effects", "permissions", "examples")


@click.command("add")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--contract", type=click.Path(path_type=Path), help="JSON file with the contract, or with a part of it.")
@click.option("--id", help="The id; the file's name by default.")
@click.option("--summary", help="One sentence: what it returns for which input.")
@click.option("--input-schema", help="JSON, or @FILE.")
@click.option("--output-schema", help="JSON, or @FILE.")
@click.option("--effects", type=click.Choice(["pure", "read", "write"]))
@click.option("--permissions", help="JSON, or @FILE.")
@click.option(
    "--example", "examples", multiple=True, help='JSON {"task", "input", "output" or "error"}, or @FILE; again.'
)
@click.option("--language", help="What a .wasm was written in.")
@click.pass_obj
def command(cli: Cli, /, file: Path, contract: Path | None, language: str | None, **given: Any) -> None:
    """Publish FILE: a source, in the language that its name ends in, or a wasm32-wasip1 command module (.wasm).

    Where there is a capability with this id already, its contract stands in for what is not given, and FILE becomes its
    next version. To change one there is metier edit ID.
    """
    from metier.toolchains import BY_SUFFIX

    content = _bytes(file)
    source = BY_SUFFIX.get(file.suffix)
    if source is None and file.suffix != ".wasm":
        raise UsageError(f"{file}: a source ({', '.join(BY_SUFFIX)}) or a .wasm module is expected")
    library = Library.open(cli.library)
    id = given.pop("id") or _id_of(library, file)
    parent = _parent(library, id)
    fields = _fields(id, contract, given, parent)
    with opened(cli, approver=terminal_approver()) as runtime:
        if source is None:
            fields |= {"language": language or "wasm"}
            outcome = runtime.mutator().submit(fields, parent, who(), wasm=content, by_hand=True)
        else:
            fields |= {"language": source.language, "source": content.decode("utf-8", "replace")}
            outcome = runtime.mutator().submit(fields, parent, who(), by_hand=True)
    say_published(cli, outcome, str(file))


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None


def _fields(id: str, contract: Path | None, given: dict[str, Any], parent: Artifact | None) -> dict[str, Any]:
    """The contract: that of the capability that has this id, then the file, then the options."""
    from metier.capability import contract_json

    fields: dict[str, Any] = {"permissions": {}, "examples": []}
    if parent is not None:
        fields |= {key: value for key, value in contract_json(parent.capability).items() if key in PARTS}
    if contract is not None:
        fields |= _json(f"@{contract}", "--contract")
    for name, value in given.items():
        if value in (None, ()):
            continue
        if name == "examples":
            fields[name] = [_json(text, "--example") for text in value]
        else:
            fields[name] = value if name in ("summary", "effects") else _json(value, f"--{name.replace('_', '-')}")
    fields.setdefault("id", id)
    missing = [name for name in PARTS if name not in fields]
    if missing:
        wanted = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        raise UsageError(f"the contract lacks {', '.join(missing)}; give {wanted}, or a file with --contract")
    return fields


def _json(text: str, what: str) -> Any:
    """The JSON in an option, or in the file that it names with @."""
    if text.startswith("@"):
        what, text = f"{what} {text[1:]}", _bytes(Path(text[1:])).decode("utf-8", "replace")
    try:
        return parse(text, what=what)
    except InvalidJson as error:
        raise UsageError(str(error)) from None


def _id_of(library: Library, file: Path) -> str:
    """The capability whose source a file in the library is, else the file's own name."""
    try:
        inside = file.resolve().relative_to(library.path.resolve()).parts
    except ValueError:
        return file.stem
    return inside[0] if inside[1:2] == ("src",) else file.stem


def _parent(library: Library, id: str) -> Artifact | None:
    try:
        return Artifact(library.get(id), b"", {})
    except UnknownCapability:
        return None
