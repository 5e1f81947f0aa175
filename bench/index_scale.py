"""The index of a large library: how fast, how exact and how big it is, beside exact search and named libraries.

    python bench/index_scale.py [--capabilities 1000000] [--queries 100] [--keep DIR] [--data DIR] [--hnsw]

Capabilities are made up from words in clusters, or are those of the sets in DIR told in other words. The exact ranking
is the product's own scoring of every row. Peers search the vectors alone: numpy, and faiss and usearch where they are
installed; `--hnsw` builds their graphs too, which takes many minutes at a million. With --keep the index stays in DIR
and is not made anew by the next call. Times are of one process: by the clock, and of this thread's processor, which is
what the clock shows on an idle machine.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metier.retrieval.documents import Document, bounded
from metier.retrieval.embedders import WordLlamaEmbedder
from metier.retrieval.fusion import clauses, fuse
from metier.retrieval.large import LargeIndex, weights_of
from metier.retrieval.lexical import terms
from metier.retrieval.rows import Query, Row, row, token

K = 10
BATCH, BLOCK = 50_000, 20_000
EMBEDDER = WordLlamaEmbedder()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--capabilities", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--hnsw", action="store_true")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.open:
        opened(arguments.open)
        return
    corpus = Corpus(arguments.data, arguments.capabilities)
    with tempfile.TemporaryDirectory() as temporary:
        measure(arguments.keep or Path(temporary), corpus, arguments)


def measure(folder: Path, corpus: Corpus, arguments: argparse.Namespace) -> None:
    index = LargeIndex(folder)
    mark = f"bench:{corpus.size}:{corpus.kind}"
    if index.sync() != mark:
        start = time.perf_counter()
        index.load(corpus.batches(), now=mark, learned={})
        print(f"made in {time.perf_counter() - start:.0f} s, most memory meanwhile {peak()} MB\n", flush=True)
    index.close()
    texts = corpus.queries(arguments.queries)
    index = LargeIndex(folder)
    index.sync()
    queries = [parsed(text) for text in texts]
    parts = np.bincount([len(query.parts) for query in queries])
    shown = ", ".join(f"{count} of {size}" for size, count in enumerate(parts) if count)
    bytes_kept = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{len(index):,} capabilities, {len(queries)} queries (parts: {shown}), k = {K}\n")
    cold_open(folder)
    print(f"on disk                             {bytes_kept / 2**20:10.0f} MB")
    publish(index)
    query_times(index, queries, arguments.hnsw)


def cold_open(folder: Path) -> None:
    """Prints what a fresh process takes to open the index and to answer, and the memory that it has then."""
    command = [sys.executable, __file__, "--open", str(folder)]
    print(subprocess.run(command, capture_output=True, text=True, check=True).stdout, end="")


def opened(folder: Path) -> None:
    query = parsed("cancel the invoice of a customer and send the receipt")
    start = time.perf_counter()
    index = LargeIndex(folder)
    index.sync()
    ready = time.perf_counter()
    index.nearest(query, K)
    first = time.perf_counter()
    print(f"cold open, checked                  {(ready - start) * 1e3:10.0f} ms")
    print(f"first query                         {(first - ready) * 1e3:10.0f} ms")


def publish(index: LargeIndex) -> None:
    """Prints what it takes to put one capability in, with its embedding, until it is found."""
    times = []
    for number in range(30):
        start = time.perf_counter()
        title = f"bench added {number}: Does the thing of number {number}"
        new = made(f"bench_added_{number}", Document(title, (), ""), EMBEDDER.embed([title])[0])
        mark = index.sync() or ""
        index.apply({new.id: new}, since=mark, now=mark, learned={})
        index.sync()
        times.append(time.perf_counter() - start)
    mark = index.sync() or ""
    index.apply({f"bench_added_{number}": None for number in range(30)}, since=mark, now=mark, learned={})
    index.sync()
    print(f"publish until it is found, median   {np.median(times) * 1e3:10.1f} ms   (longest {max(times) * 1e3:.1f})\n")


def query_times(index: LargeIndex, queries: Sequence[Query], hnsw: bool) -> None:
    """Prints times, recall and memory, of the index and of its peers."""
    exact = [exactly(index, query) for query in queries]
    matrix = index._state.base.vectors  # the peers search the very same vectors
    dense = [set(dense_nearest(matrix, query.vectors[0])) for query in queries]
    for query in queries:
        index.nearest(query, K)
    found: list[Any] = []
    wall, own = timed(lambda query: found.append(index.nearest(query, K)), queries)
    recall = float(np.mean([shared(near, best) for near, best in zip(found, exact, strict=True)]))
    print(f"{'':34}{'p50':>9}{'p99':>9}{'cpu p50':>10}{'cpu p99':>9}   recall@{K}")
    line("this index, fused", wall, own, f"{recall:.4f} of the exact fused ranking")
    print(f"{'':34}memory {now()} MB, most {peak()} MB")
    reference = matrix.copy()
    wall, own = timed(lambda query: dense_nearest(reference, query.vectors[0]), queries[:30])
    line("numpy, whole task, cosine alone", wall, own, "1 of the exact cosine ranking")
    for name, search in peers(reference, hnsw):
        ids: list[Any] = []
        wall, own = timed(lambda query, search=search, ids=ids: ids.append(search(query.vectors[:1])), queries)
        kept = float(np.mean([len(best & set(near)) / K for near, best in zip(ids, dense, strict=True)]))
        line(name, wall, own, f"{kept:.4f} of the exact cosine ranking")


def exactly(index: LargeIndex, query: Query) -> dict[str, float]:
    """The best K of every row by the product's own scoring."""
    state = index._state
    weights = weights_of(state, query)
    found: list[tuple[float, str]] = []
    gone = set(state.gone.tolist())
    for start in range(0, len(state.base), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(state.base)))
        scores = fuse(state.base.dense(rows, query), state.base.lexical(rows, weights, pairs=True))
        best = rows[np.argsort(-scores, kind="stable")[:K]]
        found += [(float(scores[r - start]), state.base.ids[r].decode()) for r in best.tolist() if r not in gone]
    return {id: score for score, id in sorted(found, key=lambda pair: (-pair[0], pair[1]))[:K]}


