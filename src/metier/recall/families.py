"""The templates of all solved tasks, and those of them that a task fits, word for word.

They share one tree of words and slots, so that a task is followed through it once, however many there are. What only
one template goes on with is one step of it.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metier.recall.choices import Choices
from metier.recall.slots import Span
from metier.recall.templates import ALIKE, Induced, Path, Reading, Template, fill, in_common

MAX_STEPS = 20_000
"""Steps through the tree for one task; a task that takes more is not looked for further."""
MAX_FITS = 64
KEPT = 64
"""Solved tasks of a family that are taken together, the latest."""


@dataclass(frozen=True, slots=True)
class Solved:
    """One solved task as evidence for its family."""

    capability: str
    version: int
    induced: Induced
    day: str
    """Of the clock when it was solved."""
    data: str
    """The fingerprint of permissions and data then."""
    key: bytes
    """Of the task in memory, for the wording."""


@dataclass(slots=True)
class Family:
    """The solved tasks with one template and one capability."""

    capability: str
    template: Template
    solved: list[Solved] = field(default_factory=list)
    _common: dict[Path, frozenset[Reading]] | None = None

    @property
    def latest(self) -> Solved:
        return self.solved[-1]

    def add(self, solved: Solved) -> None:
        self.solved = [*self.solved, solved][-KEPT:]
        self._common = None

    def contested(self) -> str | None:
        """Why its solved tasks do not go together; None where they do."""
        first = self.solved[0].induced
        for other in self.solved[1:]:
            if _constants(other.induced.fixed) != _constants(first.fixed):
                return "the same words with other fixed arguments were seen"
            if set(other.induced.bindings) != set(first.bindings):
                return "the same words were seen to make other arguments"
        return None

    def common(self) -> Mapping[Path, frozenset[Reading]]:
        """The readings of each argument that all its solved tasks have in common."""
        if self._common is None:
            self._common = in_common([solved.induced.bindings for solved in self.solved])
        return self._common

    def signature(self) -> str:
        """What it says of the arguments, whatever its words: which kinds of slot they come from, and the fixed ones."""
        return signature(self.latest.induced)


@dataclass(frozen=True, slots=True)
class Fit:
    """A family that a task fits, with the words in its slots."""

    family: Family
    spans: tuple[Span, ...]

    @property
    def literal(self) -> int:
        """How many words of the task stand in the template as they are."""
        return sum(word is not None for word in self.family.template.words)


_SLOT = "\0"
"""Before the kind of a slot, where words and slots are in one row; no word of a task begins with it and goes on."""


class _Node:
    """Where templates part or end, and the row of words and slots that leads there from the one above."""

    __slots__ = ("families", "kinds", "row", "words")

    def __init__(self, row: tuple[str, ...]) -> None:
        self.row = row
        self.words: dict[str, _Node] | None = None
        self.kinds: dict[str, _Node] | None = None
        self.families: dict[str, Family] | None = None

    def below(self, label: str) -> _Node | None:
        branch = self.kinds if _is_slot(label) else self.words
        return branch.get(label) if branch is not None else None

    def put(self, node: _Node) -> None:
        """Has a node hang from this one by the first of its row."""
        label = node.row[0]
        if _is_slot(label):
            self.kinds = self.kinds if self.kinds is not None else {}
            self.kinds[label] = node
        else:
            self.words = self.words if self.words is not None else {}
            self.words[label] = node

    def reach(self, row: tuple[str, ...]) -> _Node:
        """The node at which a row from here ends, made where there is none."""
        node = self
        while row:
            following = node.below(row[0])
            if following is None:
                following = _Node(row)
                node.put(following)
                return following
            shared = _shared(following.row, row)
            if shared < len(following.row):
                middle = _Node(row[:shared])
                node.put(middle)
                following.row = following.row[shared:]
                middle.put(following)
                following = middle
            node, row = following, row[shared:]
        return node


def _is_slot(label: str) -> bool:
    return len(label) > 1 and label[0] == _SLOT


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many of the first of two rows are the same."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


class Families:
    """All families, with what was agreed on across them."""

    def __init__(self) -> None:
        self._root = _Node(())
        self.all: list[Family] = []
        self._labels: dict[str, str] = {}
        self._agreed: dict[tuple[str, str], set[tuple[str, ...]]] = {}
        self._seen: dict[Context, frozenset[Reading]] = {}
        self.choices = Choices()

    def add(self, solved: Solved) -> None:
        """Takes in one solved task, and what it teaches of the words of others."""
        self._insert(solved)
        for opened in self.choices.learn(solved.capability, solved.induced):
            self._insert(dataclasses.replace(solved, induced=opened))

    def _insert(self, solved: Solved) -> None:
        node = self._root.reach(self._row(solved.induced.template))
        if node.families is None:
            node.families = {}
        family = node.families.get(solved.capability)
        if family is None:
            family = node.families[solved.capability] = Family(solved.capability, solved.induced.template)
            self.all.append(family)
        family.add(solved)
        seen = self._agreed.setdefault((solved.capability, signature(solved.induced)), set())
        if len(seen) < KEPT:
            seen.add(solved.induced.said)
        for path, readings in solved.induced.bindings.items():
            found = context(solved.capability, solved.induced.template, path, readings)
            if found is not None:
                own = _unplaced(readings)
                before = self._seen.get(found)
                if own != before:
                    self._seen[found] = own if before is None else in_common([{path: before}, {path: own}])[path]

    def _row(self, template: Template) -> tuple[str, ...]:
        kinds = iter(template.kinds)
        labels = [word if word is not None else f"{_SLOT}{next(kinds)}" for word in template.words]
        return tuple([self._labels.setdefault(label, label) for label in labels])

    def arguments(self, fit: Fit) -> Any:
        """What a family makes of a task. Raises Unexplained.

        Readings that other wordings of the same argument, after the same word, have ruled out are not considered.
        """
        family = fit.family
        common = dict(family.common())
        for path, readings in common.items():
            found = context(family.capability, family.template, path, readings)
            if found is not None:
                common[path] = (
                    frozenset(r for r in readings if _unplaced(frozenset([r])) <= self._seen[found]) or readings
                )
        return fill(common, family.latest.induced.fixed, fit.spans)

    def agreed(self, family: Family) -> int:
        """How many solved tasks with other words in their slots say the same of the arguments, beyond the first."""
        return len(self._agreed.get((family.capability, family.signature()), ())) - 1

    def fitting(self, words: Sequence[str], spans_at: Callable[[str, int], Sequence[Span]]) -> list[Fit]:
        """Every family that all the words fit. `spans_at` says which spans of a kind begin at a word."""
        found: list[Fit] = []
        steps = MAX_STEPS
        stack = [_Place(self._root, 0, 0, ())]
        while stack and steps and len(found) < MAX_FITS:
            steps -= 1
            place = stack.pop()
            if place.at == len(words):
                if place.ends:
                    found += [Fit(family, place.spans) for family in (place.node.families or {}).values()]
                continue
            stack += place.following(words, spans_at)
        return found if steps else []

    def nearest(
        self, words: Sequence[str], spans_at: Callable[[str, int], Sequence[Span]]
    ) -> tuple[int, Family | None]:
        """How far the words fit any family, and one of those; for saying why none fits."""
        best = _Place(self._root, 0, 0, ())
        stack = [best]
        for _ in range(MAX_STEPS):
            if not stack:
                break
            place = stack.pop()
            if place.at > best.at:
                best = place
            if place.at < len(words):
                stack += place.following(words, spans_at)
        return best.at, next(_below(best.node), None) if best.at else None


@dataclass(slots=True)
class _Place:
    """How far a task is followed: past so many of a node's row, up to word `at`, with what its slots took."""

    node: _Node
    past: int
    at: int
    spans: tuple[Span, ...]

    @property
    def ends(self) -> bool:
        return self.past == len(self.node.row)

    def following(self, words: Sequence[str], spans_at: Callable[[str, int], Sequence[Span]]) -> Iterator[_Place]:
        """Where the next word leads, as a word first, and as a slot."""
        if not self.ends:
            yield from self._past(self.node, self.past, self.node.row[self.past], words, spans_at)
            return
        if self.node.words and (below := self.node.words.get(words[self.at])) is not None:
            yield from self._past(below, 0, words[self.at], words, spans_at)
        for label, below in (self.node.kinds or {}).items():
            yield from self._past(below, 0, label, words, spans_at)

    def _past(
        self,
        node: _Node,
        past: int,
        label: str,
        words: Sequence[str],
        spans_at: Callable[[str, int], Sequence[Span]],
    ) -> Iterator[_Place]:
        if _is_slot(label):
            for span in spans_at(label[len(_SLOT) :], self.at):
                yield _Place(node, past + 1, span.end, (*self.spans, span))
        elif label == words[self.at]:
            yield _Place(node, past + 1, self.at + 1, self.spans)


