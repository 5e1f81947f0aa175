"""What is in a large library, so that a million folders need not be looked at to find what changed in one.

Derived from the folders and rebuilt from them. Every folder has the stamp of the meta.json that was read, and a number
that grows with each change: who remembers the number it has seen asks for what came after it.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from metier.localstore import LocalStore

FILE_NAME, LAYOUT = "catalogue.sqlite", 1
TABLES = """
CREATE TABLE folders (
  folder TEXT PRIMARY KEY, stamp TEXT NOT NULL, live INTEGER NOT NULL, alias INTEGER NOT NULL, number INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_number ON folders (number);
CREATE INDEX aliases ON folders (folder) WHERE alias;
CREATE TABLE marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE writing (folder TEXT PRIMARY KEY) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One folder. `stamp` is that of its meta.json, empty where it has to be read again."""

    folder: str
    stamp: str
    live: bool
    alias: bool = False
    """Whether it is retired and names what answers its calls."""


class Catalogue:
    """The catalogue in the folder `state`. Threads and processes may share it."""

    def __init__(self, state: Path) -> None:
        self._path = state / FILE_NAME
        self._store = LocalStore(self._path, layout=LAYOUT, tables=TABLES, write_ahead=True)

    def exists(self) -> bool:
        return self._path.exists()

    def count(self) -> int:
        """How many capabilities are live; 0 where there is no whole catalogue."""
        found = self._store.read("SELECT name, value FROM marks WHERE name IN ('live', 'whole')")
        marks = dict(found)
        return int(marks.get("live", 0)) if "whole" in marks else 0

    def changed(self, since: str | None) -> tuple[list[Entry] | None, str]:
        """The entries that changed after the mark `since`, and the mark for now; None for the entries where all may
        have: the mark is unknown, or of a catalogue that was made anew since."""
        query = """
        SELECT (SELECT value FROM marks WHERE name = 'identity'), (SELECT coalesce(max(number), 0) FROM folders),
               folder, stamp, live, alias, number FROM folders WHERE number > ?
        UNION ALL
        SELECT (SELECT value FROM marks WHERE name = 'identity'), (SELECT coalesce(max(number), 0) FROM folders),
               NULL, '', 0, 0, 0
        """
        identity, _, number = (since or "").partition(":")
        known = number.isdigit()
        rows = self._store.read(query, (int(number) if known else 2**62,))
        if not rows:
            return None, ""
        mine, last = rows[-1][:2]
        entries = [Entry(folder, stamp, bool(live), bool(a)) for _, _, folder, stamp, live, a, _ in rows[:-1]]
        return (entries if known and mine == identity else None), f"{mine}:{last}"

    def between(self, first: str, last: str) -> dict[str, Entry]:
        """The entries of the folders from `first` to `last`, both included."""
        query = "SELECT folder, stamp, live, alias FROM folders WHERE folder BETWEEN ? AND ?"
        return {
            folder: Entry(folder, s, bool(live), bool(a))
            for folder, s, live, a in self._store.read(query, (first, last))
        }

    def of(self, folders: Sequence[str]) -> dict[str, Entry]:
        """The entries of some folders."""
        return {folder: entry for name in folders for folder, entry in self.between(name, name).items()}

    def live(self) -> list[str]:
        """The folders of all live capabilities, sorted."""
        return [folder for (folder,) in self._store.read("SELECT folder FROM folders WHERE live ORDER BY folder")]

    def aliases(self) -> list[str]:
        """The folders of retired capabilities that name what answers for them."""
        return [folder for (folder,) in self._store.read("SELECT folder FROM folders WHERE alias ORDER BY folder")]

    def note(self, entries: Iterable[Entry], gone: Iterable[str] = ()) -> bool:
        """Put entries in the place of what is known of their folders; those that are gone stay as dead ones."""
        dead = (Entry(folder, "", live=False) for folder in gone)
        noted = list({entry.folder: entry for entry in (*entries, *dead)}.values())

        def work(connection: sqlite3.Connection) -> bool:
            _identify(connection)
            last = connection.execute("SELECT coalesce(max(number), 0) FROM folders").fetchone()[0]
            was = sum(_live(connection, entry.folder) for entry in noted)
            connection.executemany(
                "INSERT OR REPLACE INTO folders VALUES (?, ?, ?, ?, ?)",
                [(e.folder, e.stamp, e.live, e.alias, last + n) for n, e in enumerate(noted, start=1)],
            )
            connection.executemany("DELETE FROM writing WHERE folder = ?", [(entry.folder,) for entry in noted])
            live = sum(entry.live for entry in noted) - was
            connection.execute("UPDATE marks SET value = CAST(value AS INTEGER) + ? WHERE name = 'live'", (live,))
            return True

        return self._store.transact(work) is True

    def expect(self, folders: Sequence[str]) -> None:
        """Note that folders are about to be written: whoever comes looks at them, also if the writer dies."""
        if folders:
            self._store.write("INSERT OR IGNORE INTO writing VALUES (?)", [(folder,) for folder in folders])

    def expected(self) -> list[str]:
        """The folders that somebody writes, or died writing."""
        return [folder for (folder,) in self._store.read("SELECT folder FROM writing")]

    def looked(self) -> tuple[float, str]:
        """When the last look at all folders began, in seconds since 1970, and what the library's own stamp was then."""
        marks = dict(self._store.read("SELECT name, value FROM marks WHERE name IN ('looked', 'stamp')"))
        return float(marks.get("looked", 0)), marks.get("stamp", "")

    def look_left(self) -> tuple[float, str, str] | None:
        """When a look began that was ended, the library's own stamp then, and the first name that it did not see."""
        marks = dict(self._store.read("SELECT name, value FROM marks WHERE name = 'left'"))
        if "left" not in marks:
            return None
        began, stamp, name = marks["left"].split(" ", 2)
        return float(began), stamp, name

    def leave_look(self, began: float, stamp: str, name: str) -> None:
        """Note that a look was ended before it came to this name."""
        self._store.write("INSERT OR REPLACE INTO marks VALUES ('left', ?)", [(f"{began} {stamp} {name}",)])

    def look_done(self, began: float, stamp: str) -> None:
        """Note that all folders were looked at."""
        self._store.write("DELETE FROM marks WHERE name = ?", [("left",)])
        marks = [("looked", str(began)), ("stamp", stamp), ("whole", "1")]
        self._store.write("INSERT OR REPLACE INTO marks VALUES (?, ?)", marks)

    def stamp(self, stamp: str) -> None:
        """Note the library's own stamp, where the folders that changed it are noted."""
        self._store.write("INSERT OR REPLACE INTO marks VALUES ('stamp', ?)", [(stamp,)])

    def close(self) -> None:
        self._store.close()


def _identify(connection: sqlite3.Connection) -> None:
    marks = [("identity", f"{secrets.token_hex(8)}{int(time.time())}"), ("live", "0")]
    connection.executemany("INSERT OR IGNORE INTO marks VALUES (?, ?)", marks)


def _live(connection: sqlite3.Connection, folder: str) -> int:
    found = connection.execute("SELECT live FROM folders WHERE folder = ?", (folder,)).fetchone()
    return int(found[0]) if found else 0
