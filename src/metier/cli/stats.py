"""`metier stats`: what is reused, saved, growing and broken."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Any

import click

from metier.cli import Cli
from metier.cli.output import opened, print_json, say, table
from metier.errors import UsageError
from metier.stats import frozen_examples, stats

UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


@click.command("stats")
@click.option("--since", metavar="TIME", help="Count runs and tasks from here on: 7d, 12h, or 2026-11-01T08:00.")
@click.option("--examples", is_flag=True, help="Rerun the frozen examples too, and count those that fail.")
@click.pass_obj
def command(cli: Cli, since: str | None, examples: bool) -> None:
    """Show how well the library does: reuse, recall, models' calls and tokens spent and saved, growth, redundancy, and
    contracts that were broken; and each capability's use.

    What ran is counted as far back as the journal reaches. A recalled task saved what a task costs a model on average.
    Redundancy is the share of live capabilities that mean nearly the same as another one, where one could answer for
    the other by its contract; `metier tidy` finds out whether they do the same.
    """
    begin = _seconds(since) if since is not None else 0.0
    with opened(cli) as runtime:
        found = stats(runtime, begin)
        if examples:
            found["regression"]["examples"] = frozen_examples(runtime)
    if cli.as_json:
        print_json(found)
        return
    for line in _lines(found):
        say(line)
    rows = [row for row in found["capabilities"] if row["runs"] or row["status"] is not None]
    keys = ("id", "status", "runs", "failed", "wrong_inputs", "contract_failures", "solved_tasks", "last_run")
    say("")
    table([key.replace("_", " ") for key in keys], [[_cell(row[key]) for key in keys] for row in rows])


def _lines(found: dict[str, Any]) -> list[str]:
    tasks, models, library, broken = (found[key] for key in ("tasks", "models", "library", "regression"))
    states = ", ".join(f"{count} {status}" for status, count in sorted(library["states"].items()))
    grown = library["growth"][-1:]
    lines = [
        f"tasks       {tasks['asked']} asked, {tasks['answered']} answered: {tasks['by_recall']} by recall "
        f"({_percent(tasks['recall_share'])}), {tasks['by_model']} by a model",
        f"reuse       {_percent(tasks['reuse_share'])} of the answered ran what was there; for {tasks['creating']} "
        "something was written",
        f"models      {models['calls']} calls and {models['tokens']} tokens spent; {models['calls_saved']} calls and "
        f"{models['tokens_saved']} tokens saved by recall",
        f"library     {library['live']} live ({states or 'empty'})"
        + "".join(f"; {day['added']} added on {day['day']}" for day in grown),
        f"redundancy  {_percent(library['redundancy'])}: {library['alike']} live capabilities are much alike",
        f"regression  {broken['contract_failures']} of {broken['runs']} runs broke a contract, "
        f"{broken['quarantines']} quarantines, {broken['unmended']} inputs not mended",
    ]
    if "examples" in broken:
        examples = broken["examples"]
        of = f": {', '.join(examples['of'])}" if examples["of"] else ""
        lines.append(f"examples    {examples['passed']} hold, {examples['failed']} fail{of}")
    return lines


def _seconds(text: str) -> float:
    """A time in seconds since 1970, from so long ago or an ISO 8601 date or time; local where no zone is said.

    Raises:
        UsageError: it is neither.
    """
    ago = re.fullmatch(r"([0-9]{1,6})([mhdw])", text)
    if ago:
        return time.time() - int(ago[1]) * UNITS[ago[2]]
    try:
        return max(0.0, datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"{text!r} is no time; say 30m, 12h, 7d, 2w, or 2026-11-01") from None


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}%"


def _cell(value: Any) -> str:
    return "-" if value is None else str(value)
