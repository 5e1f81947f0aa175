"""The index of a large library: a segment on disk that never changes, and a short tail of what came after it.

One publish is one row of the tail, in SQLite. Now and then the tail is merged into a new segment. Which segment serves
is a mark in the same SQLite file, so a kill at any moment leaves the old state or the new one. What cannot be read is
begun anew, with one log line, and its owner fills it from the library.
"""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metier.errors import LibraryError
from metier.localstore import LocalStore
from metier.locks import exclusive
from metier.retrieval import segment
from metier.retrieval.coarse import candidates
from metier.retrieval.fusion import fuse
from metier.retrieval.rows import Damaged, Index, Query, Row, Rows, Weights

log = logging.getLogger(__name__)

DIGITS = 6
"""Scores are rounded to this many decimals, so that ties are ties on every machine."""
MAX_TAIL = 4096
"""Rows of the tail from which on it is merged into a new segment: each search looks at all of them."""
LOAD_SECONDS = 600.0
"""How long one process waits while another makes the index from nothing."""
FILE_NAME, LAYOUT = "tail.sqlite", 1
TABLES = """
CREATE TABLE rows (id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, vector BLOB, tokens BLOB, counts BLOB);
CREATE TABLE marks (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE learned (id TEXT PRIMARY KEY, tasks TEXT NOT NULL)
"""
"""A row without a vector is that of a capability that is gone."""

_CHANGED = """
SELECT (SELECT value FROM marks WHERE name = 'segment'), (SELECT value FROM marks WHERE name = 'applied'),
       id, seq, vector, tokens, counts FROM rows WHERE seq > ?
UNION ALL
SELECT (SELECT value FROM marks WHERE name = 'segment'), (SELECT value FROM marks WHERE name = 'applied'),
       NULL, 0, NULL, NULL, NULL
"""
"""One statement, so that segment and tail are of one moment."""


@dataclass(frozen=True, slots=True)
class _State:
    """What one search reads, replaced as a whole."""

    name: str | None
    base: Rows | None
    tail: dict[str, Row | None]
    rows: Rows | None
    """The tail's rows that are not gone."""
    gone: Index
    """The base's rows that the tail takes the place of."""
    words: float
    """The words of all rows together."""
    seq: int
    applied: str | None

    def __len__(self) -> int:
        return (len(self.base) - len(self.gone) if self.base is not None else 0) + len(self.rows or ())


_NOTHING = _State(None, None, {}, None, np.zeros(0, dtype=np.int64), 0.0, 0, None)


