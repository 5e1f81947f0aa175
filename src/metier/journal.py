"""What was done: every task and every run, in SQLite beside the library, complete enough to be replayed.

A run's row holds its input, the hashes of version and engine, the permissions it ran under, everything it saw of the
outside in order, and how it ended. Contents of files lie beside it once each, by hash. Each row carries a hash over
itself and the row before, so that a change to the past shows.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar

from metier import evidence, schemas
from metier.capability import Capability
from metier.errors import LibraryError
from metier.localstore import LocalStore
from metier.outcomes import Effect, Failed, Ran
from metier.permissions import Permissions
from metier.usage import Usage

Result = TypeVar("Result")

FILE_NAME = "journal.sqlite"
LAYOUT = 4
TABLES = """
CREATE TABLE tasks (
    run_id TEXT PRIMARY KEY, at REAL NOT NULL, task TEXT NOT NULL, route TEXT, answer TEXT, error TEXT,
    created TEXT NOT NULL, model_calls INTEGER NOT NULL, tokens INTEGER NOT NULL
);
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL UNIQUE, at REAL NOT NULL, task_run_id TEXT,
    capability TEXT NOT NULL, version INTEGER NOT NULL, sha256 TEXT, engine TEXT, permissions TEXT NOT NULL,
    input TEXT NOT NULL, effects TEXT NOT NULL, output TEXT, error TEXT, kind TEXT, code TEXT,
    fuel INTEGER NOT NULL, seconds REAL NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE TABLE blobs (sha256 TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE seen (seq INTEGER NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (seq, sha256)) WITHOUT ROWID
"""
SOLVED_BY = "ALTER TABLE tasks ADD COLUMN solved_by TEXT; ALTER TABLE tasks ADD COLUMN lesson TEXT"
"""What leads from layout 3 to 4: the run that explains a task, and what memory learned from it, so that memory can be
made again from here."""
HASHED = (
    *("run_id", "at", "task_run_id", "capability", "version", "sha256", "engine", "permissions", "input", "effects"),
    *("output", "error", "kind", "code", "fuel"),
)
"""What the hash of a row covers, besides the hash of the row before."""
COLUMNS = (*HASHED, "seconds", "previous", "hash")
TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("run_id", "capability", "permissions", "input", "effects", "previous", "hash"), str),
    **dict.fromkeys(("task_run_id", "sha256", "engine", "output", "error", "kind", "code"), (str, NoneType)),
    **dict.fromkeys(("seq", "version", "fuel"), int),
    **dict.fromkeys(("at", "seconds"), float),
}
"""What the columns hold. SQLite itself takes anything anywhere."""
DAMAGED = {
    **dict.fromkeys(("input", "output", "task", "route", "answer")),
    **dict.fromkeys(("at", "seconds"), 0.0),
    **dict.fromkeys(("version", "fuel"), 0),
    "capability": "?",
    "error": "the journal's row is damaged",
    "kind": "damaged",
}
"""How a row that cannot be read is listed."""
BEGINNING = "0" * 64
FORGOTTEN = "forgotten"
"""The kind of a run whose contents were removed on purpose; its hash still links the rows around it."""
EMPTIED = {"permissions": "[]", "input": "null", "effects": "[]", "output": None, "error": None, "code": None}
RUNS_AN_INPUT = 20
"""Runs that are looked through for each different input that is wanted."""
PRUNE_EVERY = 500
"""Runs between two looks at how many there are."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One run as the journal has it."""

    run_id: str
    at: float
    """Seconds since 1970."""
    capability: str
    version: int
    sha256: str | None
    engine: str | None
    permissions: tuple[Permissions, ...]
    input: Any
    effects: tuple[Effect, ...]
    blobs: Mapping[str, bytes]
    output_text: str | None
    error: str | None
    kind: str | None
    """None for a run that ended well."""
    fuel: int
    code: str | None = None
    """The program's own kind of error, where it gave one."""
    intact: bool = True
    """Whether the row and the contents that it names are as they were written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A run as it is going to stand in the journal: JSON values by column, and the contents that it saw."""

    row: Mapping[str, Any]
    blobs: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Solved:
    """A task with the run that solved it, as the journal has them."""

    task: str
    answer: str
    capability: str
    version: int
    input: str
    """JSON."""
    output_text: str
    at: float
    lesson: str | None
    """What memory learned from it, as JSON."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What of a task was in the journal: how many times it was asked, and the runs that served it."""

    tasks: int
    runs: int


def is_row(row: Any) -> bool:
    """Whether this can be the row of an `Entry`, which may have come from a file."""
    return isinstance(row, dict) and set(row) == {*HASHED, "seconds"} and _is_sound(row)


def new_run_id() -> str:
    """Sorts by time: milliseconds since 1970 in hex, then 40 random bits."""
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(5)}"


