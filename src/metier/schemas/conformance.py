"""JSON Schema 2020-12 as rules that count their steps, so that the work of one check has a bound of its own.

Schemas and values come from models and from their programs. A few lines of schema can ask for work without end (each
of 40 definitions twice the one before), and no library stops at a bound that is the same on every machine: the
compiled ones hold the interpreter until they are done. So each rule here says what it costs before it works.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

MAX_NESTING = 220
"""Schemas that may be applied within each other: two for each level of a value, and as many as fit on the stack."""
SLICE = 20_000
"""Steps between two looks at the clock: some milliseconds."""

Marks = set[Any]
"""Names of members, or indices of items, that some rule has looked at."""


class OutOfSteps(Exception):
    """A check took more steps than it may."""


class OutOfTime(Exception):
    """A check was not done at its deadline."""


class TooDeep(Exception):
    """More than MAX_NESTING schemas would be applied within each other."""


class Meter:
    """What one check has left. A step is one keyword at one value, one member or item that a keyword looks at, or 64
    characters that one reads: about a microsecond at most."""

    __slots__ = ("_deadline", "_left", "_reserve", "depth")

    def __init__(self, steps: int, seconds: float | None = None) -> None:
        self._left = min(steps, SLICE)
        self._reserve = steps - self._left
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self.depth = 0

    def enter(self) -> None:
        """Raises TooDeep."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise TooDeep

    def spend(self, steps: int) -> None:
        """Raises OutOfSteps or OutOfTime."""
        self._left -= steps
        if self._left < 0:
            left = self._left + self._reserve
            if left < 0:
                raise OutOfSteps
            if self._deadline is not None and time.monotonic() > self._deadline:
                raise OutOfTime
            self._left = min(left, SLICE)
            self._reserve = left - self._left


class Finding:
    """How a value breaks a schema. The words are made when they are wanted: most findings only rule out a branch."""

    __slots__ = ("_path", "_say")

    def __init__(self, say: Callable[[], str]) -> None:
        self._say = say
        self._path: list[str | int] = []

    def within(self, step: str | int) -> Finding:
        """The same, seen from the value that holds the one that breaks it."""
        self._path.append(step)
        return self

    def __str__(self) -> str:
        where = "/".join(shown_name(str(step)) for step in reversed(self._path))
        return f"at /{where}: {self._say()}" if where else self._say()


Rule = Callable[[Any, Meter], Finding | None]
Marker = Callable[[Any, Meter, Marks], None]
"""Adds to the marks what a keyword has looked at in a value that conforms."""


class Node:
    """One schema: its rules, those first that look no deeper, so that the outermost finding comes first."""

    __slots__ = ("markers", "rules")

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.markers: list[Marker] = []

    def check(self, value: Any, meter: Meter) -> Finding | None:
        """The first way in which the value breaks this schema; None when it conforms."""
        meter.spend(1 + len(self.rules))
        meter.enter()
        found = None
        for rule in self.rules:
            found = rule(value, meter)
            if found is not None:
                break
        meter.depth -= 1
        return found

    def mark(self, value: Any, meter: Meter, marks: Marks) -> None:
        meter.spend(1 + len(self.markers))
        meter.enter()
        for marker in self.markers:
            marker(value, meter, marks)
        meter.depth -= 1


# Words


def shown(value: Any, most: int = 240) -> str:
    """A value as JSON, cut short without being read to its end."""
    if isinstance(value, str) and len(value) > most:
        return f"{json.dumps(value[: most // 2], ensure_ascii=False)} … ({len(value)} characters)"
    if isinstance(value, list) and len(value) > 8:
        return f"an array of {len(value)} items"
    if isinstance(value, dict) and len(value) > 8:
        return f"an object of {len(value)} members"
    if isinstance(value, list):
        return f"[{', '.join(shown(item, most // 4) for item in value)}]" if most > 3 else "[…]"
    if isinstance(value, dict):
        members = (f"{shown(key, most // 4)}: {shown(item, most // 4)}" for key, item in value.items())
        return f"{{{', '.join(members)}}}" if most > 3 else "{…}"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 400:
        return f"an integer of {value.bit_length()} bits"
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return ascii(value)[:most]


def shown_name(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:60]}…"


def named(names: Iterable[str], word: str = ", ") -> str:
    """The first of some names, and how many more."""
    first = [shown_name(name) for name in itertools.islice(names, 6)]
    return word.join(first) if len(first) < 6 else f"{word.join(first[:5])} and more"


# Values


def kind_of(value: Any) -> str:
    """The JSON type; "integer" for each number without a fraction."""
    found = _KINDS.get(type(value))
    if found is not None:
        return found
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    return next((name for of, name in _KINDS.items() if isinstance(value, of)), "no JSON value")


_KINDS: Final[dict[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    dict: "object",
    list: "array",
    type(None): "null",
}
TYPES = frozenset({*_KINDS.values(), "number"})
_ENCODE = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def key_of(value: Any, meter: Meter) -> Any:
    """Equal for equal JSON values, and for those alone: 1 is 1.0 and is not true.

    Only texts are hashed, whose hashes nobody can foresee: a program can make those of numbers collide.
    """
    if isinstance(value, str):
        meter.spend(1 + len(value) // 64)
        return value
    return (_ENCODE(_plain(value, meter)),)


def _plain(value: Any, meter: Meter) -> Any:
    meter.spend(1)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item, meter) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item, meter) for name, item in value.items()}
    if isinstance(value, str):
        meter.spend(len(value) // 64)
    return value


def twin(items: list[Any], meter: Meter) -> tuple[Any] | None:
    """Some item that stands twice, in a tuple; None when all differ."""
    meter.spend(len(items))
    numbers: list[Any] = []
    seen: set[Any] = set()
    for item in items:
        if is_number(item):
            numbers.append(item)
            continue
        key = key_of(item, meter)
        if key in seen:
            return (item,)
        seen.add(key)
    meter.spend(len(numbers))
    numbers.sort()
    return next(((a,) for a, b in itertools.pairwise(numbers) if a == b), None)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
