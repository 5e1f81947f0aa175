def run(input: dict) -> dict:
    rows = events()
    return cancel(rows, on(rows, day(input["date"]))[:1])
