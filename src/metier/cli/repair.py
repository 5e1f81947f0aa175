"""`metier repair [ID]`: capabilities that broke their contract, mended by a model."""

from __future__ import annotations

import json

import click

from metier.cli import Cli
from metier.cli.approval import terminal_approver
from metier.cli.completing import capability_ids
from metier.cli.output import note, opened, print_json, table
from metier.cli.progress import follower
from metier.errors import ApprovalPending, LibraryError
from metier.outcomes import Mutated, Waits
from metier.runtime import Runtime


@click.command("repair")
@click.argument("id", required=False, shell_complete=capability_ids)
@click.option("--model", help='The model, as "provider:name".')
@click.option("--drop", is_flag=True, help="Forget what the capability failed on instead.")
@click.pass_obj
def command(cli: Cli, id: str | None, model: str | None, drop: bool) -> None:
    """Have a capability mended that broke its contract. Without an ID, list the inputs that were failed on.

    The author gets the input, the error and the files of the failing run. The mended version passes everything that
    its parent did, and the failing input becomes one of its examples.
    """
    with opened(cli, model=model, approver=terminal_approver()) as runtime:
        if id is None:
            _list(cli, runtime)
            return
        if drop:
            for failure in runtime.journal.evidence.failures(id):
                runtime.journal.evidence.mended(failure)
            return
        outcome, _, _ = runtime.repair_sync(id, follower(quiet=cli.quiet))
    if isinstance(outcome, Waits):
        asks = ", ".join(outcome.beyond)
        raise ApprovalPending(f"{id} is mended and waits for approval of: {asks} (metier approve {id})")
    if not isinstance(outcome, Mutated):
        findings = "".join(f"\n  {finding}" for finding in getattr(outcome, "findings", ()))
        raise LibraryError(f"{id} was not mended: {getattr(outcome, 'reason', 'the author wrote nothing')}{findings}")
    if cli.as_json:
        print_json({"id": outcome.capability.id, "version": outcome.capability.version})
    else:
        note(f"published {outcome.capability.name}")


def _list(cli: Cli, runtime: Runtime) -> None:
    failures = runtime.journal.evidence.failures()
    if cli.as_json:
        keys = ("capability", "version", "run_id", "input", "kind", "error")
        print_json([{key: getattr(f, key) for key in keys} for f in failures])
        return
    table(
        ["capability", "input", "failed with"],
        [
            [f"{f.capability}@{f.version}", json.dumps(f.input, ensure_ascii=False)[:80], f"{f.kind}: {f.error}"[:160]]
            for f in failures
        ],
    )
