"""Templates: which words of a solved task became which argument, and arguments made of the words of another task.

What one solved task leaves open stays open: a binding lists every way in which the words explain the argument. Solved
tasks with the same template leave what they have in common, and only what all that is left agrees on is said.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any

from metier.recall.moments import dated
from metier.recall.slots import MOMENT_FORMS, Span, written

MAX_ARGUMENTS = 32
ALIKE = 4_096
"""Ways of making arguments that are kept at hand."""
PRIORITY = ("money", "percent", "date", "email", "named", "quoted", "choice", "entity", "duration", "time", "number")
"""Of kinds that explain an argument by the same words, the first; of spans, the longest."""

Path = tuple[str | int, ...]
Part = tuple[int, str]
"""The slot and the way in which it is read."""
Reading = tuple[tuple[Part, ...], str]
"""What an argument may be made of: one slot, or a day and a time, and the form in which it is written."""


class Unexplained(Exception):
    """Why a solved task makes no template, or a template says no arguments for a task."""


@dataclass(frozen=True, slots=True)
class Template:
    """The words of a task, with None where an argument stands; `kinds` are those of the slots, in order."""

    words: tuple[str | None, ...]
    kinds: tuple[str, ...]

    def pattern(self) -> str:
        kinds = iter(self.kinds)
        return " ".join(word if word is not None else f"{{{next(kinds)}}}" for word in self.words)


@dataclass(frozen=True, slots=True)
class Induced:
    """A template with what one solved task says of the arguments: how each follows from slots, or that it is fixed."""

    template: Template
    bindings: Mapping[Path, frozenset[Reading]]
    fixed: Mapping[Path, Any]
    said: tuple[str, ...]
    """What stood in the slots."""
    chosen: Mapping[Path, Any] = field(default_factory=dict)
    """The arguments that are one of several values, as the slots said."""

    def text(self) -> str:
        """This as JSON, to be kept."""
        return json.dumps(
            {
                "words": self.template.words,
                "kinds": self.template.kinds,
                "bindings": [[path, sorted(readings)] for path, readings in self.bindings.items()],
                "fixed": [[path, value] for path, value in self.fixed.items()],
                "said": self.said,
                "chosen": [[path, value] for path, value in self.chosen.items()],
            },
            ensure_ascii=False,
        )

    @staticmethod
    def of(text: str) -> Induced:
        """What `text` made. Raises ValueError, KeyError or TypeError for anything else."""
        raw = json.loads(text)
        bindings = _bindings(json.dumps(raw["bindings"]))
        template = Template(tuple(raw["words"]), tuple(raw["kinds"]))
        fixed, chosen = ({tuple(path): value for path, value in raw[name]} for name in ("fixed", "chosen"))
        return Induced(template, bindings, fixed, tuple(raw["said"]), chosen)


@functools.lru_cache(ALIKE)
def _bindings(text: str) -> Mapping[Path, frozenset[Reading]]:
    """Bindings as JSON, read back: one object for the many tasks that have the same."""
    return {
        tuple(path): frozenset((tuple((int(i), str(w)) for i, w in parts), str(form)) for parts, form in readings)
        for path, readings in json.loads(text)
    }


def scalars(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every scalar, and every empty list and object, with the path that leads to it."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from scalars(item, (*path, str(key)))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from scalars(item, (*path, index))
    else:
        yield path, value


def rebuilt(items: Mapping[Path, Any]) -> Any:
    """The value that has these scalars."""
    if () in items:
        return items[()]
    grouped: dict[str | int, dict[Path, Any]] = {}
    for path, value in items.items():
        grouped.setdefault(path[0], {})[path[1:]] = value
    if all(isinstance(key, int) for key in grouped):
        return [rebuilt(grouped[index]) for index in range(len(grouped))]
    return {key: rebuilt(inner) for key, inner in grouped.items()}


def same(one: Any, other: Any) -> bool:
    """Whether two scalars are the same JSON; 1 is not true, and 1.0 is 1."""
    kinds = [(isinstance(value, bool), isinstance(value, str)) for value in (one, other)]
    return bool(kinds[0] == kinds[1] and one == other)


# From a solved task to a template


def induce(words: Sequence[str], spans: Sequence[Span], arguments: Any) -> Induced:
    """The template of a solved task.

    Raises:
        Unexplained: arguments are explained by words that overlap, or putting them back does not give the call.
    """
    leaves = dict(scalars(arguments))
    if len(leaves) > MAX_ARGUMENTS:
        raise Unexplained(f"it has more than {MAX_ARGUMENTS} arguments")
    explained = {path: found for path, value in leaves.items() if (found := _explanations(value, spans))}
    chosen = _chosen({span for found in explained.values() for parts, _ in found for span, _ in parts})
    place = {span: index for index, span in enumerate(chosen)}
    bindings: dict[Path, frozenset[Reading]] = {}
    for path, found in explained.items():
        readings = frozenset(
            (tuple((place[span], way) for span, way in parts), form)
            for parts, form in found
            if all(span in place for span, _ in parts)
        )
        if not readings:
            raise Unexplained(f"the words for {_name(path)} overlap those for another argument")
        bindings[path] = readings
    used = sorted({index for readings in bindings.values() for parts, _ in readings for index, _ in parts})
    if used != list(range(len(chosen))):
        raise Unexplained("words explain an argument only beside others")
    fixed = {path: value for path, value in leaves.items() if path not in bindings}
    template = Template(_with_slots(words, chosen), tuple(span.kind for span in chosen))
    picked = {
        path: leaves[path]
        for path, readings in bindings.items()
        if all(chosen[index].kind.startswith("choice ") for parts, _ in readings for index, _ in parts)
    }
    induced = Induced(template, bindings, fixed, tuple(span.said for span in chosen), picked)
    back = fill(bindings, fixed, chosen)
    if dict(scalars(back)) != leaves:
        raise Unexplained("putting the arguments back does not give the call")
    return induced


Explanation = tuple[tuple[tuple[Span, str], ...], str]


def _explanations(value: Any, spans: Sequence[Span]) -> list[Explanation]:
    """Every way in which spans say `value`."""
    if isinstance(value, bool) or value is None or isinstance(value, dict | list) or value == "":
        return []
    found: list[Explanation] = [
        (((span, way),), form)
        for span in spans
        for way, meant in span.ways
        for form, said in written(span, meant)
        if same(said, value)
    ]
    if not found and dated(value):
        found = [
            (((day, day_way), (clock, clock_way)), form)
            for day, clock in itertools.product(_of(spans, "date"), _of(spans, "time"))
            if day.end <= clock.begin or clock.end <= day.begin
            for (day_way, on), (clock_way, at) in itertools.product(day.ways, clock.ways)
            for form, write in MOMENT_FORMS.items()
            if write(on, at) == value
        ]
    return found


def _of(spans: Sequence[Span], kind: str) -> list[Span]:
    return [span for span in spans if span.kind == kind]


def _chosen(spans: Iterable[Span]) -> list[Span]:
    """Of spans that overlap the longest, of those with the same words the one of the first kind; in their order."""
    taken: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.begin - s.end, _rank(s.kind), s.begin, s.kind)):
        if all(span.end <= other.begin or other.end <= span.begin for other in taken):
            taken.append(span)
    return sorted(taken, key=lambda s: s.begin)


def _rank(kind: str) -> int:
    name = kind.split(" ")[0]
    return PRIORITY.index(name) if name in PRIORITY else len(PRIORITY)


def _with_slots(words: Sequence[str], chosen: Sequence[Span]) -> tuple[str | None, ...]:
    found: list[str | None] = []
    at = 0
    for span in chosen:
        found += [*words[at : span.begin], None]
        at = span.end
    return (*found, *words[at:])


def _name(path: Path) -> str:
    return ".".join(str(step) for step in path) or "the input"


# What solved tasks have in common


def in_common(bindings: Sequence[Mapping[Path, frozenset[Reading]]]) -> dict[Path, frozenset[Reading]]:
    """What is left of the readings of each argument when all solved tasks of a template are taken together.

    Readings of another sort ("Wednesday" where the other said "December 6") say nothing against each other beyond the
    slot and the form. An argument for which nothing is left has no readings.
    """
    merged: dict[Path, frozenset[Reading]] = {}
    for path in bindings[0]:
        by_sort: dict[tuple[str, ...], frozenset[Reading]] = {}
        plans: frozenset[tuple[tuple[int, ...], str]] | None = None
        for binding in bindings:
            readings = binding.get(path, frozenset())
            mine = frozenset(_plan(reading) for reading in readings)
            plans = mine if plans is None else plans & mine
            for sort in {_sort(reading) for reading in readings}:
                own = frozenset(reading for reading in readings if _sort(reading) == sort)
                by_sort[sort] = by_sort[sort] & own if sort in by_sort else own
        merged[path] = frozenset(r for own in by_sort.values() for r in own if _plan(r) in (plans or frozenset()))
    return merged


def _plan(reading: Reading) -> tuple[tuple[int, ...], str]:
    return tuple(index for index, _ in reading[0]), reading[1]


def _sort(reading: Reading) -> tuple[str, ...]:
    return tuple(way.partition(".")[0] for _, way in reading[0])


# From a template to arguments


def fill(bindings: Mapping[Path, frozenset[Reading]], fixed: Mapping[Path, Any], spans: Sequence[Span]) -> Any:
    """The arguments that a template makes of what stands in its slots.

    Raises:
        Unexplained: for one argument nothing, or more than one thing, is said.
    """
    values = dict(fixed)
    for path, readings in bindings.items():
        values[path] = _value(path, readings, spans)
    return rebuilt(values) if values else {}


SURE = ("iso", "full", "near", "half", "named", "digits", "name")
"""Sorts that can be read in one way only."""
OPEN = ("day", "weekday", "slashes", "clock")
"""Sorts with several ways: of one that was not seen, all of them have to say the same."""


def _value(path: Path, readings: frozenset[Reading], spans: Sequence[Span]) -> Any:
    found: list[Any] = []
    for slots in {tuple(index for index, _ in parts) for parts, _ in readings}:
        own = []
        for parts in itertools.product(*(spans[index].ways for index in slots)):
            for form in _forms(readings, slots, [way for way, _ in parts]):
                own.append(_written(spans, slots, [meant for _, meant in parts], form))
        own = [value for value in own if value is not None]
        if not own:
            said = " and ".join(repr(spans[index].said) for index in slots)
            raise Unexplained(f"{_name(path)}: {said} is of no sort that solved tasks show the meaning of")
        found += own
    if not found:
        raise Unexplained(f"{_name(path)}: solved tasks do not agree on what says it")
    if any(not same(found[0], other) for other in found[1:]):
        options = ", ".join(dict.fromkeys(repr(value) for value in found[:4]))
        raise Unexplained(f"{_name(path)} could be {options}")
    return found[0]


def _forms(readings: frozenset[Reading], slots: tuple[int, ...], ways: Sequence[str]) -> set[str]:
    """The forms in which slots read in these ways may be written."""
    parts = tuple(zip(slots, ways, strict=True))
    exact = {form for seen, form in readings if seen == parts}
    if exact:
        return exact
    sorts = [way.partition(".")[0] for way in ways]
    if any(list(_sort(reading)) == sorts for reading in readings):
        return set()
    if len(slots) > 1:
        known = all(s in SURE or any(p in seen for seen, _ in readings) for s, p in zip(sorts, parts, strict=True))
    else:
        known = sorts[0] in (*SURE, *OPEN)
    return (
        {form for seen, form in readings if tuple(i for i, _ in seen) == slots and form != "as written"}
        if known
        else set()
    )


def _written(spans: Sequence[Span], slots: tuple[int, ...], meant: Sequence[Any], form: str) -> Any:
    if len(slots) == 2:
        day, clock = meant
        return MOMENT_FORMS[form](day, clock) if isinstance(day, date) and isinstance(clock, time) else None
    return next((value for name, value in written(spans[slots[0]], meant[0]) if name == form), None)
