"""A task as words: what has to match, with case, spaces, commas, final punctuation and politeness left out."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from metier.memory import CAPITALS, FULL_WIDTH, VERBATIM

MAX_WORDS = 2_000
"""A longer task is not looked for in templates."""

_MARKS = str.maketrans("’‘ʼ“”„‚«»‹›`´", "'''''''''''''")
_TOKEN = re.compile(
    r"(?<=\w)'s\b"  # John's
    r"|\d+(?:[.,:]\d+)*(?!\w)"
    r"|\w+(?:'(?!s\b)\w+)*"
    r"|[^\w\s]"
)
_STOPS = frozenset(".?!;…")
_POLITE = (
    *(("can", "you"), ("could", "you"), ("would", "you")),
    *(("please",), ("kindly",), ("pls",)),
)
_POLITE_ENDS = (("thank", "you"), ("thanks",), ("please",))


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a task, in lower case but for quotations, and where each stands in it."""

    text: str
    """The task with its quotation marks, apostrophes and full-width characters as usual ones."""
    own: str
    """The same places in the user's own characters."""
    words: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def said(self, begin: int, end: int) -> str:
        """The text of the words from `begin` to before `end`, as it was written."""
        return self.own[self.starts[begin] : self.ends[end - 1]]


def words_of(task: str) -> Words:
    """`task` as its words. A sentence's end within is one word, `.`; a comma is none, unless it stands in a number."""
    own = unicodedata.normalize("NFC", task)
    usual = own.translate(FULL_WIDTH)
    text = usual.replace('"', "'").translate(_MARKS)
    quoted = bytearray(len(text))
    for quotation in VERBATIM.finditer(usual):
        quoted[quotation.start() : quotation.end()] = b"\1" * len(quotation[0])
    keep = frozenset() if text == text.upper() else frozenset(CAPITALS.findall(text))
    found = [
        (m[0] if quoted[m.start()] or m[0] in keep else m[0].casefold(), m.start(), m.end())
        for m in _TOKEN.finditer(text)
        if m[0] != "," or quoted[m.start()]
    ]
    found = _without_ends(found, text)
    words: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for word, start, end in found:
        stop = word in _STOPS and not quoted[start] and not (word == "!" and text[start - 1 : start].isdigit())
        if stop and words and words[-1] == ".":
            continue
        words.append("." if stop else word)
        starts.append(start)
        ends.append(end)
    return Words(text, own, tuple(words), tuple(starts), tuple(ends))


def phrase(text: str) -> tuple[str, ...]:
    """The words of a value or a name, for looking it up: `total_visits` and `Total visits` are the same."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("_", " "))
    return words_of(spaced).words


def _without_ends(found: list[tuple[str, int, int]], text: str) -> list[tuple[str, int, int]]:
    """Without quotes around it all, politeness at both ends, and what ends the last sentence."""
    while found:
        word, start, _ = found[-1]
        factorial = word == "!" and text[start - 1 : start].isdigit()
        if word in _STOPS and not factorial:
            found = found[:-1]
        elif word == "'" == found[0][0] and sum(1 for other, _, _ in found if other == "'") == 2 and len(found) > 2:
            found = found[1:-1]
        elif polite := _ends_politely([word for word, _, _ in found[-3:]]):
            found = found[:-polite]
        elif polite := _begins_politely([word for word, _, _ in found[:3]]):
            found = found[polite:]
        else:
            break
    return found


def _begins_politely(words: list[str]) -> int:
    return next((len(p) for p in _POLITE if tuple(words[: len(p)]) == p and len(words) > len(p)), 0)


def _ends_politely(words: list[str]) -> int:
    return next((len(p) for p in _POLITE_ENDS if tuple(words[-len(p) :]) == p and len(words) > len(p)), 0)
