"""A store that is an SQLite file: opened for what a run may do, and guarded by SQLite itself in each statement."""

from __future__ import annotations

import sqlite3
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from metier.effects import grammar
from metier.effects.answers import Answer, answer, said
from metier.effects.decisions import ASK_SECONDS, Undecided
from metier.effects.door import EffectError
from metier.effects.statements import Statement, ascii_lower
from metier.effects.watch import WATCH
from metier.sandbox.limits import MIB, Limits

Allows = Callable[[str, str], bool]
"""Whether a table may be touched with a verb."""

VERBS: Final = {sqlite3.SQLITE_INSERT: "insert", sqlite3.SQLITE_UPDATE: "update", sqlite3.SQLITE_DELETE: "delete"}
OPCODES_BETWEEN_LOOKS: Final = 1_000
WORK_BYTES: Final = 64 * MIB
"""What the values of one row may have together, with all that is made of them: within a row no clock is looked at."""
OPEN_NEEDLE_BYTES: Final = 16 * 1024
"""The largest value where any value may be searched for in any other: that costs the product of both."""
SMALLEST_LENGTH: Final = 1024
SCRATCH_BYTES: Final = 256 * MIB
"""What a statement may write to disk, for example to sort."""
COMMIT_WAIT_MS: Final = 10_000
"""How long a commit waits for others who read."""
KINDS: Final = {
    sqlite3.SQLITE_CONSTRAINT: "conflict",
    sqlite3.SQLITE_INTERRUPT: "timeout",
    sqlite3.SQLITE_AUTH: "denied",
    sqlite3.SQLITE_READONLY: "denied",
    sqlite3.SQLITE_TOOBIG: "too_large",
    sqlite3.SQLITE_FULL: "too_large",
    sqlite3.SQLITE_NOMEM: "too_large",
    **dict.fromkeys(
        (
            *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT),
            *(sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL),
        ),
        "unavailable",
    ),
}
"""Kinds of EffectError by SQLite's primary result codes; "invalid" for the others."""
MARKS: Final = """CREATE TABLE IF NOT EXISTS metier_commits (
    library TEXT NOT NULL, store TEXT NOT NULL, run TEXT NOT NULL, PRIMARY KEY (library, store)) WITHOUT ROWID"""
"""SQLite keeps no account of its transactions, so one leaves a row here, in itself: the last run of a library that
changed the store. There is one at a time, since a library's runs take turns and settle what was broken off first."""


