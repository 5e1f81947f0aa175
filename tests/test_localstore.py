"""Local stores: kept where that is possible, begun anew where a file is spoiled, and nobody's writes lost."""

from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from metier.localstore import LocalStore

TABLES = "CREATE TABLE notes (text TEXT)"


def store(path: Path, layout: int = 1) -> LocalStore:
    return LocalStore(path, layout=layout, tables=TABLES)


def test_rows_are_there_for_the_next_store(tmp_path: Path) -> None:
    first = store(tmp_path / "state" / "notes.sqlite")
    assert first.write("INSERT INTO notes VALUES (?)", [("a",), ("b",)])
    first.close()
    assert store(tmp_path / "state" / "notes.sqlite").read("SELECT text FROM notes ORDER BY text") == [("a",), ("b",)]


def test_a_failing_transaction_leaves_nothing(tmp_path: Path) -> None:
    notes = store(tmp_path / "notes.sqlite")
    notes.write("INSERT INTO notes VALUES (?)", [("a",)])
    assert not notes.write("INSERT INTO notes VALUES (?)", [("b",), ("too", "many")])
    assert notes.read("SELECT text FROM notes") == [("a",)]


def test_a_wrong_statement_moves_no_file_aside(tmp_path: Path) -> None:
    notes = store(tmp_path / "notes.sqlite")
    notes.write("INSERT INTO notes VALUES (?)", [("a",)])
    assert notes.read("SELEC text FROM notes") == []
    assert notes.read("SELECT text FROM notes") == [("a",)]


def test_every_spoiled_file_is_kept_aside_under_a_name_of_its_own(tmp_path: Path) -> None:
    for content in (b"first " * 500, b"second " * 500):
        (tmp_path / "notes.sqlite").write_bytes(content)
        notes = store(tmp_path / "notes.sqlite")
        assert notes.write("INSERT INTO notes VALUES (?)", [("a",)])
        notes.close()
    assert (tmp_path / "notes.sqlite.broken").read_bytes().startswith(b"first")
    assert (tmp_path / "notes.sqlite.broken2").read_bytes().startswith(b"second")


def test_a_file_of_another_layout_is_kept_aside(tmp_path: Path) -> None:
    newer = store(tmp_path / "notes.sqlite", layout=2)
    newer.write("INSERT INTO notes VALUES (?)", [("a",)])
    newer.close()
    assert store(tmp_path / "notes.sqlite").read("SELECT text FROM notes") == []
    connection = sqlite3.connect(tmp_path / "notes.sqlite.broken")
    assert connection.execute("SELECT text FROM notes").fetchall() == [("a",)]
    connection.close()


def test_a_text_that_is_no_utf_8_hides_no_others(tmp_path: Path) -> None:
    notes = store(tmp_path / "notes.sqlite")
    notes.write("INSERT INTO notes VALUES (CAST(? AS TEXT))", [(b"good",), (b"b\xffd",)])
    assert notes.read("SELECT text FROM notes") == [("good",), ("b\ufffdd",)]
    assert notes.problem is None


def test_why_a_file_could_not_be_used_is_known(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "notes.sqlite").mkdir()
    notes = store(tmp_path / "notes.sqlite")
    assert notes.read("SELECT text FROM notes") == []
    assert notes.problem == "notes.sqlite cannot be read: unable to open database file"
    assert "working without it" in caplog.text


WRITER = """
import sys
from pathlib import Path
from metier.localstore import LocalStore
notes = LocalStore(Path(sys.argv[1]), layout=1, tables="CREATE TABLE notes (text TEXT)")
for n in range(50):
    assert notes.write("INSERT INTO notes VALUES (?)", [(f"{sys.argv[2]} {n}",)])
"""


def first_write(path: Path, number: int, together: Barrier) -> None:
    notes = LocalStore(path, layout=1, tables="CREATE TABLE notes (text TEXT)", write_ahead=True)
    together.wait()
    notes.write("INSERT INTO notes VALUES (?)", [(str(number),)])


def test_first_writes_at_one_moment_are_all_kept_with_a_write_ahead_log(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    for attempt in range(12):  # without waiting, about one in thirty is lost
        path, together = tmp_path / f"notes{attempt}.sqlite", context.Barrier(6)
        writers = [context.Process(target=first_write, args=(path, number, together)) for number in range(6)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert store(path).read("SELECT count(*) FROM notes") == [(6,)]


@pytest.mark.parametrize("spoiled", [False, True])
def test_processes_that_begin_at_once_lose_nothing(tmp_path: Path, spoiled: bool) -> None:
    path = tmp_path / "notes.sqlite"
    if spoiled:
        path.write_bytes(b"not a database " * 500)
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, str(n)], stderr=subprocess.PIPE, text=True) for n in range(4)]
    told = "".join(writer.communicate(timeout=120)[1] for writer in writers)
    assert told.count("\n") == int(spoiled), told
    assert store(path).read("SELECT count(*) FROM notes") == [(200,)]
