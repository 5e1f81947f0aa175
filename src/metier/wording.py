"""How an output is put into words: templates that are filled, learned from an answer, or done without.

A template is literal text with placeholders: `{name}`, `{events.0.title}`, `{salary:,}`, `{share:.1%}`, and `{}` for an
output that is one value; `{{` and `}}` are braces. Filling looks values up and formats them; it evaluates nothing.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

NUMBER_FORMATS = (",", ".2f", ",.2f", ".1f", ",.1f", ".0f", ",.0f", ".0%", ".1%", ".2%")
"""Format specifications that a placeholder may have, as in Python. Where two write the same, the earlier is learned."""

MAX_READABLE_CHARACTERS = 20_000
MAX_LEARNED_CHARACTERS = 4_000
MAX_LEARNED_LEAVES = 500
MAX_MATCHES = 10_000
"""No template is learned from a longer answer, a larger output, or one that the answer repeats without end."""

_PIECE = re.compile(r"\{\{|\}\}|\{(?P<path>[^{}:]*)(?::(?P<format>[^{}]*))?\}|[{}]")
_UNNAMEABLE = re.compile(r"[{}.:]")
_ORDINAL = re.compile(r"(\d)(?:st|nd|rd|th|am|pm)$")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_CAPITAL = re.compile(r"(?<!\w)[^\W\d_]\w*")
_QUOTED = re.compile(r"[\"“«`]([^\"“”«»`]*)[\"”»`]|(?<!\w)['‘]([^'‘’]*)['’](?!\w)")
_WORD = re.compile(r"\w+")
_PART = re.compile(r"\d+")
_QUESTION = re.compile(
    r"\s*(is|are|was|were|am|do|does|did|has|have|had|can|could|will|would|should|may|might|must)\b", re.IGNORECASE
)
"""How a task begins that is answered by yes or no."""
_JUDGEMENTS = frozenset(
    """
    yes no not never none neither nor nobody all every everyone both only enough too already still yet
    more less most least fewer fewest than same different equal equally above below over under exceeds exceed
    higher highest lower lowest better best worse worst larger largest smaller smallest bigger biggest greater greatest
    longer longest shorter shortest older oldest younger youngest first last before after earlier later
    increased decreased rose fell up down
    """.split()
)
"""Words by which an answer says what somebody concluded from the values, and not what the values are."""

Leaf = tuple[str | None, Any]
"""A scalar in an output, and the path that leads to it; None where a key on the way cannot stand in a template."""


def fill(template: str, output: Any, input: Any = None) -> str | None:
    """`template` with the values of `output`, and of `input` where a path begins with `@`.

    None when a placeholder leads nowhere or to something else than a text, a finite number or a truth value, has a
    format that is not one of `NUMBER_FORMATS` or is for numbers only, or when braces do not pair.
    """
    parts: list[str] = []
    end = 0
    for piece in _PIECE.finditer(template):
        parts.append(template[end : piece.start()])
        end = piece.end()
        if piece["path"] is None:
            if len(piece[0]) == 1:
                return None
            parts.append(piece[0][0])
            continue
        path = piece["path"]
        value = look_up(input, path[1:]) if path.startswith("@") else look_up(output, path)
        written = write(value, piece["format"] or "")
        if written is None:
            return None
        parts.append(written)
    return "".join(parts) + template[end:]


def placeholders(template: str) -> set[str]:
    """The paths that a template reads."""
    return {piece["path"] for piece in _PIECE.finditer(template) if piece["path"] is not None}


def look_up(output: Any, path: str) -> Any:
    """The value at a dotted path; None when there is none."""
    value = output
    for step in path.split(".") if path else ():
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdecimal() and len(step) < 10:
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None
    return value


def write(value: Any, format: str) -> str | None:
    """One scalar as text; None when it is no scalar, or the format does not fit it."""
    if format not in ("", *NUMBER_FORMATS):
        return None
    if isinstance(value, (bool, str)):
        return None if format else value if isinstance(value, str) else str(value).lower()
    if not isinstance(value, (int, float)) or not _writable(value):
        return None
    return f"{value:{format}}" if format else str(value)


def leaves(output: Any) -> Iterator[Leaf]:
    """Every scalar in `output`, in its order."""
    stack: list[tuple[tuple[str, ...], Any]] = [((), output)]
    while stack:
        steps, value = stack.pop()
        if isinstance(value, dict):
            stack.extend(reversed([((*steps, str(key)), item) for key, item in value.items()]))
        elif isinstance(value, list):
            stack.extend(reversed([((*steps, str(index)), item) for index, item in enumerate(value)]))
        else:
            nameable = all(step and not _UNNAMEABLE.search(step) for step in steps)
            yield (".".join(steps) if nameable else None), value


def _writable(value: int | float) -> bool:
    """Finite, and small enough to be written in any format."""
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 10**300


# Learning a template


@dataclass(frozen=True, slots=True)
class _Match:
    """A place in an answer that one leaf of the output writes, under one format."""

    start: int
    end: int
    path: str | None
    format: str
    number: bool

    def placeholder(self) -> str:
        return f"{{{self.path}:{self.format}}}" if self.format else f"{{{self.path}}}"


def learn_template(answer: str, output: Any, task: str, input: Any = None) -> str | None:
    """The template that writes `answer` out of `output`, or None where none is safe to fill with another output.

    Whole words and numbers of the answer that exactly one leaf of the output writes become placeholders, the longest
    first. It is safe when the text that stays has no number that is not among the arguments in `input`, no quotation or
    capitalised word (but at the beginning of a sentence) that is not in the task, and no judgement (yes, more, enough):
    whoever answered made it over the old values. It must have a placeholder, and filling it gives the answer back.
    What only an argument writes becomes a placeholder too, `{@name}`.
    """
    if _QUESTION.match(task):
        return None
    given = ((f"@{path}" if path else None, value) for path, value in leaves(input) if not isinstance(value, bool))
    found = [*leaves(output), *(leaf for leaf in given if leaf[0] is not None)]
    if len(answer) > MAX_LEARNED_CHARACTERS or len(found) > MAX_LEARNED_LEAVES:
        return None
    template, literals, end = "", [], 0
    for match in _chosen(answer, found):
        literals.append(answer[end : match.start])
        template += _escaped(literals[-1]) + match.placeholder()
        end = match.end
    literals.append(answer[end:])
    template += _escaped(literals[-1])
    shows = any(not path.startswith("@") for path in placeholders(template))
    safe = shows and _nothing_stale(literals, task, input)
    return template if safe and fill(template, output, input) == answer else None


def literal_words(template: str) -> set[str]:
    """The words of a template that stand in every text it makes, in lower case."""
    return set(_WORD.findall(_PIECE.sub(" ", template).casefold()))


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _chosen(answer: str, found: list[Leaf]) -> list[_Match]:
    """Matches that do not overlap and that one leaf alone explains, in the order of the answer."""
    every = (match for path, value in found for match in _matches(answer, path, value))
    matches = list(itertools.islice(every, MAX_MATCHES + 1))
    if len(matches) > MAX_MATCHES:
        return []
    matches.sort(key=lambda m: (m.start - m.end, m.start))
    taken = bytearray(len(answer))
    owners: defaultdict[tuple[int, int], set[str | None]] = defaultdict(set)
    numbers: defaultdict[int, set[str | None]] = defaultdict(set)
    for match in matches:
        owners[match.start, match.end].add(match.path)
        if match.number:
            numbers[match.start].add(match.path)
    chosen = []
    for match in matches:
        if any(taken[match.start : match.end]):
            continue
        taken[match.start : match.end] = b"\1" * (match.end - match.start)
        writers = owners[match.start, match.end] | numbers[match.start]
        rivals = {path for path in writers if path is None or not path.startswith("@")} or writers
        if len(rivals) == 1 and match.path in rivals and match.path is not None:
            chosen.append(match)
    return sorted(chosen, key=lambda m: m.start)


def _matches(answer: str, path: str | None, value: Any) -> Iterator[_Match]:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    seen: set[str] = set()
    for format in ("", *NUMBER_FORMATS) if number else ("",):
        text = write(value, format)
        if not text or text in seen or (number and not _faithful(value, format)):
            continue
        seen.add(text)
        start = answer.find(text)
        while start >= 0:
            end = start + len(text)
            if _whole(answer, start, end, number=number):
                yield _Match(start, end, path, format, number)
            start = answer.find(text, start + 1)


def _faithful(value: float, format: str) -> bool:
    """Whether a format tells enough of a number to be learned: 0.4 is not meant by 0, nor 3 by 300%."""
    if format.endswith("%"):
        return isinstance(value, float)
    return format not in (".0f", ",.0f") or abs(value) >= 1


def _whole(text: str, start: int, end: int, *, number: bool) -> bool:
    """Whether text[start:end] begins and ends where a word or a number does."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if text[start].isalnum() and before and (before[-1].isalnum() or before[-1] == "_"):
        return False
    if text[end - 1].isalnum() and after and (after[0].isalnum() or after[0] == "_"):
        return False
    if not number:
        return True
    continued_left = bool(before) and (before[-1] in "-−" or (before[-1] in ".,:/" and before[:-1].isdigit()))
    continued_right = len(after) == 2 and after[0] in ".,:/-−" and after[1].isdigit()
    return not continued_left and not continued_right


