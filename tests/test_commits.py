"""What a run changes in files, in a store and in the journal stands together or not at all, whatever happens."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from metier.commits import Commits, NotKept
from metier.effects import Context, SqlSession, SqlStores
from metier.journal import Entry, Journal
from metier.locks import exclusive
from metier.outcomes import Failed, Ran
from metier.permissions import Grant, Permissions
from metier.record import LiveRecord
from metier.runner import Runner
from metier.sandbox.box import Box
from metier.sandbox.files import FileSystem, HostFiles
from metier.sandbox.hostfiles import Change
from metier.sandbox.limits import Limits
from metier.toolchains import python
from tests.conftest import capability, runner
from tests.effects.test_sql import Forever

SPAWN = multiprocessing.get_context("spawn")
OLD = {"a.txt": b"old a", "b.txt": b"old b", "gone.txt": b"old c"}
CHANGES = [
    Change("hr", "made", None, directory=True),
    Change("hr", "a.txt", b"new a"),
    Change("hr", "b.txt", b"new b"),
    Change("hr", "made/d.txt", b"new d"),
    Change("hr", "gone.txt", None),
]
NEW = {"a.txt": b"new a", "b.txt": b"new b", "made/d.txt": b"new d"}
READING = Permissions.model_validate({"files": [{"root": "hr", "path": "a.txt", "access": "read"}]})
ELSEWHERE = Permissions.model_validate({"files": [{"root": "hr", "path": "z.txt", "access": "write"}]})
QUERYING = Permissions.model_validate({"sql": [{"store": "db", "tables": {"counts": ["select", "update"]}}]})


class World:
    """A library's state folder, a root, a store and a journal; made anew from the same folder after a crash."""

    def __init__(
        self, folder: Path, checkpoint: Callable[[str], None] = lambda _: None, *, keep_runs: int = 100
    ) -> None:
        self.folder, self.root, self.state = folder, folder / "hr", folder / "state"
        if not self.root.exists():
            self.root.mkdir()
            self.state.mkdir()
            for name, content in OLD.items():
                (self.root / name).write_bytes(content)
            with closing(sqlite3.connect(folder / "db.sqlite", isolation_level=None)) as db:
                db.execute("CREATE TABLE counts (n INTEGER PRIMARY KEY)")
                db.execute("INSERT INTO counts VALUES (0)")
                db.execute("CREATE TABLE owed (n REFERENCES counts (n) DEFERRABLE INITIALLY DEFERRED)")
        self.stores = SqlStores({"db": "sqlite:///db.sqlite", "other": "sqlite:///other.sqlite"}, folder)
        self.journal = Journal(self.state, keep_runs=keep_runs)
        self.commits = Commits(self.state, {"hr": self.root}, self.stores, self.journal, checkpoint)

    def session(self) -> SqlSession:
        session = self.stores.session(writes=True)
        count(session)
        return session

    def keep(self, *, store: bool, changes: list[Change] = CHANGES) -> None:
        session = self.session() if store else None
        try:
            self.commits.keep(changes, session, self.entry())
        finally:
            if session is not None:
                session.close()

    def entry(self) -> Entry:
        ran = Ran(
            "under_test",
            1,
            {},
            {},
            "{}",
            "",
            1,
            0.1,
            blobs={hashlib.sha256(b"seen\n").hexdigest(): b"seen\n"},
            run_id="run",
        )
        return self.journal.entry(ran, capability(), task_run_id=None)

    def seen(self) -> tuple[dict[str, bytes], int, list[str]]:
        """Files, what the store has, and the runs in the journal."""
        files = {str(p.relative_to(self.root)): p.read_bytes() for p in self.root.rglob("*") if p.is_file()}
        folders = {
            str(p.relative_to(self.root)): b"" for p in self.root.rglob("*") if p.is_dir() and not any(p.iterdir())
        }
        with closing(sqlite3.connect(self.folder / "db.sqlite")) as db:
            (n,) = db.execute("SELECT n FROM counts").fetchone()
        assert self.journal.verify()[1] is None
        return dict(sorted((files | folders).items())), n, [row["run_id"] for row in self.journal.recent()]

    def intents(self) -> list[str]:
        return sorted(p.name for p in (self.state / "commits").iterdir())


