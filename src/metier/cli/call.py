"""`metier call ID [JSON]`: one capability, without a model."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.output import opened, print_json
from metier.cli.show import parse_name
from metier.errors import UsageError
from metier.schemas import InvalidJson, parse


@click.command("call")
@click.argument("name", metavar="ID[@VERSION]", shell_complete=capability_ids)
@click.argument("input", required=False, metavar="[JSON]")
@click.pass_obj
def command(cli: Cli, name: str, input: str | None) -> None:
    """Run a capability on a JSON input, and print its JSON output.

    The input is read from stdin when it is absent or -.
    """
    id, version = parse_name(name)
    value = read_json(input, "the input")
    with opened(cli) as runtime:
        print_json(runtime.call(id, value, version=version))


def read_json(text: str | None, what: str) -> Any:
    """The JSON value in an argument, or on stdin for None and "-".

    Raises:
        UsageError: it is not one JSON value.
    """
    if text is None or text == "-":
        if sys.stdin.isatty():
            raise UsageError(f"no input; give {what} as JSON, as in '{json.dumps({'name': 'John'})}'")
        text = None
    try:
        return parse(sys.stdin.buffer.read() if text is None else text, what=what)
    except InvalidJson as error:
        raise UsageError(str(error)) from None
