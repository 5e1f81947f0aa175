def run(input: dict) -> dict:
    rows = events()
    limit = clock_time(input["time"])
    found = on(rows, day(input["date"]))
    if input["side"] == "before":
        return cancel(rows, [event for event in found if minute_of(event) < limit])
    return cancel(rows, [event for event in found if minute_of(event) >= limit])
