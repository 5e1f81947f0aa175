"""`metier test`: the frozen examples once more."""

from __future__ import annotations

from typing import Any

import click

from metier.capability import Capability
from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.output import opened, print_json, say
from metier.errors import MetierError
from metier.example_check import ExampleCheck


@click.command("test")
@click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=capability_ids)
@click.option("--backend", type=click.Choice(["native", "pulley"]), default="native", show_default=True)
@click.pass_obj
@click.pass_context
def command(context: click.Context, cli: Cli, ids: tuple[str, ...], backend: str) -> None:
    """Rerun the examples of capabilities on copies of the data; status 1 if one does not hold.

    With --backend pulley each runs on the portable interpreter as well, and must give the same bytes and the same fuel.
    """
    with opened(cli) as runtime:
        chosen = [runtime.library.get(id) for id in ids] if ids else runtime.library.live()
        check = ExampleCheck(runtime, portable=backend == "pulley")
        results = [result for c in chosen for result in _tested(check, c)]
    failed = [result for result in results if result["problem"]]
    if cli.as_json:
        print_json({"passed": len(results) - len(failed), "failed": len(failed), "examples": results})
    else:
        for result in failed:
            say(f"FAIL {result['id']} example {result['example']}: {result['problem']}")
        say(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    context.exit(1 if failed else 0)


def _tested(check: ExampleCheck, capability: Capability) -> list[dict[str, Any]]:
    try:
        problems = check.problems(capability)
    except MetierError as error:
        return [{"id": capability.id, "example": 0, "task": None, "problem": str(error)}]
    return [
        {"id": capability.id, "example": number, "task": example.task, "problem": problem}
        for number, (example, problem) in enumerate(zip(capability.examples, problems, strict=True), start=1)
    ]
