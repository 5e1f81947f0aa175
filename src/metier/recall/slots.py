"""What in a task may be an argument: typed spans of its words, each with the ways in which it can be read.

A span is read in `ways` ("December 6" is that day of this year, the next or the last one), and what was read is written
in `forms` ("2026-12-06", 6). Which way and form a capability's argument takes is learned from solved tasks; as long as
two of them remain that say different things, nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from metier.recall.moments import DATE_FORMS, TIME_FORMS, dates, times
from metier.recall.words import Words

MAX_QUOTES = 24
MAX_DIGITS = 30


@dataclass(frozen=True, slots=True)
class Span:
    """Words `begin` to before `end` as a value of one kind. `ways`: what they mean, by the way they are read."""

    begin: int
    end: int
    kind: str
    ways: tuple[tuple[str, Any], ...]
    said: str


@dataclass(frozen=True, slots=True)
class Said:
    """A value that is written as it stands in the task."""

    text: str


def typed_spans(words: Words, now: datetime) -> list[Span]:
    """Every span that is a value by its form alone: numbers, dates, times, durations, money, quotations, e-mails."""
    starts = {start: index for index, start in enumerate(words.starts)}
    ends = {end: index + 1 for index, end in enumerate(words.ends)}
    found = []
    for start, end, kind, ways in _recognised(words.text, words.own, now):
        if start in starts and end in ends and starts[start] < ends[end]:
            found.append(Span(starts[start], ends[end], kind, tuple(ways), words.own[start:end]))
    return found


Recognised = tuple[int, int, str, list[tuple[str, Any]]]


def _recognised(text: str, own: str, now: datetime) -> Iterator[Recognised]:
    yield from _numbers(text)
    yield from _durations(text)
    yield from _money(text)
    yield from _emails(text)
    yield from _quotations(text, own)
    yield from dates(text, now)
    yield from times(text)


# Numbers

_ONE_MEANING = r"(?![1-9][0-9]{0,2}\.[0-9]{3}(?![0-9]))"
"""1.200 is a little more than one, or twelve hundred, depending on who writes it."""
_NUMBER = re.compile(
    rf"(?<![\w.,:/])(?:(?<!\w)-)?{_ONE_MEANING}[0-9]+(?:,[0-9]{{3}})*(?:\.[0-9]+)?(?![\w:/]|[.,][0-9])"
)
_NAMED = {
    name: value
    for value, name in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "hundred": 100}
_NAMED_NUMBER = re.compile(rf"(?<![\w-])({'|'.join(_NAMED)})(?![\w-])", re.IGNORECASE)
_PERCENT = re.compile(rf"(?<![\w.,:/-]){_ONE_MEANING}([0-9]+(?:\.[0-9]+)?)\s?%")


def _numbers(text: str) -> Iterator[Recognised]:
    for match in _NUMBER.finditer(text):
        if len(match[0]) <= MAX_DIGITS:
            yield match.start(), match.end(), "number", [("digits", _decimal(match[0]))]
    for match in _NAMED_NUMBER.finditer(text):
        yield match.start(), match.end(), "number", [("name", Decimal(_NAMED[match[0].lower()]))]
    for match in _PERCENT.finditer(text):
        if len(match[0]) <= MAX_DIGITS:
            yield match.start(), match.end(), "percent", [("percent", Decimal(match[1]))]


def _decimal(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


# Durations: one in a unit that no solved task had is not known to be meant; days and longer stay words.

_SECONDS = {"second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "hr": 3600, "h": 3600}
_DURATION = re.compile(
    rf"(?<![\w.,:/-])(?P<count>{_ONE_MEANING}[0-9]+(?:\.[0-9]+)?|one|two|three|four|five|six)[ -]?"
    r"(?P<unit>seconds?|secs?|"
    r"minutes?|mins?|hours?|hrs?|h)(?!\w)",
    re.IGNORECASE,
)


def _durations(text: str) -> Iterator[Recognised]:
    for match in _DURATION.finditer(text):
        count, unit = match["count"].lower(), match["unit"].lower()
        if len(count) > MAX_DIGITS:
            continue
        number = Decimal(count) if count[0].isdigit() else Decimal(_NAMED[count])
        per = _SECONDS[unit if unit == "h" else unit.rstrip("s")]
        yield match.start(), match.end(), "duration", [(f"in {per}.only", number * per)]


# Money: another currency is another kind.

_CURRENCIES = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}
_CODES = "USD|EUR|GBP|JPY|CHF|CAD|AUD|INR|CNY"
_MONEY = re.compile(
    rf"(?<![\w.,:/-])(?:(?P<sign>[$€£¥])\s?(?P<after>{_ONE_MEANING}[0-9]+(?:,[0-9]{{3}})*(?:\.[0-9]+)?)|"
    rf"(?P<before>{_ONE_MEANING}[0-9]+(?:,[0-9]{{3}})*(?:\.[0-9]+)?)\s?(?P<code>{_CODES}|dollars|euros))(?![\w:/]|[.,][0-9])",
    re.IGNORECASE,
)
_NAMES = {"DOLLARS": "USD", "EUROS": "EUR"}


def _money(text: str) -> Iterator[Recognised]:
    for match in _MONEY.finditer(text):
        amount = match["after"] or match["before"]
        if len(amount) <= MAX_DIGITS:
            code = _CURRENCIES[match["sign"]] if match["sign"] else match["code"].upper()
            yield match.start(), match.end(), f"money {_NAMES.get(code, code)}", [("amount", _decimal(amount))]


# E-mails and quotations

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+){1,8}(?![\w-])")


def _emails(text: str) -> Iterator[Recognised]:
    for match in _EMAIL.finditer(text):
        yield match.start(), match.end(), "email", [("address", Said(match[0]))]


def _quotations(text: str, own: str) -> Iterator[Recognised]:
    """Each quotation, with quotations within it where they pair: else what stands between two of them would be in."""
    marks = [
        (match.start(), sides) for match in re.finditer("'", text) if (sides := _sides(text, match.start())) is not None
    ][:MAX_QUOTES]
    for first, (start, opens) in enumerate(marks):
        depth = 0
        for at, opening in marks[first:] if opens else ():
            depth += 1 if opening else -1
            if depth == 0:
                inner = own[start + 1 : at]
                ways = [("quotation", Said(inner))] if inner.strip() else []
                if ways and "\\" in inner:
                    ways.append(("escaped", Said(inner.replace("\\n", "\n").replace("\\t", "\t"))))
                if ways and not _broken(text, start, at):
                    yield start, at + 1, "quoted", ways
                break


def _broken(text: str, start: int, end: int) -> bool:
    """Whether a quotation has a mark inside that may begin or end one, so that it may be two."""
    return any(
        text[at] == "'" and _sides(text, at) is None and not (text[at - 1].isalnum() and text[at + 1].isalnum())
        for at in range(start + 1, end)
    )


def _sides(text: str, at: int) -> bool | None:
    """Whether a mark opens a quotation; None where it is an apostrophe or could do either."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    left = not before or before.isspace() or before in "([{:"
    right = not after or after.isspace() or after in ".,;:?!)]}"
    return left if left != right else None


# Forms


def _whole(number: Decimal) -> int | None:
    return int(number) if number == number.to_integral_value() and abs(number) < 10**18 else None


def _number(number: Decimal) -> int | float:
    whole = _whole(number)
    return whole if whole is not None else float(number)


NUMBER_FORMS: dict[str, Callable[[Any], Any]] = {
    "number": _number,
    "text": lambda number: str(_number(number)),
}
FORMS: dict[str, dict[str, Callable[..., Any]]] = {
    "number": NUMBER_FORMS,
    "money": NUMBER_FORMS,
    "percent": NUMBER_FORMS | {"share": lambda number: float(number / 100)},
    "duration": {
        f"{unit}{suffix}": (lambda seconds, per=per, write=write: write(seconds / per))
        for unit, per in (("seconds", 1), ("minutes", 60), ("hours", 3600))
        for suffix, write in (("", _number), (" text", lambda number: str(_number(number))))
    },
    "date": DATE_FORMS,
    "time": TIME_FORMS,
}
"""How what was read may be written in an argument, by kind; what is `Said` is written as it is, and is no form here."""

MOMENT_FORMS: dict[str, Callable[[date, time], Any]] = {
    "moment": lambda day, clock: f"{day:%Y-%m-%d} {clock:%H:%M:%S}",
    "moment T": lambda day, clock: f"{day:%Y-%m-%d}T{clock:%H:%M:%S}",
    "moment short": lambda day, clock: f"{day:%Y-%m-%d} {clock:%H:%M}",
    "moment T short": lambda day, clock: f"{day:%Y-%m-%d}T{clock:%H:%M}",
    "moment Z": lambda day, clock: f"{day:%Y-%m-%d}T{clock:%H:%M:%S}Z",
}
"""How a day and a time may be written in one argument."""


def written(span: Span, meant: Any) -> Iterator[tuple[str, Any]]:
    """What an argument may be that says `meant`, one way of reading `span`, by form."""
    if isinstance(meant, Said):
        yield "said", meant.text
        return
    for form, write in FORMS.get(span.kind.split(" ")[0], {}).items():
        yield form, write(meant)
    yield "as written", span.said