def _nothing_stale(literals: list[str], task: str, input: Any) -> bool:
    arguments = " ".join(str(value) for _, value in leaves(input))
    known_numbers, known_text = number_words(arguments), task.casefold()
    known_words = set(_WORD.findall(known_text))
    for position, literal in enumerate(literals):
        if any(token not in known_numbers for token in number_words(literal)):
            return False
        if not _JUDGEMENTS.isdisjoint(_WORD.findall(literal.casefold().replace("n't", " not"))):
            return False
        if any(word.casefold() not in known_words for word in capitalised(literal, beginning=position == 0)):
            return False
    whole = "\0".join(literals)
    quotations = (a or b for a, b in _QUOTED.findall(whole))
    return all("\0" in quotation or quotation.casefold() in known_text for quotation in quotations)


# Numbers and names in a text


def number_words(text: str) -> set[str]:
    """Every word of `text` that has a digit in it, `85000` for 85,000, and the numbers in dates, times and ranges."""
    found: set[str] = set()
    for start, end in _digit_spans(text):
        token = text[start:end]
        found.add(plain_number(token))
        found.update(_PART.findall(token) if compound(token) else ())
    return found


def number_tokens(text: str) -> list[tuple[str, bool]]:
    """The words of `text` that have a digit in them, as `plain_number` writes them, and whether a % follows."""
    return [
        (plain_number(text[start:end]), text[end : end + 2].lstrip().startswith("%"))
        for start, end in _digit_spans(text)
    ]


