"""The mailbox."""

EMAILS = "/office/emails.csv"
EMAIL_COLUMNS = ["email_id", "inbox/outbox", "sender/recipient", "subject", "sent_datetime", "body"]


def emails():
    return sorted(read(EMAILS, EMAIL_COLUMNS), key=lambda email: (email["sent_datetime"], email["email_id"]))


def keep(rows):
    write(EMAILS, rows, EMAIL_COLUMNS)


def shown(email):
    return {
        "subject": email["subject"],
        "with": email["sender/recipient"],
        "date": email["sent_datetime"][:10],
        "time": email["sent_datetime"][11:16],
    }


def known(rows):
    return [email["sender/recipient"] for email in rows]


def received(rows):
    return [email for email in rows if email["inbox/outbox"] == "inbox"]


def from_person(rows, who):
    address = address_of(who, known(rows))
    return [email for email in received(rows) if email["sender/recipient"] == address]


def about(rows, subject):
    wanted = subject.strip().casefold()
    return [email for email in rows if email["subject"].casefold() == wanted]


def last(found, what):
    if not found:
        raise host.Error(f"there is no email {what}", kind="not_found")
    return found[-1]


def delete(rows, gone):
    if gone:
        ids = {email["email_id"] for email in gone}
        keep([email for email in rows if email["email_id"] not in ids])
    return {"deleted": [shown(email) for email in gone]}


def send(rows, recipient, subject, body):
    """Adds an email that is sent now."""
    email = {
        "email_id": next_id(rows, "email_id"),
        "inbox/outbox": "outbox",
        "sender/recipient": recipient,
        "subject": subject,
        "sent_datetime": datetime.now().isoformat(" ", "seconds"),
        "body": body,
    }
    rows.append(email)
    return shown(email)


def forward(rows, found, recipients):
    addresses = [address_of(who, known(rows)) for who in recipients]
    sent = [send(rows, a, f"FW: {email['subject']}", email["body"]) for email in found for a in addresses]
    if sent:
        keep(rows)
    return {"forwarded": sent}
