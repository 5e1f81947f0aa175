"""The tasks of a data folder, with what their tables hold when they are solved."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.workbench import calendar_tasks, mail_tasks, visit_tasks
from bench.workbench.scenario import Scenario, State, Task, Wordings, as_csv, table
from bench.workbench.words import NOW

PARTS = {"calendar": calendar_tasks, "email": mail_tasks, "analytics": visit_tasks}
TABLES = ("calendar_events.csv", "emails.csv", "analytics_data.csv", "project_tasks.csv")
CUSTOMERS, PLOTS = "customer_relationship_manager_data.csv", "plots.csv"
KEYS = {"calendar_events.csv": "event_id", "emails.csv": "email_id"}
SENT = NOW.isoformat(" ", "seconds")


def load(data: Path, parts: Sequence[str]) -> Scenario:
    """The scenario of some of the parts "calendar", "email" and "analytics".

    Raises:
        OSError: the folder lacks a file.
        ValueError: a task was not made from its template.
    """
    files = {name: (data / name).read_text(encoding="utf-8") for name in (*TABLES, CUSTOMERS)}
    files[PLOTS] = as_csv(visit_tasks.PLOT_COLUMNS, [])
    families = {family.name: family for part in parts for family in PARTS[part].FAMILIES}
    bare = Scenario("office", files, KEYS, families, (), NOW)
    wordings, tasks = Wordings({"more_or_less": ("more", "less")}), []
    for part in parts:
        with (data / f"{part}_queries_and_answers.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                family, wording, text = families[row["base_template"]], row["chosen_template"], row["query"]
                arguments = PARTS[part].arguments(family, wordings.slots(wording, text), wording)
                expected = after(bare, ast.literal_eval(row["answer"]))
                tasks.append(Task(text, family.name, wording, part, arguments, expected))
    return Scenario("office", files, KEYS, families, tasks, NOW)


def after(scenario: Scenario, calls: Iterable[str]) -> State:
    """What the tables hold after the calls of an answer, such as `calendar.delete_event.func(event_id="00000256")`.

    Nothing here knows of capabilities: this says independently of them whether a task was solved.
    """
    tables = {name: table(text) for name, text in scenario.files.items()}
    for call in calls:
        name, given = _parsed(call)
        CALLS[name](tables, **given)
    texts = {
        name: as_csv(list(rows[0]), rows) if rows else scenario.files[name].splitlines()[0] + "\n"
        for name, rows in tables.items()
    }
    return scenario.state_of(texts)


def _parsed(call: str) -> tuple[str, dict[str, str]]:
    tree = ast.parse(call, mode="eval").body
    assert isinstance(tree, ast.Call), call
    name = ast.unparse(tree.func).removesuffix(".func")
    return name, {keyword.arg or "": ast.literal_eval(keyword.value) for keyword in tree.keywords}


Tables = Mapping[str, list[dict[str, str]]]


def _number(rows: Sequence[Mapping[str, str]], key: str) -> str:
    return f"{max(int(row[key]) for row in rows) + 1:08}"


def _found(rows: Sequence[dict[str, str]], key: str, value: str) -> dict[str, str]:
    return next(row for row in rows if row[key] == value)


def _delete_event(tables: Tables, event_id: str) -> None:
    events = tables["calendar_events.csv"]
    events.remove(_found(events, "event_id", event_id))


def _update_event(tables: Tables, event_id: str, field: str, new_value: str) -> None:
    _found(tables["calendar_events.csv"], "event_id", event_id)[field] = new_value


def _create_event(tables: Tables, **values: str) -> None:
    events = tables["calendar_events.csv"]
    events.append({"event_id": _number(events, "event_id"), **values})


def _delete_email(tables: Tables, email_id: str) -> None:
    emails = tables["emails.csv"]
    emails.remove(_found(emails, "email_id", email_id))


def _send_email(tables: Tables, recipient: str, subject: str, body: str) -> None:
    emails = tables["emails.csv"]
    written = body.replace("\n", "\\n")  # as this file writes the ends of lines
    values = (_number(emails, "email_id"), "outbox", recipient.lower(), subject, SENT, written)
    emails.append(dict(zip(mail_tasks.COLUMNS, values, strict=True)))


def _reply_email(tables: Tables, email_id: str, body: str) -> None:
    email = _found(tables["emails.csv"], "email_id", email_id)
    _send_email(tables, email["sender/recipient"], email["subject"], body)


def _forward_email(tables: Tables, email_id: str, recipient: str) -> None:
    email = _found(tables["emails.csv"], "email_id", email_id)
    _send_email(tables, recipient, f"FW: {email['subject']}", email["body"])


def _create_plot(tables: Tables, **values: str) -> None:
    tables[PLOTS].append(values)


CALLS: Mapping[str, Any] = {
    "calendar.delete_event": _delete_event,
    "calendar.update_event": _update_event,
    "calendar.create_event": _create_event,
    "email.delete_email": _delete_email,
    "email.send_email": _send_email,
    "email.reply_email": _reply_email,
    "email.forward_email": _forward_email,
    "analytics.create_plot": _create_plot,
}
