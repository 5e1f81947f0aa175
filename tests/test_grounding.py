"""Grounding: one run explains an answer when its output has the answer's numbers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from metier.grounding import ground, unexplained

TASK = "What's John's salary?"


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ("John earns 85000.", {"salary": 85000}),
        ("John earns $85,000 a year.", {"salary": 85000}),
        ("John earns €85,000.50.", {"salary": 85000.5}),
        ("That is about 3.14.", {"pi": 3.14159}),
        ("That is 15%.", {"share": 0.15}),
        ("That is 15 %.", {"percent": 15}),
        ("It is -5 degrees.", {"t": -5}),
        ("EMP001 starts on 2026-11-24.", {"id": "EMP001", "start": "2026-11-24"}),
        ("The meeting is on November 24th at 9:30.", {"at": "2026-11-24T09:30:00"}),
        ("John has 3 meetings.", {"events": [{}, {}, {}]}),
        ("No numbers here.", {"a": 1}),
        ("It is 42.", 42),
    ],
)
def test_a_run_explains_an_answer_whose_numbers_its_output_has(answer: str, output: Any) -> None:
    assert ground(answer, [output], TASK) == 0


@pytest.mark.parametrize(
    ("answer", "outputs"),
    [
        ("John earns 85,001.", [{"salary": 85000}]),
        ("John earns 85,000 and Mary 90,000.", [{"salary": 85000}, {"salary": 90000}]),
        ("Together they earn 175,000.", [{"salary": 85000}, {"salary": 90000}]),
        ("John earns 85k.", [{"salary": 85000}]),
        ("It is 300%.", [{"n": 3}]),
        ("It is 85.", []),
    ],
)
def test_no_run_explains_what_it_does_not_say_alone(answer: str, outputs: list[Any]) -> None:
    assert ground(answer, outputs, TASK) is None


def test_numbers_of_the_task_need_no_explanation() -> None:
    assert ground("At 10% that is 93,500.", [{"new": 93500}], "Raise 85,000 by 10%") == 0


def test_the_last_run_that_explains_is_the_one() -> None:
    assert ground("It is 5.", [{"n": 5}, {"n": 5}, {"n": 6}], TASK) == 1


def test_names_decide_between_runs_that_have_the_numbers() -> None:
    assert ground("The manager is Mary Chen.", [{"manager": "Mary Chen"}, {"city": "Oslo"}], TASK) == 0


def test_a_run_whose_arguments_another_run_gave_explains_nothing_alone() -> None:
    outputs = [{"employee_id": "EMP007"}, {"salary": 85000}]
    inputs = [{"name": "John"}, {"employee_id": "EMP007"}]
    assert ground("John earns 85,000.", outputs, TASK, inputs=inputs) is None
    assert ground("John earns 85,000.", outputs, "What's John's (EMP007) salary?", inputs=inputs) == 1


def test_long_answers_are_grounded_quickly() -> None:
    start = time.perf_counter()
    ground("a" * 500_000 + " 1,2,3" * 20_000 + " Ann" * 20_000, [{"n": 1}], "x1" * 100_000)
    assert time.perf_counter() - start < 3


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("John earns 85,000 USD, Mary 72000.50.", []),
        ("John earns 85100 USD.", ["85100"]),
        ("2 of 3 earn more than 80000.", []),
        ("Together they earn 157000.5.", ["157000.5"]),
        ("No employee EMP999; there is EMP001.", []),
    ],
)
def test_a_number_is_explained_by_the_task_or_by_anything_that_was_told(answer: str, found: list[str]) -> None:
    told = [{"salary": 85000}, {"salary": 72000.5}, "no employee EMP999; the choices: John (EMP001)"]
    assert unexplained(answer, told, "Who earns more than 80000?") == found
