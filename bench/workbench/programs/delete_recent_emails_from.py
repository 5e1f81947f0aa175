def run(input: dict) -> dict:
    rows = emails()
    since = (datetime.now() - timedelta(days=input["days"])).isoformat(" ", "seconds")
    found = from_person(rows, input["person"])
    return delete(rows, [email for email in found if email["sent_datetime"] >= since])