def count(session: SqlSession, store: str = "db", statement: str = "UPDATE counts SET n = n + 1") -> None:
    asked = {"store": store, "statement": statement}
    tables = {"counts": ["select", "update"], "owed": ["insert"]}
    allowed = Permissions.model_validate({"sql": [{"store": name, "tables": tables} for name in ("db", "other")]})
    session.query(context_of(allowed, session), Forever(), asked)


def context_of(may: Permissions, session: SqlSession) -> Context:
    grant = Grant((may,))
    return Context(FileSystem(HostFiles({}, 1), grant, Limits()), grant, Limits(), LiveRecord(), sql=session)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("store", [False, True])
def test_all_changes_are_made_and_nothing_is_left_over(world: World, store: bool) -> None:
    world.keep(store=store)
    assert world.seen() == (NEW, int(store), ["run"])
    assert world.intents() == []


def test_one_change_alone_needs_no_intent_where_there_is_no_journal(tmp_path: Path) -> None:
    world = World(tmp_path, keep_runs=0)
    world.keep(store=True, changes=[])
    assert world.seen() == (OLD, 1, [])
    assert not (world.state / "commits").exists()
    with closing(sqlite3.connect(tmp_path / "db.sqlite")) as db:  # nor a table of ours in the operator's database
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("counts",), ("owed",)]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(folder: Path, store: bool, number: int, settling: bool) -> bool:
    """Has a child commit, or settle, that is killed after the step with this number; whether it was."""
    child = os.fork()
    if child == 0:
        steps: list[str] = []

        def checkpoint(step: str) -> None:
            steps.append(step)
            if len(steps) == number:
                die()

        try:
            world = World(folder, checkpoint)
            world.commits.settle() if settling else world.keep(store=store)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def crash_everywhere(base: str, store: bool, settling: bool, results: Any) -> None:
    """In a process of its own, which has no threads and may fork."""
    folder, number, killed = Path(base), 0, True
    try:
        while killed:
            number += 1
            shutil.copytree(folder / "before", folder / str(number))
            killed = killed_at(folder / str(number), store, number, settling)
            results.put(killed)
    finally:
        results.put(None)


def crashes(base: Path, store: bool, *, settling: bool = False) -> int:
    """Makes a folder for each step, in which a process was killed after it, and the last one whole; how many."""
    results = SPAWN.Queue()
    process = SPAWN.Process(target=crash_everywhere, args=(str(base), store, settling, results))
    process.start()
    found = list(iter(results.get, None))
    process.join()
    results.close()
    assert process.exitcode == 0
    assert found == [True] * (len(found) - 1) + [False]
    return len(found)


@pytest.mark.parametrize("store", [False, True])
def test_a_kill_after_any_step_leaves_all_as_before_or_all_as_after(tmp_path: Path, store: bool) -> None:
    (tmp_path / "before").mkdir()
    World(tmp_path / "before")
    after = (NEW, int(store), ["run"])
    found = []
    for number in range(1, crashes(tmp_path, store) + 1):
        world = World(tmp_path / str(number))
        assert world.commits.settle() == []
        found.append(world.seen())
        assert world.intents() == []
    before = (OLD, 0, [])
    assert set(map(str, found)) == {str(before), str(after)}
    assert found == [before] * found.count(before) + [after] * found.count(after)
    assert found.count(before) == (3 if store else 2)  # what is whole and not yet decided is taken back


@pytest.mark.parametrize("store", [False, True])
def test_a_kill_while_a_crash_is_mended_loses_nothing(tmp_path: Path, store: bool) -> None:
    base, twice = tmp_path / "once", tmp_path / "twice"
    (base / "before").mkdir(parents=True)
    World(base / "before")
    count = crashes(base, store)
    shutil.move(base / str(count - 6), twice / "before")  # decided, and little of it done
    for number in range(1, crashes(twice, store, settling=True) + 1):
        world = World(twice / str(number))
        assert world.commits.settle() == []
        assert world.seen() == (NEW, int(store), ["run"])


