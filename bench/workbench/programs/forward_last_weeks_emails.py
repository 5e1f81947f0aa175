def run(input: dict) -> dict:
    rows = emails()
    today = datetime.now().date()
    monday = today - timedelta(days=today.weekday())
    since, until = (monday - timedelta(days=7)).isoformat(), monday.isoformat()
    found = about(from_person(rows, input["sender"]), input["subject"])
    return forward(rows, [email for email in found if since <= email["sent_datetime"] < until], [input["recipient"]])
