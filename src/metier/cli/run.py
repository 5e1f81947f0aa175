"""`metier run TASK`: the main job."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Literal

import click

from metier import events
from metier.cli import Cli
from metier.cli.approval import terminal_approver
from metier.cli.output import opened, print_json, say, task_text
from metier.cli.progress import follower
from metier.errors import ApprovalPending, UsageError
from metier.runtime import Runtime

Format = Literal["text", "json", "stream-json"]


@click.command("run")
@click.argument("task", nargs=-1)
@click.option("--model", help='The model, as "provider:name".')
@click.option("--allow-writes", is_flag=True, help="Let memory and the model change data.")
@click.option("--output-format", type=click.Choice(["text", "json", "stream-json"]), default="text", show_default=True)
@click.pass_obj
def command(cli: Cli, task: tuple[str, ...], model: str | None, allow_writes: bool, output_format: Format) -> None:
    """Solve a task: from memory if it was solved before, else with the model.

    The task is read from stdin when it is not given. Exit status 3 means that a person has to approve something.
    """
    text = task_text(" ".join(task) if task else _piped())
    form: Format = "json" if cli.as_json and output_format == "text" else output_format
    with opened(cli, model=model, approver=terminal_approver()) as runtime:
        answer = asyncio.run(_solve(runtime, text, form, cli, allow_writes))
    if form == "text":
        say(answer["answer"])
    elif form == "json":
        print_json({key: value for key, value in answer.items() if key != "type"})
    if answer["withheld"]:
        withheld = ", ".join(answer["withheld"])
        raise ApprovalPending(
            f"not done, since it changes data: {withheld}; repeat with --allow-writes to have it done"
        )
    if answer["waiting"] and not answer["created"]:
        waiting = " ".join(answer["waiting"])
        raise ApprovalPending(f"waiting for approval: {waiting}; look at it and decide: metier approve {waiting}")


async def _solve(runtime: Runtime, task: str, form: Format, cli: Cli, allow_writes: bool) -> dict[str, Any]:
    """Solves the task, printing events as the format wants; the last event as JSON."""
    tell = follower(quiet=cli.quiet)
    last: dict[str, Any] = {}
    async for event in runtime.stream(task, allow_writes=allow_writes):
        tell(event)
        last = events.event_json(event)
        if form == "stream-json":
            click.echo(json.dumps(last, ensure_ascii=False))
    return last


def _piped() -> str:
    if sys.stdin.isatty():
        raise UsageError("no task; say what to do, as in: metier run \"What's John's salary?\"")
    return sys.stdin.read()
