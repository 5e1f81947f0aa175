"""Compiled code is kept, and code that someone else could have written is never executed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from metier.errors import InvalidModule
from metier.sandbox.cache import CompiledCode
from metier.sandbox.limits import Limits
from metier.sandbox.native import new_engine
from tests.conftest import ECHO, says

ENGINE = new_engine()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.cwasm"))


def test_code_is_compiled_once(folder: Path) -> None:
    CompiledCode(ENGINE, folder).module(ECHO, Limits())
    (entry,) = entries(folder)
    stamp = entry.stat().st_mtime_ns
    CompiledCode(ENGINE, folder).module(ECHO, Limits())
    assert entries(folder)[0].stat().st_mtime_ns == stamp
    assert folder.stat().st_mode & 0o077 == 0


def test_an_engine_is_compiled_by_one_while_others_wait_for_it(folder: Path) -> None:
    announced: list[str] = []

    def load(_: int) -> None:
        CompiledCode(ENGINE, folder).engine("an engine", lambda: ECHO, lambda: announced.append("compiling"))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(load, range(4)))
    assert announced == ["compiling"]


def flip_a_bit(entry: Path) -> None:
    content = bytearray(entry.read_bytes())
    content[len(content) // 2] ^= 1
    entry.write_bytes(content)


def open_to_all(entry: Path) -> None:
    entry.chmod(0o666)


def link_elsewhere(entry: Path) -> None:
    entry.rename(entry.with_suffix(".moved"))
    entry.symlink_to(entry.with_suffix(".moved"))


def drop_the_tag(entry: Path) -> None:
    entry.with_suffix(".tag").unlink()


def truncate(entry: Path) -> None:
    entry.write_bytes(b"")


@pytest.mark.parametrize("tamper", [flip_a_bit, open_to_all, link_elsewhere, drop_the_tag, truncate])
def test_a_file_that_was_tampered_with_is_compiled_anew(folder: Path, tamper: Callable[[Path], None]) -> None:
    cache = CompiledCode(ENGINE, folder)
    cache.module(ECHO, Limits())
    (entry,) = entries(folder)
    good = entry.read_bytes()
    tamper(entry)
    cache.module(ECHO, Limits())
    assert entry.read_bytes() == good
    assert not entry.is_symlink()
    assert entry.stat().st_mode & 0o077 == 0


def test_code_of_another_module_under_its_name_is_not_taken(folder: Path) -> None:
    cache = CompiledCode(ENGINE, folder)
    cache.module(ECHO, Limits())
    (first,) = entries(folder)
    cache.module(says("1"), Limits())
    other = next(e for e in entries(folder) if e != first)
    good = first.read_bytes()
    first.write_bytes(other.read_bytes())
    first.with_suffix(".tag").write_bytes(other.with_suffix(".tag").read_bytes())
    cache.module(ECHO, Limits())
    assert first.read_bytes() == good


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    assert CompiledCode(ENGINE, blocked / "cache").module(ECHO, Limits()) is not None


def test_code_is_not_taken_from_a_folder_that_others_can_write_to(folder: Path) -> None:
    cache = CompiledCode(ENGINE, folder)
    cache.module(ECHO, Limits())
    folder.chmod(0o777)
    before = sorted(folder.iterdir())
    assert cache.module(ECHO, Limits()) is not None
    assert cache.module(says("1"), Limits()) is not None
    assert sorted(folder.iterdir()) == before


def test_nothing_is_left_where_a_module_does_not_compile(folder: Path) -> None:
    with pytest.raises(InvalidModule):
        CompiledCode(ENGINE, folder).module(ECHO[:-20], Limits())
    assert list(folder.iterdir()) == []
