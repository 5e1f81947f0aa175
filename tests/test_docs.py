"""What the documents say is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_page_of_commands_is_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "generate_cli_docs.py", "--check"], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_the_table_of_limits_is_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "generate_limits_docs.py", "--check"], capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
