def run(input: dict) -> dict:
    rows, since = visits(), day(input["since"]).isoformat()
    counts = {}
    for row in rows:
        if row["date_of_visit"] >= since:
            counts[row["traffic_source"]] = counts.get(row["traffic_source"], 0) + 1
    if not counts:
        raise host.Error(f"there were no visits since {since}", kind="not_found")
    choose = max if input["rank"] == "most" else min
    source = choose(sorted(counts), key=counts.get)
    return plot(["visits_" + source.replace(" ", "_")], "line", since, last_day(rows))
