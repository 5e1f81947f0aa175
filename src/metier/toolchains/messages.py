"""What a compiler said, fit for a model: the first errors with their lines, no colours, no paths of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

MAX_LINES: Final = 40
MAX_CHARACTERS: Final = 4_000
MAX_LINE: Final = 300

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def trimmed(said: str, places: Iterable[Path | str] = ()) -> str:
    """The beginning of it: up to so many lines and characters, without `places`, folders that are nobody's business."""
    for place in sorted(map(str, places), key=len, reverse=True):
        said = re.sub(rf"(?<![\w./-]){re.escape(place)}(/|(?![\w-]))", lambda found: "" if found[1] else ".", said)
    lines = [_line(line) for line in said.splitlines() if line.strip()]
    shown: list[str] = []
    left = MAX_CHARACTERS
    for line in lines[:MAX_LINES]:
        left -= len(line) + 1
        if left < 0:
            break
        shown.append(line)
    left_out = len(lines) - len(shown)
    return "\n".join([*shown, f"… {left_out} more lines"] if left_out else shown)


def _line(line: str) -> str:
    plain = _ESCAPES.sub("", line).rstrip()
    return plain if len(plain) <= MAX_LINE else f"{plain[:MAX_LINE]}…"
