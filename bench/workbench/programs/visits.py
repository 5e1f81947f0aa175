"""Visits to the web site, by day, and plots of them."""

VISITS, PLOTS = "/office/analytics_data.csv", "/office/plots.csv"
VISIT_COLUMNS = ["date_of_visit", "visitor_id", "session_duration_seconds", "traffic_source", "user_engaged"]
PLOT_COLUMNS = ["time_min", "time_max", "value_to_plot", "plot_type"]
VALUES = {
    "total visits": "total_visits",
    "average session duration": "session_duration_seconds",
    "engaged users": "user_engaged",
}


def visits():
    return read(VISITS, VISIT_COLUMNS)


def by_day(rows, metric):
    """The metric of each day that has visits, in order."""
    days = {}
    for row in rows:
        days.setdefault(row["date_of_visit"], []).append(row)
    return {d: measured(days[d], metric) for d in sorted(days)}


def measured(rows, metric):
    if metric == "total visits":
        return len(rows)
    if metric == "engaged users":
        return sum(row["user_engaged"] == "True" for row in rows)
    return sum(float(row["session_duration_seconds"]) for row in rows) / len(rows)


def last_day(rows):
    if not rows:
        raise host.Error("there are no visits yet", kind="not_found")
    return max(row["date_of_visit"] for row in rows)


def value_on(series, day_):
    if day_ not in series:
        raise host.Error(f"there were no visits on {day_}", kind="not_found")
    return series[day_]


def weeks_ago(weeks):
    return (datetime.now().date() - timedelta(weeks=weeks)).isoformat()


def last_weekday(name):
    """The last day of a name before today."""
    names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    today = datetime.now().date()
    back = (today.weekday() - names.index(name.casefold()) - 1) % 7 + 1
    return (today - timedelta(days=back)).isoformat()


def growth(before, after):
    """Percent from one value to another."""
    if not before:
        raise host.Error("there is no growth from nothing", kind="not_found")
    return 100 * (after - before) / before


def plot(values, kind, start, end):
    """Adds a plot of each value, and says which."""
    made = [{"time_min": start, "time_max": end, "value_to_plot": value, "plot_type": kind} for value in values]
    write(PLOTS, [*read(PLOTS, PLOT_COLUMNS), *made], PLOT_COLUMNS)
    return {"plots": [{"value": p["value_to_plot"], "kind": kind, "start": start, "end": end} for p in made]}


def no_plot():
    read(PLOTS, PLOT_COLUMNS)
    return {"plots": []}


def passed(series, direction, threshold):
    return any(value > threshold if direction == "more" else value < threshold for value in series)


def changed(before, after, direction, percent):
    change = growth(before, after)
    return change > percent if direction == "higher" else -change > percent