class Journal:
    """The journal of one library. Where its folder cannot be written, nothing is kept and nothing fails."""

    def __init__(self, state: Path | None, *, keep_runs: int) -> None:
        path = state / FILE_NAME if state is not None and keep_runs else None
        tables = f"{TABLES};{evidence.TABLES};{SOLVED_BY}"
        upgrades = {2: evidence.TABLES, 3: SOLVED_BY}
        self._store = LocalStore(path, layout=LAYOUT, tables=tables, upgrades=upgrades, write_ahead=True)
        self.evidence = evidence.Evidence(self._store)
        self.usage = Usage(self._store)
        self._folder = state
        self._keep_runs = keep_runs
        self._keeps = path is not None

    def task(
        self,
        run_id: str,
        task: str,
        *,
        route: str | None = None,
        answer: str | None = None,
        error: str | None = None,
        created: tuple[str, ...] = (),
        model_calls: int = 0,
        tokens: int = 0,
        solved_by: str | None = None,
        lesson: str | None = None,
    ) -> None:
        """Keeps how a task ended. `solved_by` is the run that explains it, where memory may learn from it, `lesson`
        what it learned."""
        texts = (text and text.encode("utf-8", "replace").decode("utf-8") for text in (task, route, answer, error))
        row = (run_id, time.time(), *texts, json.dumps(created), model_calls, tokens, solved_by, lesson)
        self._store.write("INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [row])

    def solved(self) -> list[Solved]:
        """The tasks that memory may learn again, oldest first; none whose run was changed, or is not kept any more."""
        columns = ", ".join(f"r.{name}" for name in COLUMNS)
        rows = self._store.read(
            f"SELECT {columns}, t.task, t.answer, t.at, t.lesson FROM tasks t JOIN runs r ON r.run_id = t.solved_by"  # noqa: S608
            " WHERE r.kind IS NULL ORDER BY t.at, t.rowid"
        )
        found = []
        for *values, task, answer, at, lesson in rows:
            row = dict(zip(COLUMNS, values, strict=True))
            if isinstance(task, str) and isinstance(answer, str) and _is_sound(row) and row["hash"] == _hash(row):
                said = (row["capability"], row["version"], row["input"], row["output"] or "")
                found.append(Solved(task, answer, *said, at, lesson))
        return found

    def lessons(self) -> list[str]:
        """What memory learned from tasks, as JSON, oldest first."""
        rows = self._store.read("SELECT lesson FROM tasks WHERE lesson IS NOT NULL ORDER BY at, rowid")
        return [text for (text,) in rows if isinstance(text, str)]

    def unlearn(self, is_it: Callable[[str], bool]) -> int:
        """Has memory not learn the tasks again for whose words `is_it` holds. How many there were."""

        def work(connection: sqlite3.Connection) -> int:
            rows = connection.execute("SELECT run_id, task FROM tasks WHERE solved_by IS NOT NULL").fetchall()
            ids = [(id,) for id, task in rows if is_it(task)]
            connection.executemany("UPDATE tasks SET solved_by = NULL WHERE run_id = ?", ids)
            return len(ids)

        return self._store.transact(work) or 0

    def forget(self, is_it: Callable[[str], bool], *, runs: bool) -> Forgotten:
        """Removes the tasks for whose words `is_it` holds. With `runs`, what the runs took, saw and gave goes as well,
        and with it their failures; the rows stay, so that the chain of hashes holds."""

        def work(connection: sqlite3.Connection) -> Forgotten:
            rows = connection.execute("SELECT run_id, task FROM tasks").fetchall()
            tasks = {id for id, task in rows if isinstance(task, str) and is_it(task)}
            served = [
                (seq, run_id)
                for seq, run_id, task in connection.execute("SELECT seq, run_id, task_run_id FROM runs")
                if task in tasks
            ]
            connection.executemany("DELETE FROM tasks WHERE run_id = ?", [(id,) for id in tasks])
            if runs:
                _empty(connection, served)
            return Forgotten(len(tasks), len(served))

        forgotten = self._store.transact(work) or Forgotten(0, 0)
        self._store.wipe()
        return forgotten

    def has_task(self, is_it: Callable[[str], bool]) -> bool:
        """Whether there is a record of a task for whose words `is_it` holds."""
        rows = self._store.read("SELECT task FROM tasks")
        return any(isinstance(task, str) and is_it(task) for (task,) in rows)

    def emptied(self) -> int:
        """How many runs were emptied by `forget`."""
        return sum(n for (n,) in self._store.read("SELECT count(*) FROM runs WHERE kind = ?", (FORGOTTEN,)))

    def run(
        self,
        outcome: Ran | Failed,
        capability: Capability,
        *,
        task_run_id: str | None,
        also: Callable[[sqlite3.Connection], Result] | None = None,
    ) -> Result | None:
        """Keeps one run of a capability, unless it is kept already. What `also` does in the same transaction is
        returned; None without it."""
        return self._append(self.entry(outcome, capability, task_run_id=task_run_id), also)

    @property
    def keeps(self) -> bool:
        """Whether runs are kept at all."""
        return self._keeps

    def entry(self, outcome: Ran | Failed, capability: Capability, *, task_run_id: str | None) -> Entry:
        """What `append` is to be given; by itself it changes nothing."""
        return Entry(_row(outcome, capability, task_run_id), outcome.blobs)

    def append(self, entry: Entry) -> bool:
        """Keeps a run, unless it is kept already. Whether it is."""
        return self._append(entry, lambda _: True) is True

    def _append(self, entry: Entry, also: Callable[[sqlite3.Connection], Result] | None) -> Result | None:
        row = dict(entry.row)

        def append(connection: sqlite3.Connection) -> None:
            last = connection.execute("SELECT hash FROM runs ORDER BY seq DESC LIMIT 1").fetchone()
            row["previous"] = last[0] if last and isinstance(last[0], str) else BEGINNING
            row["hash"] = _hash(row)
            columns, marks = ", ".join(COLUMNS), ", ".join("?" * len(COLUMNS))
            values = [row[name] for name in COLUMNS]
            seq = connection.execute(f"INSERT INTO runs ({columns}) VALUES ({marks})", values).lastrowid  # noqa: S608
            for key, content in entry.blobs.items():
                connection.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (key, content))
                connection.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (seq, key))
            if seq is not None and seq % PRUNE_EVERY == 0:
                self._prune(connection, seq)

        def whole(connection: sqlite3.Connection) -> Result | None:
            if not connection.execute("SELECT 1 FROM runs WHERE run_id = ?", (row["run_id"],)).fetchone():
                append(connection)
            return also(connection) if also is not None else None

        return self._store.transact(whole)

    def recent(
        self,
        limit: int = 20,
        *,
        capability: str | None = None,
        failed: bool | None = None,
        before: str | None = None,
        run_id: str | None = None,
    ) -> list[dict[str, Any]]:
        """The latest runs, newest first, each as a JSON-able object with the task that it served.

        Only those of a `capability`, those that `failed` or did not, those `before` the run with this id, or the one
        with the `run_id`, where that is said.
        """
        names = ("run_id", "at", "capability", "version", "input", "output", "error", "kind", "fuel", "seconds")
        columns = ", ".join(f"r.{name}" for name in names)
        rows = self._store.read(
            f"SELECT {columns}, t.task, t.route, t.answer FROM runs r"  # noqa: S608  # names from above
            " LEFT JOIN tasks t ON t.run_id = r.task_run_id"
            " WHERE (?2 IS NULL OR r.capability = ?2) AND (?3 IS NULL OR (r.kind IS NOT NULL) = ?3)"
            " AND (?4 IS NULL OR r.seq < (SELECT seq FROM runs WHERE run_id = ?4))"
            " AND (?5 IS NULL OR r.run_id = ?5) ORDER BY r.seq DESC LIMIT ?1",
            (limit, capability, failed, before, run_id),
        )
        return [_readable(dict(zip((*names, "task", "route", "answer"), row, strict=True))) for row in rows]

    def last_success(self, capability: Capability) -> tuple[Any] | None:
        """The input on which a version ran well last, in a tuple since it may be null; None where there is none."""
        rows = self._store.read(
            "SELECT input FROM runs WHERE capability = ? AND sha256 IS ? AND kind IS NULL ORDER BY seq DESC LIMIT 1",
            (capability.id, capability.sha256),
        )
        try:
            return (json.loads(rows[0][0]),) if rows else None
        except (ValueError, TypeError, RecursionError):
            return None

    def times_lost(self, capability: Capability, input: Any) -> int:
        """How often the process was lost in which a version ran on an input."""
        query = "SELECT count(*) FROM runs WHERE capability = ? AND sha256 IS ? AND kind = 'lost' AND input = ?"
        rows = self._store.read(query, (capability.id, capability.sha256, schemas.compact(_storable(input))))
        return int(rows[0][0]) if rows else 0

    def done(self, task_run_id: str, capability: str, input: Any) -> str | None:
        """What a capability said when it ran well on an input for a task, by that task's run id; None where it did
        not."""
        rows = self._store.read(
            "SELECT output FROM runs WHERE task_run_id = ? AND capability = ? AND input = ? AND kind IS NULL"
            " ORDER BY seq DESC LIMIT 1",
            (task_run_id, capability, schemas.compact(_storable(input))),
        )
        return str(rows[0][0]) if rows else None

    def recorded_inputs(self, capability: Capability, limit: int, *, earlier: bool = False) -> Iterator[Recorded]:
        """The latest runs of a version on so many different inputs, newest first, one for each; those that ended well
        or with an error of the program's own. With `earlier`, those of other versions follow where there are fewer.
        What is damaged is left out."""
        parameters = (capability.id, capability.sha256, limit * RUNS_AN_INPUT)
        ended = "kind IS NULL OR kind = 'program'"
        rows = self._store.read(
            f"SELECT run_id, input FROM runs WHERE capability = ? AND sha256 IS ? AND ({ended})"  # noqa: S608
            " ORDER BY seq DESC LIMIT ?",
            parameters,
        )
        if earlier:
            rows += self._store.read(
                f"SELECT run_id, input FROM runs WHERE capability = ? AND sha256 IS NOT ? AND ({ended})"  # noqa: S608
                " ORDER BY seq DESC LIMIT ?",
                parameters,
            )
        latest: dict[str, str] = {}
        for run_id, input in rows:
            if isinstance(run_id, str):
                latest.setdefault(input, run_id)
        for run_id in list(latest.values())[:limit]:
            with contextlib.suppress(LibraryError):
                recorded = self.recorded(run_id)
                if recorded is not None and recorded.intact:
                    yield recorded

    def recorded(self, run_id: str) -> Recorded | None:
        """One run with all that it saw, by its id or an unambiguous beginning of it; None when there is none.

        Raises:
            LibraryError: the journal has it, but damaged.
        """
        names = ("seq", *COLUMNS)
        rows = self._store.read(
            # Ids are hexadecimal, so all that begin with one lie before it with a "g".
            f"SELECT {', '.join(names)} FROM runs WHERE run_id >= ?1 AND run_id < ?1 || 'g' LIMIT 2",  # noqa: S608
            (run_id,),
        )
        if len(rows) != 1:
            return None
        row = dict(zip(names, rows[0], strict=True))
        blobs = self._store.read(
            "SELECT s.sha256, b.content FROM seen s JOIN blobs b ON b.sha256 = s.sha256 WHERE s.seq = ?", (row["seq"],)
        )
        try:
            return _recorded(row, dict(blobs))
        except (ValueError, TypeError, RecursionError):
            raise LibraryError(f"the journal's row {row['seq']} is damaged; see `metier runs verify`") from None

    def verify(self) -> tuple[int, str | None]:
        """How many runs there are, and the first thing that shows a change to the past, or a loss of it; None when
        nothing does."""
        names = ("seq", *COLUMNS)
        rows = self._store.read(f"SELECT {', '.join(names)} FROM runs ORDER BY seq")  # noqa: S608
        previous: str | None = None
        for values in rows:
            row = dict(zip(names, values, strict=True))
            if not _is_sound(row):
                return len(rows), f"row {row['seq']} is damaged"
            if previous is not None and row["previous"] != previous:
                return len(rows), f"a run is missing before {row['run_id']}"
            if row["hash"] != _hash(row) and not _is_emptied(row):
                return len(rows), f"run {row['run_id']} was changed"
            previous = row["hash"]
        for key, content in self._store.read("SELECT sha256, content FROM blobs"):
            if not _is_intact(key, content):
                return len(rows), f"the file content {str(key)[:12]} was changed"
        gone = "SELECT sha256 FROM seen WHERE sha256 NOT IN (SELECT sha256 FROM blobs) LIMIT 1"
        for (key,) in self._store.read(gone):
            return len(rows), f"the file content {str(key)[:12]} is missing"
        return len(rows), self._store.problem or self._moved_aside()

    def _moved_aside(self) -> str | None:
        aside = next(iter(sorted(self._folder.glob(f"{FILE_NAME}.broken*"))), None) if self._folder else None
        return f"an earlier journal could not be read and was moved to {aside.name}" if aside else None

    def close(self) -> None:
        self._store.close()

    def _prune(self, connection: sqlite3.Connection, newest: int) -> None:
        first = newest - self._keep_runs + 1
        connection.execute("DELETE FROM runs WHERE seq < ?", (first,))
        connection.execute("DELETE FROM seen WHERE seq < ?", (first,))
        connection.execute("DELETE FROM blobs WHERE sha256 NOT IN (SELECT sha256 FROM seen)")
        connection.execute("DELETE FROM tasks WHERE at < (SELECT min(at) FROM runs)")


