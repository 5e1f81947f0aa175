"""`metier memory`: what is kept of solved tasks; to look at it, take it along, and have it forgotten."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from typing import Any

import click

from metier.cli import Cli
from metier.cli.output import note, opened, print_json, say, table, task_text
from metier.memory_keeping import MemoryKeeper

SECONDS = {"h": 3600, "d": 86_400, "w": 604_800}


class Age(click.ParamType[float]):
    """A time span such as 90d, in seconds."""

    name = "AGE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", str(value))
        if found is None:
            self.fail(f"{value!r} is no age; write 12h, 90d or 8w", param, ctx)
        return float(found[1]) * SECONDS[found[2]]


@click.group("memory")
def command() -> None:
    """Look at solved tasks, take them along, and have them forgotten.

    [memory] in metier.toml says what is kept: keep, answers, never, tasks, days.
    """


@command.command("list")
@click.option("-n", "limit", default=20, show_default=True, type=click.IntRange(1), help="How many.")
@click.pass_obj
def list_(cli: Cli, limit: int) -> None:
    """List solved tasks, the latest first."""
    with opened(cli) as runtime:
        rows = MemoryKeeper(runtime).listed(limit)
    if cli.as_json:
        print_json(rows)
        return
    headings = ["task", "when", "capability", "input", "answer"]
    table(headings, [[row["task"][:120], *_cells(row)] for row in rows])


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        datetime.fromtimestamp(row["at"]).astimezone().isoformat(sep=" ", timespec="seconds"),
        f"{row['capability']}@{row['version']}",
        json.dumps(row["input"], ensure_ascii=False)[:80],
        (row["answer"] or "")[:120],
    ]


@command.command("show")
@click.argument("task")
@click.pass_obj
def show(cli: Cli, task: str) -> None:
    """Show what is kept of one task."""
    with opened(cli) as runtime:
        row = MemoryKeeper(runtime).one(task_text(task))
    if cli.as_json:
        print_json(row)
        return
    when, name, *_ = _cells(row)
    for key, value in {**row, "capability": name, "at": when}.items():
        if key != "version":
            say(f"{key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")


@command.command("forget")
@click.argument("task")
@click.option("--runs", is_flag=True, help="Empty the runs in the journal that served it as well.")
@click.pass_obj
@click.pass_context
def forget(context: click.Context, cli: Cli, task: str, runs: bool) -> None:
    """Forget one task: in memory, and its words and answers in the journal.

    Says what stays of it, and how that goes. Status 1 where nothing was known of it.
    """
    with opened(cli) as runtime:
        done = MemoryKeeper(runtime).forget(task_text(task), runs=runs)
    if cli.as_json:
        print_json(done.as_json())
    elif done.memory or done.tasks:
        say(f"forgotten{'' if done.memory else ' (memory did not have it)'}; {done.tasks} records left the journal")
        for line in done.stays:
            say(f"stays: {line}")
    else:
        note("nothing was known of it")
        for line in done.stays:
            note(f"stays: {line}")
    context.exit(0 if done.memory or done.tasks else 1)


@command.command("prune")
@click.option("--older-than", "age", type=Age(), help="What was solved longer ago: 12h, 90d, 8w.")
@click.option("--keep", type=click.IntRange(0), help="All but the latest so many.")
@click.pass_obj
def prune(cli: Cli, age: float | None, keep: int | None) -> None:
    """Drop solved tasks by age or number, and what a pattern of [memory] never forbids."""
    with opened(cli) as runtime:
        settings = runtime.settings.memory
        if age is None and keep is None:
            age, keep = settings.days and settings.days * SECONDS["d"], settings.tasks if settings.keep else 0
        gone = MemoryKeeper(runtime).prune(before=None if age is None else time.time() - age, keep=keep)
        left = runtime.memory.count()
    if cli.as_json:
        print_json({"dropped": gone, "kept": left})
    else:
        say(f"{gone} dropped, {left} kept")


@command.command("export")
@click.pass_obj
def export(cli: Cli) -> None:
    """Print all that is kept, a JSON object a line, the oldest first."""
    with opened(cli) as runtime:
        rows = MemoryKeeper(runtime).listed()
    for row in reversed(rows):
        click.echo(json.dumps(row, ensure_ascii=False))


@command.command("rebuild")
@click.pass_obj
def rebuild(cli: Cli) -> None:
    """Make memory anew from the tasks and runs in the journal.

    What the journal does not reach back to, or `metier memory prune` dropped, is gone then.
    """
    with opened(cli) as runtime:
        count = MemoryKeeper(runtime).rebuild()
    if cli.as_json:
        print_json({"kept": count})
    else:
        say(f"{count} solved tasks, from the journal")
