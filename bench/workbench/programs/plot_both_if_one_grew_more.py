def run(input: dict) -> dict:
    rows, since = visits(), last_weekday(input["weekday"])
    end, metrics = last_day(rows), [input["metric"], input["other_metric"]]
    series = [by_day(rows, metric) for metric in metrics]
    first, second = (growth(value_on(s, since), s[end]) for s in series)
    if first <= second:
        return no_plot()
    return plot([VALUES[m] for m in metrics], "line", since, end)
