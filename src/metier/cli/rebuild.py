"""`metier rebuild --check`: whether sources still give the wasm that is stored."""

from __future__ import annotations

import click

from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.output import opened, print_json, say
from metier.cli.show import parse_name
from metier.errors import MetierError, UsageError
from metier.rebuild import Rebuilt, rebuilt
from metier.runtime import Runtime


@click.command("rebuild")
@click.argument("ids", nargs=-1, metavar="[ID[@VERSION]]...", shell_complete=capability_ids)
@click.option("--check", is_flag=True, help="Compare bit for bit, and change nothing.")
@click.pass_obj
@click.pass_context
def command(context: click.Context, cli: Cli, ids: tuple[str, ...], check: bool) -> None:
    """Build capabilities again from their source, all live ones by default, and compare with what is stored.

    Status 1 if one differs, 4 if one cannot be built here, for want of its toolchain or source.
    """
    if not check:
        raise UsageError(
            "what is stored is never built over; compare with --check, publish a new build with metier add"
        )
    with opened(cli) as runtime:
        names = ids or [c.name for c in runtime.library.live()]
        results = [_result(runtime, name) for name in names]
    if cli.as_json:
        print_json(
            [
                {"id": r.capability.id, "version": r.capability.version, "verdict": r.verdict, "detail": r.detail}
                for r in results
            ]
        )
    else:
        for r in results:
            say(f"{r.capability.name}: {r.verdict}{f', {r.detail}' if r.detail else ''}")
    verdicts = {r.verdict for r in results}
    context.exit(1 if "differs" in verdicts else 4 if "cannot" in verdicts else 0)


def _result(runtime: Runtime, name: str) -> Rebuilt:
    capability = runtime.library.get(*parse_name(name))
    try:
        return rebuilt(runtime, capability)
    except MetierError as error:
        return Rebuilt(capability, "cannot", str(error))
