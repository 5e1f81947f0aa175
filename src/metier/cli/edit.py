"""`metier edit ID`: source and contract in an editor, and through the gates."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import click

from metier.approval import who
from metier.capability import contract_json
from metier.cli import Cli
from metier.cli.add import PARTS
from metier.cli.approval import terminal_approver
from metier.cli.completing import capability_ids
from metier.cli.outcome import say_published
from metier.cli.output import note, opened
from metier.errors import ApprovalPending, MetierError, SetupMissing, UsageError
from metier.library import Artifact, Library
from metier.schemas import InvalidJson, parse

CONTRACT = "contract.json"


@click.command("edit")
@click.argument("id", shell_complete=capability_ids)
@click.pass_obj
def command(cli: Cli, id: str) -> None:
    """Open source and contract of a capability in $VISUAL or $EDITOR, and publish what comes back.

    It goes through the same checks as any draft. If they find something, the edited files stay where they are, and the
    message says how to go on from them.
    """
    artifact = Library.open(cli.library).load(id)
    if len(artifact.source) != 1:
        raise UsageError(f"{id} has {len(artifact.source)} source files, and one is what can be edited; see metier add")
    folder = Path(tempfile.mkdtemp(prefix=f"metier-{id}-"))
    ((name, content),) = artifact.source.items()
    (folder / name).write_bytes(content)
    contract = {key: value for key, value in contract_json(artifact.capability).items() if key in PARTS}
    (folder / CONTRACT).write_text(json.dumps(contract, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    go_on = f"metier add --id {id} {folder / name} --contract {folder / CONTRACT}"
    try:
        _edited([folder / name, folder / CONTRACT])
        fields = _contract(folder / CONTRACT)
        if (folder / name).read_bytes() == content and fields == contract:
            note("nothing was changed")
        else:
            _submit(cli, artifact, fields | {"source": (folder / name).read_text(encoding="utf-8", errors="replace")})
    except MetierError as error:
        if isinstance(error, ApprovalPending):  # the draft itself waits in the library
            shutil.rmtree(folder)
            raise
        note(f"what you wrote is kept; go on with: {go_on}")
        raise
    shutil.rmtree(folder)


def _submit(cli: Cli, parent: Artifact, fields: dict[str, Any]) -> None:
    with opened(cli, approver=terminal_approver()) as runtime:
        language = {"language": parent.capability.language}
        outcome = runtime.mutator().submit(fields | language, parent, who(), by_hand=True)
    say_published(cli, outcome, parent.capability.id)


def _edited(files: list[Path]) -> None:
    """Has the person's editor open the files, and waits for its end."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    words = shlex.split(editor) if editor else [next(filter(shutil.which, ("nano", "vi", "notepad")), "")]
    if not words or not shutil.which(words[0]):
        raise SetupMissing(
            f"there is no editor{f' {words[0]!r}' if words and words[0] else ''}; set EDITOR, as in EDITOR=nano"
        )
    done = subprocess.run([*words, *map(str, files)], check=False)
    if done.returncode != 0:
        raise UsageError(f"the editor ended with status {done.returncode}; nothing was published")


def _contract(file: Path) -> dict[str, Any]:
    try:
        value = parse(file.read_bytes(), what=str(file))
    except InvalidJson as error:
        raise UsageError(str(error)) from None
    if not isinstance(value, dict):
        raise UsageError(f"{file}: a JSON object is expected")
    return value
