"""Task memory: tasks that were solved, with the capability and the arguments that solved them.

What is kept is how a task was solved, never that its answer still holds: the capability runs again, and the wording is
filled from what it says now.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from metier import schemas
from metier.aliases import Alias
from metier.capability import Capability, Effects, Example
from metier.keeping import Keeping
from metier.localstore import LocalStore
from metier.wording import fill, learn_template, leaves, literal_words, look_up, placeholders, readable

FILE_NAME = "memory.sqlite"
LAYOUT = 3
SEARCHED = 64
"""Solved tasks of one capability that retrieval gets to see."""
WORDED_ALIKE = 8
"""Solved tasks, the latest, that say which differences between outputs make none to the words."""
TABLES = """
CREATE TABLE solved (
  task_sha256 BLOB PRIMARY KEY, task TEXT NOT NULL, capability TEXT NOT NULL, version INTEGER NOT NULL,
  input TEXT NOT NULL, output TEXT NOT NULL, answer TEXT NOT NULL, template TEXT, effects TEXT NOT NULL,
  at REAL NOT NULL, seq INTEGER, run_id TEXT, day TEXT, data TEXT, induced TEXT
);
CREATE INDEX solved_by_seq ON solved (seq);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE decisions (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, run_id TEXT NOT NULL, task_sha256 BLOB NOT NULL,
  route TEXT, capability TEXT, reason TEXT NOT NULL
);
CREATE INDEX decisions_by_task ON decisions (task_sha256);
CREATE TABLE checks (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, route TEXT NOT NULL, capability TEXT NOT NULL,
  signature TEXT NOT NULL, agreed INTEGER NOT NULL
)
"""
"""`seq` counts what was remembered; `day` is the clock's, `data` a fingerprint of permissions and data, `induced` what
the words say of the arguments. `decisions` is why memory served or abstained, `checks` what a model said beside it."""
UPGRADES = {
    2: "ALTER TABLE solved ADD COLUMN seq INTEGER; ALTER TABLE solved ADD COLUMN run_id TEXT;"
    "ALTER TABLE solved ADD COLUMN day TEXT; ALTER TABLE solved ADD COLUMN data TEXT;"
    "ALTER TABLE solved ADD COLUMN induced TEXT;" + TABLES.partition(";")[2]
}
INSERT = "INSERT OR REPLACE INTO solved VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
REWRITTEN = "INSERT INTO counters VALUES ('rewritten', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1"
SOLVED = """SELECT capability, version, input, template, output, answer, effects,
    coalesce(day, date(at, 'unixepoch')), data, induced FROM solved WHERE task_sha256 = ?"""

_FINAL = ".?…．？"
_PAIRS = {'"': '"', "“": "”", "„": "“", "«": "»", "`": "`", "'": "'", "‘": "’"}
_STRAIGHT = str.maketrans("’‘ʼ", "'''")
FULL_WIDTH = {0xFF01 + n: 0x21 + n for n in range(94) if chr(0x21 + n) not in "\"'`"}
_SPACES = re.compile(r"\s+")
VERBATIM = re.compile(r"\"[^\"]*\"|“[^”]*”|„[^“]*“|«[^»]*»|`[^`]*`|(?<!\w)['‘’ʼ][^'‘’ʼ]*['‘’ʼ](?!\w)")
"""A quotation: what is in it is somebody's own words."""
CAPITALS = re.compile(r"\b(US|IT|WHO|OR|IN|ME)\b")
"""Names that are other words in small letters; in a task that is all capitals they are not told apart."""


CHECKED = "INSERT INTO checks (at, route, capability, signature, agreed) VALUES (?, ?, ?, ?, ?)"
Check = tuple[float, str, str, str, bool]
"""A row of `checks`: when, route, capability, signature, and whether a model agreed."""
EXPIRE_SECONDS = 3600
"""Between two looks at what is too old."""
PRUNE_EVERY = 100
"""Remembered tasks of one process between two looks at what is too old or too many."""
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Remembered:
    """How a task was solved. `output_text` and `answer` are of the run that solved it; an example has neither."""

    capability: str
    version: int
    input: Any
    answer_template: str | None
    output_text: str | None
    answer: str | None
    effects: Effects
    day: str | None = None
    """The clock's when it was solved, in ISO 8601; None for an example."""
    data: str | None = None
    """The fingerprint of permissions and data then, where one was kept."""
    induced: str | None = None
    """What the words say of the arguments, as `recall.templates` keeps it."""
    gone: frozenset[str] = frozenset()
    """Words of the solved task, and of its arguments, that this one does not have: its wording may not have them."""
    varied: frozenset[str] = frozenset()
    """Paths of the output at which solved tasks differed and were worded alike all the same."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What recall keeps of a solved task beside how it was solved; see the columns of the same names."""

    run_id: str
    day: str
    data: str | None = None
    induced: str | None = None


