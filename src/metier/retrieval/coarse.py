"""The rows of a large index that are worth an exact score: two rough looks at all of them, each at fewer more closely.

First every row by its code's Hamming distance from the whole query and by the rare words of each part; then some
thousand by the codes of all parts and their exact lexical score. What is left, the caller scores exactly. Measured with
bench/index_scale.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metier.retrieval.fusion import fuse
from metier.retrieval.rows import CODE_BITS, CODE_WORDS, IMPACT_STEPS, Index, Query, Rows, Weights

FIRST = 8_192
"""Rows that the first look keeps, by distance; about as many again by words."""
CLAUSE = 768
"""Rows that the first look keeps for the words of each clause."""
SECOND = 2_048
"""Rows that the second look keeps, at least."""
POSTINGS = 200_000
"""Postings that the first look reads at most, the rarest words' first: common ones hardly move a row past others."""

_BLOCK = 32_768
_SAMPLE = 16
_FAR = CODE_BITS - 1
"""The largest distance that fits a byte; a row that is farther away, or gone, counts as so far."""


def candidates(rows: Rows, query: Query, weights: Weights, gone: Index, k: int) -> Index:
    """The rows, ascending, that are likely to hold the best `k` of those that are not `gone`."""
    keep = max(SECOND, 4 * k)
    codes = rows.projection.codes(query.vectors)
    cosines = rows.projection.cosines(query.vectors)
    near = _first(rows, codes, cosines, weights, gone, max(FIRST, 2 * keep))
    if len(near) <= keep:
        return near
    words = np.ascontiguousarray(rows.codes[:, near])
    distances = np.stack([_distances(words, codes[:, part]) for part in range(codes.shape[1])])
    dense = np.take_along_axis(cosines, distances.astype(np.int64), axis=1)
    scores = fuse(dense, rows.lexical(near, weights, pairs=False))
    return near[_largest(scores, keep)]


def _first(
    rows: Rows,
    codes: NDArray[np.uint64],
    cosines: NDArray[np.float32],
    weights: Weights,
    gone: Index,
    keep: int,
) -> Index:
    distances = _distances(rows.codes, codes[:, 0])
    distances[gone] = _FAR
    nearest, chosen = _nearest(distances, keep)
    total = np.zeros(len(rows), dtype=np.float32)
    read = _rarest(rows, weights)
    for part, holds in enumerate(weights.holds):
        spans = [(slot, slice(*rows.starts[term : term + 2])) for slot, term in read if holds[slot]]
        for slot, span in spans:
            total[rows.posting_rows[span]] += rows.posting_impacts[span] * np.float32(
                weights.rarities[slot] / IMPACT_STEPS
            )
        if part == 0:
            touched = np.flatnonzero(total > 0)
            lexical = weights.normalised(total[touched], 0)
            scores = fuse(cosines[:1, distances[touched]], lexical[None])
            enough = fuse(cosines[:1, nearest : nearest + 1], np.zeros((1, 1), dtype=np.float32))[0]
            above = np.flatnonzero(scores >= enough)
            chosen[touched[above[_largest(scores[above], keep)]]] = True
            total.fill(0)
        elif spans:
            touched = np.concatenate([rows.posting_rows[span] for _, span in spans])
            chosen[touched[_largest(total[touched], CLAUSE)]] = True
            total[touched] = 0
    chosen[gone] = False
    return np.flatnonzero(chosen)


def _nearest(distances: NDArray[np.uint8], keep: int) -> tuple[int, NDArray[np.bool_]]:
    """The distance within which some `keep` rows lie, judged by a sample, and a mark for each row within it."""
    sampled = np.bincount(distances[::_SAMPLE], minlength=CODE_BITS)
    reach = min(int(np.searchsorted(np.cumsum(sampled), keep // _SAMPLE)), _FAR - 1)
    chosen = distances <= reach
    if np.count_nonzero(chosen) > 4 * keep:  # many rows are one and the same
        tied = np.flatnonzero(distances == reach)
        chosen[tied[keep:]] = False
    return reach, chosen


def _rarest(rows: Rows, weights: Weights) -> list[tuple[int, int]]:
    """The query's tokens that are looked up, rarest first, as (place in the query, term)."""
    terms = rows.terms(weights.tokens)
    found, left = [], POSTINGS
    for slot in np.argsort(-weights.rarities, kind="stable").tolist():
        term = int(terms[slot])
        if term >= 0:
            left -= int(rows.starts[term + 1] - rows.starts[term])
            if left < 0:
                break
            found.append((slot, term))
    return found


def _distances(codes: NDArray[np.uint64], code: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The Hamming distance of each code, shape (4, rows), from one; 256 counts as 255."""
    size = codes.shape[1]
    found = np.empty(size, dtype=np.uint8)
    differing, ones = np.empty(_BLOCK, dtype=np.uint64), np.empty(_BLOCK, dtype=np.uint8)
    for start in range(0, size, _BLOCK):
        block = found[start : start + _BLOCK]
        different, one = differing[: len(block)], ones[: len(block)]
        for word in range(CODE_WORDS):
            np.bitwise_xor(codes[word, start : start + _BLOCK], code[word], out=different)
            if word == 0:
                np.minimum(np.bitwise_count(different, out=block), 63, out=block)
            else:
                np.add(block, np.bitwise_count(different, out=one), out=block)
    return found


def _largest(scores: NDArray[np.float32], count: int) -> Index:
    """The places, ascending, of the `count` largest; among equals the first."""
    if len(scores) <= count:
        return np.arange(len(scores))
    least = np.partition(scores, len(scores) - count)[len(scores) - count]
    above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
    return np.sort(np.concatenate([above, equal[: count - len(above)]]))