@pytest.mark.parametrize("store", [False, True])
def test_what_cannot_be_written_changes_nothing(world: World, store: bool) -> None:
    (world.root / "made").write_bytes(b"in the way")
    with pytest.raises(OSError):
        world.keep(store=store)
    assert world.seen() == (OLD | {"made": b"in the way"}, 0, [])
    assert world.intents() == []


def test_a_store_that_does_not_commit_leaves_files_and_journal_as_they_were(world: World) -> None:
    session = world.session()
    count(session, statement="INSERT INTO owed VALUES (99)")  # which is looked at when it is committed
    with pytest.raises(sqlite3.IntegrityError):
        world.commits.keep(CHANGES, session, world.entry())
    assert world.seen() == (OLD, 0, [])
    assert world.intents() == []


def broken_off(folder: Path, at: str) -> World:
    """A world in which a commit was broken off after a step."""

    class Killed(BaseException):
        pass

    def checkpoint(step: str) -> None:
        if step == at:
            raise Killed

    with pytest.raises(Killed):
        World(folder, checkpoint).keep(store=True)
    return World(folder)


@pytest.mark.parametrize("decided", [False, True])
def test_a_store_that_cannot_be_asked_keeps_runs_from_what_is_unsettled(tmp_path: Path, decided: bool) -> None:
    world = broken_off(tmp_path, "store committed" if decided else "intent stands")
    (tmp_path / "db.sqlite").rename(tmp_path / "away.sqlite")
    for concerned in (READING, QUERYING):
        with pytest.raises(NotKept, match="the store 'db' does not say whether it committed"):
            world.commits.must_be_settled(Grant((concerned,)))
    world.commits.must_be_settled(Grant((ELSEWHERE,)))
    assert (world.root / "a.txt").read_bytes() == b"old a"
    (tmp_path / "away.sqlite").rename(tmp_path / "db.sqlite")
    world.commits.must_be_settled(Grant((READING,)))
    assert world.seen() == ((NEW, 1, ["run"]) if decided else (OLD, 0, []))


def test_another_database_of_the_same_name_is_not_asked(tmp_path: Path) -> None:
    world = broken_off(tmp_path, "store committed")
    elsewhere = SqlStores({"db": "sqlite:///other.sqlite"}, tmp_path)
    shutil.copy(tmp_path / "db.sqlite", tmp_path / "other.sqlite")
    (left,) = Commits(world.state, {"hr": world.root}, elsewhere, world.journal).settle()
    assert "another database" in str(left)
    (left,) = Commits(world.state, {"hr": world.root}, SqlStores({}, tmp_path), world.journal).settle()
    assert "there is no store 'db'" in str(left)
    (left,) = Commits(world.state, {}, world.stores, world.journal).settle()
    assert "no root 'hr'" in str(left)
    assert world.commits.settle() == []
    assert world.seen() == (NEW, 1, ["run"])


def test_a_library_that_cannot_be_written_lets_nobody_near_what_is_unsettled(tmp_path: Path) -> None:
    world = broken_off(tmp_path, "store committed")
    (world.state / "commit.lock").unlink()
    (world.state / "commit.lock").mkdir()  # even root cannot open it for writing
    with pytest.raises(NotKept, match="folder cannot be written"):
        world.commits.must_be_settled(Grant((READING,)))
    world.commits.must_be_settled(Grant((ELSEWHERE,)))
    assert (world.root / "a.txt").read_bytes() == b"old a"


def test_without_a_state_folder_one_change_is_kept_and_several_are_refused(world: World) -> None:
    commits = Commits(None, {"hr": world.root}, world.stores, None)
    commits.keep(CHANGES[1:2], None, None)
    with pytest.raises(NotKept, match="several changes cannot be committed as one"):
        commits.keep(CHANGES[1:3], None, None)
    session = world.session()
    with pytest.raises(NotKept):
        commits.keep(CHANGES[1:2], session, None)
    session.close()
    assert world.seen() == (OLD | {"a.txt": b"new a"}, 0, [])


