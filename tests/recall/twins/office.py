"""An office whose data a wrong answer from memory would damage: capabilities, small data, and how it is opened."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metier import Runtime
from metier.library import Library
from metier.outcomes import Mutated

SETTINGS = """
[roots]
office = "data"
[policy]
files = [{ root = "office", path = "**", access = "write" }]
[policy.unasked]
files = [{ root = "office", path = "**", access = "write" }]
[agent]
candidates = 40
[lifecycle]
active_after = 1
trusted_after = 2
"""

PEOPLE = """
    John Smith     | Sales     | 61000 | 2019-03-01 | Mary Brown
    Jon Smith      | Support   | 43000 | 2021-07-15 | Priya Nair
    John Smithson  | Finance   | 58000 | 2018-01-09 | Mary Brown
    Mary Brown     | Sales     | 88000 | 2012-05-21 | Olga Petrova
    Maria Braun    | Support   | 47000 | 2020-11-02 | Priya Nair
    Ana            | Design    | 52000 | 2022-02-14 | Luis Ortiz
    Ana Maria      | Design    | 54500 | 2017-08-30 | Luis Ortiz
    Luis Ortiz     | Design    | 79000 | 2015-10-05 | Olga Petrova
    Priya Nair     | Support   | 76000 | 2014-04-11 | Olga Petrova
    Olga Petrova   | Board     | 140000 | 2009-01-01 | Olga Petrova
    Will May       | Finance   | 57000 | 2023-05-08 | John Smithson
    April Jones    | Sales     | 49000 | 2023-09-18 | John Smith
    José Díaz      | Finance   | 62000 | 2016-06-23 | John Smithson
    Jose Dias      | Support   | 41000 | 2024-01-22 | Priya Nair
    Sam Lee        | Design    | 51000 | 2021-03-29 | Luis Ortiz
    Samantha Lee   | Sales     | 53000 | 2020-09-07 | John Smith
    Art All        | Support   | 44000 | 2022-12-12 | Priya Nair
    Ed Last        | Finance   | 45000 | 2019-08-19 | John Smithson
"""
NAMES = [line.split("|")[0].strip() for line in PEOPLE.strip().splitlines()]
TEAMS = ["Sales", "Support", "Finance", "Design", "Board"]
CITIES = ["Berlin", "Paris", "Vienna", "Rome", "Madrid", "Bern", "Oslo", "Prague", "York", "New York"]
PROJECTS = ["Apollo", "Apollo 2", "Gemini", "Mercury", "Orion", "Vega"]
PRODUCTS = ["Pro", "Pro Max", "Mini", "A1", "A10", "A100", "Lamp", "Desk"]
TITLES = [
    "Budget review",
    "Team lunch",
    "Sales kickoff",
    "Design review",
    "All hands",
    "1:1 with Sam",
    "Retro",
    "Board call",
]
DOCUMENTS = ["offer.pdf", "budget.xlsx", "draft notes", "Q3 report", "old contracts", "logo.svg", "all", "minutes"]


def write_data(folder: Path, *, later: bool = False, only: Collection[str] | None = None) -> None:
    """The office's files as they are before anybody did anything; `later`, after lessons, all figures are others."""
    more = 1 if later else 0
    folder.mkdir(exist_ok=True)
    people = [
        dict(zip(("name", "team", "salary", "start", "manager"), _cells(line), strict=True))
        for line in PEOPLE.strip().splitlines()
    ]
    for person in people:
        person["salary"] = int(person["salary"]) + 1000 * more
    files: dict[str, Any] = {
        "people.json": people,
        "accounts.json": [
            {"name": name, "two_factor": number % 2 == 0, "active": True} for number, name in enumerate(NAMES)
        ],
        "projects.json": [
            {"project": project, "budget": 10000 + 500 * n + 130 * more, "status": "open"}
            for n, project in enumerate(PROJECTS)
        ],
        "documents.json": [{"document": document, "deleted": False} for document in DOCUMENTS],
        "meetings.json": [
            {"title": title, "date": f"2026-{month:02}-{day:02}", "cancelled": False}
            for title, month, day in zip(
                TITLES, (11, 11, 12, 11, 12, 11, 10, 12), (3, 24, 1, 25, 11, 23, 30, 7), strict=True
            )
        ],
        "outbox.json": [],
        "timers.json": [],
        "settings.json": [{"setting": s, "value": v} for s, v in (("theme", "light"), ("language", "en"))],
    }
    trains = [
        f"{a},{b},{100 + 7 * i + 3 * j + 200 * more}"
        for i, a in enumerate(CITIES)
        for j, b in enumerate(CITIES)
        if a != b
    ]
    tables = {
        "trains.csv": ["origin,destination,minutes", *trains],
        "products.csv": [
            "product,warehouse,stock,price",
            *(f"{p},{CITIES[n % 3]},{10 + n + 30 * more},{5 + 10 * n}" for n, p in enumerate(PRODUCTS)),
        ],
        "tasks.csv": [
            "assignee,status,title",
            *(f"{n},{s},{s} work {k}" for k, n in enumerate(NAMES) for s in ("open", "closed", "blocked")),
        ],
        "visits.csv": [
            "date,visits,engaged,average",
            *(
                f"2026-{m:02}-{d:02},{m * d + more},{d + more},{m + more}"
                for m in (8, 9, 10, 11)
                for d in range(1, 29, 3)
            ),
        ],
        "customers.csv": ["customer,revenue", *(f"Customer {n},{1000 * n}" for n in range(1, 31))],
    }
    texts = {name: json.dumps(content, ensure_ascii=False, indent=1) for name, content in files.items()}
    texts |= {name: "\n".join(rows) + "\n" for name, rows in tables.items()}
    for name, text in texts.items():
        if only is None or name in only:
            (folder / name).write_text(text, encoding="utf-8")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")]


