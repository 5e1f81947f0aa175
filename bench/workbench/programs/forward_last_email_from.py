def run(input: dict) -> dict:
    rows = emails()
    email = last(from_person(rows, input["sender"]), f"from {input['sender']}")
    return forward(rows, [email], [input["recipient"]])
