"""What pages draw: the map, plots, and texts beside each other."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from metier.web.pages import plots
from metier.web.pages.atlas import HEIGHT, WIDTH, atlas
from metier.web.pages.side_by_side import side_by_side


def scattered(count: int) -> tuple[list[str], list[str], np.ndarray]:
    """Capabilities about two things, with unit vectors that tell them apart."""
    chance = np.random.default_rng(3)
    vectors = chance.normal(size=(count, 32)).astype(np.float32)
    vectors[: count // 2, 0] += 8
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    about = ["weather" if i < count // 2 else "salary" for i in range(count)]
    return [f"c{i:03}" for i in range(count)], [f"Tells the {what} of one" for what in about], vectors


def test_what_means_the_same_lies_together_and_its_region_is_named() -> None:
    ids, summaries, vectors = scattered(120)
    drawn = atlas(ids, summaries, vectors)
    xs = np.array([drawn.places[id][0] for id in ids])
    one, other = xs[:60], xs[60:]
    assert one.max() < other.min() or other.max() < one.min()
    assert {"weather", "salary"} <= {word for region in drawn.regions for word in region.label.split(" · ")}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 12, 200])
def test_every_place_is_in_the_picture(count: int) -> None:
    drawn = atlas(*scattered(count))
    assert len(drawn.places) == count
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in drawn.places.values())


def test_the_map_does_not_depend_on_the_order_of_the_rows() -> None:
    ids, summaries, vectors = scattered(60)
    turned = atlas(ids[::-1], summaries[::-1], vectors[::-1])
    assert turned == atlas(ids, summaries, vectors)


def test_capabilities_that_are_all_alike_have_a_map_too() -> None:
    same = np.ones((9, 16), dtype=np.float32) / 4
    assert len(atlas([f"c{i}" for i in range(9)], ["x"] * 9, same).places) == 9


def test_lines_that_changed_stand_beside_each_other() -> None:
    rows = side_by_side("a\nb\nc\n", "a\nB\nc\nd\n")
    assert [(row.kind, row.old, row.new) for row in rows] == [
        ("same", (1, "a"), (1, "a")),
        ("changed", (2, "b"), (2, "B")),
        ("same", (3, "c"), (3, "c")),
        ("added", None, (4, "d")),
    ]
    assert side_by_side("a", "a") == []


def test_no_end_of_line_that_compilers_do_not_know_ends_a_line() -> None:
    (row,) = side_by_side("", "# safe\u2028evil()")
    assert row.new == (1, "# safe\u2028evil()")


def test_bars_stand_on_each_other_and_a_line_keeps_to_its_scale() -> None:
    day = date(2026, 11, 2)
    plot = plots.bars("Tasks", ("a", "b"), {day: (2, 3)})
    assert plot is not None
    assert plot.rows == (("2026-11-02", (2, 3)),)
    first, second = (path for _, path in plot.paths)
    assert first.split("V")[1].split("h")[0] == second.split(" ")[1].split("V")[0]
    assert plots.bars("Tasks", ("a",), {day: (0,)}) is None
    assert plots.line("Growth", "n", {}) is None
    one = plots.line("Growth", "n", {day: 7})
    assert one is not None and [label for _, label in one.across] == ["0", "2", "4", "6", "8"]