class SqliteConnection:
    """One transaction on one file. `writes`: whether the run may change data at all; else the file is read-only."""

    dialect: Final = "sqlite"

    def __init__(self, path: Path, *, writes: bool, seconds: float, limits: Limits) -> None:
        where = f"file:{urllib.parse.quote(str(path))}?mode={'rw' if writes else 'ro'}"
        self._raw = sqlite3.connect(
            where, uri=True, timeout=seconds, isolation_level=None, check_same_thread=False, cached_statements=0
        )
        self._limits = limits
        self._related: frozenset[str] | None = None
        self._raw.text_factory = _text
        self._bound_resources()

    def _bound_resources(self) -> None:
        for pragma in ("trusted_schema = OFF", "foreign_keys = ON", "cell_size_check = ON", "synchronous = FULL"):
            self._raw.execute(f"PRAGMA {pragma}")
        for category, most in (
            (sqlite3.SQLITE_LIMIT_LENGTH, self._limits.effect_bytes),
            (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
            (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 500),
            (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000),
            (sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 32),
            (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
        ):
            self._raw.setlimit(category, most)

    def begin(self, *, write: bool) -> None:
        """A transaction that sees one snapshot; with `write` it holds the file's one lock for writers at once."""
        try:
            self._raw.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            if write:
                self._bound_growth()
        except sqlite3.Error as error:
            raise _translated(error) from None

    def _bound_growth(self) -> None:
        (pages,), (size,) = (self._raw.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "page_size"))
        self._raw.execute(f"PRAGMA max_page_count = {pages + self._limits.overlay_bytes // size}")

    def run(self, statement: Statement, seconds: float, allows: Allows) -> Answer:
        """Carries out a statement; one that fails leaves nothing behind.

        Raises:
            EffectError: the database refused it, or its answer is too large.
        """
        if not self._in_transaction():
            raise EffectError("unavailable", "the transaction was undone by an earlier failure")
        try:
            with self._guarded(statement, seconds, allows), self._undone_on_failure(statement):
                return self._answer(statement)
        except sqlite3.Error as error:
            raise _translated(error) from None
        except (OverflowError, UnicodeError) as error:
            raise EffectError("invalid", said(error)) from None

    def _answer(self, statement: Statement) -> Answer:
        cursor = self._raw.execute(statement.sql, dict(statement.parameters))
        try:
            if cursor.description is None:
                return {"columns": [], "rows": [], "row_count": max(0, cursor.rowcount)}
            return answer([column[0] for column in cursor.description], cursor, self._limits.effect_bytes)
        finally:
            cursor.close()

    @contextmanager
    def _undone_on_failure(self, statement: Statement) -> Iterator[None]:
        if not statement.writes:
            yield
            return
        self._unguarded("SAVEPOINT metier_statement")
        try:
            yield
        except BaseException:
            if self._raw.in_transaction:
                self._unguarded("ROLLBACK TO metier_statement", "RELEASE metier_statement")
            raise
        self._unguarded("RELEASE metier_statement")

    @contextmanager
    def _guarded(self, statement: Statement, seconds: float, allows: Allows) -> Iterator[None]:
        """Has SQLite itself refuse what is not allowed, and stop in time."""
        until = time.monotonic() + seconds
        self._unguarded(
            f"PRAGMA busy_timeout = {max(1, int(seconds * 1000))}",
            f"PRAGMA query_only = {'OFF' if statement.writes else 'ON'}",
        )
        self._raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(self._limits.effect_bytes, longest_value(statement)))
        self._guard = _authorizer(statement, allows, self._related_tables() if statement.writes else frozenset())
        self._raw.set_authorizer(self._guard)
        self._raw.set_progress_handler(lambda: int(time.monotonic() > until), OPCODES_BETWEEN_LOOKS)
        try:
            with WATCH.over(until, self._raw.interrupt, SCRATCH_BYTES) as watched:
                try:
                    yield
                except sqlite3.OperationalError:
                    if watched.too_much:
                        mib = SCRATCH_BYTES // MIB
                        raise EffectError("too_large", f"the statement needs more than {mib} MiB on disk") from None
                    raise
        finally:
            self._raw.set_progress_handler(None, 0)
            self._raw.set_authorizer(None)
            self._guard = None

    _guard: Any = None

    def _unguarded(self, *statements: str) -> None:
        """Carries out statements of our own."""
        self._raw.set_authorizer(None)
        for statement in statements:
            self._raw.execute(statement).close()
        if self._guard is not None:
            self._raw.set_authorizer(self._guard)

    def _related_tables(self) -> frozenset[str]:
        """Tables at either end of a foreign key: SQLite looks into them to check it."""
        if self._related is None:
            keys = """SELECT m.name, k."table" FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS k
                      WHERE m.type = 'table'"""
            self._related = frozenset(ascii_lower(name) for pair in self._raw.execute(keys) for name in pair)
        return self._related

    def _in_transaction(self) -> bool:
        """Not after SQLite undid it all, as it does when a change is interrupted or the disk is full."""
        try:
            return self._raw.in_transaction
        except sqlite3.ProgrammingError:  # it is closed
            return False

    def savepoint(self, name: str) -> None:
        if self._in_transaction():
            self._unguarded(f"SAVEPOINT {name}")

    def release(self, name: str, *, undo: bool) -> None:
        if self._in_transaction():
            self._unguarded(*([f"ROLLBACK TO {name}"] if undo else []), f"RELEASE {name}")

    def prepare(self, library: str, store: str, run: str) -> dict[str, str]:
        """Marks the transaction as that of a run; what `committed` can be asked with. Raises sqlite3.Error."""
        self._must_be_in_transaction()
        self._raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, self._limits.effect_bytes)
        self._unguarded("PRAGMA query_only = OFF", MARKS)
        self._raw.execute("INSERT OR REPLACE INTO metier_commits VALUES (?, ?, ?)", (library, store, run)).close()
        return {"library": library, "store": store, "run": run}

    def commit(self) -> None:
        """Raises sqlite3.Error if what was written cannot be kept."""
        self._must_be_in_transaction()
        self._unguarded("PRAGMA query_only = OFF", f"PRAGMA busy_timeout = {COMMIT_WAIT_MS}", "COMMIT")

    def _must_be_in_transaction(self) -> None:
        if not self._in_transaction():
            raise sqlite3.OperationalError("the transaction was undone by an earlier failure")

    def close(self) -> None:
        self._raw.close()


