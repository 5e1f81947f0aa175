"""One score out of two: meaning (embeddings) and wording (BM25), for the whole query and for its best clause."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from metier.retrieval.lexical import words

LEXICAL_SHARE = 0.4
"""Weight of the lexical score; the dense one has the rest. With bench/retrieval_speed.py --data, shares from 0.2 to 0.5
are close on sets of well-told tools, and sets with telling parameter names gain from more."""

MAX_CLAUSES = 8

_BOUNDARY = re.compile(r"(?<=[.!?;])\s|\n|,? (?:and|then|also) |, ")


def clauses(query: str) -> list[str]:
    """`query`, and after it its clauses, at most `MAX_CLAUSES`; a query that is one clause stands alone.

    A task that needs two capabilities lies between both of them; each of its clauses lies near one.
    """
    parts = [part for part in _BOUNDARY.split(query) if len(words(part)) > 1][:MAX_CLAUSES]
    return [query, *parts] if len(parts) > 1 else [query]


def fuse(dense: NDArray[np.float32], lexical: NDArray[np.float32]) -> NDArray[np.float32]:
    """The score of each document, shape (documents,), from two arrays of shape (clauses, documents).

    The mean of what the whole query (row 0) scores and what its best clause scores, each 0.6 cosine + 0.4 lexical.
    """
    scores = (1 - LEXICAL_SHARE) * dense + LEXICAL_SHARE * lexical
    mean: NDArray[np.float32] = (scores[0] + scores.max(axis=0)) / 2
    return mean
