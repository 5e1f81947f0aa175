"""Plots over days, as numbers that a template draws: a line over an area, or stacked bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

WIDTH, HEIGHT = 480, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 10, 26
MARKS = 4
"""Lines across, about."""
DATES = 4
"""Dates below, at most."""
KINDS = ("one", "two", "three")
"""Classes of bars: what is good, what is neither, what is bad."""


@dataclass(frozen=True, slots=True)
class Plot:
    """`paths` are (class, path); `across` lines at a height with a label; `below` labels at a place; `rows` the same in
    numbers."""

    title: str
    names: tuple[str, ...]
    paths: tuple[tuple[str, str], ...]
    across: tuple[tuple[float, str], ...]
    below: tuple[tuple[float, str], ...]
    rows: tuple[tuple[str, tuple[float, ...]], ...]
    percent: bool = False

    @property
    def width(self) -> int:
        return WIDTH

    @property
    def height(self) -> int:
        return HEIGHT

    @property
    def left(self) -> int:
        return LEFT

    @property
    def right(self) -> int:
        return WIDTH - RIGHT


def line(title: str, name: str, values: Mapping[date, float], *, percent: bool = False) -> Plot | None:
    """One value a day, which holds until the next; None where there is no day."""
    if not values:
        return None
    days = sorted(values)
    span = _Span(days[0], max(days[-1], days[0] + timedelta(days=1)))
    top, across = _scale(1.0 if percent else max(values.values()), percent=percent)
    points = [(span.x(day), _y(values[day], top)) for day in days]
    if len(days) == 1:
        points.append((span.x(span.last), points[0][1]))
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    area = f"{path}V{HEIGHT - BOTTOM}H{points[0][0]:.1f}Z"
    rows = tuple((day.isoformat(), (values[day],)) for day in days)
    return Plot(title, (name,), (("area", area), ("line", path)), across, span.dates(), rows, percent)


def bars(
    title: str, names: Sequence[str], values: Mapping[date, Sequence[float]], kinds: Sequence[str] = KINDS
) -> Plot | None:
    """For each day the values of each name on top of each other; None where all are 0."""
    if not any(any(row) for row in values.values()):
        return None
    days = sorted(values)
    span = _Span(days[0] - timedelta(days=1), days[-1] + timedelta(days=1))
    top, across = _scale(max(sum(row) for row in values.values()))
    width = max(1.0, min(22.0, span.step * 0.7))
    paths = dict.fromkeys(KINDS[: len(names)], "")
    for day in days:
        base = 0.0
        for kind, value in zip(paths, values[day], strict=True):
            if value:
                upper, lower = _y(base + value, top), _y(base, top)
                paths[kind] += f"M{span.x(day) - width / 2:.1f} {lower:.1f}V{upper:.1f}h{width:.1f}V{lower:.1f}Z"
                base += value
    rows = tuple((day.isoformat(), tuple(values[day])) for day in days)
    return Plot(title, tuple(names), tuple(paths.items()), across, span.dates(), rows)


@dataclass(frozen=True, slots=True)
class _Span:
    """The days from first to last over the width of a plot."""

    first: date
    last: date

    @property
    def step(self) -> float:
        """How wide a day is."""
        return (WIDTH - LEFT - RIGHT) / max(1, (self.last - self.first).days)

    def x(self, day: date) -> float:
        return LEFT + (day - self.first).days * self.step

    def dates(self) -> tuple[tuple[float, str], ...]:
        whole = (self.last - self.first).days
        every = max(1, math.ceil(whole / DATES))
        chosen = (self.first + timedelta(days=n) for n in range(every // 2, whole + 1, every))
        return tuple((round(self.x(day), 1), f"{day:%b} {day.day}") for day in chosen)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _scale(most: float, *, percent: bool = False) -> tuple[float, tuple[tuple[float, str], ...]]:
    """A round number that is not less than the most, and lines across at round numbers."""
    if percent:
        return 1.0, tuple((round(_y(share, 1.0), 1), f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0))
    rough = max(most, 1) / MARKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(1.0, next(power * n for n in (1, 2, 5, 10) if power * n >= rough))
    count = max(1, math.ceil(most / step))
    return step * count, tuple((round(_y(step * n, step * count), 1), f"{step * n:g}") for n in range(count + 1))
