"""`metier search TASK`: what retrieval would put before the model."""

from __future__ import annotations

import click

from metier.cli import Cli
from metier.cli.output import opened, print_json, table, task_text
from metier.errors import UsageError


@click.command("search")
@click.argument("task", nargs=-1, required=True)
@click.option("-k", default=4, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.pass_obj
def command(cli: Cli, task: tuple[str, ...], k: int) -> None:
    """Find the capabilities nearest to a task, best first."""
    text = task_text(" ".join(task))
    if not text.strip():
        raise UsageError("the task is empty; say what to look for, as in: metier search salary")
    with opened(cli) as runtime:
        near = runtime.nearest(text, max(k, 2))
        chances = runtime.finder.chances([score for _, score in near])
    found = [(c, score, chance) for (c, score), chance in zip(near, chances, strict=True)][:k]
    if cli.as_json:
        print_json(
            [{"id": c.id, "score": round(score, 4), "probability": p, "summary": c.summary} for c, score, p in found]
        )
    else:
        table(
            ["id", "score", "right", "summary"],
            [[c.id, f"{score:.3f}", f"{p:.0%}", c.summary] for c, score, p in found],
        )
