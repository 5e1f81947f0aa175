"""What a model has solved in the office: families of tasks, the call that is right for each, and the answer in words."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

from tests.recall.twins.office import CITIES, CURRENCIES, DOCUMENTS, MASSES, NAMES, PRODUCTS, PROJECTS, TEAMS, TITLES

TODAY = date(2026, 11, 24)
"""A Tuesday; the office's clock stands at nine on it."""

Said = tuple[str, Any]
"""Words in a task, and the argument that they stand for."""


@dataclass(frozen=True)
class Call:
    """A capability with its arguments; 40.0 is 40."""

    capability: str
    arguments: str

    @classmethod
    def of(cls, capability: str, arguments: dict[str, Any]) -> Call:
        whole = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in arguments.items()}
        return cls(capability, json.dumps(whole, sort_keys=True, ensure_ascii=False))


@dataclass(frozen=True)
class Solved:
    """A task with the call that solves it, and how a model words its output."""

    family: str
    task: str
    call: Call
    answer: str
    said: tuple[tuple[str, str], ...]
    """Each slot with the words that fill it."""


@dataclass(frozen=True)
class Family:
    """Tasks of one kind. A wording names slots in braces, each of which is a parameter of the capability."""

    capability: str
    wordings: tuple[str, ...]
    slots: dict[str, list[Said]]
    answer: str

    def instance(self, wording: str, values: dict[str, Said]) -> Solved:
        named = [name for name in self.slots if f"{{{name}}}" in wording]
        words = {name: values[name][0] for name in named}
        arguments = {name: values[name][1] for name in self.slots}
        call = Call.of(self.capability, arguments)
        return Solved(self.capability, wording.format(**words), call, self.answer, tuple(words.items()))

    def instances(self, seed: str) -> Iterator[Solved]:
        """Instances without end, all wordings in turn, no slot filled twice with the same words."""
        chance = random.Random(f"{self.capability} {seed}")
        while True:
            for wording in self.wordings:
                yield self.instance(wording, self._values(chance))

    def _values(self, chance: random.Random) -> dict[str, Said]:
        values: dict[str, Said] = {}
        for name, pool in self.slots.items():
            values[name] = chance.choice([said for said in pool if said not in values.values()])
        return values


def as_said(words: list[str]) -> list[Said]:
    return [(word, word) for word in words]


def quoted(words: list[str]) -> list[Said]:
    return [(f'"{word}"', word) for word in words]


MONTHS = "January February March April May June July August September October November December".split()
DAYS: list[Said] = [
    (f"{MONTHS[day.month - 1]} {day.day}, {day.year}", day.isoformat())
    for day in (date(2026, 9, 2) + timedelta(days=11 * n) for n in range(14))
]
ISO_DAYS: list[Said] = [
    (day.isoformat(), day.isoformat()) for day in (date(2026, 8, 3) + timedelta(days=13 * n) for n in range(14))
]
PAST: list[Said] = [
    (f"{MONTHS[day.month - 1]} {day.day}", day.isoformat())
    for day in (date(2026, 8, 5) + timedelta(days=9 * n) for n in range(12))
]
FUTURE: list[Said] = [
    (f"{MONTHS[day.month - 1]} {day.day}", day.isoformat())
    for day in (date(2026, 11, 27) + timedelta(days=3 * n) for n in range(10))
]
RELATIVE: list[Said] = [
    (word, (TODAY + timedelta(days=days)).isoformat())
    for word, days in (("today", 0), ("tomorrow", 1), ("yesterday", -1))
]
MONEY: list[Said] = [(f"${amount:,}", amount) for amount in (500, 1200, 2500, 900, 12000, 4000, 750, 15000)]
WHOLE: list[Said] = [(str(n), n) for n in (12, 25, 40, 75, 110, 250, 18, 330, 64, 7)]
MINUTES: list[Said] = [(f"{n} minutes", n) for n in (5, 10, 15, 20, 25, 45, 50, 90)]
COUNTS: list[Said] = [(str(n), n) for n in (2, 4, 5, 6, 7, 8, 10, 12)]
TEXTS = [
    "see you at noon",
    "the report is done",
    "call me back",
    "budget approved",
    "please review",
    "on my way",
    "thank you",
]

