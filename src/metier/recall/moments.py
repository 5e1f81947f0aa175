"""Dates and times in a task, in every way that they can be meant, by the run's clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

MONTHS = "january february march april may june july august september october november december".split()
WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()

_MONTH = "|".join([*MONTHS, *(month[:3] for month in MONTHS), "sept"])
_YEAR = r"(?:,?\s+(?P<year>(?:19|20)[0-9][0-9]))?"
_ISO = re.compile(r"(?<![\w/-])([0-9]{4})-([0-9][0-9])-([0-9][0-9])(?![\w/-])")
_MONTH_DAY = re.compile(
    rf"(?<!\w)(?P<month>{_MONTH})\.?\s+(?:the\s+)?(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?(?![\w:]|[.,][0-9]){_YEAR}(?!\w)",
    re.IGNORECASE,
)
_DAY_MONTH = re.compile(
    rf"(?<![\w.,:/-])(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month>{_MONTH})\b{_YEAR}(?!\w)",
    re.IGNORECASE,
)
_SLASHES = re.compile(r"(?<![\w./-])([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})(?![\w/-])")
_WEEKDAY = re.compile(rf"(?<!\w)({'|'.join(WEEKDAYS)})(?!\w)", re.IGNORECASE)
_NEAR = {"today": 0, "tomorrow": 1, "yesterday": -1}
_NEAR_DAY = re.compile(r"(?<!\w)(today|tomorrow|yesterday)(?!\w)", re.IGNORECASE)
_CLOCK = re.compile(
    r"(?<![\w.,/:-])(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9][0-9])(?::(?P<second>[0-9][0-9]))?)?"
    r"(?:\s?(?P<half>[ap])\.?m\.?(?!\w))?(?![\w/:%-]|[.,][0-9])",
    re.IGNORECASE,
)
_NOON = re.compile(r"(?<!\w)(noon|midday|midnight)(?!\w)", re.IGNORECASE)

MOVING = re.compile(
    rf"(?<!\w)(?:{'|'.join(WEEKDAYS)}|{'|'.join(w[:3] for w in WEEKDAYS)}|{_MONTH}|today|tonight|tomorrow|yesterday|"
    r"now|currently|recent|recently|latest|ago|since|until|till|upcoming|"
    r"(?:last|next|this|past|previous|coming|current) "
    r"(?:\S+ )?(?:days?|weeks?|months?|quarters?|years?|weekend|hours?|minutes?|morning|afternoon|evening|night|spring|"
    r"summer|autumn|fall|winter))(?!\w)",
    re.IGNORECASE,
)
"""Words whose meaning moves with the clock."""

Recognised = tuple[int, int, str, list[tuple[str, Any]]]


def dates(text: str, now: datetime) -> Iterator[Recognised]:
    """Every date, with what it may mean. A way is named `sort.choice`: the sorts `iso`, `full` and `near` have one."""
    today = now.date()
    for match in _ISO.finditer(text):
        yield from _date(match, "iso", [("only", _day(int(match[1]), int(match[2]), int(match[3])))])
    for match in (*_MONTH_DAY.finditer(text), *_DAY_MONTH.finditer(text)):
        month, day = _month(match["month"]), int(match["day"])
        if match["year"]:
            yield from _date(match, "full", [("only", _day(int(match["year"]), month, day))])
            continue
        around = [_day(today.year + k, month, day) for k in (-1, 0, 1)]
        known = [d for d in around if d is not None]
        choices = [
            ("this year", around[1]),
            ("next", next((d for d in known if d >= today), None)),
            ("last", next((d for d in reversed(known) if d <= today), None)),
        ]
        yield from _date(match, "day", choices)
    for match in _SLASHES.finditer(text):
        one, two, year = (int(part) for part in match.groups())
        yield from _date(match, "slashes", [("month first", _day(year, one, two)), ("day first", _day(year, two, one))])
    for match in _WEEKDAY.finditer(text):
        ahead = (WEEKDAYS.index(match[0].lower()) - today.weekday()) % 7
        monday = today - timedelta(days=today.weekday())
        steps = {
            "from today": today + timedelta(days=ahead),
            "after today": today + timedelta(days=ahead or 7),
            "before today": today - timedelta(days=(7 - ahead) % 7 or 7),
            "this week": monday + timedelta(days=WEEKDAYS.index(match[0].lower())),
            "next week": monday + timedelta(days=7 + WEEKDAYS.index(match[0].lower())),
            "last week": monday + timedelta(days=-7 + WEEKDAYS.index(match[0].lower())),
        }
        yield from _date(match, "weekday", list(steps.items()))
    for match in _NEAR_DAY.finditer(text):
        yield from _date(match, "near", [("only", today + timedelta(days=_NEAR[match[0].lower()]))])


def _date(match: re.Match[str], sort: str, choices: list[tuple[str, date | None]]) -> Iterator[Recognised]:
    ways = [(f"{sort}.{choice}", day) for choice, day in choices if day is not None]
    if ways and (len(ways) == len(choices) or sort in ("day", "slashes")):
        yield match.start(), match.end(), "date", ways


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _month(name: str) -> int:
    return next(number for number, month in enumerate(MONTHS, 1) if month.startswith(name.lower()[:3]))


def times(text: str) -> Iterator[Recognised]:
    """Every time of day. `3:30` may be meant as it is, or as one of an office day, from 8 to 19 o'clock."""
    for match in _CLOCK.finditer(text):
        hour, minute, second = int(match["hour"]), int(match["minute"] or 0), int(match["second"] or 0)
        if minute > 59 or second > 59 or hour > 23 or (match["half"] and not 1 <= hour <= 12):
            continue
        if match["half"]:
            late = match["half"].lower() == "p"
            ways = [("half.only", time(hour % 12 + (12 if late else 0), minute, second))]
        else:
            ways = [
                ("clock.as it is", time(hour, minute, second)),
                ("clock.office", time(hour + 12 if 1 <= hour < 8 else hour, minute, second)),
                ("clock.afternoon", time(hour + 12 if 1 <= hour < 12 else hour, minute, second)),
            ]
        yield match.start(), match.end(), "time", [*ways]
    for match in _NOON.finditer(text):
        yield match.start(), match.end(), "time", [("named.only", time(0 if match[0].lower() == "midnight" else 12))]