def _empty(connection: sqlite3.Connection, runs: Sequence[tuple[int, str]]) -> None:
    columns = ", ".join(f"{name} = ?" for name in EMPTIED)
    for seq, run_id in runs:
        connection.execute(
            f"UPDATE runs SET kind = ?, {columns} WHERE seq = ?",  # noqa: S608  # names from above
            (FORGOTTEN, *EMPTIED.values(), seq),
        )
        connection.execute("DELETE FROM seen WHERE seq = ?", (seq,))
        connection.execute("DELETE FROM failures WHERE run_id = ?", (run_id,))
    connection.execute("DELETE FROM blobs WHERE sha256 NOT IN (SELECT sha256 FROM seen)")


def _is_emptied(row: Mapping[str, Any]) -> bool:
    return row["kind"] == FORGOTTEN and all(row[name] == value for name, value in EMPTIED.items())


def _row(outcome: Ran | Failed, capability: Capability, task_run_id: str | None) -> dict[str, Any]:
    failed = outcome if isinstance(outcome, Failed) else None
    return {
        "run_id": outcome.run_id,
        "at": time.time(),
        "task_run_id": task_run_id,
        "capability": outcome.capability,
        "version": outcome.version,
        "sha256": capability.sha256,
        "engine": capability.engine,
        "permissions": schemas.compact([p.model_dump(mode="json", exclude_unset=True) for p in outcome.grant]),
        "input": schemas.compact(_storable(outcome.input)),
        "effects": schemas.compact([[e.request, e.answer] for e in outcome.effects]),
        "output": outcome.output_text if isinstance(outcome, Ran) else None,
        "error": failed.error if failed else None,
        "kind": failed.kind if failed else None,
        "code": failed.code if failed else None,
        "fuel": outcome.fuel,
        "seconds": outcome.seconds,
    }


