def run(input: dict) -> dict:
    rows = emails()
    email = last(from_person(rows, input["person"]), f"from {input['person']}")
    sent = send(rows, email["sender/recipient"], email["subject"], input["body"])
    keep(rows)
    return {"sent": sent}
