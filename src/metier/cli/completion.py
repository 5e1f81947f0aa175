"""`metier completion SHELL`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from metier.cli import cli as group


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell, as in: eval "$(metier completion bash)"."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(group, {}, "metier", "_METIER_COMPLETE").source())
