"""What the documents say is so."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_page_of_commands_is_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "generate_cli_docs.py", "--check"], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_the_table_of_limits_is_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "generate_limits_docs.py", "--check"], capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="the site needs the extra: pip install 'metier[docs]'")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    (tmp_path / "src").symlink_to(ROOT / "src")
    command = [Path(sys.executable).with_name("zensical"), "build", "--strict"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "capabilities nearest to a task" in (tmp_path / "build/site/reference.html").read_text("utf-8")
    for page in (tmp_path / "build" / "site").rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|link rel=.stylesheet.)[^>]*(?:src|href)=.https?://", page.read_text("utf-8")
        )
        assert not loaded, page.name


def test_every_document_is_in_the_navigation_of_the_site() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if page not in re.findall(r"[\w/]+\.md", navigation)] == []


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
