"""SQLite files in a library's state folder: derived or local, and never the reason why a task fails.

A file that cannot be used is moved aside and begun anew, with what can be had from elsewhere; a folder that cannot be
written is worked without. Either is one log line, of level INFO where the folder is simply not ours. The rollback
journal is kept, so that a library on a read-only disk can still be read, except where many small writes make a
write-ahead log worth it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from metier.errors import LibraryError
from metier.locks import exclusive

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Refill = Callable[[], Sequence[tuple[str, Sequence[Any]]]]
"""Statements with their values that bring back what a lost file had, as far as it is known elsewhere."""

BUSY_SECONDS = 10.0
"""How long one process waits for another's transaction."""
BUSY_PAUSE = 0.005
"""Seconds between attempts where SQLite itself does not wait."""

_UNUSABLE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
"""Result codes after which a file is begun anew: damaged, not a database, or of another layout."""

_OTHER_TABLES = ("no such table", "no such column", "has no column", "columns but")
"""How SQLite says that a file of our layout does not have our tables: somebody changed it."""

_UNWRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
"""Result codes of a folder that is not ours to write; nothing is wrong with it."""


class LocalStore:
    """One SQLite file at `path`, opened at its first use. Threads and processes may share it. None: nothing is kept.

    `tables` creates the tables; `layout` is its number, kept in the file: another number in a file means that another
    Metier wrote it, and it is begun anew, unless `upgrades` has the statements that lead from there, layout by layout.
    `write_ahead` spares the wait for the disk at each write: what was written last may be gone after a power cut, never
    after a crash of the process. A file that is made is filled with what `refill` gives, in the transaction that makes
    its tables, so that no other process sees it half full. What is deleted is overwritten in the file.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        layout: int,
        tables: str,
        upgrades: Mapping[int, str] | None = None,
        write_ahead: bool = False,
        refill: Refill | None = None,
    ) -> None:
        self._write_ahead = write_ahead
        self._refill = refill
        self._looked = False
        self._identity: tuple[int, int] | None = None
        self._moved: str | None = None
        self._path = path
        self._layout = layout
        self._tables = tables
        self._upgrades = upgrades or {}
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._reported: set[str] = set()
        self._lenient = False
        self.problem: str | None = None
        """Why the file could not be used, when that was so last: what it holds is more than what was read."""

    def read(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of `query`; none when the store cannot be used."""
        with self._lock:
            known = self._connection is not None or (self._path is not None and _identity(self._path) is not None)
            if self._path is None or not (known or self._was_lost()):
                return []
            return self._attempt(self._path, lambda c: c.execute(query, parameters).fetchall()) or []

    def write(self, statement: str, rows: Iterable[Sequence[Any]]) -> bool:
        """Run `statement` once a row, all in one transaction. Returns whether that is kept."""
        listed = list(rows)

        def work(connection: sqlite3.Connection) -> bool:
            with _transaction(connection):
                connection.executemany(statement, listed)
            return True

        with self._lock:
            return self._path is not None and self._attempt(self._path, work) is True

    def transact(self, work: Callable[[sqlite3.Connection], Result]) -> Result | None:
        """What `work` returns, done in one transaction that no other writer can come between; None when it is not."""

        def whole(connection: sqlite3.Connection) -> Result:
            with _transaction(connection):
                return work(connection)

        with self._lock:
            return None if self._path is None else self._attempt(self._path, whole)

    def wipe(self) -> None:
        """Leaves nothing of what was deleted in the files of a write-ahead log."""
        with self._lock:
            if self._path is not None and _identity(self._path) is not None:
                self._attempt(self._path, lambda c: c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())

    def _was_lost(self) -> bool:
        """Whether a file that is not there had something; looked for once."""
        looked, self._looked = self._looked, True
        return not looked and self._refill is not None and bool(self._refill())

    def _fill(self, connection: sqlite3.Connection) -> int:
        statements = self._refill() if self._refill is not None else ()
        for statement, values in statements:
            connection.execute(statement, values)
        return len(statements)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _attempt(
        self, path: Path, work: Callable[[sqlite3.Connection], Result], *, again: bool = True
    ) -> Result | None:
        """What `work` returns; None when the file cannot be used. A file that never can be is begun anew, once."""
        identity = _identity(path)
        try:
            return work(self._opened(path))
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            if "Could not decode to UTF-8" in str(error) and not self._lenient:
                self._lenient = True
                return self._attempt(path, work, again=again)
            self.close()
            code = (
                sqlite3.SQLITE_CANTOPEN if isinstance(error, OSError) else getattr(error, "sqlite_errorcode", 0) & 0xFF
            )
            undecodable = isinstance(error, UnicodeDecodeError)  # the damage stands in the message of SQLite itself
            unusable = undecodable or code in _UNUSABLE or any(words in str(error) for words in _OTHER_TABLES)
            if not (again and unusable and self._begun_anew(path, identity, error)):
                level = logging.INFO if code in _UNWRITABLE and not path.is_dir() else logging.WARNING
                self.problem = f"{path.name} cannot be read: {error}"
                self._report(f"{path}: {error}; working without it", level)
                return None
        result = self._attempt(path, work, again=False)
        if self._moved is not None:  # and nothing was there to fill it with
            self._report(self._moved)
            self._moved = None
        return result

    def _opened(self, path: Path) -> sqlite3.Connection:
        """The connection. Once a text was met that is none, texts are read with marks for what is no UTF-8 in them."""
        if self._connection is not None and not self._connection.in_transaction and _identity(path) != self._identity:
            self.close()  # another process moved it aside, or somebody deleted it
        if self._connection is None:
            path.parent.mkdir(exist_ok=True)
            frozen = self._write_ahead and _is_frozen(path)
            connection = sqlite3.connect(
                f"file:{quote(str(path))}?immutable=1" if frozen else path,
                uri=frozen,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                if self._write_ahead and not frozen:
                    _write_ahead(connection)
                    connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA secure_delete = ON")
                self._lay_out(connection, path)
            except BaseException:
                connection.close()
                raise
            self._connection, self._identity = connection, _identity(path)
        if self._lenient:
            self._connection.text_factory = lambda text: text.decode("utf-8", "replace")
        return self._connection

    def _lay_out(self, connection: sqlite3.Connection, path: Path) -> None:
        if _layout(connection) == self._layout:
            return
        filled = 0
        with _transaction(connection):
            empty = connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is None
            if empty and _layout(connection) == 0:
                self._bring(connection, self._tables, self._layout)
                filled = self._fill(connection)
            while (found := _layout(connection)) != self._layout and found in self._upgrades:
                self._bring(connection, self._upgrades[found], found + 1)
        if (found := _layout(connection)) != self._layout:
            error = sqlite3.DatabaseError(f"has layout {found} instead of {self._layout}")
            error.sqlite_errorcode = sqlite3.SQLITE_FORMAT
            raise error
        if filled:
            self._report(f"{self._moved or f'{path}: it was gone'}, and filled again: {filled} from the journal")
            self._moved = None

    def _bring(self, connection: sqlite3.Connection, statements: str, layout: int) -> None:
        for statement in statements.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {layout:d}")

    def _begun_anew(self, path: Path, identity: tuple[int, int] | None, error: Exception) -> bool:
        """Moves the file aside. Whether a fresh one can be made; a process that was faster has made it already.

        The file's journals go before it does: after it, they could be those of the next one.
        """
        aside = _free(path.with_name(path.name + ".broken"))
        try:
            with exclusive(path.with_name(path.name + ".lock"), timeout=BUSY_SECONDS):
                if identity is None or _identity(path) != identity:
                    return True
                for suffix in ("-journal", "-wal", "-shm"):
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
                path.replace(aside)
        except (OSError, LibraryError):
            return False
        self.problem = f"{path.name} could not be read and was moved to {aside.name}: {error}"
        self._moved = f"{path}: {error}; moved to {aside.name} and begun anew"
        return True

    def _report(self, line: str, level: int = logging.WARNING) -> None:
        if line not in self._reported:
            self._reported.add(line)
            log.log(level, "%s", line)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Holds the file's write lock from the start, so that two writers wait for each other instead of deadlocking."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Has the file keep a write-ahead log. SQLite refuses that at once, without waiting, while others look at the file
    for the first time as well."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(BUSY_PAUSE)


def _is_frozen(path: Path) -> bool:
    """Whether a file with a write-ahead log can only be read as one that nobody changes: in a folder that is not ours
    to write there can be no shared memory beside it, without which SQLite does not open it."""
    return (
        _identity(path) is not None
        and not os.access(path.parent, os.W_OK)
        and not path.with_name(path.name + "-wal").exists()
    )


def _layout(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _free(path: Path) -> Path:
    """`path`, or the first of its numbered siblings that does not exist."""
    numbered = (path.with_name(f"{path.name}{n}") for n in range(2, 100))
    return next((free for free in (path, *numbered) if not free.exists()), path)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
