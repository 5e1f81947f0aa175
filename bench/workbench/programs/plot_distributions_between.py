def run(input: dict) -> dict:
    start, end = day(input["start"]), day(input["end"])
    if start > end:
        raise host.Error("start is after end", kind="invalid_input")
    return plot([VALUES[m] for m in input["metrics"]], "histogram", start.isoformat(), end.isoformat())
