"""How a model reads the words of the tasks, on 2023-11-30."""

from __future__ import annotations

from datetime import date, datetime, timedelta

NOW = datetime(2023, 11, 30)
"""When all tasks of the stream are asked, a Thursday."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def day_of(text: str) -> str:
    """December 13, or 2023-12-13, as an ISO date."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return datetime.strptime(f"{text} {NOW.year}", "%B %d %Y").date().isoformat()


def next_weekday(name: str) -> str:
    """The first day of that name after today, as an ISO date."""
    ahead = (WEEKDAYS.index(name.casefold()) - NOW.weekday() - 1) % 7 + 1
    return (NOW.date() + timedelta(days=ahead)).isoformat()


def minutes_of(text: str) -> int:
    """1.5 hours, or 30 minutes, in minutes."""
    amount, unit = text.split()
    return round(float(amount) * (60 if unit.startswith("hour") else 1))