@dataclass(frozen=True, slots=True)
class SolvedTask:
    """A task and the run that solved it, to be remembered."""

    task: str
    capability: str
    version: int
    input: str
    """JSON."""
    output_text: str
    answer: str
    effects: Effects
    at: float
    """Seconds since 1970."""
    learned: Learned | None = None

    @property
    def texts(self) -> tuple[str, str, str, str]:
        return self.task, self.input, self.output_text, self.answer


@dataclass(frozen=True, slots=True)
class KeptTask:
    """A solved task as the file has it: in its normal form, under its key."""

    key: bytes
    solved: SolvedTask


class TaskMemory:
    """The solved tasks of one library, in `memory.sqlite` in the folder `state`. Threads and processes may share it.

    Without a folder that can be written nothing is kept, and the examples of capabilities still count as solved.
    """

    def __init__(
        self,
        state: Path | None,
        *,
        keeping: Keeping | None = None,
        journaled: Callable[[], tuple[Iterable[SolvedTask], Iterable[Check]]] = lambda: ((), ()),
    ) -> None:
        """`keeping` says what may be kept; `journaled` are the tasks and checks that a lost file is filled with."""
        self.keeping = keeping or Keeping()
        self._journaled = journaled
        self._remembered, self._expired_at = 0, 0.0
        path = state and state / FILE_NAME
        self._file = LocalStore(
            path, layout=LAYOUT, tables=TABLES, upgrades=UPGRADES, write_ahead=True, refill=self._again
        )
        self.store = self._file if self.keeping.settings.keep else LocalStore(None, layout=LAYOUT, tables=TABLES)
        """What recall reads and writes; nothing, where memory is switched off."""
        self._examples = _ExampleTasks()
        self._solved_state: list[tuple[Any, ...]] = []
        self._solved_tasks: dict[str, tuple[str, ...]] = {}

    def remember(
        self,
        task: str,
        capability_id: str,
        version: int,
        input: Any,
        output_text: str,
        answer: str,
        effects: Effects,
        *,
        output: Any = ...,
        learned: Learned | None = None,
    ) -> bool:
        """Keep how `task` was solved, in place of what was kept for it. Returns whether it is kept.

        `output` is what `output_text` says; it is parsed where it is not given.
        """
        text = json.dumps(input)
        solved = SolvedTask(task, capability_id, version, text, output_text, answer, effects, time.time(), learned)
        row = self._row(solved, output)
        if row is None or not self.store.transact(lambda connection: _insert(connection, row)):
            return False
        if self._remembered % PRUNE_EVERY == 0:
            self.prune(before=self._oldest(), keep=self.keeping.settings.tasks)
        self._remembered += 1
        return True

    def _row(self, solved: SolvedTask, output: Any = ...) -> list[Any] | None:
        """What stands in the file for a solved task; None where it may not be kept."""
        task, output_text, answer = solved.task, solved.output_text, solved.answer
        if not self.keeping.admits(*solved.texts):
            return None
        template = None
        if self.keeping.keeps_answer(output_text, answer):
            said = _parsed(output_text) if output is ... else output
            template = learn_template(answer, said, task, _parsed(solved.input))
        else:
            output_text = answer = ""
        texts = (normalize_task(task), solved.capability, solved.input, output_text, answer, template, solved.effects)
        normal, id, arguments, *rest = (text and _storable(text) for text in texts)
        learned = solved.learned
        more = [learned.run_id, learned.day, learned.data, learned.induced] if learned else [None] * 4
        return [task_key(task), normal, id, solved.version, arguments, *rest, solved.at, None, *more]

    # Keeping

    def rebuild(self) -> bool:
        """Makes the solved tasks anew from the journal, in one transaction. Whether that is done."""
        solved, _ = self._journaled()
        rows = [row for task in solved if (row := self._row(task)) is not None]

        def work(connection: sqlite3.Connection) -> bool:
            connection.execute("DELETE FROM solved")
            for row in rows:
                _insert(connection, row)
            connection.execute(REWRITTEN)
            return True

        return self._file.transact(work) is True

    def _again(self) -> list[tuple[str, Sequence[Any]]]:
        solved, checks = self._journaled()
        rows = (row for task in solved if (row := self._row(task)) is not None)
        numbered = [(INSERT, [*row[:10], seq, *row[11:]]) for seq, row in enumerate(rows, start=1)]
        return [*numbered, *((CHECKED, check) for check in checks)] if numbered else []

    def _oldest(self) -> float | None:
        """What was solved before this time, in seconds since 1970, does not count any more."""
        days = self.keeping.settings.days
        return None if days is None else time.time() - days * DAY

    def _expire(self) -> None:
        """Drops what is too old, now and then."""
        if (oldest := self._oldest()) is not None and time.time() - self._expired_at > EXPIRE_SECONDS:
            self._expired_at = time.time()
            self.prune(before=oldest)

    def rows(self, *, limit: int = -1, task: str | None = None) -> list[KeptTask]:
        """What is kept, the latest first; of one task, where it is named."""
        query = """SELECT task_sha256, task, capability, version, input, output, answer, effects, at FROM solved
            WHERE ?1 IS NULL OR task_sha256 = ?1 ORDER BY at DESC, seq DESC LIMIT ?2"""
        key = task_key(task) if task is not None else None
        return [KeptTask(row[0], SolvedTask(*row[1:])) for row in self._file.read(query, (key, limit))]

    def prune(self, *, before: float | None = None, keep: int | None = None) -> list[bytes]:
        """Drops what was solved before a time, in seconds since 1970, all but the latest `keep`, and what may not be
        kept any more. The keys of what went."""
        query = "SELECT task_sha256 FROM solved WHERE at < ?1 UNION SELECT * FROM (SELECT task_sha256 FROM solved"
        query += " ORDER BY at DESC, seq DESC LIMIT -1 OFFSET ?2) WHERE ?2 IS NOT NULL"
        gone = [key for (key,) in self._file.read(query, (before, keep))]
        if self.keeping.settings.never:
            gone += [kept.key for kept in self.rows() if self.keeping.is_never_kept(*kept.solved.texts)]
        return self.drop(dict.fromkeys(gone))

    def drop(self, keys: Iterable[bytes]) -> list[bytes]:
        """Drops solved tasks by their keys, with what was decided about them. Those that there were."""
        listed = list(keys)

        def work(connection: sqlite3.Connection) -> list[bytes]:
            connection.executemany("DELETE FROM decisions WHERE task_sha256 = ?", [(key,) for key in listed])
            gone = [k for k in listed if connection.execute("DELETE FROM solved WHERE task_sha256 = ?", (k,)).rowcount]
            if gone:
                connection.execute(REWRITTEN)
            return gone

        if not listed or not self._file.read("SELECT 1 FROM solved UNION SELECT 1 FROM decisions"):
            return []
        dropped = self._file.transact(work) or []
        self._file.wipe()
        return dropped

    @property
    def problem(self) -> str | None:
        """Why the file could not be used, when that was so last."""
        return self._file.problem

    def recall(
        self,
        task: str,
        capabilities: Mapping[str, Capability],
        aliases: Mapping[str, Alias] = MappingProxyType({}),
    ) -> Remembered | None:
        """How `task` was solved, if it was: the same words up to case, spaces and final punctuation.

        `capabilities` are the live ones by id, `aliases` those that a live one answers for. What was solved by another
        one, or by a version that has been taken back, is not known any more. Where nothing was solved, the examples of
        these capabilities count, unless two of them have this task.
        """
        self._expire()
        return self._solved(task, capabilities, aliases) or self._examples.recall(
            normalize_task(task), capabilities, aliases
        )

    def solved(self) -> Mapping[str, tuple[str, ...]]:
        """The tasks that were solved, as they are compared, by the id of the capability that did; oldest first.

        At most SEARCHED of the latest for each. Read again only when something was remembered or forgotten.
        """
        state = self.store.read("SELECT count(*), max(at), total(at) FROM solved")
        if state != self._solved_state:
            found: dict[str, list[str]] = {}
            for capability, task in self.store.read("SELECT capability, task FROM solved ORDER BY at, task_sha256"):
                found.setdefault(capability, []).append(task)
            self._solved_tasks = {id: tuple(tasks[-SEARCHED:]) for id, tasks in found.items()}
            self._solved_state = state
        return self._solved_tasks

    def counts(self) -> dict[str, int]:
        """How many solved tasks are kept of each capability, by its id."""
        return dict(self.store.read("SELECT capability, count(*) FROM solved GROUP BY capability"))

    def inputs(self, capability_id: str) -> list[Any]:
        """The different inputs with which tasks were solved by a capability, the latest first, at most SEARCHED."""
        query = "SELECT input FROM solved WHERE capability = ? GROUP BY input ORDER BY max(at) DESC LIMIT ?"
        return [json.loads(text) for (text,) in self.store.read(query, (capability_id, SEARCHED))]

    def forget(self, task: str) -> bool:
        """Drop what was kept for `task`. Returns whether there was anything."""
        return bool(self.drop([task_key(task)]))

    def state(self) -> tuple[int, int]:
        """Two numbers by which to see what changed: the first with all that was rewritten, the second with each task
        that was added."""
        self._expire()
        rows = self.store.read(
            "SELECT coalesce((SELECT value FROM counters WHERE name = 'rewritten'), 0), coalesce(max(seq), 0)"
            " FROM solved"
        )
        return rows[0] if rows else (0, 0)

    def learned(self, after: int) -> list[tuple[int, bytes, str, int, str, str | None, str]]:
        """Solved tasks of which the words say something, added after number `after`, in their order.

        Each as its number, its key, capability, version, day, fingerprint of data, and what was induced.
        """
        query = (
            "SELECT seq, task_sha256, capability, version, day, data, induced FROM solved"
            " WHERE seq > ? AND induced IS NOT NULL ORDER BY seq"
        )
        return [(s, k, c, v, d or "", f, i) for s, k, c, v, d, f, i in self.store.read(query, (after,))]

    def wording(self, key: bytes, task: str, input: Any, alike: Sequence[bytes] = ()) -> Remembered | None:
        """How a solved task, by its key, was answered, for a `task` and an `input` of the same capability.

        `alike` are the keys of others that were solved in the same way; what differed between their outputs without
        making a difference to the words need not be the same. None where the task is not known any more.
        """
        query = "SELECT task, input, capability, version, template, output, answer, effects FROM solved"
        query += " WHERE task_sha256 = ?"
        for solved, old, id, version, template, output, answer, effects in self.store.read(query, (key,)):
            gone = (
                frozenset() if _parsed(old) == input else _all_words(solved, old) - _all_words(task, json.dumps(input))
            )
            varied = self._varied(template, output, alike)
            return Remembered(
                id, version, input, template, output or None, answer or None, effects, gone=gone, varied=varied
            )
        return None

    def _varied(self, template: str | None, output: str | None, alike: Sequence[bytes]) -> frozenset[str]:
        """The paths at which outputs differ that the same template words, as far as they have the same paths."""
        keys = alike[-WORDED_ALIKE:]
        if not template or not output or not keys:
            return frozenset()
        marks = ", ".join("?" * len(keys))
        query = f"SELECT output FROM solved WHERE task_sha256 IN ({marks}) AND template = ?"  # noqa: S608
        own = dict(leaves(_parsed(output)))
        found: set[str] = set()
        for (text,) in self.store.read(query, (*keys, template)):
            other = dict(leaves(_parsed(text)))
            if other.keys() == own.keys():
                found |= {path for path, value in other.items() if path is not None and value != own[path]}
        return frozenset(found)

    def count(self) -> int:
        """How many solved tasks are kept."""
        return sum(count for (count,) in self._file.read("SELECT count(*) FROM solved"))

    def close(self) -> None:
        self._file.close()

    def _solved(
        self, task: str, capabilities: Mapping[str, Capability], aliases: Mapping[str, Alias]
    ) -> Remembered | None:
        for id, version, input, template, output_text, answer, effects, day, data, induced in self.store.read(
            SOLVED, (task_key(task),)
        ):
            alias = aliases.get(id)
            capability = alias.old if alias is not None else capabilities.get(id)
            known = capability is not None and (alias is not None or capability.live)
            if capability is None or not known or version > capability.version:
                continue
            try:
                value = schemas.parse(input, what="input")
            except schemas.InvalidJson:
                continue
            if alias is not None:
                id, version, value = alias.kept.id, alias.kept.version, alias.input(value)
            said, answer = output_text or None, answer or None
            return Remembered(id, version, value, template, said, answer, effects, day, data, induced)
        return None


