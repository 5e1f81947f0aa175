"""Text that somebody else chose, fit to be shown: nothing in it steers a terminal or hides from a reader."""

from __future__ import annotations


def visible(text: str, *, keep: str = "") -> str:
    """`text` with every character that is not printable, but for those in `keep`, as its `\\uXXXX` escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else f"\\u{ord(c):04x}" for c in text)
