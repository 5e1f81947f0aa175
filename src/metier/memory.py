"""Task memory: tasks that were solved, with the capability and the arguments that solved them.

What is kept is how a task was solved, never that its answer still holds: the capability runs again, and the wording is
filled from what it says now.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from metier import schemas
from metier.aliases import Alias
from metier.capability import Capability, Effects, Example
from metier.localstore import LocalStore
from metier.wording import fill, learn_template, leaves, look_up, placeholders, readable

FILE_NAME = "memory.sqlite"
LAYOUT = 2
SEARCHED = 64
"""Solved tasks of one capability that retrieval gets to see."""
TABLES = """
CREATE TABLE solved (
  task_sha256 BLOB PRIMARY KEY, task TEXT NOT NULL, capability TEXT NOT NULL, version INTEGER NOT NULL,
  input TEXT NOT NULL, output TEXT NOT NULL, answer TEXT NOT NULL, template TEXT, effects TEXT NOT NULL,
  at REAL NOT NULL
)
"""

_FINAL = ".?…．？"
_PAIRS = {'"': '"', "“": "”", "„": "“", "«": "»", "`": "`", "'": "'", "‘": "’"}
_STRAIGHT = str.maketrans("’‘ʼ", "'''")
_FULL_WIDTH = {0xFF01 + n: 0x21 + n for n in range(94) if chr(0x21 + n) not in "\"'`"}
_SPACES = re.compile(r"\s+")
_VERBATIM = re.compile(r"\"[^\"]*\"|“[^”]*”|„[^“]*“|«[^»]*»|`[^`]*`|(?<!\w)['‘’ʼ][^'‘’ʼ]*['‘’ʼ](?!\w)")
"""A quotation: what is in it is somebody's own words."""
_CAPITALS = re.compile(r"\b(US|IT|WHO|OR|IN|ME)\b")
"""Names that are other words in small letters; in a task that is all capitals they are not told apart."""


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


class TaskMemory:
    """The solved tasks of one library, in `memory.sqlite` in the folder `state`. Threads and processes may share it.

    Without a folder that can be written nothing is kept, and the examples of capabilities still count as solved.
    """

    def __init__(self, state: Path | None) -> None:
        self._store = LocalStore(state and state / FILE_NAME, layout=LAYOUT, tables=TABLES)
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
    ) -> bool:
        """Keep how `task` was solved, in place of what was kept for it. Returns whether it is kept.

        `output` is what `output_text` says; it is parsed where it is not given.
        """
        if output is ...:
            output = _parsed(output_text)
        template = learn_template(answer, output, task, input)
        texts = (normalize_task(task), capability_id, json.dumps(input), output_text, answer, template, effects)
        normal, id, arguments, *rest = (text and _storable(text) for text in texts)
        row = (_key(task), normal, id, version, arguments, *rest, time.time())
        return self._store.write("INSERT OR REPLACE INTO solved VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [row])

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
        return self._solved(task, capabilities, aliases) or self._examples.recall(
            normalize_task(task), capabilities, aliases
        )

    def solved(self) -> Mapping[str, tuple[str, ...]]:
        """The tasks that were solved, as they are compared, by the id of the capability that did; oldest first.

        At most SEARCHED of the latest for each. Read again only when something was remembered or forgotten.
        """
        state = self._store.read("SELECT count(*), max(at), total(at) FROM solved")
        if state != self._solved_state:
            found: dict[str, list[str]] = {}
            for capability, task in self._store.read("SELECT capability, task FROM solved ORDER BY at, task_sha256"):
                found.setdefault(capability, []).append(task)
            self._solved_tasks = {id: tuple(tasks[-SEARCHED:]) for id, tasks in found.items()}
            self._solved_state = state
        return self._solved_tasks

    def counts(self) -> dict[str, int]:
        """How many solved tasks are kept of each capability, by its id."""
        return dict(self._store.read("SELECT capability, count(*) FROM solved GROUP BY capability"))

    def inputs(self, capability_id: str) -> list[Any]:
        """The different inputs with which tasks were solved by a capability, the latest first, at most SEARCHED."""
        query = "SELECT input FROM solved WHERE capability = ? GROUP BY input ORDER BY max(at) DESC LIMIT ?"
        return [json.loads(text) for (text,) in self._store.read(query, (capability_id, SEARCHED))]

    def forget(self, task: str) -> bool:
        """Drop what was kept for `task`. Returns whether there was anything."""
        known = bool(self._store.read("SELECT 1 FROM solved WHERE task_sha256 = ?", (_key(task),)))
        return known and self._store.write("DELETE FROM solved WHERE task_sha256 = ?", [(_key(task),)])

    def count(self) -> int:
        """How many solved tasks are kept."""
        return sum(count for (count,) in self._store.read("SELECT count(*) FROM solved"))

    def close(self) -> None:
        self._store.close()

    def _solved(
        self, task: str, capabilities: Mapping[str, Capability], aliases: Mapping[str, Alias]
    ) -> Remembered | None:
        query = "SELECT capability, version, input, template, output, answer, effects FROM solved WHERE task_sha256 = ?"
        for id, version, input, template, output_text, answer, effects in self._store.read(query, (_key(task),)):
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
            return Remembered(id, version, value, template, output_text, answer, effects)
        return None


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
    keep = _CAPITALS if text != text.upper() else None
    parts, end = [], 0
    for quotation in _VERBATIM.finditer(text):
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
    text = unicodedata.normalize("NFC", text.translate(_FULL_WIDTH)).translate(_STRAIGHT)
    pieces = keep.split(text) if keep is not None else [text]  # every second one is a name
    text = unicodedata.normalize("NFC", "".join(p if n % 2 else p.casefold() for n, p in enumerate(pieces)))
    return _SPACES.sub(" ", text)


def _key(task: str) -> bytes:
    return hashlib.sha256(normalize_task(task).encode("utf-8", "surrogatepass")).digest()


def _storable(text: str) -> str:
    """`text` without lone surrogates, which SQLite takes for an error."""
    return text.encode("utf-8", "replace").decode("utf-8")


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
    numbers of the same sign: any other difference may be in the words around ("on leave", "over budget").
    """
    if remembered.answer is not None and output_text == remembered.output_text:
        return remembered.answer
    template = remembered.answer_template
    if template is not None and _fits(remembered, output, placeholders(template)):
        answer = fill(template, output)
        if answer is not None:
            return answer
    return readable(output)


def _fits(remembered: Remembered, output: Any, shown: set[str]) -> bool:
    if remembered.output_text is None:
        return True  # an author's template is meant for every output
    old = _parsed(remembered.output_text)
    for path in shown:
        before, after = look_up(old, path), look_up(output, path)
        if not _alike(before, after):
            return False
    same: bool = _blanked(old, shown) == _blanked(output, shown)
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
