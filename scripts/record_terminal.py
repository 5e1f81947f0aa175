"""Writes docs/assets/terminal.svg: a terminal in which the commands below ran, with what they printed.

python scripts/record_terminal.py
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "assets" / "terminal.svg"
WIDTH = 100
COMMANDS = (
    "metier init --example hr",
    "metier \"What's John's salary?\"",
    "metier show get_salary_details | head -2",
    'metier call get_salary_details \'{"name": "Priya Raghavan"}\'',
    "metier runs | cut -f1,3,4 | head -2",
    "metier replay $(metier runs | head -1 | cut -f1)",
)
WITHOUT_FONTS = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""Rich's picture, without the addresses that it would load a font from."""


def main() -> int:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=folder,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=True,
            )
            console.print(Text("$ ", style="bold green") + Text(command, style="bold"))
            console.print(Text(done.stdout.rstrip()))
            console.print()
    PICTURE.parent.mkdir(exist_ok=True)
    picture = console.export_svg(title="metier", code_format=WITHOUT_FONTS, unique_id="terminal")
    PICTURE.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
