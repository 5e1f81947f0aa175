"""JSON text, strict and bounded: what is read can be written and shown again, and takes only so much memory."""

from __future__ import annotations

import functools
import json
import math
import re
import sys
from typing import Any

MAX_DEPTH = 100
"""Levels of nesting in a JSON text; deeper is refused by name instead of by a RecursionError."""
MAX_MEMORY = 56 * 2**20
"""Bytes that one text and its values may take, as `_check_size` reckons them."""
BYTES_PER_CHARACTER = 48
"""No text makes more memory of one of its characters."""

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False)
"""What contains itself ends in a RecursionError; looking out for it takes a fifth of the time."""
_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


class InvalidJson(ValueError):
    """One line: what is wrong with the text, and where."""


def parse(text: str | bytes, *, what: str, most: int = MAX_MEMORY) -> Any:
    """The one JSON value in `text`. Duplicate keys, numbers that are no finite number, integers of more than 4300
    digits, halves of surrogate pairs, a second value and deep nesting are errors, and so are a text and values that
    would together take more than some `most` bytes of memory.

    Raises:
        InvalidJson: with `what` (for example "the input") as its subject.
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise InvalidJson(f"{what} is not UTF-8 (byte {error.start})") from None
    if decoded.startswith("\ufeff"):
        raise InvalidJson(f"{what} is not JSON: it begins with a byte order mark (BOM)")
    if not decoded or decoded.isspace():
        raise InvalidJson(f"{what} is empty; one JSON value is expected")
    _check_size(decoded, what, most)
    try:
        value = _decoder().decode(decoded)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise InvalidJson(f"{what} has something after the JSON value (line {error.lineno})") from None
        raise InvalidJson(f"{what} is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except ValueError as error:
        problem = str(error)
        if "integer string conversion" in problem:  # the interpreter's own words advise to lift its limit
            problem = f"an integer has more than {sys.get_int_max_str_digits()} digits"
        raise InvalidJson(f"{what} is not JSON: {problem}") from None
    if _has_half_pair(decoded, value):
        raise InvalidJson(f"{what} has half of a surrogate pair, which no UTF-8 text can hold")
    return value


@functools.cache
def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_no_constant, parse_float=_finite)


def canonical(value: Any) -> str:
    """`value` as JSON text that is the same for equal values: sorted keys, no spaces, no escapes beyond need."""
    return _CANONICAL.encode(value)


def compact(value: Any) -> str:
    """`value` as JSON text with its own key order."""
    return _COMPACT.encode(value)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} stands twice")
    return value


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits:.40} is too large a number")
    return value


_HALF = re.compile("[\ud800-\udfff]")
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def _has_half_pair(text: str, value: Any) -> bool:
    if not text.isascii() and _HALF.search(text):
        return True
    if not _ESCAPED_HALF.search(text):
        return False
    left = [value]
    while left:
        at = left.pop()
        if isinstance(at, str) and _HALF.search(at):
            return True
        if isinstance(at, dict):
            left += at
            left += at.values()
        elif isinstance(at, list):
            left += at
    return False


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


_TOKENS = re.compile(
    r"""
    " (?: (?P<plain> [ !#-\[\]-~]*+ ) " | (?P<other> (?: [^"\\]++ | \\. )*+ ) "? ) (?P<colon> \s*+ : )?
    | [\[\]{},]
    """,
    re.DOTALL | re.VERBOSE,
)
"""Strings, so that what looks like structure in them is passed over, and structure."""
KEYS = 4096
"""Keys that are known to stand several times: the parser makes one string of those."""


def _check_size(text: str, what: str, most: int) -> None:
    """Raises InvalidJson for a text whose values are nested too deep, or would take more than `most` bytes with it.

    Reckoned is what CPython takes at most: for a slot and a number 41, a string 80 and its characters, an array or
    object 72, an object's first member 135 and another 45, a key that was not there before 180 and its characters;
    and while the largest object is made, 65 a member more.
    """
    if len(text) * BYTES_PER_CHARACTER <= most and text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    width = 4 if "\\u" in text else _width(text)
    taken, members, largest = sys.getsizeof(text) + 41, 0, 0
    open_members: list[int] = []
    keys: set[str] = set()
    for token in _TOKENS.finditer(text):
        group = token.lastgroup
        if group is None:
            sign = token.group()
            if sign == ",":
                taken += 41
            elif sign in "[{":
                taken += 113
                open_members.append(members)
                members = 0
                if len(open_members) > MAX_DEPTH:
                    raise InvalidJson(f"{what} is nested deeper than {MAX_DEPTH} levels")
            elif open_members:
                largest = max(largest, members)
                members = open_members.pop()
        elif group == "colon":
            start, end = token.span()
            taken += 45 if members else 135
            members += 1
            key = text[start:end] if end - start <= 64 else None
            if key is None or key not in keys:
                taken += 180 + (end - start) * width
                if key is not None and len(keys) < KEYS:
                    keys.add(key)
        else:
            start, end = token.span()
            taken += 80 + (end - start) * (1 if group == "plain" else width)
        if taken + 65 * max(largest, members) > most:
            raise InvalidJson(f"{what} holds more values than fit in {most} bytes of memory")


def _width(text: str) -> int:
    """Bytes a character: 1, 2 or 4."""
    size = sys.getsizeof(text)
    return 4 if size >= 4 * len(text) else 2 if size >= 2 * len(text) else 1
