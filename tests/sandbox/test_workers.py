"""A pool of processes: order is kept, and what goes wrong with one item stays with it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial

import pytest

from metier.sandbox.workers import Lost, Pool


def square(number: int) -> int:
    return number * number


def making_squares() -> Callable[[int], int]:
    return square


def dying_at(bad: int, how: str, number: int) -> int:
    if number == bad:
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif how == "exits":
            os._exit(3)
        else:
            time.sleep(60)
    return number


def making_trouble(bad: int, how: str) -> Callable[[int], int]:
    return partial(dying_at, bad, how)


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(Pool(making_squares, 2, seconds=10).map(range(500))) == [n * n for n in range(500)]


def making_echoes() -> Callable[[str], str]:
    return str


def test_items_and_results_larger_than_a_pipe_holds_do_not_wait_for_each_other() -> None:
    items = [f"{number}" * 2_000_000 for number in range(10)] * 3
    assert list(Pool(making_echoes, 1, seconds=60).map(items)) == items


def test_nothing_to_do_is_done_at_once() -> None:
    assert list(Pool(making_squares, 2, seconds=10).map([])) == []


@pytest.mark.parametrize(
    ("how", "reason"), [("killed", "SIGKILL"), ("exits", "status 3"), ("hangs", "longer than 0.5 s")]
)
def test_a_worker_that_is_lost_takes_one_item_with_it(how: str, reason: str) -> None:
    results = list(Pool(partial(making_trouble, 30, how), 2, seconds=0.5 if how == "hangs" else 10).map(range(100)))
    lost = results[30]
    assert isinstance(lost, Lost)
    assert reason in lost.reason
    assert [r for n, r in enumerate(results) if n != 30] == [n for n in range(100) if n != 30]


def test_items_are_read_only_as_they_are_needed() -> None:
    read = []

    def items() -> object:
        for number in range(100_000):
            read.append(number)
            yield number

    results = Pool(making_squares, 2, seconds=10).map(items())  # type: ignore[arg-type]
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert len(read) < 1000
