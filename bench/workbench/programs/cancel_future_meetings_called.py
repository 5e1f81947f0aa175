def run(input: dict) -> dict:
    rows = events()
    return cancel(rows, coming(called(rows, input["event_name"])))
