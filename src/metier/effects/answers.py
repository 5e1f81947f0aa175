"""Values of databases as JSON, and how many of them an answer may have."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

from metier import schemas
from metier.effects.door import EffectError

MAX_ROWS: Final = 10_000
MARGIN: Final = 200
"""Bytes of an answer beyond its rows and the names of its columns."""

Answer = dict[str, Any]
"""`{"columns": [...], "rows": [[...]], "row_count": n}`; without rows the count is of those that were changed."""


def answer(columns: Sequence[str], rows: Iterable[Sequence[Any]], most_bytes: int) -> Answer:
    """All of the rows.

    Raises:
        EffectError: there are more than `MAX_ROWS`, or they have more than `most_bytes` as JSON.
    """
    kept: list[list[Any]] = []
    size = MARGIN + len(schemas.compact(list(columns)))
    for row in rows:
        kept.append([plain(value) for value in row])
        size += len(schemas.compact(kept[-1])) + 1
        if len(kept) > MAX_ROWS or size > most_bytes:
            raise EffectError("too_large", f"more than {MAX_ROWS} rows or {most_bytes} bytes; ask for less")
    return {"columns": list(columns), "rows": kept, "row_count": len(kept)}


def plain(value: Any) -> Any:
    """A value as JSON has it. What JSON has no word for is text as the database writes it: exact decimals, dates (in
    ISO 8601), numbers that are not finite. Bytes are `{"base64": text}`."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    return str(value)


def said(text: object) -> str:
    """What a database said, in one line."""
    return " ".join(str(text).split())[:300] or "the database gave no reason"
