def run(input: dict) -> dict:
    rows = emails()
    sent = send(rows, address_of(input["person"], known(rows)), input["subject"], input["body"])
    keep(rows)
    return {"sent": sent}