FAMILIES = [
    Family("get_salary", ("What is {name}'s salary?", "How much does {name} earn?"), {"name": as_said(NAMES)}, "{name} earns {salary} a year."),
    Family("get_total_pay", ("What is {name}'s total pay?",), {"name": as_said(NAMES)}, "{name} gets {total} a year."),
    Family("get_start_date", ("When did {name} start?", "Since when has {name} been with us?"), {"name": as_said(NAMES)}, "{name} started on {start}."),
    Family("get_manager", ("Who is {name}'s manager?", "Who does {name} report to?"), {"name": as_said(NAMES)}, "{name} reports to {manager}."),
    Family("get_stock", ("How many {product} are in stock?", "Stock of {product}"), {"product": as_said(PRODUCTS)}, "{stock} pieces of {product}."),
    Family("list_meetings", ("Which meetings are on {date}?", "Show the calendar for {date}"), {"date": [*DAYS, *ISO_DAYS, *RELATIVE]}, "{count} on {date}."),
    Family(
        "count_meetings", ("How many meetings are there in {month}?",),
        {"month": [(f"{MONTHS[m % 12]} {2026 + m // 12}", f"{2026 + m // 12}-{m % 12 + 1:02}") for m in range(6, 16)]}, "{count} in {month}.",
    ),
    Family("cancel_meeting", ("Cancel the meeting {title}", "Please call off {title}"), {"title": quoted(TITLES)}, "{title} is off."),
    Family("reschedule_meeting", ("Move the meeting {title} to {date}",), {"title": quoted(TITLES), "date": FUTURE}, "{title} is on {date} now."),
    Family("enable_2fa", ("Enable 2FA for {name}", "Turn on two-factor login for {name}"), {"name": as_said(NAMES)}, "Done for {name}."),
    Family("disable_2fa", ("Disable 2FA for {name}", "Turn off two-factor login for {name}"), {"name": as_said(NAMES)}, "Done for {name}."),
    Family("delete_document", ("Delete the document {document}", "Bin {document}"), {"document": quoted(DOCUMENTS)}, "{document} is gone."),
    Family("restore_document", ("Restore the document {document}", "Bring back {document}"), {"document": quoted(DOCUMENTS)}, "{document} is back."),
    Family("send_message", ("Send {to} the message {text}", "Tell {to} {text}"), {"to": as_said(NAMES), "text": quoted(TEXTS)}, "It is sent to {to}."),
    Family("start_timer", ("Start a timer of {minutes}", "Wake me in {minutes}"), {"minutes": MINUTES}, "The timer runs."),
    Family("book_room", ("Book the {room} room for {date}",), {"room": as_said(["Blue", "Green", "Red"]), "date": [*DAYS, *RELATIVE]}, "It is booked."),
    Family("set_budget", ("Set the budget of {project} to {amount}",), {"project": as_said(PROJECTS), "amount": MONEY}, "{project} has {budget}."),
    Family("raise_budget", ("Raise the budget of {project} by {amount}",), {"project": as_said(PROJECTS), "amount": MONEY}, "{project} has {budget}."),
    Family("lower_budget", ("Lower the budget of {project} by {amount}",), {"project": as_said(PROJECTS), "amount": MONEY}, "{project} has {budget}."),
    Family("add_to_team", ("Add {name} to {team}",), {"name": as_said(NAMES), "team": as_said(TEAMS)}, "{name} is in {team}."),
    Family("remove_from_team", ("Remove {name} from {team}",), {"name": as_said(NAMES), "team": as_said(TEAMS)}, "{name} is out."),
    Family(
        "convert_money", ("Convert {amount} {source} to {target}", "How much is {amount} {source} in {target}?"),
        {"amount": WHOLE, "source": as_said(list(CURRENCIES)), "target": as_said(list(CURRENCIES))}, "{result} {target}",
    ),
    Family(
        "convert_mass", ("Convert {amount} {source} into {target}", "What is {amount} {source} in {target}?"),
        {"amount": WHOLE, "source": as_said(list(MASSES)), "target": as_said(list(MASSES))}, "{result} {target}",
    ),
    Family("days_between", ("How many days are there from {start} to {end}?",), {"start": [*DAYS, *ISO_DAYS], "end": [*DAYS, *ISO_DAYS]}, "{days} days"),
    Family("percent_of", ("What is {percent}% of {number}?",), {"percent": WHOLE, "number": WHOLE}, "{result}"),
    Family(
        "train_minutes", ("How long does the train from {origin} to {destination} take?", "Train time from {origin} to {destination}"),
        {"origin": as_said(CITIES), "destination": as_said(CITIES)}, "{minutes} minutes",
    ),
    Family(
        "sort_products", ("Sort the products by {by}, {order}", "List products by {by} in {order} order"),
        {"by": as_said(["stock", "price"]), "order": as_said(["ascending", "descending"])}, "First comes {first}.",
    ),
    Family(
        "list_tasks", ("List the {status} tasks of {assignee}", "Which tasks of {assignee} are {status}?"),
        {"assignee": as_said(NAMES), "status": as_said(["open", "closed", "blocked"])}, "{count} tasks",
    ),
    Family("top_customers", ("Show the top {count} customers", "Who are our {count} best customers?"), {"count": COUNTS}, "{best} leads."),
    Family("sum_visits", ("Show the {metric} since {since}",), {"metric": as_said(["visits", "engaged", "average"]), "since": PAST}, "{total}"),
]  # fmt: skip
BY_ID = {family.capability: family for family in FAMILIES}
EACH = 4
"""Solved tasks of each wording; a family with one wording has one half more."""

