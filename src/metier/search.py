"""Finding capabilities in a large library: the index kept up with the catalogue, and only the hits loaded."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from metier.capability import Capability
from metier.errors import LibraryError, MetierError
from metier.library import Library
from metier.retrieval.documents import bounded, document
from metier.retrieval.embedders import Embedder, Vectors
from metier.retrieval.fusion import clauses
from metier.retrieval.index import FILE_NAME
from metier.retrieval.large import LargeIndex
from metier.retrieval.lexical import terms
from metier.retrieval.meaning import Meaning
from metier.retrieval.rows import Damaged, Query, Row, row, token
from metier.retrieval.vectors import VectorStore

log = logging.getLogger(__name__)

FOLDER = "index"
BATCH = 1000
"""Capabilities that are read, embedded and put into the index at once."""
LOAD = 100_000
"""Rows that are merged at once where an index is made from nothing."""
SAMPLE = 2000
"""Capabilities that stand for all of them where all cannot be shown."""
SPARE = 4
"""Hits that are looked up beyond those asked for, in place of ones that are gone by now."""
ATTEMPTS = 3

Solved = Callable[[Iterable[Capability]], Mapping[str, tuple[str, ...]]]


class LargeSearch:
    """Searches one large library in one embedder's space. Threads may share it.

    `solved` has the solved tasks by the id of the capability that answers them, given the aliases of the library.
    """

    def __init__(self, library: Library, embedder: Embedder, solved: Solved) -> None:
        self._library = library
        self._embedder = embedder
        self._solved = solved
        self._meaning = Meaning(VectorStore(library.state / FILE_NAME, embedder.name), embedder)
        self._index = LargeIndex(library.state / FOLDER / _space(embedder.name))
        self._lock = threading.RLock()
        self._taught: tuple[Mapping[str, tuple[str, ...]] | None, str | None] = (None, None)
        """The solved tasks that the index was last brought up to, and its mark then."""
        self._closing = threading.Event()
        self._background: threading.Thread | None = None
        self._sample: tuple[str | None, Sequence[Capability], Vectors] | None = None

    def nearest(self, task: str, k: int) -> list[tuple[Capability, float]]:
        """The k live capabilities nearest to a task, best first, each with its score.

        Raises:
            ModelError: the embedder's endpoint failed.
            LibraryError: the library cannot be read.
        """
        parts = clauses(bounded(task))
        query = Query(
            self._embedder.embed(parts),
            tuple(tuple(dict.fromkeys(map(token, terms(part)))) for part in parts),
        )
        found: list[tuple[Capability, float]] = []
        for _ in range(ATTEMPTS):
            with self._lock:
                self.catch_up()
                try:
                    hits = self._index.nearest(query, k + SPARE if k > 0 else k)
                except Damaged:
                    continue  # it has said so, and is empty now
            found = list(self._loaded(hits))
            if not self._library.stock.recheck([id for id, _ in hits]):
                break
        self._keep_up()
        return found[: max(k, 0)]

    def sample(self) -> tuple[Sequence[Capability], Vectors]:
        """At most `SAMPLE` of the live capabilities, spread over all of them, and their unit vectors, a row each; the
        same objects until something changes."""
        with self._lock:
            self.catch_up()
            mark = self._index.sync()
            if self._sample is None or self._sample[0] != mark:
                ids = self._library.stock.live()
                step = -(-len(ids) // SAMPLE) or 1
                found = [c for id in ids[::step] if (c := self._library.glance(id)) is not None]
                solved = self._solved(self._library.aliased())
                vectors = self._meaning.vectors([document(c, solved.get(c.id, ())) for c in found])
                self._sample = (mark, found, vectors)
            return self._sample[1:]

    def catch_up(self) -> None:
        """Brings into the index what changed in the library and in the memory since it was last asked."""
        since = self._index.sync()
        changed, now = self._library.stock.changes(since)
        solved = self._solved(self._library.aliased())
        if changed is None or since is None:
            self._fill(now, solved)
            return
        if not changed and solved is self._taught[0] and since == self._taught[1]:
            return
        digests = {id: _digest(tasks) for id, tasks in solved.items()}
        known = self._index.learned()
        taught = {id for id in digests.keys() | known.keys() if digests.get(id) != known.get(id)}
        ids = sorted({entry.folder for entry in changed} | taught)
        for start in range(0, len(ids), BATCH):
            part = ids[start : start + BATCH]
            mark = now if start + BATCH >= len(ids) else since
            rows = {entry.id: entry for entry in self._rows(part, solved)}
            learned = {id: digests[id] for id in part if id in digests}
            if not self._index.apply({id: rows.get(id) for id in part}, since=since, now=mark, learned=learned):
                return  # another process was faster; the next search sees what it left
            if len(ids) > BATCH and self._index.wants_merge:
                self._index.merge()
        self._taught = (solved, self._index.sync())

    def close(self) -> None:
        """Ends what goes on in the background, and lets go of the files."""
        self._closing.set()
        if self._background is not None:
            self._background.join()
        self._index.close()
        self._meaning.close()
        self._library.stock.close()

    def _fill(self, now: str, solved: Mapping[str, tuple[str, ...]]) -> None:
        ids = self._library.stock.live()
        log.info("making the index of %d capabilities", len(ids))
        parts = (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
        rows = (entry for part in parts for entry in self._rows(part, solved))
        digests = {id: _digest(tasks) for id, tasks in solved.items()}
        try:
            self._index.load(_batches(rows, LOAD), now=now, learned=digests)
        except OSError as error:
            raise LibraryError(f"the index of {self._library.path} cannot be written: {error}") from error
        if self._index.sync() is None:
            raise LibraryError(f"the index of {self._library.path} cannot be kept; `metier doctor` says more")

    def _rows(self, ids: Sequence[str], solved: Mapping[str, tuple[str, ...]]) -> Iterator[Row]:
        """The rows of those that are live."""
        found = [capability for id in ids if (capability := self._library.glance(id)) is not None]
        documents = [document(capability, solved.get(capability.id, ())) for capability in found]
        vectors = self._meaning.vectors(documents)
        for capability, entry, vector in zip(found, documents, vectors, strict=True):
            yield row(capability.id, vector, entry.words(capability.id))

    def _loaded(self, hits: Sequence[tuple[str, float]]) -> Iterator[tuple[Capability, float]]:
        for id, score in hits:
            with contextlib.suppress(LibraryError):
                capability = self._library.get(id)
                if capability.live:
                    yield capability, score

    def _keep_up(self) -> None:
        """What may take long, in a thread of its own: looking at all folders, and merging."""
        due = self._index.wants_merge or self._library.stock.look_is_due()
        if due and (self._background is None or not self._background.is_alive()) and not self._closing.is_set():
            self._background = threading.Thread(target=self._work, name="metier-index", daemon=True)
            self._background.start()

    def _work(self) -> None:
        try:
            if self._library.stock.look_is_due():
                self._library.stock.look_over(lambda: not self._closing.is_set())
            if self._index.wants_merge and not self._closing.is_set():
                self._index.merge()
        except (MetierError, Damaged, OSError) as error:
            log.warning("%s: %s", self._library.path, error)


def _batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for entry in rows:
        batch.append(entry)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _space(embedder: str) -> str:
    """A folder's name for a vector space."""
    return hashlib.sha256(embedder.encode("utf-8")).hexdigest()[:16]


def _digest(tasks: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(tasks).encode("utf-8", "replace")).hexdigest()[:32]
