def run(input: dict) -> dict:
    rows = emails()
    found = about(from_person(rows, input["person"]), input["subject"])
    email = last(found, f"from {input['person']} about {input['subject']}")
    sent = send(rows, email["sender/recipient"], email["subject"], input["body"])
    keep(rows)
    return {"sent": sent}