def longest_value(statement: Statement) -> int:
    """Bytes of a value or a row with which a statement still takes a moment and little memory for each row."""
    work = statement.work
    fixed = [statement.parameters[key] for keys in work.needles for key in keys or ()]
    times = max(1, work.steps + sum(len(value) for value in fixed if isinstance(value, (str, bytes))))
    most, any_value = WORK_BYTES // times, work.needles.count(None)
    return max(SMALLEST_LENGTH, min(most, OPEN_NEEDLE_BYTES // any_value) if any_value else most)


def committed(path: Path, identity: Mapping[str, str]) -> bool:
    """Whether the transaction that `prepare` marked was committed to the file.

    Raises:
        Undecided: the file cannot be read now.
    """
    where = f"file:{urllib.parse.quote(str(path))}?mode=rw"  # what a crash left in a journal has to be undone first
    query = "SELECT run FROM metier_commits WHERE library = ? AND store = ?"
    try:
        with closing(sqlite3.connect(where, uri=True, timeout=ASK_SECONDS, isolation_level=None)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'metier_commits'").fetchall():
                return False
            rows = database.execute(query, (identity["library"], identity["store"])).fetchall()
    except sqlite3.Error as error:
        raise Undecided(said(error)) from None
    return rows == [(identity["run"],)]


def _authorizer(statement: Statement, allows: Allows, related: frozenset[str]) -> Callable[..., int]:
    """What SQLite asks while it prepares a statement, views, triggers and checks of its schema included."""
    written = {table.rpartition(".")[2] for table, verb in statement.touched if verb != "select"}

    def granted(table: str, verb: str) -> bool:
        return allows(table, verb) or allows(f"main.{table}", verb)

    def allowed(action: int, first: str, second: str, database: str | None) -> bool:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return True
        if action == sqlite3.SQLITE_FUNCTION:
            return ascii_lower(second) in grammar.SQLITE_OWN_FUNCTIONS
        table = ascii_lower(first)
        counted = action == sqlite3.SQLITE_READ and second == ""  # rows without a value of theirs; of no database then
        if counted and table in statement.local_names | {""}:
            return True
        if (database != "main" and not counted) or table.startswith(grammar.SYSTEM_NAMES["sqlite"]):
            return False
        if action == sqlite3.SQLITE_READ:
            return table in written or table in related or granted(table, "select")
        return action in VERBS and granted(table, VERBS[action])

    def authorize(action: int, first: str | None, second: str | None, database: str | None, _: str | None) -> int:
        ok = allowed(action, first or "", second or "", database)
        return sqlite3.SQLITE_OK if ok else sqlite3.SQLITE_DENY

    return authorize


def _text(data: bytes) -> Any:
    """A text, or the bytes that it is when they are not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


def _translated(error: sqlite3.Error) -> EffectError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if "no such table" in str(error):
        return EffectError("not_found", said(error))
    return EffectError(KINDS.get(code, "invalid"), said(error))
