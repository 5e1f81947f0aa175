"""The capabilities nearest to a task, by meaning and by wording."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metier.capability import Capability
from metier.errors import ModelError
from metier.retrieval.documents import bounded, document
from metier.retrieval.embedders import Embedder, Vectors
from metier.retrieval.fusion import clauses, fuse
from metier.retrieval.lexical import Bag, LexicalIndex, Vocabulary, terms
from metier.retrieval.meaning import Meaning
from metier.retrieval.products import cosines
from metier.retrieval.vectors import VectorStore

FILE_NAME = "vectors.sqlite"

DIGITS = 6
"""Scores are rounded to this many decimals, so that ties are ties on every machine."""

_ROWS = 512
"""Rows that are compared with all others at once."""


@dataclass(frozen=True, slots=True)
class _Table:
    """What one search reads, replaced as a whole: row i of each part belongs to capabilities[i]."""

    capabilities: tuple[Capability, ...]
    bags: tuple[Bag, ...]
    vectors: Vectors
    lexical: LexicalIndex
    rows: dict[str, int] = field(default_factory=dict)
    solved: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The solved tasks, by id, that the vectors were made with."""


class CapabilityIndex:
    """An index over a library's live capabilities. Threads may share it: a search sees one state of the library.

    Vectors are kept in `vectors.sqlite` in the folder `state`; without a folder that can be written, in this process.
    """

    def __init__(self, state: Path | None, embedder: Embedder) -> None:
        self._embedder = embedder
        self._meaning = Meaning(VectorStore(state and state / FILE_NAME, embedder.name), embedder)
        self._vocabulary = Vocabulary()
        self._refreshing = threading.Lock()
        self._table = self._empty()

    def refresh(self, capabilities: Iterable[Capability], solved: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Make these the searched ones, as far as they are live. Only texts that were never embedded are embedded.

        `solved` are tasks that were solved with a capability, by its id: it is found by their words too.

        Raises:
            ModelError: the embedder's endpoint failed. The index stays as it was.
        """
        with self._refreshing:
            wanted = {capability.id: capability for capability in capabilities if capability.live}
            table = self._table
            tasks = solved or {}
            known = {id: row for id, row in table.rows.items() if id in wanted}
            changed = [
                capability
                for id, capability in wanted.items()
                if (row := known.get(id)) is None
                or not _same(table.capabilities[row], capability)
                or table.solved.get(id) != tasks.get(id)
            ]
            if changed or len(known) != len(table.rows):
                self._table = self._updated(table, wanted, changed, tasks)

    def nearest(self, query: str, k: int) -> list[tuple[str, float]]:
        """At most `k` ids with their scores, best first, equal scores by id.

        A score is `fusion.fuse` of cosine and BM25: near 1 for the same words, near 0 for nothing in common.

        Raises:
            ModelError: the embedder's endpoint failed.
        """
        if k < 1 or not self._table.capabilities:
            return []
        parts = clauses(bounded(query))
        vectors = self._embedder.embed(parts)
        table = self._matching(vectors.shape[1])
        dense = cosines(vectors, table.vectors)
        lexical = np.stack([table.lexical.scores(terms(part)) for part in parts])
        return _best(np.round(fuse(dense, lexical), DIGITS), table.capabilities, k)

    def alike(self, k: int, at_least: float) -> list[tuple[str, str, float]]:
        """Pairs of ids whose vectors have a cosine of at least so much, the likest first; each with its nearest k."""
        table = self._table
        found: dict[tuple[str, str], float] = {}
        for start in range(0, len(table.capabilities), _ROWS):
            cosines = table.vectors[start : start + _ROWS] @ table.vectors.T
            for offset, row in enumerate(cosines):
                row[start + offset] = -1.0
                near = np.argpartition(row, -k)[-k:] if len(row) > k else np.arange(len(row))
                for other in near.tolist():
                    if row[other] >= at_least:
                        ids = sorted((table.capabilities[start + offset].id, table.capabilities[other].id))
                        found[ids[0], ids[1]] = round(float(row[other]), DIGITS)
        return sorted(((a, b, cosine) for (a, b), cosine in found.items()), key=lambda pair: (-pair[2], pair[:2]))

    def embedded(self) -> tuple[Sequence[Capability], Vectors]:
        """The searched capabilities and their unit vectors, a row each; the same objects until something changes."""
        return self._table.capabilities, self._table.vectors

    def close(self) -> None:
        self._meaning.close()

    def _empty(self) -> _Table:
        return _Table((), (), np.zeros((0, 0), dtype=np.float32), LexicalIndex(self._vocabulary, ()))

    def _matching(self, dimensions: int) -> _Table:
        """The table in the space of a query: made anew if the provider's model has another dimension than it had."""
        table = self._table
        if table.vectors.shape[1] == dimensions:
            return table
        with self._refreshing:
            if self._table.vectors.shape[1] != dimensions:
                self._meaning.forget()
                capabilities = {capability.id: capability for capability in self._table.capabilities}
                self._table = self._updated(
                    self._empty(), capabilities, list(capabilities.values()), self._table.solved
                )
            table = self._table
        if table.vectors.shape[1] != dimensions:
            raise ModelError(f"{self._embedder.name}: vectors of {dimensions} and {table.vectors.shape[1]} dimensions")
        return table

    def _updated(
        self,
        table: _Table,
        wanted: dict[str, Capability],
        changed: Sequence[Capability],
        solved: Mapping[str, tuple[str, ...]],
    ) -> _Table:
        fresh = {capability.id for capability in changed}
        kept = [row for id, row in table.rows.items() if id in wanted and id not in fresh]
        documents = [document(capability, solved.get(capability.id, ())) for capability in changed]
        vectors = self._meaning.vectors(documents)
        old = table.vectors[kept]
        if kept and changed and old.shape[1] != vectors.shape[1]:
            self._meaning.forget()
            return self._updated(self._empty(), wanted, list(wanted.values()), solved)
        joined = np.concatenate([old, vectors]) if kept and changed else vectors if changed else old
        bags = [table.bags[row] for row in kept]
        bags += [
            self._vocabulary.bag(entry.words(capability.id))
            for capability, entry in zip(changed, documents, strict=True)
        ]
        capabilities = (*(wanted[table.capabilities[row].id] for row in kept), *changed)
        rows = {capability.id: row for row, capability in enumerate(capabilities)}
        return _Table(capabilities, tuple(bags), joined, LexicalIndex(self._vocabulary, bags), rows, solved)


def _same(old: Capability, new: Capability) -> bool:
    if old is new:
        return True
    same = old.version == new.version and old.sha256 == new.sha256 and old.summary == new.summary
    return same and (new.sha256 is not None or old == new)


def _best(scores: NDArray[np.float32], capabilities: Sequence[Capability], k: int) -> list[tuple[str, float]]:
    k = min(k, len(scores))
    worst = np.partition(scores, len(scores) - k)[len(scores) - k]
    rows = np.flatnonzero(scores >= worst)
    ranked = sorted((-round(float(scores[row]), DIGITS), capabilities[row].id) for row in rows.tolist())
    return [(id, -negative) for negative, id in ranked[:k]]
