"""Writes docs/cli.md from the commands' own help.

python scripts/generate_cli_docs.py           write it
python scripts/generate_cli_docs.py --check   status 1 where it is not current
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from metier.cli import COMMANDS, cli

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = """\
# The command line

Data goes to stdout, everything else to stderr. `--json` works with every command that prints data. Exit status: 0 done,
1 the task or program failed, 2 usage, 3 waiting for approval, 4 set-up missing, 130 interrupted.
"""


def page() -> str:
    """The whole page: the group's help, then each command's."""
    parent = click.Context(cli, info_name="metier", terminal_width=100, max_content_width=100)
    parts = [HEAD, _block(cli.get_help(parent))]
    for name in COMMANDS:
        command = cli.get_command(parent, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=parent, terminal_width=100, max_content_width=100)
        parts += [f"## metier {name}\n", _block(command.get_help(context))]
        for inner in command.commands.values() if isinstance(command, click.Group) else ():
            below = click.Context(inner, info_name=inner.name, parent=context, terminal_width=100)
            parts += [f"### metier {name} {inner.name}\n", _block(inner.get_help(below))]
    return "\n".join(parts)


def _block(text: str) -> str:
    return f"```\n{text.rstrip()}\n```\n"


def main() -> int:
    text = page()
    if sys.argv[1:] == ["--check"]:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        if not current:
            print(f"{PAGE.name} is not current; run scripts/generate_cli_docs.py", file=sys.stderr)
        return 0 if current else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
