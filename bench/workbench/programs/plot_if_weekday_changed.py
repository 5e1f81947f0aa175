def run(input: dict) -> dict:
    series, end = by_day(visits(), input["metric"]), last_weekday(input["weekday"])
    start = (day(end) - timedelta(days=7)).isoformat()
    if not changed(value_on(series, start), value_on(series, end), input["direction"], input["percent"]):
        return no_plot()
    return plot([VALUES[input["metric"]]], "line", start, end)
