"""The vector of a capability: from the vectors of its title and its tasks, each text embedded once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metier.retrieval.documents import Document
from metier.retrieval.embedders import Embedder, Vectors
from metier.retrieval.vectors import VectorStore

TITLE_WEIGHT = 2
"""How many example tasks a capability's own description weighs as much as, in its vector."""


KEPT_AT_ONCE = 1024
"""Texts that are embedded before their vectors are kept: what a crash costs at most."""


class Meaning:
    """Documents to unit vectors of one embedder, with a store of the texts that were embedded."""

    def __init__(self, store: VectorStore, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder

    def vectors(self, documents: Sequence[Document]) -> Vectors:
        """One unit vector a document: the weighted mean of its title's and its tasks' vectors.

        Raises:
            ModelError: the embedder's endpoint failed.
        """
        found = self._embedded(list(dict.fromkeys(text for d in documents for text in (d.title, *d.tasks))))
        weighted = [
            TITLE_WEIGHT * found[d.title] + sum((found[task] for task in d.tasks), np.zeros_like(found[d.title]))
            for d in documents
        ]
        if not weighted:
            return np.zeros((0, 0), dtype=np.float32)
        stacked = np.stack(weighted)
        lengths = np.linalg.norm(stacked, axis=1, keepdims=True)
        unit: Vectors = np.divide(stacked, lengths, out=np.zeros_like(stacked), where=lengths > 0)
        return unit

    def forget(self) -> None:
        """Drop every vector of this embedder."""
        self._store.forget()

    def close(self) -> None:
        self._store.close()

    def _embedded(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vector of each text, from the store or from the embedder, all of one dimension."""
        found = self._store.get(texts)
        unseen = [text for text in texts if text not in found]
        if not unseen:
            return found
        for start in range(0, len(unseen), KEPT_AT_ONCE):
            part = unseen[start : start + KEPT_AT_ONCE]
            embedded = dict(zip(part, self._embedder.embed(part), strict=True))
            self._store.put(embedded)
            found |= embedded
        if len({vector.shape for vector in found.values()}) > 1:
            self._store.forget()
            found = dict(zip(texts, self._embedder.embed(texts), strict=True))
            self._store.put(found)
        return found
