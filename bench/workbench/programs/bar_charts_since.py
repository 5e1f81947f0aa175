def run(input: dict) -> dict:
    end = last_day(visits())
    return plot([VALUES[m] for m in input["metrics"]], "bar", day(input["since"]).isoformat(), end)
