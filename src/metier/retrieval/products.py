"""Products of a few vectors with many, on one thread."""

from __future__ import annotations

import numpy as np

from metier.retrieval.embedders import Vectors

_ONE_THREAD = 2**18
"""Multiplications that OpenBLAS keeps to one thread: its SMP_THRESHOLD_MIN times GEMM_MULTITHREAD_THRESHOLD."""


def cosines(queries: Vectors, rows: Vectors) -> Vectors:
    """The cosine of each query with each row, shape (queries, rows); both are unit vectors.

    In blocks that OpenBLAS does not spread over threads: for so little work, waiting for a second core that is busy
    costs tens of times the work itself, and one thread adds up in one order. Two queries at least, for the same reason.
    """
    width = max(2, len(queries))
    columns = np.resize(queries, (width, queries.shape[1])).T
    block = max(1, _ONE_THREAD // columns.size)
    even = len(rows) // block * block
    blocks = rows[:even].reshape(-1, block, rows.shape[1])
    products = np.concatenate([np.matmul(blocks, columns).reshape(-1, width), rows[even:] @ columns])
    found: Vectors = products.T[: len(queries)]
    return found
