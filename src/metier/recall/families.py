"""The templates of all solved tasks, and those of them that a task fits, word for word.

They share one tree of words and slots, so that a task is followed through it once, however many there are.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metier.recall.choices import Choices
from metier.recall.slots import Span
from metier.recall.templates import Induced, Path, Reading, Template, fill, in_common

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


class _Node:
    __slots__ = ("families", "kinds", "words")

    def __init__(self) -> None:
        self.words: dict[str, _Node] = {}
        self.kinds: dict[str, _Node] = {}
        self.families: dict[str, Family] = {}


class Families:
    """All families, with what was agreed on across them."""

    def __init__(self) -> None:
        self._root = _Node()
        self._agreed: dict[tuple[str, str], set[tuple[str, ...]]] = {}
        self._seen: dict[Context, frozenset[Reading]] = {}
        self.choices = Choices()

    def add(self, solved: Solved) -> None:
        """Takes in one solved task, and what it teaches of the words of others."""
        self._insert(solved)
        for opened in self.choices.learn(solved.capability, solved.induced):
            self._insert(dataclasses.replace(solved, induced=opened))

    def _insert(self, solved: Solved) -> None:
        node = self._root
        kinds = iter(solved.induced.template.kinds)
        for word in solved.induced.template.words:
            branch, label = (node.words, word) if word is not None else (node.kinds, next(kinds))
            node = branch.setdefault(label, _Node())
        family = node.families.get(solved.capability)
        if family is None:
            family = node.families[solved.capability] = Family(solved.capability, solved.induced.template)
        family.add(solved)
        seen = self._agreed.setdefault((solved.capability, signature(solved.induced)), set())
        if len(seen) < KEPT:
            seen.add(solved.induced.said)
        for path, readings in solved.induced.bindings.items():
            found = context(solved.capability, solved.induced.template, path, readings)
            if found is not None:
                own = _unplaced(readings)
                before = self._seen.get(found)
                self._seen[found] = own if before is None else in_common([{path: before}, {path: own}])[path]

    def arguments(self, fit: Fit) -> Any:
        """What a family makes of a task. Raises Unexplained.

        Readings that other wordings of the same argument, after the same word, have ruled out are not considered.
        """
        family = fit.family
        common = dict(family.common())
        for path, readings in common.items():
            found = context(family.capability, family.template, path, readings)
            if found is not None:
                common[path] = frozenset(r for r in readings if _unplaced([r]) <= self._seen[found]) or readings
        return fill(common, family.latest.induced.fixed, fit.spans)

    def agreed(self, family: Family) -> int:
        """How many solved tasks with other words in their slots say the same of the arguments, beyond the first."""
        return len(self._agreed.get((family.capability, family.signature()), ())) - 1

    def fitting(self, words: Sequence[str], spans_at: Callable[[str, int], Sequence[Span]]) -> list[Fit]:
        """Every family that all the words fit. `spans_at` says which spans of a kind begin at a word."""
        found: list[Fit] = []
        steps = MAX_STEPS
        stack: list[tuple[_Node, int, tuple[Span, ...]]] = [(self._root, 0, ())]
        while stack and steps and len(found) < MAX_FITS:
            steps -= 1
            node, at, spans = stack.pop()
            if at == len(words):
                found += [Fit(family, spans) for family in node.families.values()]
                continue
            if (following := node.words.get(words[at])) is not None:
                stack.append((following, at + 1, spans))
            for kind, following in node.kinds.items():
                stack += [(following, span.end, (*spans, span)) for span in spans_at(kind, at)]
        return found if steps else []

    def nearest(
        self, words: Sequence[str], spans_at: Callable[[str, int], Sequence[Span]]
    ) -> tuple[int, Family | None]:
        """How far the words fit any family, and one of those; for saying why none fits."""
        best, at_best = 0, self._root
        stack: list[tuple[_Node, int]] = [(self._root, 0)]
        for _ in range(MAX_STEPS):
            if not stack:
                break
            node, at = stack.pop()
            if at > best:
                best, at_best = at, node
            if at < len(words) and (following := node.words.get(words[at])) is not None:
                stack.append((following, at + 1))
            for kind, following in node.kinds.items():
                stack += [(following, span.end) for span in spans_at(kind, at)] if at < len(words) else []
        return best, next(_below(at_best), None) if best else None


def _below(node: _Node) -> Iterator[Family]:
    while not node.families:
        branches = [*node.words.values(), *node.kinds.values()]
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


def _unplaced(readings: Iterable[Reading]) -> frozenset[Reading]:
    """Readings without which slots they are of."""
    return frozenset((tuple((number, way) for number, (_, way) in enumerate(parts)), form) for parts, form in readings)


def signature(induced: Induced) -> str:
    """How a template's arguments are made, as text, whatever its words."""
    kinds = induced.template.kinds
    made = sorted(
        (_shown(path), sorted({"+".join(kinds[index] for index, _ in parts) for parts, _ in readings}))
        for path, readings in induced.bindings.items()
    )
    return json.dumps([made, _constants(induced.fixed)])


def _constants(fixed: Mapping[Path, Any]) -> list[tuple[str, str]]:
    return sorted((_shown(path), json.dumps(value)) for path, value in fixed.items())


def _shown(path: Path) -> str:
    return json.dumps(path)
