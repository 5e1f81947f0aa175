def run(input: dict) -> dict:
    rows, since, sources = visits(), weeks_ago(input["weeks"]), [input["source"], input["other_source"]]
    recent = [row["traffic_source"] for row in rows if row["date_of_visit"] >= since]
    if recent.count(sources[0]) <= recent.count(sources[1]):
        return no_plot()
    return plot(["visits_" + s.replace(" ", "_") for s in sources], "bar", since, last_day(rows))
