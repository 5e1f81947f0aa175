def run(input: dict) -> dict:
    rows = emails()
    email = last(about(received(rows), input["subject"]), f"about {input['subject']}")
    return forward(rows, [email], input["recipients"])
