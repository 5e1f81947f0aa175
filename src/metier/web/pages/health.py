"""How the library does: what is reused, what that saves, how it grows, and what broke, over time."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from metier.stats import stats
from metier.usage import DAY, DaySums
from metier.web.pages import plots
from metier.web.pages.site import Site, choice

SPANS = {"7": "a week", "30": "a month", "365": "a year"}
BUSIEST = 20
"""Capabilities that are listed with their use."""


class HealthPages:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._runtime = site.runtime

    def health(self, request: Request) -> Response:
        span = choice(request, "days", SPANS)
        since = time.time() - int(span) * DAY if span else 0.0
        found = stats(self._runtime, since)
        drawn = self._plots(found, since)
        return self._site.page(
            request,
            "health",
            s=found,
            plots=[plot for plot in drawn if plot is not None],
            span=span,
            spans=SPANS,
            busiest=[row for row in found["capabilities"] if row["runs"]][:BUSIEST],
        )

    def _plots(self, found: dict[str, Any], since: float) -> list[plots.Plot | None]:
        usage = self._runtime.journal.usage
        days = usage.days(since)
        tasks = {_date(d.day): (d.recalled, d.by_model, d.unanswered) for d in days}
        answered = [d for d in days if d.recalled + d.by_model]
        grown = {date.fromisoformat(row["day"]): float(row["total"]) for row in found["library"]["growth"]}
        first = datetime.fromtimestamp(since, UTC).date()
        return [
            plots.line("Capabilities", "there by then", {day: n for day, n in grown.items() if day >= first}),
            plots.bars("Tasks a day", ("from memory", "by a model", "not answered"), tasks),
            plots.line("Answered from memory", "share", _shares(answered, "recalled"), percent=True),
            plots.line("Answered by reuse", "share", _shares(answered, "reusing"), percent=True),
            plots.bars("Model calls a day", ("saved", "made"), _calls(days, found["models"]["calls_a_task"] or 0.0)),
            plots.bars(
                "Failed runs a day",
                ("wrong input", "other", "broke the contract"),
                self._failed(since),
                ("zero", "two", "three"),
            ),
        ]

    def _failed(self, since: float) -> dict[date, tuple[float, ...]]:
        counted = Counter[tuple[int, int]]()
        for sums in self._runtime.journal.usage.runs(since):
            counted[sums.day, 0] += sums.wrong_inputs
            counted[sums.day, 1] += sums.failed - sums.wrong_inputs - sums.broken
            counted[sums.day, 2] += sums.broken
        return {_date(day): tuple(counted[day, kind] for kind in range(3)) for day in {day for day, _ in counted}}


def _shares(days: list[DaySums], what: str) -> dict[date, float]:
    return {_date(d.day): getattr(d, what) / (d.recalled + d.by_model) for d in days}


def _calls(days: list[DaySums], usual: float) -> dict[date, tuple[float, ...]]:
    """Model calls that recall saved, at what a task usually takes of them, and those that were made."""
    return {_date(d.day): (round(d.recalled * usual, 1), float(d.model_calls)) for d in days}


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * DAY, UTC).date()