def _is_sound(row: Mapping[str, Any]) -> bool:
    """Whether the values are of the types that `_row` gives them."""
    return all(isinstance(value, TYPES[name]) for name, value in row.items()) and 0 <= row["at"] < evidence.END_OF_TIME


def _is_intact(key: Any, content: Any) -> bool:
    return isinstance(content, bytes) and hashlib.sha256(content).hexdigest() == key


def _recorded(row: Mapping[str, Any], blobs: Mapping[str, bytes]) -> Recorded:
    """Raises ValueError, TypeError or RecursionError for a row that is none."""
    effects = json.loads(row["effects"])
    texts = [text for pair in effects for text in pair]
    if not _is_sound(row) or not all(isinstance(text, str) for text in texts):
        raise TypeError
    return Recorded(
        run_id=row["run_id"],
        at=row["at"],
        capability=row["capability"],
        version=row["version"],
        sha256=row["sha256"],
        engine=row["engine"],
        permissions=tuple(Permissions.model_validate(layer) for layer in json.loads(row["permissions"])),
        input=json.loads(row["input"]),
        effects=tuple(Effect(request, answer) for request, answer in effects),
        blobs=blobs,
        output_text=row["output"],
        error=row["error"],
        kind=row["kind"],
        fuel=row["fuel"],
        code=row["code"],
        intact=row["hash"] == _hash(row) and all(map(_is_intact, blobs, blobs.values())),
    )


def _hash(row: Mapping[str, Any]) -> str:
    covered = schemas.canonical([row["previous"], *(row[name] for name in HASHED)])
    return hashlib.sha256(covered.encode("utf-8", "surrogatepass")).hexdigest()


def _storable(value: Any) -> Any:
    """The input as JSON; one that is not JSON at all (it was refused for that) as its description."""
    try:
        schemas.compact(value).encode("utf-8")
    except (ValueError, TypeError, RecursionError):
        return {"not JSON": ascii(value)[:200]}
    return value


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in row.items() if name in COLUMNS}
    of_task = ("task", "route", "answer")
    row |= {name: None for name in of_task if not isinstance(row[name], str)}
    try:
        if not _is_sound(own):
            raise TypeError
        decoded = {key: json.loads(row[key]) if row[key] is not None else None for key in ("input", "output")}
    except (ValueError, TypeError, RecursionError):
        return {**row, **DAMAGED, "run_id": str(row["run_id"]), "ok": False}
    return {**row, **decoded, "ok": row["kind"] is None}
