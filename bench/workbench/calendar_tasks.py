"""The calendar's families of tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.workbench.contracts import DATE, PERSON, TEXT, draft, one_of, record, whole
from bench.workbench.scenario import Family, as_csv
from bench.workbench.words import day_of, minutes_of, next_weekday

FILE = "office/calendar_events.csv"
COLUMNS = ("event_id", "event_name", "participant_email", "event_start", "duration")
TIME = {
    "type": "string",
    "pattern": r"^([01]?[0-9]|2[0-3])(:[0-5][0-9])?( ?[ap]m)?$",
    "description": "time of day as it was said: 3, 3:30, 3 pm or 15:30; an hour from 1 to 7 alone is in the afternoon",
}
MINUTES = whole(5, 1440, "how many minutes")
EVENT = record(
    {
        "name": {"type": "string"},
        "with": {"type": "string"},
        "date": {"type": "string"},
        "time": {"type": "string"},
        "minutes": {"type": "integer"},
    }
)
CANCELLED = record({"cancelled": {"type": "array", "items": EVENT}})
RENAMED = record({"before": {"type": "string"}, "event": EVENT})
CREATED = record({"event": EVENT})

ROWS = {
    1: ("00000001", "weekly review", "ana.silva@example.com", "2023-11-28 10:00:00", "30"),
    2: ("00000002", "weekly review", "bo.lund@example.com", "2023-12-04 09:00:00", "60"),
    3: ("00000003", "Design Talk", "ana.silva@example.com", "2023-12-04 11:30:00", "45"),
    4: ("00000004", "weekly review", "ana.silva@example.com", "2023-12-05 15:00:00", "30"),
}
"""A small calendar, for the examples of contracts; the day they are looked at is 2023-11-30."""


def calendar(*rows: int | tuple[str, ...]) -> dict[str, str]:
    """The file with the numbered rows, and others."""
    return {FILE: as_csv(COLUMNS, [ROWS[row] if isinstance(row, int) else row for row in rows])}


def changed(row: int, **values: str) -> tuple[str, ...]:
    return tuple(values.get(column, value) for column, value in zip(COLUMNS, ROWS[row], strict=True))


def event(row: int | tuple[str, ...]) -> dict[str, Any]:
    """A row as programs show it."""
    _, name, email, start, minutes = ROWS[row] if isinstance(row, int) else row
    return {"name": name, "with": email, "date": start[:10], "time": start[11:16], "minutes": int(minutes)}


def cancelling(input: Mapping[str, Any], *gone: int) -> dict[str, Any]:
    """An example in which these rows are cancelled."""
    left = [row for row in ROWS if row not in gone]
    return {"input": input, "output": {"cancelled": [event(row) for row in gone]}, "after": calendar(*left)}


def failing(input: Mapping[str, Any], kind: str = "not_found") -> dict[str, Any]:
    return {"input": input, "error": {"kind": kind}}


def renaming(input: Mapping[str, Any], row: int) -> dict[str, Any]:
    new = changed(row, event_name=input["new_name"])
    after = calendar(*(new if other == row else other for other in ROWS))
    return {"input": input, "output": {"before": ROWS[row][1], "event": event(new)}, "after": after}


def family(
    name: str,
    id: str,
    summary: str,
    input: dict[str, Any],
    output: dict[str, Any],
    sentence: Callable[[Any], str],
    *examples: dict[str, Any],
    clock: bool = False,
    optional: tuple[str, ...] = (),
) -> Family:
    fields = draft(
        id,
        summary,
        ("tables", "calendar"),
        record(input, optional),
        output,
        writes=[FILE],
        clock=clock,
        fixtures=calendar(*ROWS),
        examples=examples,
    )
    return Family(name, fields, sentence)


# Sentences


def shown(event: Mapping[str, Any]) -> str:
    return f"{event['name']} with {event['with']} on {event['date']} at {event['time']}"


def say_cancelled(output: Any) -> str:
    gone = output["cancelled"]
    if not gone:
        return "No meeting had to be cancelled."
    if len(gone) == 1:
        return f"I cancelled {shown(gone[0])}."
    return f"I cancelled {len(gone)} meetings: {'; '.join(map(shown, gone))}."


def say_renamed(output: Any) -> str:
    event = output["event"]
    return f"{output['before']} on {event['date']} at {event['time']} is called {event['name']} now."


def say_moved(output: Any) -> str:
    event = output["event"]
    return (
        f"{event['name']} with {event['with']} on {event['date']} is at {event['time']} now, not at {output['before']}."
    )


def say_created(output: Any) -> str:
    return f"I scheduled {shown(output['event'])}."


def say_caught_up(output: Any) -> str:
    return "You have met, so I scheduled nothing." if output["met"] else say_created(output)


# Families

_MEET = ("ana", "Ana Silva", "bo.lund@example.com")
_NEW = ("00000005", "Roadmap", "bo.lund@example.com", "2023-12-06 14:30:00", "90")
_CATCH_UP = ("00000005", "catch-up", "bo.lund@example.com", "2023-12-01 09:00:00", "30")
_LUNCH = ("00000005", "lunch", "ana.silva@example.com", "2023-12-01 09:00:00", "60")

FAMILIES = [
    family(
        "Cancel my first meeting on {natural_language_date}",
        "cancel_first_meeting",
        "Cancels the first meeting of a day in the calendar and returns it; nothing where the day has none.",
        {"date": DATE},
        CANCELLED,
        say_cancelled,
        cancelling({"date": "2023-12-04"}, 2),
        cancelling({"date": "2023-12-06"}),
        cancelling({"date": "2023-12-05"}, 4),
    ),
    family(
        "Change the name of the last event on {natural_language_date} to {event_name}",
        "rename_last_event",
        "Gives the last event of a day in the calendar a new name, and returns the event and its old name.",
        {"date": DATE, "new_name": TEXT},
        RENAMED,
        say_renamed,
        renaming({"date": "2023-12-04", "new_name": "Roadmap"}, 3),
        failing({"date": "2023-12-06", "new_name": "Roadmap"}),
    ),
    family(
        "Push back my first meeting with {name} on {natural_language_date} by {duration}s",
        "postpone_first_meeting",
        "Moves the first meeting with a person on a day to a later time, by some minutes; returns it and its old time.",
        {"person": PERSON, "date": DATE, "minutes": MINUTES},
        RENAMED,
        say_moved,
        {
            "input": {"person": "ana", "date": "2023-12-04", "minutes": 90},
            "output": {"before": "11:30", "event": event(changed(3, event_start="2023-12-04 13:00:00"))},
            "after": calendar(1, 2, changed(3, event_start="2023-12-04 13:00:00"), 4),
        },
        failing({"person": "bo", "date": "2023-12-05", "minutes": 90}),
        failing({"person": "zoe", "date": "2023-12-05", "minutes": 30}),
    ),
    family(
        "Cancel the next {event_name} meeting",
        "cancel_next_meeting_called",
        "Cancels the next meeting that has a name and returns it; nothing where none is to come.",
        {"event_name": TEXT},
        CANCELLED,
        say_cancelled,
        cancelling({"event_name": "weekly review"}, 2),
        cancelling({"event_name": "design talk"}, 3),
        failing({"event_name": "parade"}),
        clock=True,
    ),
    family(
        "Rename the next {event_name} meeting to {new_event_name}",
        "rename_next_meeting",
        "Gives the next meeting that has a name a new name, and returns the meeting and its old name.",
        {"event_name": TEXT, "new_name": TEXT},
        RENAMED,
        say_renamed,
        renaming({"event_name": "Weekly Review", "new_name": "retrospective"}, 2),
        failing({"event_name": "parade", "new_name": "retrospective"}),
        clock=True,
    ),
    family(
        "Cancel my next meeting with {name}",
        "cancel_next_meeting_with",
        "Cancels the next meeting with a person and returns it; nothing where none is to come.",
        {"person": PERSON},
        CANCELLED,
        say_cancelled,
        cancelling({"person": _MEET[0]}, 3),
        cancelling({"person": _MEET[2]}, 2),
        failing({"person": "zoe"}),
        clock=True,
    ),
    family(
        "If I haven't met with {name} in the last {duration} days, schedule a 30-minute meeting called 'catch-up' for "
        "my first free slot from tomorrow",
        "schedule_catch_up",
        "Schedules a meeting with a person in the first free slot from tomorrow, unless there was one in the last "
        "days; returns whether there was, and the new event.",
        {
            "person": PERSON,
            "days": whole(1, 3650, "how many days back to look"),
            "minutes": whole(5, 480, "how long the meeting is"),
            "event_name": {**TEXT, "description": "what the meeting is called; catch-up by default"},
        },
        record({"met": {"type": "boolean"}, "event": {"anyOf": [EVENT, {"type": "null"}]}}),
        say_caught_up,
        {
            "input": {"person": "bo", "days": 30, "minutes": 30},
            "output": {"met": False, "event": event(_CATCH_UP)},
            "after": calendar(*ROWS, _CATCH_UP),
        },
        {
            "input": {"person": "ana", "days": 1, "minutes": 60, "event_name": "lunch"},
            "output": {"met": False, "event": event(_LUNCH)},
            "after": calendar(*ROWS, _LUNCH),
        },
        {
            "input": {"person": "ana", "days": 3, "minutes": 60, "event_name": "lunch"},
            "output": {"met": True, "event": None},
        },
        failing({"person": "zoe", "days": 30, "minutes": 30}),
        clock=True,
        optional=("event_name",),
    ),
    family(
        "Cancel my meetings on {next_day} {before_or_after} {natural_language_time}",
        "cancel_meetings_before_or_after",
        "Cancels the meetings of a day that start before a time, or at it and after, and returns them.",
        {"date": DATE, "side": one_of("before", "after"), "time": TIME},
        CANCELLED,
        say_cancelled,
        cancelling({"date": "2023-12-04", "side": "before", "time": "11"}, 2),
        cancelling({"date": "2023-12-04", "side": "after", "time": "9:30"}, 3),
        cancelling({"date": "2023-12-05", "side": "after", "time": "3"}, 4),
        cancelling({"date": "2023-12-05", "side": "before", "time": "3 pm"}),
    ),
    family(
        "Cancel all future meetings with {name}",
        "cancel_future_meetings_with",
        "Cancels all meetings with a person that are to come, and returns them.",
        {"person": PERSON},
        CANCELLED,
        say_cancelled,
        cancelling({"person": _MEET[1]}, 3, 4),
        cancelling({"person": "bo"}, 2),
        failing({"person": "zoe"}),
        clock=True,
    ),
    family(
        "Cancel future {event_name} meetings",
        "cancel_future_meetings_called",
        "Cancels all meetings that have a name and are to come, and returns them.",
        {"event_name": TEXT},
        CANCELLED,
        say_cancelled,
        cancelling({"event_name": "weekly review"}, 2, 4),
        cancelling({"event_name": "Design Talk"}, 3),
        failing({"event_name": "parade"}),
        clock=True,
    ),
    family(
        "Create a {duration} event called {event_name} on {natural_language_date} at {natural_language_time} "
        "with {name}",
        "create_event",
        "Puts a new event with a person into the calendar, at a day and time and for some minutes, and returns it.",
        {"event_name": TEXT, "person": PERSON, "date": DATE, "time": TIME, "minutes": MINUTES},
        CREATED,
        say_created,
        {
            "input": {"event_name": "Roadmap", "person": "bo", "date": "2023-12-06", "time": "2:30", "minutes": 90},
            "output": {"event": event(_NEW)},
            "after": calendar(*ROWS, _NEW),
        },
        failing({"event_name": "Roadmap", "person": "zoe", "date": "2023-12-06", "time": "14:30", "minutes": 90}),
    ),
]


def arguments(family: Family, slots: Mapping[str, str], wording: str) -> dict[str, Any]:
    """The input that a model gives for a task of a family, from the words in its slots and around them."""
    found: dict[str, Any] = {}
    renames = "new_name" in family.draft["input_schema"]["properties"]
    for name, text in slots.items():
        if name == "name":
            found["person"] = text
        elif name == "natural_language_date":
            found["date"] = day_of(text)
        elif name == "next_day":
            found["date"] = next_weekday(text)
        elif name == "natural_language_time":
            found["time"] = text
        elif name == "before_or_after":
            found["side"] = text
        elif name == "new_event_name":
            found["new_name"] = text
        elif name == "event_name":
            found["new_name" if renames and "new_event_name" not in slots else "event_name"] = text
        elif name == "duration" and family.capability == "schedule_catch_up":
            called = {"event_name": "catch-up"} if "'catch-up'" in wording else {}
            found |= {"days": int(text), "minutes": 30, **called}
        elif name == "duration":
            found["minutes"] = minutes_of(text)
    return found