def shared(near: Sequence[tuple[str, float]], best: dict[str, float]) -> float:
    """The share of the exact best that was found; one that scores as well as the last of them counts as it."""
    least = min(best.values()) - 2e-6
    return sum(score >= least for _, score in near) / len(best)


def dense_nearest(matrix: Any, query: Any) -> list[int]:
    scores = matrix @ query
    rows = np.argpartition(scores, -K)[-K:]
    return [int(r) for r in rows[np.argsort(-scores[rows])]]


def peers(matrix: Any, hnsw: bool) -> Iterator[tuple[str, Callable[[Any], list[int]]]]:
    """Named libraries over the same vectors, those that are installed."""
    dimensions = matrix.shape[1]
    if importlib.util.find_spec("faiss"):
        import faiss

        faiss.omp_set_num_threads(1)
        flat = faiss.IndexFlatIP(dimensions)
        flat.add(matrix)
        yield "faiss, flat", lambda query: flat.search(query, K)[1][0].tolist()
        del flat
        if hnsw:
            graph = faiss.IndexHNSWFlat(dimensions, 32, faiss.METRIC_INNER_PRODUCT)
            graph.add(matrix)
            graph.hnsw.efSearch = 256
            yield "faiss, HNSW, efSearch 256", lambda query: graph.search(query, K)[1][0].tolist()
    if hnsw and importlib.util.find_spec("usearch"):
        from usearch.index import Index

        graph = Index(ndim=dimensions, metric="ip", dtype="f16", expansion_search=256)
        graph.add(np.arange(len(matrix)), matrix, threads=1)
        yield "usearch, f16, expansion 256", lambda query: graph.search(query[0], K).keys.tolist()


def timed(work: Callable[[Any], object], arguments: Sequence[Any]) -> tuple[list[float], list[float]]:
    """Milliseconds of each call by the clock, and of the processor."""
    wall, own = [], []
    for argument in arguments:
        start, began = time.perf_counter(), time.thread_time()
        work(argument)
        own.append((time.thread_time() - began) * 1e3)
        wall.append((time.perf_counter() - start) * 1e3)
    return wall, own


def line(name: str, wall: Sequence[float], own: Sequence[float], said: str) -> None:
    figures = [np.percentile(times, share) for times in (wall, own) for share in (50, 99)]
    print(f"{name:34}{figures[0]:9.1f}{figures[1]:9.1f}{figures[2]:10.1f}{figures[3]:9.1f}   {said}", flush=True)


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def now() -> int:
    """Resident memory in MB; the pages of the index's files that were touched are in it."""
    status = Path("/proc/self/statm")
    return int(status.read_text(encoding="ascii").split()[1]) * resource.getpagesize() >> 20 if status.exists() else 0


