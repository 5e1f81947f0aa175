def run(input: dict) -> dict:
    rows, since = visits(), last_weekday(input["weekday"])
    series, end = by_day(rows, input["metric"]), last_day(rows)
    if not changed(value_on(series, since), series[end], input["direction"], input["percent"]):
        return no_plot()
    return plot([VALUES[input["metric"]]], "line", since, end)
