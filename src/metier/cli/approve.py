"""`metier approve`: drafts that wait for a person."""

from __future__ import annotations

import sys

import click

from metier.approval import screen, who
from metier.cli import Cli
from metier.cli.output import note, opened, print_json, table
from metier.errors import ApprovalPending, LibraryError
from metier.library import source_text
from metier.mutation.pending import Waiting
from metier.outcomes import Mutated
from metier.runtime import Runtime


@click.command("approve")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--yes", is_flag=True, help="Approve without being asked.")
@click.option("--reject", is_flag=True, help="Throw the drafts away.")
@click.pass_obj
def command(cli: Cli, ids: tuple[str, ...], yes: bool, reject: bool) -> None:
    """Decide on drafts that ask for more than is given unasked. Without an ID, list what waits."""
    with opened(cli) as runtime:
        if not ids:
            _list(cli, runtime)
            return
        results = {id: _decided(runtime, runtime.pending().get(id), yes, reject) for id in ids}
    if cli.as_json:
        print_json(results)


def _list(cli: Cli, runtime: Runtime) -> None:
    waiting = runtime.pending().all()
    if cli.as_json:
        print_json([{"id": w.id, "summary": w.release.contract.summary, "beyond": w.beyond} for w in waiting])
    else:
        table(["id", "asks for", "summary"], [[w.id, ", ".join(w.beyond), w.release.contract.summary] for w in waiting])


def _decided(runtime: Runtime, waiting: Waiting, yes: bool, reject: bool) -> str:
    if reject:
        runtime.pending().remove(waiting.id)
        note(f"{waiting.id}: rejected")
        return "rejected"
    if not yes:
        release = waiting.release
        source = source_text(release.source)
        click.echo(screen(release.contract, waiting.beyond, source, _parent_source(runtime, release.parent)), err=True)
        if not sys.stdin.isatty():
            raise ApprovalPending(f"{waiting.id} waits; a terminal is needed to ask, or --yes or --reject")
        if not click.confirm("Approve?", default=False, err=True):
            return "waiting"
    outcome = runtime.mutator().approve(waiting.id, who())
    if not isinstance(outcome, Mutated):
        findings = "\n".join(outcome.findings)
        raise LibraryError(f"{waiting.id}: {outcome.reason}:\n{findings}")
    note(f"published {outcome.capability.name}")
    return "published"


def _parent_source(runtime: Runtime, parent: str | None) -> str | None:
    if parent is None:
        return None
    id, _, version = parent.partition("@")
    return source_text(runtime.library.load(id, int(version)).source)
