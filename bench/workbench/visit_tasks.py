"""The families of tasks about visits to the web site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.workbench.contracts import DATE, draft, one_of, record, several, whole
from bench.workbench.scenario import Family, as_csv
from bench.workbench.words import day_of

VISITS, PLOTS = "office/analytics_data.csv", "office/plots.csv"
VISIT_COLUMNS = (
    *("date_of_visit", "visitor_id", "page_views"),
    *("session_duration_seconds", "traffic_source", "user_engaged"),
)
PLOT_COLUMNS = ("time_min", "time_max", "value_to_plot", "plot_type")
METRIC = one_of("total visits", "average session duration", "engaged users")
SOURCE = one_of("direct", "referral", "search engine", "social media")
KIND = one_of("bar", "line", "scatter", "histogram")
PASSES, MOVES = one_of("more", "less"), one_of("higher", "lower")
WEEKDAY = one_of("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEKS = whole(1, 520, "how many weeks back")
THRESHOLD = {"type": "number", "minimum": 0, "description": "what the value of a day is compared with"}
PERCENT = {"type": "number", "minimum": 0, "maximum": 1000, "description": "by how many percent it changed at least"}
PLOTTED = record(
    {
        "plots": {
            "type": "array",
            "items": record({name: {"type": "string"} for name in ("value", "kind", "start", "end")}),
        }
    }
)

ROWS = (
    ("2023-11-20", "0001", "3", "10", "direct", "True"),
    ("2023-11-27", "0002", "1", "20", "direct", "False"),
    ("2023-11-27", "0003", "2", "30", "referral", "True"),
    ("2023-11-29", "0004", "4", "5", "social media", "True"),
    ("2023-11-29", "0005", "4", "10", "direct", "True"),
    ("2023-11-29", "0006", "4", "5", "referral", "True"),
    ("2023-11-29", "0007", "1", "4", "direct", "False"),
)
"""Visits of a Monday, the next, and the Wednesday after, for the examples; the day they are looked at is 2023-11-30."""
VALUES = {
    "total visits": "total_visits",
    "average session duration": "session_duration_seconds",
    "engaged users": "user_engaged",
}
LAST = "2023-11-29"


def plotting(input: Mapping[str, Any], *plots: tuple[str, str, str, str]) -> dict[str, Any]:
    """An example in which these plots are made: from, to, what, how."""
    shown = [{"value": value, "kind": kind, "start": start, "end": end} for start, end, value, kind in plots]
    return {"input": input, "output": {"plots": shown}, "after": {PLOTS: as_csv(PLOT_COLUMNS, plots)}}


def failing(input: Mapping[str, Any], kind: str = "not_found") -> dict[str, Any]:
    return {"input": input, "error": {"kind": kind}}


def family(
    name: str,
    id: str,
    summary: str,
    input: dict[str, Any],
    *examples: dict[str, Any],
    clock: bool = False,
    reads: bool = True,
) -> Family:
    fields = draft(
        id,
        summary,
        ("tables", "visits"),
        record(input),
        PLOTTED,
        writes=[PLOTS],
        reads=[VISITS] if reads else [],
        clock=clock,
        fixtures={VISITS: as_csv(VISIT_COLUMNS, ROWS), PLOTS: as_csv(PLOT_COLUMNS, [])},
        examples=examples,
    )
    return Family(name, fields, say_plotted)


def say_plotted(output: Any) -> str:
    plots = output["plots"]
    if not plots:
        return "That was not so, and I plotted nothing."
    made = " and ".join(f"a {plot['kind']} chart of {plot['value']}" for plot in plots)
    return f"I made {made} from {plots[0]['start']} to {plots[0]['end']}."


_M1, _M2, _SINCE_LAST = "2023-11-20", "2023-11-27", ("2023-11-27", LAST)

FAMILIES = [
    family(
        "Can you make a {plot_type} chart of {natural_language_metric} since {natural_language_date}?",
        "plot_metric_since",
        "Plots a metric of the web site from a day to the last one that has visits, and returns the plot.",
        {"metric": METRIC, "plot_type": KIND, "since": DATE},
        plotting({"metric": "engaged users", "plot_type": "bar", "since": _M2}, (*_SINCE_LAST, "user_engaged", "bar")),
        plotting({"metric": "total visits", "plot_type": "line", "since": _M1}, (_M1, LAST, "total_visits", "line")),
    ),
    family(
        "Plot the distribution of {natural_language_metric} on {natural_language_date}",
        "plot_distribution_on_day",
        "Plots how a metric of the web site is distributed on one day, as a histogram, and returns the plot.",
        {"metric": METRIC, "date": DATE},
        plotting({"metric": "engaged users", "date": _M2}, (_M2, _M2, "user_engaged", "histogram")),
        plotting({"metric": "total visits", "date": _M1}, (_M1, _M1, "total_visits", "histogram")),
        reads=False,
    ),
    family(
        "Can you plot the distribution of both {natural_language_metric} and {natural_language_metric_2} between "
        "{natural_language_date} and {natural_language_date_max}??",
        "plot_distributions_between",
        "Plots how some metrics of the web site are distributed between two days, as histograms; returns the plots.",
        {"metrics": several(METRIC), "start": DATE, "end": DATE},
        plotting(
            {"metrics": ["total visits", "engaged users"], "start": _M1, "end": _M2},
            (_M1, _M2, "total_visits", "histogram"),
            (_M1, _M2, "user_engaged", "histogram"),
        ),
        plotting(
            {"metrics": ["average session duration"], "start": _M2, "end": LAST},
            (_M2, LAST, "session_duration_seconds", "histogram"),
        ),
        failing({"metrics": ["total visits"], "start": _M2, "end": _M1}, "invalid_input"),
        reads=False,
    ),
    family(
        "If {natural_language_metric} was {more_or_less} than {threshold} at any time since {natural_language_date}, "
        "make a line plot of it since then",
        "plot_if_metric_passed_since",
        "Plots a metric of the web site since a day as a line, if it was more or less than a threshold on a day since.",
        {"metric": METRIC, "direction": PASSES, "threshold": THRESHOLD, "since": DATE},
        plotting(
            {"metric": "total visits", "direction": "more", "threshold": 3, "since": _M2},
            (*_SINCE_LAST, "total_visits", "line"),
        ),
        plotting({"metric": "total visits", "direction": "less", "threshold": 2, "since": _M2}),
        plotting(
            {"metric": "engaged users", "direction": "less", "threshold": 2, "since": _M2},
            (*_SINCE_LAST, "user_engaged", "line"),
        ),
        plotting({"metric": "average session duration", "direction": "more", "threshold": 25, "since": _M1}),
    ),
    family(
        "Make bar charts showing {natural_language_metric} and {natural_language_metric_2} since {date_min}",
        "bar_charts_since",
        "Plots some metrics of the web site as bar charts, from a day to the last one with visits; returns the plots.",
        {"metrics": several(METRIC), "since": DATE},
        plotting(
            {"metrics": ["total visits", "engaged users"], "since": _M2},
            (*_SINCE_LAST, "total_visits", "bar"),
            (*_SINCE_LAST, "user_engaged", "bar"),
        ),
        plotting(
            {"metrics": ["average session duration"], "since": _M1}, (_M1, LAST, "session_duration_seconds", "bar")
        ),
    ),
    family(
        "If {natural_language_metric} was {more_or_less} than {threshold} any time in the last {past_n_weeks} weeks, "
        "make a line plot of it since then",
        "plot_if_metric_passed_in_weeks",
        "Plots a metric of the web site over the last weeks as a line, if it was more or less than a threshold on one "
        "day of them.",
        {"metric": METRIC, "direction": PASSES, "threshold": THRESHOLD, "weeks": WEEKS},
        plotting(
            {"metric": "total visits", "direction": "more", "threshold": 3, "weeks": 1},
            ("2023-11-23", LAST, "total_visits", "line"),
        ),
        plotting({"metric": "total visits", "direction": "less", "threshold": 2, "weeks": 1}),
        plotting(
            {"metric": "engaged users", "direction": "less", "threshold": 2, "weeks": 2},
            ("2023-11-16", LAST, "user_engaged", "line"),
        ),
        clock=True,
    ),
    family(
        "If {natural_language_metric} is more than {natural_language_growth_threshold} {higher_or_lower} than "
        "{natural_language_date}, make a line plot of it since then",
        "plot_if_metric_changed_since",
        "Plots a metric of the web site since a day as a line, if it is now so many percent higher or lower than then.",
        {"metric": METRIC, "direction": MOVES, "percent": PERCENT, "since": DATE},
        plotting(
            {"metric": "total visits", "direction": "higher", "percent": 90, "since": _M2},
            (*_SINCE_LAST, "total_visits", "line"),
        ),
        plotting({"metric": "total visits", "direction": "higher", "percent": 100, "since": _M2}),
        plotting(
            {"metric": "average session duration", "direction": "lower", "percent": 30, "since": _M1},
            (_M1, LAST, "session_duration_seconds", "line"),
        ),
        failing({"metric": "total visits", "direction": "lower", "percent": 30, "since": "2023-11-28"}),
    ),
    family(
        "If {natural_language_metric} is more than {natural_language_growth_threshold} {higher_or_lower} than it was "
        "on {day_of_week}, make a line plot of it since then",
        "plot_if_metric_changed_since_weekday",
        "Plots a metric of the web site since the last day of a name as a line, if it is now so many percent higher or "
        "lower than it was on that day.",
        {"metric": METRIC, "direction": MOVES, "percent": PERCENT, "weekday": WEEKDAY},
        plotting(
            {"metric": "total visits", "direction": "higher", "percent": 90, "weekday": "Monday"},
            (*_SINCE_LAST, "total_visits", "line"),
        ),
        plotting({"metric": "total visits", "direction": "higher", "percent": 100, "weekday": "Monday"}),
        plotting(
            {"metric": "average session duration", "direction": "lower", "percent": 70, "weekday": "Monday"},
            (*_SINCE_LAST, "session_duration_seconds", "line"),
        ),
        plotting({"metric": "engaged users", "direction": "lower", "percent": 0, "weekday": "Wednesday"}),
        failing({"metric": "engaged users", "direction": "lower", "percent": 2, "weekday": "Tuesday"}),
        clock=True,
    ),
    family(
        "If {natural_language_metric} on {day_of_week} was more than {natural_language_growth_threshold} "
        "{higher_or_lower} than it was the previous {day_of_week}, make a line plot of it over that period.",
        "plot_if_weekday_changed",
        "Plots a metric of the web site over the week to the last day of a name as a line, if it was so many percent "
        "higher or lower on that day than a week before.",
        {"metric": METRIC, "direction": MOVES, "percent": PERCENT, "weekday": WEEKDAY},
        plotting(
            {"metric": "total visits", "direction": "higher", "percent": 90, "weekday": "Monday"},
            (_M1, _M2, "total_visits", "line"),
        ),
        plotting({"metric": "total visits", "direction": "lower", "percent": 10, "weekday": "Monday"}),
        plotting(
            {"metric": "average session duration", "direction": "higher", "percent": 140, "weekday": "Monday"},
            (_M1, _M2, "session_duration_seconds", "line"),
        ),
        plotting({"metric": "total visits", "direction": "higher", "percent": 100, "weekday": "Monday"}),
        failing({"metric": "total visits", "direction": "higher", "percent": 2, "weekday": "Tuesday"}),
        clock=True,
    ),
    family(
        "Can you check the percent growth of {natural_language_metric} since {day_of_week}? If it grew by more than "
        "{natural_language_metric_2}, plot both lines since then",
        "plot_both_if_one_grew_more",
        "Plots two metrics of the web site since the last day of a name as lines, if the first grew by more percent.",
        {"metric": METRIC, "other_metric": METRIC, "weekday": WEEKDAY},
        plotting(
            {"metric": "engaged users", "other_metric": "total visits", "weekday": "Monday"},
            (*_SINCE_LAST, "user_engaged", "line"),
            (*_SINCE_LAST, "total_visits", "line"),
        ),
        plotting({"metric": "total visits", "other_metric": "engaged users", "weekday": "Monday"}),
        failing({"metric": "total visits", "other_metric": "engaged users", "weekday": "Tuesday"}),
        clock=True,
    ),
    family(
        "Can you make a line plot of the {most_or_least} popular traffic source since {natural_language_date}?",
        "plot_popular_source_since",
        "Plots the visits from the most or least popular traffic source since a day as a line, and returns the plot.",
        {"rank": one_of("most", "least"), "since": DATE},
        plotting({"rank": "most", "since": _M2}, (*_SINCE_LAST, "visits_direct", "line")),
        plotting({"rank": "least", "since": _M1}, (_M1, LAST, "visits_social_media", "line")),
        failing({"rank": "most", "since": "2024-01-01"}),
    ),
    family(
        "If we got more traffic from {traffic_source_1} than {traffic_source_2} during the last {n_weeks} weeks, make "
        "bar charts of both over that period",
        "bar_charts_if_source_led",
        "Plots the visits from two traffic sources over the last weeks as bar charts, if the first brought more.",
        {"source": SOURCE, "other_source": SOURCE, "weeks": WEEKS},
        plotting(
            {"source": "direct", "other_source": "referral", "weeks": 1},
            ("2023-11-23", LAST, "visits_direct", "bar"),
            ("2023-11-23", LAST, "visits_referral", "bar"),
        ),
        plotting({"source": "search engine", "other_source": "social media", "weeks": 2}),
        clock=True,
    ),
]
NAMES = {
    "natural_language_metric": "metric",
    "natural_language_metric_2": "other_metric",
    "natural_language_date": "since",
    "date_min": "since",
    "natural_language_date_max": "end",
    "more_or_less": "direction",
    "higher_or_lower": "direction",
    "natural_language_growth_threshold": "percent",
    "day_of_week": "weekday",
    "past_n_weeks": "weeks",
    "n_weeks": "weeks",
    "most_or_least": "rank",
    "traffic_source_1": "source",
    "traffic_source_2": "other_source",
}


def arguments(family: Family, slots: Mapping[str, str], wording: str) -> dict[str, Any]:
    """The input that a model gives for a task of a family, from the words in its slots and around them."""
    found: dict[str, Any] = {NAMES.get(name, name): text for name, text in slots.items()}
    for name in ("since", "end"):
        if name in found:
            found[name] = day_of(found[name])
    for name in ("weeks", "threshold", "percent"):
        if name in found:
            found[name] = int(found[name].removesuffix("%"))
    if "weekday" in found:
        found["weekday"] = found["weekday"].capitalize()
    takes = family.draft["input_schema"]["properties"]
    if "metrics" in takes:
        found["metrics"] = [found.pop("metric"), found.pop("other_metric")]
    if "start" in takes:
        found["start"] = found.pop("since")
    if "date" in takes:
        found["date"] = found.pop("since")
    return found
