"""The mailbox's families of tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.workbench.contracts import BODY, PERSON, TEXT, draft, record, several, whole
from bench.workbench.scenario import Family, as_csv

FILE = "office/emails.csv"
COLUMNS = ("email_id", "inbox/outbox", "sender/recipient", "subject", "sent_datetime", "body")
EMAIL = record({name: {"type": "string"} for name in ("subject", "with", "date", "time")})
DELETED = record({"deleted": {"type": "array", "items": EMAIL}})
FORWARDED = record({"forwarded": {"type": "array", "items": EMAIL}})
SENT = record({"sent": EMAIL})

ANA, BO = "ana.silva@example.com", "bo.lund@example.com"
ROWS = {
    1: ("00000001", "inbox", ANA, "Budget", "2023-10-02 09:00:00", "Draft."),
    2: ("00000002", "inbox", BO, "Budget", "2023-11-21 10:00:00", "Looks fine."),
    3: ("00000003", "inbox", ANA, "Budget", "2023-11-24 11:00:00", "Final."),
    4: ("00000004", "inbox", ANA, "Party", "2023-11-28 12:00:00", "Cake?"),
    5: ("00000005", "outbox", ANA, "Party", "2023-11-29 12:00:00", "Yes."),
}
"""A small mailbox, for the examples of contracts; the day they are looked at is 2023-11-30."""
TODAY = "2023-11-30 00:00:00"


def mailbox(*rows: int | tuple[str, ...]) -> dict[str, str]:
    """The file with the numbered rows, and others."""
    return {FILE: as_csv(COLUMNS, [ROWS[row] if isinstance(row, int) else row for row in rows])}


def email(row: int | tuple[str, ...]) -> dict[str, str]:
    """A row as programs show it."""
    _, _, address, subject, sent, _ = ROWS[row] if isinstance(row, int) else row
    return {"subject": subject, "with": address, "date": sent[:10], "time": sent[11:16]}


def deleting(input: Mapping[str, Any], *gone: int) -> dict[str, Any]:
    left = [row for row in ROWS if row not in gone]
    return {"input": input, "output": {"deleted": [email(row) for row in gone]}, "after": mailbox(*left)}


def sending(input: Mapping[str, Any], address: str, subject: str, body: str) -> dict[str, Any]:
    new = ("00000006", "outbox", address, subject, TODAY, body)
    return {"input": input, "output": {"sent": email(new)}, "after": mailbox(*ROWS, new)}


def forwarding(input: Mapping[str, Any], *sent: tuple[int, str]) -> dict[str, Any]:
    """An example in which these rows are forwarded to these addresses."""
    new = [
        (f"0000000{6 + n}", "outbox", to, f"FW: {ROWS[row][3]}", TODAY, ROWS[row][5])
        for n, (row, to) in enumerate(sent)
    ]
    return {"input": input, "output": {"forwarded": [email(row) for row in new]}, "after": mailbox(*ROWS, *new)}


def failing(input: Mapping[str, Any], kind: str = "not_found") -> dict[str, Any]:
    return {"input": input, "error": {"kind": kind}}


def family(
    name: str,
    id: str,
    summary: str,
    input: dict[str, Any],
    output: dict[str, Any],
    sentence: Callable[[Any], str],
    *examples: dict[str, Any],
    clock: bool = False,
) -> Family:
    fields = draft(
        id,
        summary,
        ("tables", "mail"),
        record(input),
        output,
        writes=[FILE],
        clock=clock,
        fixtures=mailbox(*ROWS),
        examples=examples,
    )
    return Family(name, fields, sentence)


# Sentences


def say_deleted(output: Any) -> str:
    gone = output["deleted"]
    if not gone:
        return "There was no email to delete."
    if len(gone) == 1:
        return f"I deleted “{gone[0]['subject']}” from {gone[0]['with']}, received on {gone[0]['date']}."
    listed = "; ".join(f"“{e['subject']}” of {e['date']}" for e in gone)
    return f"I deleted {len(gone)} emails from {gone[0]['with']}: {listed}."


def say_sent(output: Any) -> str:
    return f"I sent “{output['sent']['subject']}” to {output['sent']['with']}."


def say_forwarded(output: Any) -> str:
    sent = output["forwarded"]
    if not sent:
        return "There was no email to forward."
    listed = (f"“{email['subject']}” to {email['with']}" for email in sent)
    return f"I sent {', '.join(listed)}."


# Families

FAMILIES = [
    family(
        "Delete my last email from {name}",
        "delete_last_email_from",
        "Deletes the last email that came from a person, and returns it.",
        {"person": PERSON},
        DELETED,
        say_deleted,
        deleting({"person": "ana"}, 4),
        deleting({"person": "Bo Lund"}, 2),
        failing({"person": "zoe"}),
    ),
    family(
        "Delete all my emails from {name} from the last {days} days",
        "delete_recent_emails_from",
        "Deletes all emails that came from a person in the last days, and returns them.",
        {"person": PERSON, "days": whole(1, 3650, "how many days back")},
        DELETED,
        say_deleted,
        deleting({"person": "ana", "days": 10}, 3, 4),
        deleting({"person": "ana", "days": 1}),
        deleting({"person": "bo", "days": 10}, 2),
        failing({"person": "zoe", "days": 10}),
        clock=True,
    ),
    family(
        "Send an email to {name} saying '{body}' and title it '{subject}'",
        "send_email",
        "Sends an email with a subject and a body to a person, and returns it.",
        {"person": PERSON, "subject": TEXT, "body": BODY},
        SENT,
        say_sent,
        sending({"person": "bo", "subject": "Lunch", "body": "At noon?"}, BO, "Lunch", "At noon?"),
        sending({"person": ANA, "subject": "Hello", "body": "Dear Ana"}, ANA, "Hello", "Dear Ana"),
        failing({"person": "zoe", "subject": "Lunch", "body": "At noon?"}),
        clock=True,
    ),
    family(
        "Reply to {name}'s last email about '{subject}' with 'Thanks for the update - I will get back to you "
        "tomorrow.'",
        "reply_to_last_email_about",
        "Replies to the last email that came from a person about a subject, and returns the reply.",
        {"person": PERSON, "subject": TEXT, "body": BODY},
        SENT,
        say_sent,
        sending({"person": "ana", "subject": "budget", "body": "Thanks!"}, ANA, "Budget", "Thanks!"),
        failing({"person": "bo", "subject": "Party", "body": "Thanks!"}),
        failing({"person": "zoe", "subject": "Budget", "body": "Thanks!"}),
        clock=True,
    ),
    family(
        "Forward all the emails from {name} last week about '{subject}' to {recipient_name}",
        "forward_last_weeks_emails",
        "Forwards all emails about a subject that came from a person in the week before this one to somebody, and "
        "returns what was sent.",
        {"sender": PERSON, "subject": TEXT, "recipient": PERSON},
        FORWARDED,
        say_forwarded,
        forwarding({"sender": "ana", "subject": "Budget", "recipient": "bo"}, (3, BO)),
        forwarding({"sender": "ana", "subject": "Party", "recipient": "bo"}),
        forwarding({"sender": "bo", "subject": "budget", "recipient": "ana"}, (2, ANA)),
        failing({"sender": "ana", "subject": "Budget", "recipient": "zoe"}),
        clock=True,
    ),
    family(
        "Forward the latest email about '{subject}' to {recipient_name}",
        "forward_last_email_about",
        "Forwards the latest email that came about a subject to somebody, and returns it.",
        {"subject": TEXT, "recipient": PERSON},
        FORWARDED,
        say_forwarded,
        forwarding({"subject": "Budget", "recipient": "bo"}, (3, BO)),
        forwarding({"subject": "party", "recipient": "ana"}, (4, ANA)),
        failing({"subject": "Roadmap", "recipient": "bo"}),
        clock=True,
    ),
    family(
        "Forward my most recent email from {sender_name} to {recipient_name}",
        "forward_last_email_from",
        "Forwards the latest email that came from a person to somebody, and returns it.",
        {"sender": PERSON, "recipient": PERSON},
        FORWARDED,
        say_forwarded,
        forwarding({"sender": "ana", "recipient": "bo"}, (4, BO)),
        forwarding({"sender": "bo", "recipient": "ana"}, (2, ANA)),
        failing({"sender": "zoe", "recipient": "bo"}),
        clock=True,
    ),
    family(
        "Forward the last email about '{subject}' to {recipient_name1} and {recipient_name2}",
        "forward_last_email_to_several",
        "Forwards the latest email that came about a subject to several people, and returns what was sent to each.",
        {"subject": TEXT, "recipients": several(PERSON)},
        FORWARDED,
        say_forwarded,
        forwarding({"subject": "Budget", "recipients": ["bo", "ana"]}, (3, BO), (3, ANA)),
        forwarding({"subject": "Party", "recipients": ["bo"]}, (4, BO)),
        failing({"subject": "Roadmap", "recipients": ["bo", "ana"]}),
        clock=True,
    ),
    family(
        "Reply to the latest email from {sender_name} with 'Got it, thank you!'",
        "reply_to_last_email_from",
        "Replies to the latest email that came from a person, and returns the reply.",
        {"person": PERSON, "body": BODY},
        SENT,
        say_sent,
        sending({"person": "ana", "body": "Thanks!"}, ANA, "Party", "Thanks!"),
        sending({"person": "bo", "body": "No."}, BO, "Budget", "No."),
        failing({"person": "zoe", "body": "Thanks!"}),
        clock=True,
    ),
]
FIXED_BODIES = {
    "reply_to_last_email_about": "Thanks for the update - I will get back to you tomorrow.",
    "reply_to_last_email_from": "Got it, thank you!",
}


def arguments(family: Family, slots: Mapping[str, str], wording: str) -> dict[str, Any]:
    """The input that a model gives for a task of a family, from the words in its slots and around them."""
    names = {"recipient_name": "recipient", "sender_name": "sender"}
    if family.capability in ("forward_last_weeks_emails",):
        names["name"] = "sender"
    elif family.capability == "reply_to_last_email_from":
        names["sender_name"] = "person"
    else:
        names["name"] = "person"
    found: dict[str, Any] = {}
    for name, text in slots.items():
        if name in ("recipient_name1", "recipient_name2"):
            found.setdefault("recipients", []).append(text)
        else:
            found[names.get(name, name)] = int(text) if name == "days" else text
    if family.capability in FIXED_BODIES:
        found["body"] = FIXED_BODIES[family.capability]
    return found