class LargeIndex:
    """Rows by id in one vector space, in the folder `folder`. Threads and processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = LocalStore(folder / FILE_NAME, layout=LAYOUT, tables=TABLES, write_ahead=True)
        self._state = _NOTHING
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._state)

    def sync(self) -> str | None:
        """Brings in what other processes wrote; returns the mark up to which changes of the library are in here.

        None where that is not known: the index is empty then, and has to be filled anew.
        """
        with self._lock:
            state = self._state
            found = self._store.read(_CHANGED, (state.seq,))
            name, applied = found[-1][:2] if found else (None, None)
            if name != state.name or not found:
                state = self._opened(name)
                found = self._store.read(_CHANGED, (0,)) if state is not _NOTHING or name is None else []
                if found and found[-1][0] != state.name:
                    return state.applied  # merged meanwhile; the next call sees it
            changed = {id: _row(id, *columns) for _, _, id, _, *columns in found if id is not None}
            if changed or state is not self._state or applied != state.applied:
                seq = max([state.seq, *(seq for _, _, id, seq, *_ in found if id is not None)])
                self._state = _with_tail(state, {**state.tail, **changed}, seq, applied if found else None)
            return self._state.applied

    def learned(self) -> dict[str, str]:
        """The digest of the solved tasks that a row was made with, by id, where there were any."""
        return dict(self._store.read("SELECT id, tasks FROM learned"))

    def apply(
        self, changed: Mapping[str, Row | None], *, since: str | None, now: str, learned: Mapping[str, str]
    ) -> bool:
        """Put these rows in, None for a capability that is gone, and mark the library's changes up to `now` as applied.

        `learned` are digests of the solved tasks that they were made with. False, and nothing done, where the mark is
        not `since` any more: another process was faster.
        """

        def work(connection: sqlite3.Connection) -> bool:
            mark = connection.execute("SELECT value FROM marks WHERE name = 'applied'").fetchone()
            if (mark and mark[0]) != since:
                return False
            last = connection.execute("SELECT max(seq) FROM rows").fetchone()[0] or _merged_seq(connection)
            rows = [(id, last + n, *_columns(row)) for n, (id, row) in enumerate(changed.items(), start=1)]
            connection.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?)", rows)
            connection.executemany("DELETE FROM learned WHERE id = ?", [(id,) for id in changed])
            _learn(connection, learned)
            connection.execute("INSERT OR REPLACE INTO marks VALUES ('applied', ?)", (now,))
            return True

        self._folder.mkdir(parents=True, exist_ok=True)
        return self._store.transact(work) is True

    def load(self, batches: Iterable[Sequence[Row]], *, now: str, learned: Mapping[str, str]) -> bool:
        """Make these rows the whole index, batch by batch, as the library was at the mark `now`.

        Raises:
            LibraryError: another process has been at it for LOAD_SECONDS.
            OSError: the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with exclusive(self._folder / "merge.lock", timeout=LOAD_SECONDS):
            if self.sync() == now:
                return True  # another process made it meanwhile
            base: Rows | None = None
            target = None
            for batch in batches:
                if batch:
                    added = segment.in_memory(batch, len(batch[0].vector))
                    target = segment.write(self._folder, base, np.zeros(0, dtype=np.int64), added)
                    base = segment.read(target)
                    segment.sweep(self._folder, target, but=self._state.name)
            return self._switch(self._state.name, target.name if target else None, None, now, learned)

    def merge(self) -> bool:
        """Merge the tail into a new segment; whether that was done. Searches go on meanwhile.

        Raises:
            Damaged: the old segment cannot be read.
            OSError: the folder cannot be written.
        """
        try:
            with exclusive(self._folder / "merge.lock", timeout=0):
                self.sync()
                state = self._state
                if state.rows is None or not state.tail:
                    return False
                target = segment.write(self._folder, state.base, state.gone, state.rows)
                done = self._switch(state.name, target.name, state.seq)
                if done:
                    self.sync()
                    segment.sweep(self._folder, target)
                return done
        except LibraryError:
            return False

    @property
    def wants_merge(self) -> bool:
        return len(self._state.tail) > MAX_TAIL

    def nearest(self, query: Query, k: int) -> list[tuple[str, float]]:
        """At most `k` ids with their scores, best first, equal scores by id.

        Raises:
            Damaged: the segment is not what was written. The index is empty after it.
        """
        state = self._state
        both = [rows for rows in (state.base, state.rows) if rows is not None and len(rows)]
        if k < 1 or not len(state):
            return []
        weights = weights_of(state, query)
        found: list[tuple[float, str]] = []
        try:
            for rows in both:
                gone = state.gone if rows is state.base else np.zeros(0, dtype=np.int64)
                found += _scored(rows, query, weights, gone, k)
        except Damaged as error:
            self.begin_anew(error)
            raise
        return [(id, -negative) for negative, id in sorted(found)[:k]]

    def begin_anew(self, reason: Exception) -> None:
        """Forget everything, with one log line that says why."""
        log.warning("%s: %s; the index is made anew from the library", self._folder, reason)
        self._store.transact(_emptied)
        with self._lock:
            self._state = _NOTHING

    def close(self) -> None:
        self._store.close()

    def _opened(self, name: str | None) -> _State:
        if name is None:
            return _NOTHING
        try:
            rows = segment.read(self._folder / name)
        except Damaged as error:
            log.warning("%s; the index is made anew from the library", error)
            self._store.transact(_emptied)
            return _NOTHING
        return dataclasses.replace(_NOTHING, name=name, base=rows)

    def _switch(
        self,
        old: str | None,
        new: str | None,
        merged: int | None,
        applied: str | None = None,
        learned: Mapping[str, str] | None = None,
    ) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            mark = connection.execute("SELECT value FROM marks WHERE name = 'segment'").fetchone()
            if merged is not None and (mark and mark[0]) != old:
                return False
            last = connection.execute("SELECT max(seq) FROM rows").fetchone()[0] or _merged_seq(connection)
            connection.execute("DELETE FROM rows WHERE seq <= ?", (last if merged is None else merged,))
            marks = {"segment": new, "merged": str(last if merged is None else merged), "applied": applied}
            for name, value in marks.items():
                if value is not None:
                    connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))
            if new is None:
                connection.execute("DELETE FROM marks WHERE name = 'segment'")
            if learned is not None:
                connection.execute("DELETE FROM learned")
                _learn(connection, learned)
            return True

        return self._store.transact(work) is True


