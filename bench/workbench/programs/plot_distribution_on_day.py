def run(input: dict) -> dict:
    on = day(input["date"]).isoformat()
    return plot([VALUES[input["metric"]]], "histogram", on, on)
