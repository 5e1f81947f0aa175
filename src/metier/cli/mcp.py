"""`metier mcp`: the library for other agents, over stdio; and how to tell a client about it."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click

from metier.cli.serve import expose_option, library_path, workers_option

CLIENTS = ("claude", "cursor", "vscode", "json")


@click.command("mcp")
@click.option("--library", type=click.Path(path_type=Path), help="The library; ./capabilities by default.")
@click.option(
    "--print-config",
    "client",
    type=click.Choice(CLIENTS),
    help="Print what a client needs to start this server, and end.",
)
@expose_option
@workers_option
@click.pass_context
def command(
    context: click.Context,
    library: Path | None,
    client: str | None,
    expose: Literal["all", "nearest", "none"],
    workers: int,
) -> None:
    """Offer the library to another agent: a Model Context Protocol server on stdin and stdout.

    The agent finds, runs and writes capabilities. It needs no model of Metier's own: it can be the author itself.
    `metier serve` offers the same over HTTP, at /mcp.
    """
    path = library_path(context, library)
    if client is not None:
        _print_config(client, path.absolute(), expose)
        return
    if sys.stdin.isatty():
        click.echo("This speaks MCP; a client starts it. metier mcp --print-config claude says how.", err=True)
    from metier.mcp_server import create_server
    from metier.runtime import Runtime

    # A KeyboardInterrupt would wait for the thread that waits for stdin.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with Runtime.open(path, announce=lambda line: click.echo(line, err=True), workers=workers) as runtime:
        create_server(runtime, expose=expose).run("stdio")


def _print_config(client: str, library: Path, expose: str) -> None:
    options = ["--expose", expose] if expose != "none" else []
    config, note = client_config(client, [*_program(), "mcp", "--library", str(library), *options])
    click.echo(config)
    click.echo(note, err=True)
    if not library.is_dir():
        click.echo(f"There is no library at {library} yet: metier init {shlex.quote(str(library))}", err=True)


def client_config(client: str, command: Sequence[str]) -> tuple[str, str]:
    """What makes a client start `command`, and where that goes."""
    if client == "claude":
        return shlex.join(
            ["claude", "mcp", "add", "metier", "--", *command]
        ), "Run this line where you use Claude Code."
    entry = {"command": command[0], "args": list(command[1:])}
    if client == "vscode":
        return _json({"servers": {"metier": {"type": "stdio", **entry}}}), "Put this into .vscode/mcp.json."
    place = ".cursor/mcp.json, or ~/.cursor/mcp.json" if client == "cursor" else "the client's MCP settings"
    return _json({"mcpServers": {"metier": entry}}), f"Put this into {place}."


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _program() -> list[str]:
    """How to start this very installation from anywhere."""
    python = Path(sys.executable)
    script = python.with_name("metier.exe" if sys.platform == "win32" else "metier")
    return [str(script)] if script.is_file() else [str(python), "-m", "metier"]
