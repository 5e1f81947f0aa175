"""`metier map ID INPUTS.jsonl`: one capability over many inputs, in several processes."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click

from metier.batch import map_inputs
from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.output import note
from metier.cli.show import parse_name
from metier.errors import UsageError
from metier.schemas import InvalidJson, compact, parse


@click.command("map")
@click.argument("name", metavar="ID[@VERSION]", shell_complete=capability_ids)
@click.argument("inputs", type=click.Path(path_type=Path), metavar="INPUTS.jsonl")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write here; a run that was broken off goes on.")
@click.option("-w", "--workers", type=click.IntRange(1, 256), default=os.cpu_count() or 1, show_default="cores")
@click.pass_obj
@click.pass_context
def command(context: click.Context, cli: Cli, name: str, inputs: Path, output: Path | None, workers: int) -> None:
    """Run a capability on each line of INPUTS.jsonl; a line of output for each, in the same order.

    A line is {"output": …} or {"error": …, "kind": …}. Status 1 if any failed.
    """
    id, version = parse_name(name)
    total = _count_lines(inputs)
    done = _whole_lines(output) if output else 0
    failed = 0
    with output.open("a", encoding="utf-8") if output else _stdout() as file:
        lines = itertools.islice(_values(inputs), done, None)
        for number, result in enumerate(map_inputs(cli.library, id, version, lines, workers), start=done + 1):
            failed += "error" in result
            file.write(compact(result) + "\n")
            if number % 64 == 0 or number == total:
                file.flush()
                _progress(number, total, failed, cli.quiet)
    if failed:
        note(f"{failed} of {total} failed")
    context.exit(1 if failed else 0)


def _values(inputs: Path) -> Iterator[Any]:
    with inputs.open(encoding="utf-8", errors="surrogateescape") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield parse(line, what=f"{inputs}, line {number},")
            except InvalidJson as error:
                raise UsageError(str(error)) from None


def _count_lines(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(1 for _ in file)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _whole_lines(output: Path) -> int:
    """How many lines are there already; a last one that was broken off is cut away."""
    if not output.exists():
        return 0
    data = output.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with output.open("r+b") as file:
            file.truncate(len(whole))
    return whole.count(b"\n")


@contextlib.contextmanager
def _stdout() -> Iterator[IO[str]]:
    """stdout, left open."""
    yield sys.stdout
    sys.stdout.flush()


def _progress(done: int, total: int, failed: int, quiet: bool) -> None:
    if quiet or not sys.stderr.isatty():
        return
    width = 30
    filled = width * done // max(1, total)
    bar = "█" * filled + "░" * (width - filled)
    sys.stderr.write(
        f"\r{bar} {done}/{total}{f', {failed} failed' if failed else ''}" + ("\n" if done == total else "")
    )
    sys.stderr.flush()