@dataclass(frozen=True)
class Program:
    """One capability: its contract in short, and the body of `run`. `takes` names each input with its JSON Schema."""

    id: str
    summary: str
    effects: str
    takes: dict[str, Any]
    gives: dict[str, str]
    body: str
    example: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)


TEXT = {"type": "string", "minLength": 1}
DAY = {"type": "string", "format": "date"}
WHOLE = {"type": "integer", "minimum": 1}
NUMBER = {"type": "number"}


def one_of(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


CURRENCIES, MASSES = ("EUR", "USD", "GBP", "CHF"), ("kg", "lb", "g", "oz")


def looks_up(id: str, summary: str, file: str, key: str, **gives: str) -> Program:
    """A capability that finds the one row with a name, and tells some of it."""
    told = ", ".join(f'"{name}": row["{name}"]' for name in gives)
    first = {"people": "Priya Nair", "products": "Lamp"}[file.split(".")[0]]
    body = f"""
        row = find(rows("{file}"), "{key}", input["{key}"])
        return {{"{key}": row["{key}"], {told}}}"""
    return Program(id, summary, "read", {key: TEXT}, {key: "string", **gives}, body, {key: first}, {file: "read"})


def flips(id: str, summary: str, file: str, key: str, what: str, value: bool, first: str) -> Program:
    """A capability that sets one truth value of the one row with a name."""
    body = f"""
        all_rows = rows("{file}")
        row = find(all_rows, "{key}", input["{key}"])
        row["{what}"] = {value}
        save("{file}", all_rows)
        return {{"{key}": row["{key}"], "{what}": row["{what}"]}}"""
    gives = {key: "string", what: "boolean"}
    return Program(id, summary, "write", {key: TEXT}, gives, body, {key: first}, {file: "write"})


def budgets(id: str, summary: str, change: str) -> Program:
    body = f"""
        all_rows = rows("projects.json")
        row = find(all_rows, "project", input["project"])
        row["budget"] = {change}
        save("projects.json", all_rows)
        return {{"project": row["project"], "budget": row["budget"]}}"""
    return Program(
        id, summary, "write", {"project": TEXT, "amount": NUMBER}, {"project": "string", "budget": "number"}, body,
        {"project": "Orion", "amount": 500}, {"projects.json": "write"},
    )  # fmt: skip


def moves(id: str, summary: str, change: str) -> Program:
    body = f"""
        all_rows = rows("people.json")
        row = find(all_rows, "name", input["name"])
        row["team"] = {change}
        save("people.json", all_rows)
        return {{"name": row["name"], "team": row["team"]}}"""
    takes = {"name": TEXT, "team": one_of(*TEAMS)}
    gives = {"name": "string", "team": "string"}
    return Program(
        id, summary, "write", takes, gives, body, {"name": "Sam Lee", "team": "Sales"}, {"people.json": "write"}
    )


def keeps(id: str, summary: str, file: str, takes: dict[str, Any], first: dict[str, Any]) -> Program:
    """A capability that adds its input to a list."""
    gives = {"kept": "integer"}
    body = f"""
        all_rows = rows("{file}")
        all_rows.append(input)
        save("{file}", all_rows)
        return {{"kept": len(all_rows)}}"""
    return Program(id, summary, "write", takes, gives, body, first, {file: "write"})


PROGRAMS = [
    looks_up("get_salary", "Returns the yearly base salary of one employee.", "people.json", "name", salary="integer"),
    looks_up("get_start_date", "Returns the day on which an employee started.", "people.json", "name", start="string"),
    looks_up("get_manager", "Returns the manager of one employee.", "people.json", "name", manager="string"),
    looks_up(
        "get_stock", "Returns how many pieces of one product are in stock.", "products.csv", "product", stock="string"
    ),
    Program(
        "get_total_pay",
        "Returns the yearly total pay of one employee, bonus included.",
        "read",
        {"name": TEXT},
        {"name": "string", "total": "integer"},
        """
        row = find(rows("people.json"), "name", input["name"])
        return {"name": row["name"], "total": row["salary"] + row["salary"] // 10}""",
        {"name": "Priya Nair"},
        {"people.json": "read"},
    ),
    Program(
        "list_meetings",
        "Lists the meetings on one day.",
        "read",
        {"date": DAY},
        {"date": "string", "count": "integer", "titles": "array"},
        """
        found = [m["title"] for m in rows("meetings.json") if m["date"] == input["date"] and not m["cancelled"]]
        return {"date": input["date"], "count": len(found), "titles": found}""",
        {"date": "2026-11-03"},
        {"meetings.json": "read"},
    ),
    Program(
        "count_meetings",
        "Counts the meetings in one month, given as YYYY-MM.",
        "read",
        {"month": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"}},
        {"month": "string", "count": "integer"},
        """
        count = sum(m["date"].startswith(input["month"]) for m in rows("meetings.json"))
        return {"month": input["month"], "count": count}""",
        {"month": "2026-11"},
        {"meetings.json": "read"},
    ),
    flips("cancel_meeting", "Cancels the meeting with a title.", "meetings.json", "title", "cancelled", True, "Retro"),
    Program(
        "reschedule_meeting",
        "Moves the meeting with a title to another day.",
        "write",
        {"title": TEXT, "date": DAY},
        {"title": "string", "date": "string"},
        """
        all_rows = rows("meetings.json")
        row = find(all_rows, "title", input["title"])
        row["date"] = input["date"]
        save("meetings.json", all_rows)
        return {"title": row["title"], "date": row["date"]}""",
        {"title": "Retro", "date": "2026-12-02"},
        {"meetings.json": "write"},
    ),
    flips("enable_2fa", "Enables two-factor login for an account.", "accounts.json", "name", "two_factor", True, "Ana"),
    flips(
        "disable_2fa", "Disables two-factor login for an account.", "accounts.json", "name", "two_factor", False, "Ana"
    ),
    flips("delete_document", "Deletes a document.", "documents.json", "document", "deleted", True, "minutes"),
    flips(
        "restore_document", "Restores a deleted document.", "documents.json", "document", "deleted", False, "minutes"
    ),
    Program(
        "send_message",
        "Sends a message to an employee.",
        "write",
        {"to": TEXT, "text": TEXT},
        {"to": "string"},
        """
        find(rows("people.json"), "name", input["to"])
        sent = rows("outbox.json")
        sent.append(input)
        save("outbox.json", sent)
        return {"to": input["to"]}""",
        {"to": "Ana", "text": "hi"},
        {"people.json": "read", "outbox.json": "write"},
    ),
    keeps(
        "start_timer",
        "Starts a timer that rings after so many minutes.",
        "timers.json",
        {"minutes": WHOLE},
        {"minutes": 3},
    ),
    keeps(
        "book_room",
        "Books a meeting room for one day.",
        "timers.json",
        {"room": one_of("Blue", "Green", "Red"), "date": DAY},
        {"room": "Blue", "date": "2026-12-02"},
    ),
    budgets("set_budget", "Sets the budget of a project to an amount.", 'input["amount"]'),
    budgets("raise_budget", "Raises the budget of a project by an amount.", 'row["budget"] + input["amount"]'),
    budgets("lower_budget", "Lowers the budget of a project by an amount.", 'row["budget"] - input["amount"]'),
    moves("add_to_team", "Adds an employee to a team.", 'input["team"]'),
    moves(
        "remove_from_team", "Removes an employee from a team.", '"" if row["team"] == input["team"] else row["team"]'
    ),
    Program(
        "convert_money",
        "Converts an amount of money from one currency to another, at fixed rates.",
        "pure",
        {"amount": NUMBER, "source": one_of(*CURRENCIES), "target": one_of(*CURRENCIES)},
        {"result": "number", "target": "string"},
        """
        rates = {"EUR": 100, "USD": 92, "GBP": 117, "CHF": 104}
        return {"result": round(input["amount"] * rates[input["source"]] / rates[input["target"]], 2), "target": input["target"]}""",
        {"amount": 10, "source": "EUR", "target": "USD"},
    ),
    Program(
        "convert_mass",
        "Converts a mass from one unit to another.",
        "pure",
        {"amount": NUMBER, "source": one_of(*MASSES), "target": one_of(*MASSES)},
        {"result": "number", "target": "string"},
        """
        grams = {"kg": 1000, "lb": 453.592, "g": 1, "oz": 28.3495}
        return {"result": round(input["amount"] * grams[input["source"]] / grams[input["target"]], 3), "target": input["target"]}""",
        {"amount": 10, "source": "kg", "target": "lb"},
    ),
    Program(
        "days_between",
        "Counts the days from one day to another; negative where the second is earlier.",
        "pure",
        {"start": DAY, "end": DAY},
        {"days": "integer"},
        """
        start, end = (datetime.date.fromisoformat(input[k]) for k in ("start", "end"))
        return {"days": (end - start).days}""",
        {"start": "2026-11-03", "end": "2026-11-13"},
    ),
    Program(
        "percent_of",
        "Returns so many percent of a number.",
        "pure",
        {"percent": NUMBER, "number": NUMBER},
        {"result": "number"},
        """
        return {"result": round(input["percent"] * input["number"] / 100, 4)}""",
        {"percent": 10, "number": 50},
    ),
    Program(
        "train_minutes",
        "Returns how many minutes the train takes from one city to another.",
        "read",
        {"origin": TEXT, "destination": TEXT},
        {"minutes": "integer"},
        """
        for row in rows("trains.csv"):
            if row["origin"] == input["origin"] and row["destination"] == input["destination"]:
                return {"minutes": int(row["minutes"])}
        raise host.Error("no such train", kind="not_found")""",
        {"origin": "Berlin", "destination": "Paris"},
        {"trains.csv": "read"},
    ),
    Program(
        "sort_products",
        "Lists the products sorted by a column, ascending or descending.",
        "read",
        {"by": one_of("product", "stock", "price"), "order": one_of("ascending", "descending")},
        {"products": "array", "first": "string"},
        """
        found = sorted(rows("products.csv"), key=lambda r: r[input["by"]], reverse=input["order"] == "descending")
        return {"products": [r["product"] for r in found], "first": found[0]["product"]}""",
        {"by": "stock", "order": "ascending"},
        {"products.csv": "read"},
    ),
    Program(
        "list_tasks",
        "Lists the tasks of one employee that have a status.",
        "read",
        {"assignee": TEXT, "status": one_of("open", "closed", "blocked")},
        {"titles": "array", "count": "integer"},
        """
        find(rows("people.json"), "name", input["assignee"])
        found = [r["title"] for r in rows("tasks.csv") if r["assignee"] == input["assignee"] and r["status"] == input["status"]]
        return {"titles": found, "count": len(found)}""",
        {"assignee": "Ana", "status": "open"},
        {"people.json": "read", "tasks.csv": "read"},
    ),
    Program(
        "top_customers",
        "Lists the customers with the highest revenue, so many as asked for.",
        "read",
        {"count": WHOLE},
        {"customers": "array", "best": "string"},
        """
        found = sorted(rows("customers.csv"), key=lambda r: -int(r["revenue"]))[: input["count"]]
        return {"customers": [r["customer"] for r in found], "best": found[0]["customer"]}""",
        {"count": 2},
        {"customers.csv": "read"},
    ),
    Program(
        "sum_visits",
        "Adds up a metric of the web site since a day.",
        "read",
        {"metric": one_of("visits", "engaged", "average"), "since": DAY},
        {"total": "integer"},
        """
        return {"total": sum(int(r[input["metric"]]) for r in rows("visits.csv") if r["date"] >= input["since"])}""",
        {"metric": "visits", "since": "2026-11-03"},
        {"visits.csv": "read"},
    ),
]

SHARED = """
import csv
import datetime
import json
import host


def rows(name):
    with open("/office/" + name, encoding="utf-8", newline="") as file:
        return json.load(file) if name.endswith(".json") else list(csv.DictReader(file))


def save(name, content):
    with open("/office/" + name, "w", encoding="utf-8") as file:
        file.write(json.dumps(content, ensure_ascii=False, indent=1))


def find(table, key, wanted):
    for row in table:
        if row[key] == wanted:
            return row
    raise host.Error(f"no {key} {wanted!r}", kind="not_found")


def run(input):
"""


def written_by(capability: str) -> list[str]:
    """The files that a capability writes."""
    return [name for p in PROGRAMS if p.id == capability for name, access in p.files.items() if access == "write"]


def draft(program: Program, **changes: Any) -> dict[str, Any]:
    """What a person hands in for one program."""
    source = SHARED.lstrip() + textwrap.indent(textwrap.dedent(program.body).strip("\n"), "    ") + "\n"
    return {
        "id": program.id,
        "summary": program.summary,
        "input_schema": _closed(program.takes),
        "output_schema": _closed({name: {"type": kind} for name, kind in program.gives.items()}),
        "effects": program.effects,
        "permissions": {"files": [{"root": "office", "path": p, "access": a} for p, a in program.files.items()]}
        if program.files
        else {},
        "examples": [{"input": program.example}],
        "source": source,
        **changes,
    }


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def publish(runtime: Runtime, program: Program, **changes: Any) -> None:
    """Has a program pass the gates as a person's."""
    known = {c.id for c in runtime.library.capabilities()}
    parent = runtime.library.load(program.id) if program.id in known else None
    outcome = runtime.mutator().submit(draft(program, **changes), parent, "hand", by_hand=True)
    assert isinstance(outcome, Mutated), (program.id, outcome)


def build(folder: Path) -> Library:
    """The office's library with its data, everything published and nothing solved."""
    library = Library.create(folder)
    write_data(folder / "data")
    (folder / "metier.toml").write_text(SETTINGS, encoding="utf-8")
    with Runtime.open(folder) as runtime:
        for program in PROGRAMS:
            publish(runtime, program)
    return library