DATE_FORMS: dict[str, Callable[[Any], Any]] = {
    "date": lambda day: day.isoformat(),
    "date compact": lambda day: f"{day:%Y%m%d}",
    "midnight": lambda day: f"{day.isoformat()} 00:00:00",
    "midnight T": lambda day: f"{day.isoformat()}T00:00:00",
    "midnight Z": lambda day: f"{day.isoformat()}T00:00:00Z",
    "date slashes": lambda day: f"{day:%m/%d/%Y}",
    "date slashes day first": lambda day: f"{day:%d/%m/%Y}",
    "year": lambda day: day.year,
    "month": lambda day: day.month,
    "day": lambda day: day.day,
}
TIME_FORMS: dict[str, Callable[[Any], Any]] = {
    "time": lambda clock: f"{clock:%H:%M}",
    "time seconds": lambda clock: f"{clock:%H:%M:%S}",
    "hour": lambda clock: clock.hour if clock.minute == clock.second == 0 else None,
    "minute of day": lambda clock: clock.hour * 60 + clock.minute,
}

_DATED = re.compile(r"(?<![0-9])(?:19|20)[0-9][0-9]-?[01][0-9](?:-?[0-3][0-9])?(?![0-9])")


def dated(value: Any) -> bool:
    """Whether a value names a day or a month, so that it may have been worked out from the clock."""
    return isinstance(value, str) and _DATED.search(value) is not None


def of_another_day(value: Any, then: str, now: str) -> bool:
    """Whether a value that no word says may have been taken from the clock on the day `then`, and be another one `now`:
    a date, or that day's year, quarter, month, week or weekday. Days are ISO dates."""
    if then == now or isinstance(value, bool):
        return False
    said = str(value).casefold()
    return dated(value) or any(
        said == was != is_now
        for was, is_now in zip(_parts(date.fromisoformat(then)), _parts(date.fromisoformat(now)), strict=True)
    )


def _parts(day: date) -> list[str]:
    year, quarter, week = day.year, (day.month + 2) // 3, day.isocalendar().week
    years = [str(year + more) for more in (-1, 0, 1)]
    quarters = [
        text.format(year=year, q=quarter) for text in ("{q}", "q{q}", "{year}-q{q}", "q{q} {year}", "{year} q{q}")
    ]
    weeks = [str(week), f"w{week:02}", f"{day.isocalendar().year}-w{week:02}"]
    month, weekday = MONTHS[day.month - 1], WEEKDAYS[day.weekday()]
    months = [str(day.month), f"{day.month:02}", month, month[:3], f"{month} {year}", f"{month[:3]} {year}"]
    return [*years, *quarters, *weeks, *months, weekday, weekday[:3], str(day.day)]
