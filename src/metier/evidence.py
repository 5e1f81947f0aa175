"""What versions earned and how they failed: the tables beside the journal's runs that the life-cycle is decided by.

Evidence belongs to a content hash, so a version that is published again has what it earned before.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType
from typing import Any

from metier import schemas
from metier.capability import Capability
from metier.localstore import LocalStore
from metier.outcomes import Failed

TABLES = """
CREATE INDEX runs_of ON runs (capability, seq);
CREATE TABLE evidence (
    capability TEXT NOT NULL, sha256 TEXT NOT NULL, input BLOB NOT NULL, PRIMARY KEY (capability, sha256, input)
) WITHOUT ROWID;
CREATE TABLE transitions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, capability TEXT NOT NULL, version INTEGER NOT NULL,
    was TEXT NOT NULL, became TEXT NOT NULL, reason TEXT NOT NULL, run_id TEXT
);
CREATE TABLE failures (
    capability TEXT NOT NULL, input_sha256 BLOB NOT NULL, version INTEGER NOT NULL, at REAL NOT NULL,
    run_id TEXT NOT NULL, input TEXT NOT NULL, fixtures TEXT, kind TEXT NOT NULL, error TEXT NOT NULL,
    PRIMARY KEY (capability, input_sha256)
) WITHOUT ROWID
"""
MAX_FIXTURE_BYTES = 256 * 2**10
"""Files that a run read and that are kept with its failure, all together; more are not kept."""
MAX_FAILURES = 32
"""Failing inputs of one capability; later ones are not kept until some are mended."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One move of a version from a state to another."""

    at: float
    """Seconds since 1970."""
    capability: str
    version: int
    was: str
    became: str
    reason: str
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An input on which a version broke its contract, with the files that it read then."""

    capability: str
    version: int
    run_id: str
    input: Any
    fixtures: dict[str, str] | None
    """As an example has them; None where they are too large, no text, or not all that the run saw."""
    kind: str
    error: str


END_OF_TIME = 253_402_300_800
"""The year 10000, in seconds since 1970."""
MOVE: tuple[type | tuple[type, ...], ...] = (float, str, int, str, str, str, (str, NoneType))
"""The types of a transition's row. SQLite itself takes anything anywhere."""


class Evidence:
    """Reads and writes what decides on states. Where nothing can be kept, nothing is earned and nothing fails."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def earned(self, capability: Capability, input: Any) -> Callable[[sqlite3.Connection], int]:
        """What keeps one success, inside a transaction, and returns on how many different inputs there were any."""
        owner = (capability.id, capability.sha256)

        def keep(connection: sqlite3.Connection) -> int:
            connection.execute("INSERT OR IGNORE INTO evidence VALUES (?, ?, ?)", (*owner, _key(input)))
            query = "SELECT count(*) FROM evidence WHERE capability = ? AND sha256 = ?"
            return int(connection.execute(query, owner).fetchone()[0])

        return keep

    def count(self, capability: Capability) -> int:
        """On how many different inputs it ran well; no more are counted than it takes to be trusted."""
        query = "SELECT count(*) FROM evidence WHERE capability = ? AND sha256 = ?"
        return sum(count for (count,) in self._store.read(query, (capability.id, capability.sha256)))

    def forget(self, capability: Capability) -> None:
        """Takes away what a version earned."""
        statement = "DELETE FROM evidence WHERE capability = ? AND sha256 = ?"
        self._store.write(statement, [(capability.id, capability.sha256)])

    def moved(self, capability: Capability, became: str, reason: str, run_id: str | None = None) -> None:
        """Keeps that a version went from the state that it has here to another one."""
        row = (time.time(), capability.id, capability.version, capability.status, became, reason, run_id)
        self._store.write(
            "INSERT INTO transitions (at, capability, version, was, became, reason, run_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [row],
        )

    def transitions(self, id: str) -> list[Transition]:
        """The moves of all versions of a capability, the oldest first; no damaged ones."""
        rows = self._store.read(
            "SELECT at, capability, version, was, became, reason, run_id FROM transitions"
            " WHERE capability = ? ORDER BY seq",
            (id,),
        )
        return [Transition(*row) for row in rows if all(map(isinstance, row, MOVE)) and 0 <= row[0] < END_OF_TIME]

    def failed(self, outcome: Failed) -> None:
        """Keeps an input that was failed on; the first failure on it stays."""
        fixtures = _fixtures(outcome)
        row = (
            *(outcome.capability, _key(outcome.input), outcome.version, time.time(), outcome.run_id),
            *(schemas.compact(outcome.input), None if fixtures is None else schemas.compact(fixtures)),
            *(outcome.code or outcome.kind, outcome.error),
        )

        def keep(connection: sqlite3.Connection) -> None:
            query = "SELECT count(*) FROM failures WHERE capability = ?"
            if connection.execute(query, (outcome.capability,)).fetchone()[0] < MAX_FAILURES:
                connection.execute("INSERT OR IGNORE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

        self._store.transact(keep)

    def failures(self, id: str | None = None) -> list[Failure]:
        """The inputs that are not mended yet, of one capability or of all, the oldest first; no damaged ones."""
        rows = self._store.read(
            "SELECT capability, version, run_id, input, fixtures, kind, error FROM failures"
            " WHERE ?1 IS NULL OR capability = ?1 ORDER BY at, input_sha256",
            (id,),
        )
        return list(filter(None, map(_failure, rows)))

    def mended(self, failure: Failure) -> None:
        """Drops a failure: a version is there that has it among its examples, or nobody wants it."""
        statement = "DELETE FROM failures WHERE capability = ? AND input_sha256 = ?"
        self._store.write(statement, [(failure.capability, _key(failure.input))])


def _failure(row: tuple[Any, ...]) -> Failure | None:
    """What a row says; None for a damaged one."""
    capability, version, run, input, fixtures, kind, error = row
    if not all(isinstance(text, str) for text in (capability, run, kind, error)) or not isinstance(version, int):
        return None
    try:
        decoded, files = json.loads(input), None if fixtures is None else json.loads(fixtures)
    except (ValueError, TypeError, RecursionError):
        return None
    return Failure(capability, version, run, decoded, files, kind, error)


def _key(input: Any) -> bytes:
    return hashlib.sha256(schemas.canonical(input).encode("utf-8")).digest()


def _fixtures(outcome: Failed) -> dict[str, str] | None:
    """The files that a run read, by path; None where they cannot stand for what it saw."""
    found: dict[str, str] = {}
    for effect in outcome.effects:
        look, answer = effect.look, json.loads(effect.answer)
        if look[:1] != ("files.read",) or "ok" not in answer:
            continue
        content = outcome.blobs.get(answer["ok"])
        try:
            found[f"{look[1]}/{look[2]}"] = (content or b"").decode("utf-8")
        except UnicodeDecodeError:
            return None
    total = sum(len(text) for text in found.values())
    return found if found and total <= MAX_FIXTURE_BYTES else None
