"""One score out of two: meaning (embeddings) and wording (BM25), for the whole query and for its best clause."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from metier.retrieval.lexical import words

LEXICAL_SHARE = 0.4
"""Weight of the lexical score; the dense one has the rest."""

WHOLE_SHARE = 0.72
"""Weight of what the whole query scores; what its best clause scores has the rest.

Both, and the constants of lexical.py, were fitted with bench/retrieval.py on one half of its queries, and hold on the
other half."""

MAX_CLAUSES = 8

_BOUNDARY = re.compile(r"(?<=[.!?;])\s|\n|,? (?:and|then|also) |, ")


def clauses(query: str) -> list[str]:
    """`query`, and after it its clauses, at most `MAX_CLAUSES`; a query that is one clause stands alone.

    A task that needs two capabilities lies between both of them; each of its clauses lies near one.
    """
    parts = [part for part in _BOUNDARY.split(query) if len(words(part)) > 1][:MAX_CLAUSES]
    return [query, *parts] if len(parts) > 1 else [query]


def fuse(dense: NDArray[np.float32], lexical: NDArray[np.float32]) -> NDArray[np.float32]:
    """The score of each document, shape (documents,), below 1, from two arrays of shape (clauses, documents).

    The weighted mean of what the whole query (row 0) scores and what its best clause scores, each a weighted sum of
    cosine and BM25. A document's score depends on no other document; its hyperbolic tangent keeps it below 1.
    """
    scores = (1 - LEXICAL_SHARE) * dense + LEXICAL_SHARE * lexical
    fused: NDArray[np.float32] = np.tanh(WHOLE_SHARE * scores[0] + (1 - WHOLE_SHARE) * scores.max(axis=0))
    return fused
