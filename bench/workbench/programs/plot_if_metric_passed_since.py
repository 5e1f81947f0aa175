def run(input: dict) -> dict:
    rows, since = visits(), day(input["since"]).isoformat()
    series = [value for d, value in by_day(rows, input["metric"]).items() if d >= since]
    if not passed(series, input["direction"], input["threshold"]):
        return no_plot()
    return plot([VALUES[input["metric"]]], "line", since, last_day(rows))
