"""`metier chat`: task after task."""

from __future__ import annotations

import contextlib
import sys

import click

from metier import events
from metier.cli import Cli
from metier.cli.approval import terminal_approver
from metier.cli.output import note, opened, print_json, say, task_text
from metier.cli.progress import follower
from metier.errors import MetierError
from metier.runtime import Runtime


@click.command("chat")
@click.option("--model", help='The model, as "provider:name".')
@click.option("--allow-writes", is_flag=True, help="Let memory repeat tasks that change data.")
@click.pass_obj
def command(cli: Cli, model: str | None, allow_writes: bool) -> None:
    """Solve tasks line after line; an empty line, or the end of the input, ends it."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  # gives input() a history and editing keys
    interactive = sys.stdin.isatty()
    with opened(cli, model=model, approver=terminal_approver()) as runtime:
        if interactive:
            note(f"{len(runtime.library.live())} capabilities in {cli.library}. An empty line ends.")
        while (task := _next(interactive)) is not None:
            try:
                _solve(cli, runtime, task, allow_writes)
            except MetierError as error:
                note(f"metier: {error}")


def _solve(cli: Cli, runtime: Runtime, task: str, allow_writes: bool) -> None:
    """Solves one task and prints its answer, with --json as a line that `run --json` would print."""
    tell = follower(quiet=cli.quiet)
    heard: list[events.Event] = []

    def emit(event: events.Event) -> None:
        tell(event)
        heard[:] = [event]

    answer = runtime.run_sync(task_text(task), emit=emit, allow_writes=allow_writes)
    if cli.as_json:
        print_json({key: value for key, value in events.event_json(heard[0]).items() if key != "type"})
    else:
        say(answer.text)


def _next(interactive: bool) -> str | None:
    """The next line, without blank ones in a pipe; None at the end."""
    if not interactive:
        return next((line.strip() for line in sys.stdin if line.strip()), None)
    try:
        sys.stderr.write("> ")
        sys.stderr.flush()
        return input().strip() or None
    except (EOFError, KeyboardInterrupt):
        note("")
        return None