# Data


class Corpus:
    """Capabilities in clusters, and tasks for them; the same for the same size."""

    def __init__(self, data: Path | None, size: int) -> None:
        self.size = size
        self.kind = "made-up" if data is None else "told-anew"
        self._tasks: list[str] = []
        self._tools = made_up() if data is None else list(self._read(data))
        if data is None:
            draw = random.Random(3)
            tools = [draw.choice(self._tools) for _ in range(2000)]
            self._tasks = [asked(draw, tool) for tool in tools]

    def queries(self, count: int) -> list[str]:
        return random.Random(1).sample(self._tasks, min(count, len(self._tasks)))

    def batches(self) -> Iterator[list[Row]]:
        draw = random.Random(1)
        words = sorted({word for title, _ in self._tools for word in title.split() if word.isalpha()})
        for start in range(0, self.size, BATCH):
            entries = []
            for number in range(start, min(start + BATCH, self.size)):
                title, details = self._tools[number % len(self._tools)]
                if number >= len(self._tools):
                    title = told_anew(draw, title, words)
                entries.append((f"c{number:07}", Document(bounded(title), (), details)))
            vectors = EMBEDDER.embed([document.title for _, document in entries])
            yield [made(id, document, vector) for (id, document), vector in zip(entries, vectors, strict=True)]

    def _read(self, data: Path) -> Iterator[tuple[str, str]]:
        for folder in sorted(data.iterdir()):
            if not folder.is_dir():
                continue
            for entry in lines(folder / "queries.jsonl"):
                self._tasks.append(entry["query"])
            for tool in lines(folder / "tools.jsonl"):
                properties = (tool.get("schema") or {}).get("parameters")
                named = properties.items() if isinstance(properties, dict) else ()
                details = " ".join(str(about.get("description", "")) for _, about in named if isinstance(about, dict))
                yield f"{tool['name']}: {tool['summary']} {' '.join(name for name, _ in named)}", details


def made_up() -> list[tuple[str, str]]:
    """Some thousand tools: titles, and descriptions of their parameters, of words as uneven as a language's."""
    draw = random.Random(1)
    syllables = [a + b for a in "bcdfghklmnprstvz" for b in ("a", "e", "i", "o", "u", "ar", "el", "in", "or")]
    rare = ["".join(draw.choice(syllables) for _ in range(3)) for _ in range(20_000)]
    verbs = (
        "get list update convert compare forecast translate schedule validate export merge price book cancel".split()
    )
    things = "salary invoice weather flight recipe patient ticket route tax photo song order contract shipment".split()
    facts = ("by country", "for one customer", "as a table", "in another currency", "with its history", "per month")
    found = []
    for _ in range(6000):
        verb, thing, other = draw.choice(verbs), draw.choice(things), draw.choice(things)
        name = rare[int(len(rare) * draw.random() ** 3)]
        facts_said = f"{draw.choice(facts)}, {draw.choice(facts)}"
        summary = f"{verb} the {thing} and {other} of {name} {facts_said}, from the {draw.choice(rare)} system"
        details = f"which {thing} to {verb}, the number of rows, the {draw.choice(rare)} code"
        found.append((f"{verb} {thing} {name}: {summary} {thing}_id limit code", details))
    return found


def asked(draw: random.Random, tool: tuple[str, str]) -> str:
    words = tool[0].partition(": ")[2].split()[:-3]
    start = draw.randrange(max(1, len(words) - 9))
    task = f"Please {words[0]} {' '.join(words[start : start + draw.randrange(4, 10)])}"
    return task if draw.random() < 0.6 else f"{task}, then {draw.choice(('send it to Ann', 'save it as a file'))}"


def told_anew(draw: random.Random, title: str, words: Sequence[str]) -> str:
    told = title.split()
    for _ in range(3):
        told.insert(draw.randrange(len(told) + 1), draw.choice(words))
    for _ in range(min(2, len(told) // 6)):
        told[draw.randrange(len(told))] = draw.choice(words)
    return " ".join(told)


def made(id: str, document: Document, vector: Any) -> Row:
    return row(id, vector, document.words(id))


def parsed(text: str) -> Query:
    parts = clauses(bounded(text))
    return Query(EMBEDDER.embed(parts), tuple(tuple(dict.fromkeys(map(token, terms(part)))) for part in parts))


def lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
