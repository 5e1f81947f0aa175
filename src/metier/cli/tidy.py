"""`metier tidy`: what could go, and why; and to have it done."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from metier.cli import Cli
from metier.cli.approval import terminal_approver
from metier.cli.output import note, opened, print_json, say
from metier.cli.progress import follower
from metier.errors import UsageError
from metier.tidy import Done, Proposal, Proposals, Tidying


@click.command("tidy")
@click.argument("numbers", nargs=-1, metavar="[N]...", type=click.IntRange(1))
@click.option("--apply", "carry_out", is_flag=True, help="Carry out proposals: those with these numbers, or all.")
@click.option("--model", help='The model that writes generalizations, as "provider:name".')
@click.pass_obj
@click.pass_context
def command(context: click.Context, cli: Cli, numbers: tuple[int, ...], carry_out: bool, model: str | None) -> None:
    """Propose what could go from the library, and why. Without --apply nothing is changed.

    Proposed are aliases (the same program twice), merges (two that came to the same on all inputs that are known),
    generalizations (several that differ in constants alone; a model writes the one with parameters), and retiring what
    served nothing for `[lifecycle] trial_tasks` tasks.

    Numbers are those of the list that was shown last. Each proposal is checked once more before it is carried out, and
    refused with status 1 if it does not hold any more. `metier restore ID` takes back what was retired.
    """
    if numbers and not carry_out:
        raise UsageError("numbers say what to carry out; add --apply")
    with opened(cli, model=model, approver=terminal_approver()) as runtime:
        tidying, kept = Tidying(runtime), Proposals(runtime.library.state)
        if not numbers:
            kept.keep(found := tidying.find())
        if not carry_out:
            _show(cli, found)
            return
        chosen = _chosen(kept.shown(), numbers) if numbers else found
        done = [tidying.carry_out(proposal, follower(quiet=cli.quiet)) for proposal in chosen]
    if cli.as_json:
        print_json([_as_json(d) for d in done])
    else:
        for d in done:
            _tell(d)
    context.exit(1 if any(not d.retired for d in done) else 0)


def _chosen(shown: list[Proposal], numbers: tuple[int, ...]) -> list[Proposal]:
    unknown = [number for number in numbers if number > len(shown)]
    if unknown:
        raise UsageError(f"there is no proposal {unknown[0]}; `metier tidy` lists those that there are")
    return [shown[number - 1] for number in dict.fromkeys(numbers)]


def _show(cli: Cli, found: list[Proposal]) -> None:
    if cli.as_json:
        print_json([{"number": number, **p.as_json()} for number, p in enumerate(found, start=1)])
        return
    for number, proposal in enumerate(found, start=1):
        say(f"{number}. {_line(proposal)}")
        say(f"   {proposal.why}")
        for id, given in proposal.given.items():
            say(f"   {id}: {', '.join(f'{name} = {value!r}' for name, value in given.items())}")
    note(
        "nothing to tidy" if not found else "metier tidy --apply [N]... carries them out; metier restore ID takes back"
    )


def _line(proposal: Proposal) -> str:
    retires = ", ".join(proposal.retires)
    if proposal.kind == "generalize":
        return f"generalize {retires}, from {proposal.kept}"
    return f"{proposal.kind} {retires}" + (f" into {proposal.kept}" if proposal.kept else "")


def _tell(done: Done) -> None:
    for name in done.retired:
        say(f"{name} is retired" + (f"; {done.kept} answers for it" if done.kept else ""))
    if not done.retired:
        say(f"not done: {_line(done.proposal)}")
    for reason in done.reasons:
        say(f"   {reason}")


def _as_json(done: Done) -> dict[str, Any]:
    return {**asdict(done), "proposal": done.proposal.as_json()}