def _insert(connection: sqlite3.Connection, row: Sequence[Any]) -> bool:
    """Puts a solved task in place of what was kept for it, with the next number."""
    if connection.execute("SELECT 1 FROM solved WHERE task_sha256 = ?", row[:1]).fetchone():
        connection.execute(REWRITTEN)
    (seq,) = connection.execute("SELECT coalesce(max(seq), 0) + 1 FROM solved").fetchone()
    connection.execute(INSERT, [*row[:10], seq, *row[11:]])
    return True


class _ExampleTasks:
    """The tasks of examples, looked up by normalised task. Only new and changed capabilities are read again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Capability] = {}
        self._tasks: dict[str, dict[str, tuple[Example, ...]]] = {}

    def recall(
        self, task: str, capabilities: Mapping[str, Capability], aliases: Mapping[str, Alias]
    ) -> Remembered | None:
        with self._lock:
            self._refresh(capabilities, aliases)
            owners = list(self._tasks.get(task, {}).items())
        ways = [
            (aliases[id].kept, aliases[id].input(example.input), example)
            if id in aliases
            else (capabilities[id], example.input, example)
            for id, examples in owners
            for example in examples
        ]
        if len({(capability.id, schemas.canonical(value)) for capability, value, _ in ways}) != 1:
            return None
        capability, value, example = ways[0]
        return Remembered(capability.id, capability.version, value, example.answer, None, None, capability.effects)

    def _refresh(self, capabilities: Mapping[str, Capability], aliases: Mapping[str, Alias]) -> None:
        known = self._known
        live = {id: capability for id, capability in capabilities.items() if capability.live}
        live |= {id: alias.old for id, alias in aliases.items()}
        for id in [id for id in known if id not in live]:
            self._drop(known.pop(id))
        for id, capability in live.items():
            old = known.get(id)
            if old is not None and (old is capability or _unchanged(old, capability)):
                continue
            if old is not None:
                self._drop(old)
            known[id] = capability
            for task, examples in _solved_examples(capability).items():
                self._tasks.setdefault(task, {})[id] = examples

    def _drop(self, capability: Capability) -> None:
        for task in _solved_examples(capability):
            self._tasks[task].pop(capability.id)
            if not self._tasks[task]:
                del self._tasks[task]


def _unchanged(old: Capability, new: Capability) -> bool:
    same = old.version == new.version and old.sha256 == new.sha256
    return same and (new.sha256 is not None or old == new)


def _solved_examples(capability: Capability) -> dict[str, tuple[Example, ...]]:
    found: dict[str, tuple[Example, ...]] = {}
    for example in capability.examples:
        if example.task and example.error is None and (_by_hand(capability) or _says_all(example)):
            task = normalize_task(example.task)
            found[task] = (*found.get(task, ()), example)
    return found


def _by_hand(capability: Capability) -> bool:
    """Whether a person wrote it; what a model wrote names provider and model, as in openai:gpt-5."""
    return capability.provenance is None or ":" not in capability.provenance.author


def _says_all(example: Example) -> bool:
    """Whether the task has every argument in its words, so that it stands for no other input as well."""
    task = (example.task or "").casefold()
    return all(str(value).casefold() in task for _, value in leaves(example.input) if not isinstance(value, bool))


def normalize_task(task: str) -> str:
    """`task` without what makes no other task of it: case, spaces, quotes around it, and final `.`, `?`, `!` and `…`.

    Apostrophes become straight, full-width characters usual ones, and accents part of their letters. What is quoted
    within the task stays to the letter. A `!` after a digit stays, a factorial.
    """
    for _ in range(4):  # one step can uncover what is another's: a quotation around a quotation
        before, task = task, _normalized(task)
        if task == before:
            break
    return task


def _normalized(task: str) -> str:
    text = _unwrapped(task)
    keep = CAPITALS if text != text.upper() else None
    parts, end = [], 0
    for quotation in VERBATIM.finditer(text):
        parts += [_plain(text[end : quotation.start()], keep), quotation[0]]
        end = quotation.end()
    return "".join([*parts, _plain(text[end:], keep)]).strip()


def _unwrapped(task: str) -> str:
    """`task` without spaces and final punctuation, and without the quotes that are around all of it."""
    end = len(task)
    while end and (task[end - 1] in _FINAL or task[end - 1].isspace() or _exclaims(task, end)):
        end -= 1
    text = task[:end].lstrip()
    closing = _PAIRS.get(text[:1])
    if closing is None or len(text) < 2 or text[-1] != closing:
        return text
    inner = text[1:-1]
    return text if text[0] in inner or closing in inner else inner


def _exclaims(task: str, end: int) -> bool:
    return task[end - 1] in "!！" and not task[: end - 1][-1:].isdigit()


def _plain(text: str, keep: re.Pattern[str] | None) -> str:
    """Text outside quotations, as it is compared; spaces at its ends stay one space."""
    text = unicodedata.normalize("NFC", text.translate(FULL_WIDTH)).translate(_STRAIGHT)
    pieces = keep.split(text) if keep is not None else [text]  # every second one is a name
    text = unicodedata.normalize("NFC", "".join(p if n % 2 else p.casefold() for n, p in enumerate(pieces)))
    return _SPACES.sub(" ", text)


def task_key(task: str) -> bytes:
    """What memory knows a task by: SHA-256 of its normal form."""
    return hashlib.sha256(normalize_task(task).encode("utf-8", "surrogatepass")).digest()


def _storable(text: str) -> str:
    """`text` without lone surrogates, which SQLite takes for an error."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _all_words(*texts: str) -> frozenset[str]:
    return frozenset(word for text in texts for word in re.findall(r"\w+", text.casefold()))