def _scored(rows: Rows, query: Query, weights: Weights, gone: Index, k: int) -> list[tuple[float, str]]:
    chosen = candidates(rows, query, weights, gone, k)
    scores = np.round(fuse(rows.dense(chosen, query), rows.lexical(chosen, weights, pairs=True)), DIGITS)
    if len(scores) > k:
        best = np.flatnonzero(scores >= np.partition(scores, len(scores) - k)[len(scores) - k])
        chosen, scores = chosen[best], scores[best]
    ids = rows.ids[chosen].tolist()
    return [(-round(float(s), DIGITS), id.decode("ascii")) for id, s in zip(ids, scores, strict=True)]


def _with_tail(state: _State, tail: dict[str, Row | None], seq: int, applied: str | None) -> _State:
    live = [row for row in tail.values() if row is not None]
    dimensions = state.base.vectors.shape[1] if state.base is not None else len(live[0].vector) if live else 0
    rows = segment.in_memory(live, dimensions, state.base.projection if state.base is not None else None)
    gone = np.zeros(0, dtype=np.int64)
    words = float(rows.lengths.sum(dtype=np.float64))
    if state.base is not None:
        places = state.base.find(list(tail))
        gone = np.sort(places[places >= 0])
        past = state.base.lengths
        words += float(past.sum(dtype=np.float64)) - float(past[gone].sum(dtype=np.float64))
    return dataclasses.replace(state, tail=tail, rows=rows, gone=gone, words=words, seq=seq, applied=applied)


def weights_of(state: _State, query: Query) -> Weights:
    tokens = query.tokens
    frequencies = np.zeros(len(tokens), dtype=np.int64)
    for rows in (state.base, state.rows):
        if rows is not None:
            frequencies += rows.frequencies(tokens)
    if state.base is not None and len(state.gone):
        frequencies -= state.base.counted(state.gone, tokens)
    return Weights.of(query, frequencies, len(state), state.words / len(state) or 1.0)


def _merged_seq(connection: sqlite3.Connection) -> int:
    mark = connection.execute("SELECT value FROM marks WHERE name = 'merged'").fetchone()
    return int(mark[0]) if mark else 0


def _learn(connection: sqlite3.Connection, learned: Mapping[str, str]) -> None:
    connection.executemany("INSERT OR REPLACE INTO learned VALUES (?, ?)", list(learned.items()))


def _emptied(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM rows")
    connection.execute("DELETE FROM learned")
    connection.execute("DELETE FROM marks WHERE name IN ('segment', 'applied')")


def _columns(row: Row | None) -> tuple[bytes | None, bytes | None, bytes | None]:
    if row is None:
        return None, None, None
    return row.vector.astype("<f4").tobytes(), row.tokens.astype("<u4").tobytes(), row.counts.astype("<f4").tobytes()


def _row(id: str, vector: bytes | None, tokens: bytes, counts: bytes) -> Row | None:
    if vector is None:
        return None
    return Row(
        id,
        np.frombuffer(vector, dtype="<f4").astype(np.float32),
        np.frombuffer(tokens, dtype="<u4").astype(np.uint32),
        np.frombuffer(counts, dtype="<f4").astype(np.float32),
    )