TODAY_, TOMORROW, _ = RELATIVE
ALSO: list[tuple[str, int, dict[str, Said]]] = [
    ("list_meetings", 0, {"date": TODAY_}),
    ("list_meetings", 1, {"date": TOMORROW}),
    ("book_room", 0, {"room": ("Blue", "Blue"), "date": TODAY_}),
    ("book_room", 0, {"room": ("Red", "Red"), "date": TOMORROW}),
    ("delete_document", 0, {"document": ('"offer.pdf"', "offer.pdf")}),
    ("send_message", 1, {"to": ("Maria Braun", "Maria Braun"), "text": ('"thank you"', "thank you")}),
]
"""More lessons: capability, number of the wording, and what fills its slots."""


@cache
def lessons() -> tuple[Solved, ...]:
    """What the model solves, shuffled."""
    chosen: dict[str, Solved] = {}
    for family in FAMILIES:
        for _, solved in zip(
            range(EACH * len(family.wordings) if len(family.wordings) > 1 else EACH + EACH // 2),
            family.instances("lessons"),
            strict=False,
        ):
            chosen.setdefault(solved.task, solved)
    for id, wording, values in ALSO:
        solved = BY_ID[id].instance(BY_ID[id].wordings[wording], values)
        chosen[solved.task] = solved
    every = list(chosen.values())
    random.Random("order").shuffle(every)
    return tuple(every)


@cache
def unseen(family: str, count: int) -> tuple[Solved, ...]:
    """Other instances of a family, which nobody solved."""
    taught, found = {lesson.task for lesson in lessons()}, dict[str, Solved]()
    for tries, solved in enumerate(BY_ID[family].instances("unseen")):
        if solved.task not in taught:
            found.setdefault(solved.task, solved)
        if len(found) == count or tries > 20 * count:
            return tuple(found.values())
    raise AssertionError


def worded(answer: str, output: dict[str, Any]) -> str:
    """A model's answer for an output."""
    return re.sub(r"\{(\w+)\}", lambda slot: str(output[slot[1]]), answer)