def plain_number(token: str) -> str:
    """A number word without thousands separators, without the ending of 24th and 9am, and in lower case."""
    return _ORDINAL.sub(r"\1", _THOUSANDS.sub("", token.casefold()))


def compound(token: str) -> bool:
    """Whether a number word is a date, a time or a range rather than one number."""
    return any(mark in token for mark in ":/-")


def _digit_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where words with digits are; those that one of `.,:/-` joins are one: 85,000.50 or 2026-11-24."""
    start = end = -1
    for word in _WORD.finditer(text):
        if not any(character.isdigit() for character in word[0]):
            continue
        if start >= 0 and word.start() == end + 1 and text[end] in ".,:/-":
            end = word.end()
            continue
        if start >= 0:
            yield start, end
        start, end = word.span()
    if start >= 0:
        yield start, end


def capitalised(text: str, *, beginning: bool) -> list[str]:
    """Capitalised words of `text` where no sentence or line begins. `beginning`: whether one does at its start."""
    found = []
    for match in _CAPITAL.finditer(text):
        window = text[max(0, match.start() - 20) : match.start()]
        before = window.rstrip(" \t\"'“‘(*_-•")
        starts = before[-1] in ".!?\n" if before else beginning and len(window) == match.start()
        if match[0][0].isupper() and not starts and match[0] != "I":
            found.append(match[0])
    return found


# Without a template


def readable(output: Any) -> str:
    """`output` for a reader: one value as it is, an object as `key: value` lines, what is nested indented beneath.

    At most `MAX_READABLE_CHARACTERS`; a longer text says how much is left out.
    """
    text = "\n".join(_lines(output))
    if len(text) <= MAX_READABLE_CHARACTERS:
        return text
    return f"{text[:MAX_READABLE_CHARACTERS]}\n… ({len(text) - MAX_READABLE_CHARACTERS} more characters)"


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict) and value:
        return [line for key, item in value.items() for line in _entry(f"{key}:", item, indent="  ")]
    if isinstance(value, list) and value:
        return [line for item in value for line in _entry("-", item, indent="  ")]
    if isinstance(value, str):
        return value.split("\n")
    return [json.dumps(value, ensure_ascii=False)]


def _entry(label: str, item: Any, *, indent: str) -> list[str]:
    lines = _lines(item)
    nested = isinstance(item, (dict, list)) and bool(item)
    if label == "-" or (len(lines) == 1 and not nested):
        return [f"{label} {lines[0]}".rstrip(), *(indent + line for line in lines[1:])]
    return [label, *(indent + line for line in lines)]