def test_a_damaged_intent_is_put_aside(world: World, caplog: pytest.LogCaptureFixture) -> None:
    (world.state / "commits").mkdir()
    for name, content in (("x", b"{"), ("y", b'{"changes": 3}\n'), (".staged-z", b'{"chan')):
        (world.state / "commits" / name).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert world.commits.settle() == []
    assert world.intents() == [".damaged-x", ".damaged-y"]
    assert "put aside" in caplog.text
    assert world.seen() == (OLD, 0, [])


def test_who_settles_waits_for_a_commit_that_is_under_way(world: World) -> None:
    reached: list[str] = []

    def look(step: str) -> None:
        if step == "intent stands":
            with pytest.raises(Exception, match="held by another"), exclusive(world.state / "commit.lock", timeout=0):
                pass
            reached.append(step)

    World(world.folder, look).keep(store=True)
    assert reached


def test_a_journal_that_cannot_be_written_stops_no_commit(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (world.state / "journal.sqlite").mkdir()
    with caplog.at_level(logging.WARNING):
        world.keep(store=True)
    assert "not in the journal" in caplog.text
    assert (world.root / "a.txt").read_bytes() == b"new a"
    assert world.intents() == []


def test_a_run_changes_one_store_and_no_second_one(world: World) -> None:
    shutil.copy(world.folder / "db.sqlite", world.folder / "other.sqlite")
    session = world.stores.session(writes=True)
    with pytest.raises(ZeroDivisionError), session.nested():  # undone, so it does not count
        count(session, "other")
        raise ZeroDivisionError
    session.close()
    count(session)
    with pytest.raises(Exception, match="no two stores can be committed as one"):
        count(session, "other")
    world.commits.keep(CHANGES, session, world.entry())
    assert world.seen() == (NEW, 1, ["run"])


def test_the_mark_in_a_store_is_one_row_and_no_programs_affair(world: World) -> None:
    for _ in range(3):
        world.keep(store=True, changes=[])
    with closing(sqlite3.connect(world.folder / "db.sqlite")) as db:
        assert len(db.execute("SELECT * FROM metier_commits").fetchall()) == 1
    may = Permissions.model_validate({"sql": [{"store": "db", "tables": {"metier_commits": ["select"]}}]})
    session = world.stores.session(writes=False)
    with pytest.raises(Exception, match=r"metier_commits"):
        asked = {"store": "db", "statement": "SELECT * FROM metier_commits"}
        session.query(context_of(may, session), Forever(), asked)
    session.close()


SOURCE = """
def run(input: dict) -> dict:
    for name in "ab":
        with open(f"/hr/{name}.txt", "w") as file:
            file.write("new")
    return {}
"""


def test_a_run_is_refused_while_it_could_see_half_of_another(tmp_path: Path, box: Box) -> None:
    world = broken_off(tmp_path, "store committed")
    (tmp_path / "db.sqlite").rename(tmp_path / "away.sqlite")
    may = Permissions.model_validate({"files": [{"root": "hr", "path": "*.txt", "access": "write"}]})
    running = Runner(
        *(box,), roots={"hr": world.root}, policy=may, limits=Limits(), state=world.state, journal=world.journal
    )
    loaded = running.load(capability(permissions=may, effects="write"), python.build(SOURCE, box))
    refused = running.run(loaded, {})
    assert isinstance(refused, Failed) and refused.kind == "effects"
    assert "an earlier run was broken off" in refused.error
    assert isinstance(running.rehearse(loaded, {}), Failed)
    assert (world.root / "a.txt").read_bytes() == b"old a"


def test_a_run_that_may_not_keep_its_changes_fails_and_says_why(tmp_path: Path, box: Box) -> None:
    world = World(tmp_path)
    files = [{"root": "hr", "path": "*.txt", "access": "write"}]
    running = runner(box, roots={"hr": world.root}, files=files)
    may = Permissions.model_validate({"files": files})
    refused = running.run(running.load(capability(permissions=may, effects="write"), python.build(SOURCE, box)), {})
    assert isinstance(refused, Failed) and "several changes cannot be committed as one" in refused.error
    assert world.seen() == (OLD, 0, [])
