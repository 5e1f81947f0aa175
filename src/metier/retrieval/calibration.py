"""From scores to probabilities: how often a candidate with such a score is the right one, in this library.

Scores do not mean the same in two libraries. What is known of libraries in general is where each one starts from;
every task that a model solved tells whether the best candidate was the right one, and moves its library's own estimate.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metier.localstore import LocalStore

FILE_NAME = "calibration.sqlite"
LAYOUT = 1
TABLES = "CREATE TABLE outcomes (embedder TEXT NOT NULL, score REAL, margin REAL, was_right INTEGER, at REAL)"
KEPT = 1000
"""Outcomes that count, the latest."""

NOTHING_FITS = 0.2
"""When the best candidate is right with less than this probability, the model is told that probably nothing fits."""

GENERAL = np.array([-2.88, 6.04, 5.97])
"""Intercept, weight of a score and of its margin, fitted on half the queries of each set of bench/retrieval.py."""

STIFFNESS = np.array([4.0, 1.0, 0.5])
"""How much GENERAL resists the outcomes of one library: the precision of a normal prior around it; see `fitted`."""


def margins(scores: Sequence[float]) -> list[float]:
    """How far each score lies above the best of the others, or, below nought, under it; nought where there is none."""
    if len(scores) < 2:
        return [0.0 for _ in scores]
    best = max(range(len(scores)), key=scores.__getitem__)
    second = max(score for place, score in enumerate(scores) if place != best)
    return [score - (second if place == best else scores[best]) for place, score in enumerate(scores)]


def fitted(outcomes: Sequence[tuple[float, float, bool]]) -> NDArray[np.float64]:
    """Intercept and weights after these outcomes (score, margin, right): the mode of a logistic regression's posterior
    under a normal prior around GENERAL, by Newton's method (Bishop, Pattern Recognition and Machine Learning,
    4.3.3)."""
    weights = GENERAL.copy()
    if not outcomes:
        return weights
    rows = np.array([(1.0, score, margin) for score, margin, _ in outcomes])
    right = np.array([float(hit) for *_, hit in outcomes])
    for _ in range(25):
        chances = _logistic(rows @ weights)
        gradient = rows.T @ (chances - right) + STIFFNESS * (weights - GENERAL)
        curvature = (rows * (chances * (1 - chances))[:, None]).T @ rows + np.diag(STIFFNESS)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step * min(1.0, 2.0 / float(np.abs(step).max() + 1e-12))
        if float(np.abs(step).max()) < 1e-6:
            break
    weights[1:] = np.maximum(weights[1:], 0)  # a better score never makes a candidate less likely
    return weights


def _logistic(values: NDArray[np.float64]) -> NDArray[np.float64]:
    chances: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(values, -30, 30)))
    return chances


class Calibration:
    """What scores of one embedder mean in one library, learned in `calibration.sqlite` in the folder `state`.

    It keeps scores and whether they were right, nothing of a task. Threads and processes may share it.
    """

    def __init__(self, state: Path | None, embedder: str) -> None:
        self._store = LocalStore(state and state / FILE_NAME, layout=LAYOUT, tables=TABLES)
        self._embedder = embedder
        self._weights: NDArray[np.float64] | None = None

    def chances(self, scores: Sequence[float]) -> list[float]:
        """The probability of each candidate to be a right one, from the scores of the nearest, two of them at least:
        alone, a candidate's margin is unknown, and it counts as tied."""
        if not scores:
            return []
        if self._weights is None:
            self._weights = fitted(self._outcomes())
        plain = [_unsquashed(score) for score in scores]
        rows = np.array([(1.0, score, margin) for score, margin in zip(plain, margins(plain), strict=True)])
        return [round(float(chance), 4) for chance in _logistic(rows @ self._weights)]

    def learn(self, scores: Sequence[float], right: bool) -> None:
        """Keep that the best of these candidates was right for a task, or was not."""
        if not scores:
            return
        plain = [_unsquashed(score) for score in scores]
        row = (self._embedder, max(plain), max(margins(plain)), int(right), time.time())
        self._store.write("INSERT INTO outcomes VALUES (?, ?, ?, ?, ?)", [row])
        self._weights = None

    def close(self) -> None:
        self._store.close()

    def _outcomes(self) -> list[tuple[float, float, bool]]:
        query = "SELECT score, margin, was_right FROM outcomes WHERE embedder = ? ORDER BY at DESC LIMIT ?"
        return [
            (score, margin, bool(right)) for score, margin, right in self._store.read(query, (self._embedder, KEPT))
        ]


def _unsquashed(score: float) -> float:
    """The score before `fusion.fuse` keeps it below 1."""
    return math.atanh(min(max(score, -0.999999), 0.999999))
