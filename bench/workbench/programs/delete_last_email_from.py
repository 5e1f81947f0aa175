def run(input: dict) -> dict:
    rows = emails()
    return delete(rows, from_person(rows, input["person"])[-1:])
