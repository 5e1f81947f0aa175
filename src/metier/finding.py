"""Finding capabilities by a task, whether the library has ten or a million: which index serves, and how sure it is."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from metier.aliases import Aliases
from metier.capability import Capability
from metier.config import ModelSettings
from metier.errors import LibraryError, MetierError
from metier.library import Library
from metier.memory import TaskMemory
from metier.model import provider_embed

if TYPE_CHECKING:
    from metier.retrieval.calibration import Calibration
    from metier.retrieval.embedders import Embedder, Vectors
    from metier.retrieval.index import CapabilityIndex
    from metier.search import LargeSearch
    from metier.spaces import Spaces

log = logging.getLogger(__name__)

ALIKE, LIKENESS = 8, 0.5
"""Of one capability at most so many count as nearly the same, from such a cosine on."""


class Finder:
    """Finds the capabilities of one library in the space of one embedder. Threads may share it.

    `embedding` names the embedder; what is derived is kept in the folder `state`, if there is one.
    """

    def __init__(
        self,
        library: Library,
        memory: TaskMemory,
        aliases: Aliases,
        state: Path | None,
        embedding: str,
        settings: ModelSettings,
    ) -> None:
        self._library, self._memory, self._aliases = library, memory, aliases
        self._state, self._embedding, self._settings = state, embedding, settings
        self._small: Spaces[CapabilityIndex] | None = None
        self._large: Spaces[LargeSearch] | None = None
        self._calibration: Calibration | None = None
        self._lock = threading.RLock()

    def nearest(self, task: str, k: int = 4) -> list[tuple[Capability, float]]:
        """The k live capabilities nearest to a task, best first, each with its score."""
        if self._library.is_large():
            found = self._searches().serving().nearest(task, k)
            self._searches().completed()
            return found
        with self._current() as (index, live):
            self._indexes().completed()
            return [(live[id], score) for id, score in index.nearest(task, k)]

    def known(self, task: str) -> list[Capability]:
        """The capabilities that memory may know something of for a task: all, or of a large library those that solved
        anything, what aliases lead to, and the nearest."""
        if not self._library.is_large():
            return self._library.capabilities()
        known = {capability.id: capability for capability in self._library.aliased()}
        with contextlib.suppress(MetierError):  # without the embedder, exact tasks are still known
            known |= {capability.id: capability for capability, _ in self.nearest(task, ALIKE)}
        for id in self._memory.counts():
            with contextlib.suppress(LibraryError):
                known[id] = self._library.get(id)
        return list(known.values())

    def alike(self) -> list[tuple[Capability, Capability, float]]:
        """Pairs of live capabilities that mean nearly the same, the likest first; whether they do the same is open.

        Those of a large library are too many to be compared; a log line says so.
        """
        if self._library.is_large():
            log.warning("%s is too large to compare all its capabilities with each other", self._library.path)
            return []
        with self._current() as (index, live):
            pairs = index.alike(ALIKE, LIKENESS)
        return [(live[a], live[b], cosine) for a, b, cosine in pairs]

    def embedded(self) -> tuple[Sequence[Capability], Vectors]:
        """The live capabilities and their unit vectors, a row each; the same objects until something changes.

        Of a large library, a sample.
        """
        if self._library.is_large():
            return self._searches().serving().sample()
        with self._current() as (index, _):
            return index.embedded()

    def chances(self, scores: Sequence[float]) -> list[float]:
        """The probability of each of the nearest to be a right one for its task, learned from this library's tasks.

        `scores` are theirs, as `nearest` gives them, of two capabilities at least where the library has two.
        """
        return self._calibrated().chances(scores)

    def nothing_fits(self, scores: Sequence[float]) -> bool:
        """Whether probably none of the nearest, which have these scores, does its task."""
        from metier.retrieval.calibration import NOTHING_FITS

        return max(self.chances(scores), default=0.0) < NOTHING_FITS

    def learn(self, scores: Sequence[float], *, right: bool) -> None:
        """Takes in whether the first of the nearest, which had these scores, was a right one."""
        self._calibrated().learn(scores, right)

    def close(self) -> None:
        """Lets go of indexes and their files."""
        for spaces in (self._small, self._large):
            if spaces is not None:
                spaces.close()
        if self._calibration is not None:
            self._calibration.close()

    @contextlib.contextmanager
    def _current(self) -> Iterator[tuple[CapabilityIndex, Mapping[str, Capability]]]:
        """The index of a small library as it is now, for one thread at a time, with the live capabilities by id."""
        known = self._library.capabilities()
        live = {c.id: c for c in known if c.live}
        with self._lock:
            index = self._indexes().serving()
            index.refresh(live.values(), self._solved(known))
            yield index, live

    def _calibrated(self) -> Calibration:
        from metier.retrieval.calibration import Calibration

        with self._lock:
            if self._calibration is None:
                self._calibration = Calibration(self._state, self._embedding)
            return self._calibration

    def _solved(self, known: Iterable[Capability]) -> Mapping[str, tuple[str, ...]]:
        """The solved tasks by the capability that answers them now; those of an alias go with what answers for it."""
        solved = self._memory.solved()
        for id, alias in self._aliases.among(known).items():
            own = (example.task for example in alias.old.examples if example.task)
            tasks = (*own, *solved.get(id, ()), *solved.get(alias.kept.id, ()))
            solved = {**solved, alias.kept.id: tasks}
        return solved

    def _indexes(self) -> Spaces[CapabilityIndex]:
        if self._small is None:
            from metier.retrieval.index import CapabilityIndex
            from metier.spaces import Spaces

            def complete(index: CapabilityIndex) -> None:
                known = self._library.capabilities()
                index.refresh([c for c in known if c.live], self._solved(known))

            self._small = Spaces(
                self._state, self._embedding, lambda name: CapabilityIndex(self._state, self._embedder(name)), complete
            )
        return self._small

    def _searches(self) -> Spaces[LargeSearch]:
        with self._lock:
            if self._large is None:
                from metier.search import LargeSearch
                from metier.spaces import Spaces

                def open(name: str) -> LargeSearch:
                    return LargeSearch(self._library, self._embedder(name), self._solved)

                self._large = Spaces(self._state, self._embedding, open, lambda search: search.catch_up())
            return self._large

    def _embedder(self, name: str) -> Embedder:
        from metier.retrieval.embedders import ProviderEmbedder, WordLlamaEmbedder
        from metier.retrieval.local_models import local_embedder

        if name == "wordllama":
            return WordLlamaEmbedder()
        if local := local_embedder(name):
            return local
        return ProviderEmbedder(name, lambda texts: provider_embed(name, texts, self._settings))
