"""What the how-tos tell a reader to type is typed, page by page, and has to say what they say it does.

A block with a title is a file; in a `console` block, lines after `$ ` are commands and the rest is what they print,
where `…` stands for anything and `[exit status N]` for a status that is not 0.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [DOCS / "quickstart.md", *sorted((DOCS / "howto").glob("*.md"))]
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
STATUS = re.compile(r"\[exit status (\d+)\]\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    shown = 0
    exported = ""
    for language, title, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if title:
            (tmp_path / title).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / title).write_text(text, encoding="utf-8")
        elif language == "console":
            for command, said in _commands(text):
                if assigned := re.match(r"(\w+)=", command):
                    exported += f"{command}; export {assigned[1]}\n"
                    continue
                done = subprocess.run(
                    ["bash", "-c", exported + command],
                    cwd=tmp_path,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                status = STATUS.search(said)
                assert done.returncode == (int(status[1]) if status else 0), f"{command}\n{done.stdout}"
                assert re.fullmatch(_pattern(STATUS.sub("", said)), done.stdout.strip(), re.DOTALL), (
                    f"{page.name}: {command}\nsays\n{done.stdout}\nand the page\n{said}"
                )
                shown += 1
    assert shown, f"{page.name} shows no command"


def _commands(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a block, with what the page says it prints."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, said = part.partition("\n")
        yield command, said


def _pattern(said: str) -> str:
    return ".*".join(re.escape(part) for part in said.strip().split("…"))
