"""The command line. Data goes to stdout, everything else to stderr; a command's module is loaded when it is used."""

from __future__ import annotations

import difflib
import importlib
import json
import keyword
import os
import sys
from pathlib import Path
from typing import Any

import click

from metier.cli.interrupts import INTERRUPTED, ended_by_interrupts
from metier.errors import MetierError

COMMANDS = {
    "init": "Make a library, with the worked example if asked.",
    "run": "Solve a task; bare `metier TASK` does the same.",
    "chat": "Solve tasks line after line.",
    "list": "List the capabilities.",
    "show": "Show a capability: contract, permissions, examples, source.",
    "search": "Find the capabilities nearest to a task.",
    "why": "Show what memory would do with a task, and why.",
    "call": "Run one capability, without a model.",
    "map": "Run one capability over a file of inputs.",
    "add": "Publish hand-written source or wasm, through the same checks.",
    "test": "Rerun the frozen examples.",
    "history": "Show the versions of a capability as a tree, and what became of them.",
    "diff": "Show what changed between two versions.",
    "rollback": "Publish an earlier version again.",
    "edit": "Open a capability in an editor, and publish what comes back.",
    "pin": "Keep a capability as it is, until a person says otherwise.",
    "rebuild": "Build again from source, and compare bit for bit.",
    "export": "Write a capability as something that lives without this library.",
    "import": "Take in a capability of another library, with its history.",
    "retire": "Take a capability out of use; nothing is deleted.",
    "restore": "Take a retired capability back into use.",
    "repair": "Have a capability mended that broke its contract.",
    "stats": "Show reuse, recall, costs, growth and what broke.",
    "tidy": "Propose what could go from the library, and do it.",
    "permissions": "Say in plain words what a capability may do.",
    "approve": "Decide on drafts that wait for a person.",
    "runs": "List what ran; check the journal.",
    "memory": "Look at solved tasks, take them along, have them forgotten.",
    "replay": "Execute recorded runs again, and compare.",
    "mcp": "Offer the library to another agent (Model Context Protocol).",
    "serve": "Serve the library over HTTP.",
    "doctor": "Say what is installed, reachable or missing.",
    "completion": "Print a shell completion script.",
}


FLAGS = frozenset({"--json", "-q", "--quiet"})
WITH_VALUE = frozenset({"-L", "--library"})
"""Options of the group: they work behind a command as well as before it."""
SERVERS = frozenset({"mcp", "serve"})
"""Commands that end by Ctrl-C in their own way."""
_REORDERING = (0x061C, *range(0x200E, 0x2010), *range(0x2028, 0x202F), *range(0x2066, 0x206A), *range(0xE0000, 0xE0080))
CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160), *_REORDERING) if chr(code) not in "\n\t"}
"""Characters that steer a terminal, or show text in another order than it has or not at all. What a program or a model
said is shown without them."""


class Cli:
    """What the options before a command say. It is the `obj` of every command's context."""

    def __init__(self, library: str, *, as_json: bool, quiet: bool) -> None:
        self.library = Path(library)
        self.as_json = as_json
        self.quiet = quiet


class MetierGroup(click.Group):
    """Commands by name from their modules; what is no command is a task."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"metier.cli.{name}{'_' * keyword.iskeyword(name)}")
        command: click.Command = module.command
        return command

    def shell_complete(self, context: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        named = [CompletionItem(name, help=COMMANDS[name]) for name in COMMANDS if name.startswith(incomplete)]
        return named + click.Command.shell_complete(self, context, incomplete)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        word = args[0]
        if word in COMMANDS:
            return super().resolve_command(context, args)
        if " " not in word and len(args) == 1 and (near := difflib.get_close_matches(word, COMMANDS, 1, 0.7)):
            raise click.UsageError(f"there is no command {word!r}; did you mean {near[0]!r}?")
        return super().resolve_command(context, ["run", *args])


@click.group(
    cls=MetierGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-L",
    "--library",
    envvar="METIER_LIBRARY",
    default="capabilities",
    show_default=True,
    help="The library. METIER_LIBRARY sets it too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
@click.version_option(package_name="metier", message="metier %(version)s")
@click.pass_context
def cli(context: click.Context, library: str, as_json: bool, quiet: bool) -> None:
    """An agent that keeps its code: solved once, solved for good.

    metier "What's John's salary?" solves a task. A task is also read from stdin when that is not a terminal.
    """
    context.obj = Cli(library, as_json=as_json, quiet=quiet)
    if os.environ.get("NO_COLOR"):
        context.color = False
    if context.invoked_subcommand not in SERVERS:
        context.with_resource(ended_by_interrupts())
    if context.invoked_subcommand is None:
        if sys.stdin.isatty():
            click.echo(context.get_help())
        else:
            run = cli.get_command(context, "run")
            assert run is not None
            context.invoke(run)


def main(args: list[str] | None = None) -> None:
    """Runs the command line and ends the process with the right status."""
    _prepare_streams()
    arguments = _group_options_first(sys.argv[1:] if args is None else args)
    as_json = "--json" in arguments[: arguments.index("--") if "--" in arguments else None]
    try:
        status = cli.main(args=arguments, prog_name="metier", standalone_mode=False)
    except click.exceptions.Exit as exit_:
        status = exit_.exit_code
    except click.ClickException as error:
        status = _fail(error.format_message(), error.exit_code, as_json, type(error).__name__)
    except MetierError as error:
        status = _fail(str(error), error.exit_status, as_json, type(error).__name__)
    except (KeyboardInterrupt, click.Abort):
        status = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that the flush at exit does not fail as well
        status = 1
    except Exception as error:
        if os.environ.get("METIER_DEBUG"):
            raise
        line = f"unexpected {type(error).__name__}: {error} (METIER_DEBUG=1 shows where)"
        status = _fail(" ".join(line.split()), 1, as_json, "Unexpected")
    sys.exit(status if isinstance(status, int) else 0)


def _prepare_streams() -> None:
    """UTF-8 whatever the locale says; a stream that the caller closed reads as empty and takes everything."""
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123 - stays open
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "replace"), (sys.stderr, "replace")):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors=errors)


def _group_options_first(arguments: list[str]) -> list[str]:
    """The options of the group in front, wherever they stand before "--"; `help` as people type it."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    before, after = arguments[:end], arguments[end:]
    first: list[str] = []
    rest: list[str] = []
    words = iter(before)
    for word in words:
        if word in FLAGS or word.startswith("--library="):
            first.append(word)
        elif word in WITH_VALUE:
            value = next(words, None)
            if value is None:
                return [word]  # click says what is missing
            first += [word, value]
        else:
            rest.append(word)
    if rest[:1] == ["help"] and all(word in COMMANDS for word in rest[1:]):
        rest = [*rest[1:], "--help"]
    return [*first, *rest, *after]


def _fail(message: str, status: int, as_json: bool, kind: str) -> int:
    if as_json:
        error = {"message": message, "kind": kind, "exit_status": status}
        click.echo(json.dumps({"error": error}, ensure_ascii=False), err=True)
    else:
        click.echo(f"metier: {message.translate(CONTROLS)}", err=True)
    return status