def _below(node: _Node) -> Iterator[Family]:
    while not node.families:
        branches = [*(node.words or {}).values(), *(node.kinds or {}).values()]
        if not branches:
            return
        node = branches[0]
    yield from node.families.values()


Context = tuple[str, Path, tuple[tuple[str, str | None], ...]]
"""An argument of a capability, with the kinds of the slots that say it and the word before each."""


def context(capability: str, template: Template, path: Path, readings: Iterable[Reading]) -> Context | None:
    """Where an argument is said; None where that is open."""
    placed = {tuple(index for index, _ in parts) for parts, _ in readings}
    if len(placed) != 1:
        return None
    slots = [at for at, word in enumerate(template.words) if word is None]
    return (
        capability,
        path,
        tuple(
            (template.kinds[index], template.words[slots[index] - 1] if slots[index] else "") for index in placed.pop()
        ),
    )


@functools.lru_cache(ALIKE)
def _unplaced(readings: frozenset[Reading]) -> frozenset[Reading]:
    """Readings without which slots they are of."""
    return frozenset((tuple((number, way) for number, (_, way) in enumerate(parts)), form) for parts, form in readings)


def signature(induced: Induced) -> str:
    """How a template's arguments are made, as text, whatever its words."""
    made = _made(induced.template.kinds, tuple(induced.bindings.items()))
    return f"[{made}, {json.dumps(_constants(induced.fixed)) if induced.fixed else '[]'}]"


@functools.lru_cache(ALIKE)
def _made(kinds: tuple[str, ...], bindings: tuple[tuple[Path, frozenset[Reading]], ...]) -> str:
    return json.dumps(
        sorted(
            (_shown(path), sorted({"+".join(kinds[index] for index, _ in parts) for parts, _ in readings}))
            for path, readings in bindings
        )
    )


def _constants(fixed: Mapping[Path, Any]) -> list[tuple[str, str]]:
    return sorted((_shown(path), json.dumps(value)) for path, value in fixed.items())


def _shown(path: Path) -> str:
    return json.dumps(path)