def _parsed(text: str) -> Any:
    try:
        return schemas.parse(text, what="the output")
    except schemas.InvalidJson:
        return None


# Wording


def answer_from(remembered: Remembered, output_text: str, output: Any) -> str:
    """The answer to a remembered task for what its capability says now.

    The same output gets the same answer. For another one the template is filled; without one that fits, the output
    itself is the answer. A learned template fits an output that differs from the old one only in what it shows, with
    numbers of the same sign: any other difference may be in the words around ("on leave", "over budget"). Where solved
    tasks differed and were worded alike, that was not so.
    """
    if remembered.answer is not None and output_text == remembered.output_text and not remembered.gone:
        return remembered.answer
    template = remembered.answer_template
    shown = {path for path in placeholders(template or "") if not path.startswith("@")}
    stale = template is not None and not literal_words(template).isdisjoint(remembered.gone)
    if template is not None and not stale and _fits(remembered, output, shown):
        answer = fill(template, output, remembered.input)
        if answer is not None:
            return answer
    return readable(output)


def _fits(remembered: Remembered, output: Any, shown: set[str]) -> bool:
    if remembered.output_text is None:
        return True  # an author's template is meant for every output
    old = _parsed(remembered.output_text)
    free = shown | remembered.varied
    for path in free:
        before, after = look_up(old, path), look_up(output, path)
        if not _alike(before, after) and not (path not in shown and before == after):
            return False
    same: bool = _blanked(old, free) == _blanked(output, free)
    return same


def _alike(before: Any, after: Any) -> bool:
    numbers = (int, float)
    if isinstance(before, numbers) and isinstance(after, numbers) and not isinstance(before, bool):
        return (before > 0) - (before < 0) == (after > 0) - (after < 0)
    return isinstance(before, str) and isinstance(after, str)


def _blanked(value: Any, shown: set[str], path: str = "") -> Any:
    """`value` as JSON-like tuples, with the leaves at the paths `shown` left blank."""
    if isinstance(value, dict):
        items = value.items()
        return {key: _blanked(item, shown, f"{path}.{key}" if path else key) for key, item in items}
    if isinstance(value, list):
        return [_blanked(item, shown, f"{path}.{n}" if path else str(n)) for n, item in enumerate(value)]
    return ("blank",) if path in shown else (type(value).__name__, value)
