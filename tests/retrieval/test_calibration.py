"""Calibration: a library's own outcomes decide what its scores mean, and only so far as there are many."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from metier.retrieval.calibration import FILE_NAME, GENERAL, NOTHING_FITS, Calibration, fitted, margins


def test_a_better_score_and_a_clearer_lead_make_a_candidate_likelier() -> None:
    calibration = Calibration(None, "any")
    low, high = (calibration.chances([score, 0.1])[0] for score in (0.3, 0.6))
    tied, alone = (calibration.chances([0.5, second])[0] for second in (0.5, 0.2))
    assert low < high
    assert tied < alone
    assert calibration.chances([]) == []


def test_a_margin_is_measured_against_the_best_of_the_others() -> None:
    assert margins([0.9, 0.5, 0.4]) == pytest.approx([0.4, -0.4, -0.5])
    assert margins([0.5, 0.5]) == [0.0, 0.0]
    assert margins([0.7]) == [0.0]


def test_what_nothing_has_in_common_with_is_recognised() -> None:
    assert (
        max(Calibration(None, "any").chances([0.08, 0.07])) < NOTHING_FITS < Calibration(None, "any").chances([0.6])[0]
    )


def test_one_outcome_moves_little_and_many_move_the_estimate_to_what_happened() -> None:
    draw = random.Random(1)
    seen = [(score, 0.05, draw.random() < score / 2) for score in (draw.uniform(0.3, 0.9) for _ in range(800))]
    one, many = fitted(seen[:1]), fitted(seen)
    assert abs(one - GENERAL).max() < 0.2
    calibration = Calibration(None, "any")
    calibration._weights = many
    for score in (0.4, 0.6, 0.8):
        chance = calibration.chances([math.tanh(score), math.tanh(score - 0.05)])[0]
        assert chance == pytest.approx(score / 2, abs=0.1)


def test_outcomes_outlive_the_process_and_belong_to_their_embedder(tmp_path: Path) -> None:
    first = Calibration(tmp_path, "wordllama")
    before = first.chances([0.5, 0.3])
    for _ in range(60):
        first.learn([0.5, 0.3], right=False)
    after = first.chances([0.5, 0.3])
    first.close()
    assert after[0] < before[0] / 2
    assert Calibration(tmp_path, "wordllama").chances([0.5, 0.3]) == after
    assert Calibration(tmp_path, "openai:other").chances([0.5, 0.3]) == before


def test_outcomes_of_one_side_only_leave_probabilities_between_nought_and_one(tmp_path: Path) -> None:
    calibration = Calibration(tmp_path, "any")
    for _ in range(50):
        calibration.learn([0.9, 0.1], right=True)
    assert 0.9 < calibration.chances([0.9, 0.1])[0] <= 1
    assert 0 <= calibration.chances([0.0, 0.0])[0] < 0.2


def test_a_damaged_file_costs_no_more_than_what_was_learned(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database" * 500)
    calibration = Calibration(tmp_path, "any")
    assert calibration.chances([0.5, 0.3]) == Calibration(None, "any").chances([0.5, 0.3])
    calibration.learn([0.5, 0.3], right=True)
    calibration.close()
