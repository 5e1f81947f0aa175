"""Two texts beside each other, line by line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

CONTEXT = 4
"""Lines that are the same and shown around those that are not."""
MAX_LINES = 4_000
"""Lines of a text that are compared; difflib takes the square of it in the worst case."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line on each side, with its number; None where a side has none. `kind` is "same", "changed", "removed",
    "added", or "gap" for lines that are left out."""

    kind: str
    old: tuple[int, str] | None = None
    new: tuple[int, str] | None = None


def side_by_side(old: str, new: str) -> list[Row]:
    """The rows of a comparison, with some lines around each change."""
    before, after = _lines(old), _lines(new)
    rows: list[Row] = []
    for group in difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(CONTEXT):
        if group[0][1] > 0 or group[0][3] > 0 or rows:
            rows.append(Row("gap"))
        for tag, a, b, c, d in group:
            rows += _rows(tag, list(enumerate(before[a:b], a + 1)), list(enumerate(after[c:d], c + 1)))
    return rows


def _rows(tag: str, old: list[tuple[int, str]], new: list[tuple[int, str]]) -> Iterator[Row]:
    for number in range(max(len(old), len(new))):
        left = old[number] if number < len(old) else None
        right = new[number] if number < len(new) else None
        kind = "same" if tag == "equal" else "changed" if left and right else "removed" if left else "added"
        yield Row(kind, left, right)


def _lines(text: str) -> list[str]:
    """Lines as compilers see them. `str.splitlines` knows more ends of lines, behind which a comment would look like
    code."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n") if text else []
    return [*lines[:MAX_LINES], "…"] if len(lines) > MAX_LINES else lines
