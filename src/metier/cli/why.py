"""`metier why TASK`: what memory would do with a task, and why."""

from __future__ import annotations

import json

import click

from metier.cli import Cli
from metier.cli.output import opened, print_json, say, task_text
from metier.errors import UsageError
from metier.recall import Decision, Tried, decision_json


@click.command("why")
@click.argument("task", nargs=-1, required=True)
@click.option("--allow-writes", is_flag=True, help="As if a change of data were allowed.")
@click.pass_obj
def command(cli: Cli, task: tuple[str, ...], allow_writes: bool) -> None:
    """Show whether memory would do a task without a model: each way that was tried, what was found in the words, and
    every condition that holds or does not. Nothing is executed."""
    text = task_text(" ".join(task))
    if not text.strip():
        raise UsageError("the task is empty; say what to look into, as in: metier why \"What's John's salary?\"")
    with opened(cli) as runtime:
        decision = runtime.decide(text, allow_writes=allow_writes)
    if cli.as_json:
        print_json(decision_json(decision))
        return
    for line in _lines(decision):
        say(line)


def _lines(decision: Decision) -> list[str]:
    if decision.route is not None:
        end = "memory does it, without a model"
    elif decision.waits:
        end = "memory could do it; it changes data, and that has to be allowed"
    else:
        end = "a model is asked"
    return [*(line for tried in decision.tried for line in _way(tried)), f"{end} ({decision.reason})"]


def _way(tried: Tried) -> list[str]:
    call = f": {tried.capability} {json.dumps(tried.input, ensure_ascii=False)}" if tried.capability else ""
    lines = [f"{tried.route}{call}"]
    if tried.template is not None:
        lines.append(f"  template   {tried.template}")
    lines += [f"  slot       {kind}: {words}" for kind, words in tried.slots]
    if tried.left_over:
        lines.append(f"  left over  {' '.join(tried.left_over)}")
    for condition in tried.conditions:
        detail = f" ({condition.detail})" if condition.detail else ""
        lines.append(f"  {'holds' if condition.holds else 'fails':10} {condition.name}{detail}")
    return lines
