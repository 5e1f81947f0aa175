def run(input: dict) -> dict:
    rows = events()
    return cancel(rows, coming(with_person(rows, input["person"]))[:1])
