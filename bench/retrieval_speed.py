"""Retrieval over 10,000 capabilities: how long it takes, and with --data how often it is right.

    python bench/retrieval_speed.py [--data DIR] [--capabilities N]

DIR holds a folder a set, each with tools.jsonl (id, name, summary, schema) and queries.jsonl (query, relevant). Without
it, texts are made up. Times are medians in one process; each is given as a multiple of a naive peer in the same run.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metier.capability import Capability
from metier.retrieval.embedders import Vectors, WordLlamaEmbedder
from metier.retrieval.index import CapabilityIndex

SETS = ("metatool", "metatool_multi", "sealtools", "stabletoolbench")
MAX_QUERIES = 3000
K = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--capabilities", type=int, default=10_000)
    arguments = parser.parse_args()
    embedder = WordLlamaEmbedder()
    embedder.embed(["load the model"])
    capabilities, queries = corpus(arguments.data, arguments.capabilities)
    with tempfile.TemporaryDirectory() as folder:
        speed(Path(folder), embedder, capabilities, queries)
    if arguments.data:
        for name in SETS:
            if (arguments.data / name).is_dir():
                quality(arguments.data / name, embedder)


# Speed


def speed(state: Path, embedder: WordLlamaEmbedder, capabilities: list[Capability], queries: list[str]) -> None:
    """Prints the table of times."""
    index = CapabilityIndex(state, embedder)
    first = seconds(lambda: index.refresh(capabilities))
    unchanged = median(lambda _: index.refresh(capabilities), range(20))
    copies = [capability.model_copy() for capability in capabilities]
    reread = seconds(lambda: index.refresh(copies))
    changed = [capabilities[0].model_copy(update={"summary": "Water the plants on the roof", "version": 2})]
    one = seconds(lambda: index.refresh(changed + capabilities[1:]))
    index.close()
    reopened = CapabilityIndex(state, embedder)
    cold = seconds(lambda: reopened.refresh(capabilities))
    bytes_kept = sum(file.stat().st_size for file in state.iterdir())
    print(f"{len(capabilities):,} capabilities, {len(queries)} queries, k = {K}\n")
    print(f"refresh, nothing embedded yet       {first * 1e3:10.1f} ms")
    print(f"refresh, unchanged                  {unchanged * 1e3:10.1f} ms")
    print(f"refresh, unchanged but read anew    {reread * 1e3:10.1f} ms")
    print(f"refresh, one changed                {one * 1e3:10.1f} ms")
    print(f"refresh, from disk                  {cold * 1e3:10.1f} ms   ({bytes_kept / 2**20:.1f} MB)\n")
    query_times(reopened, embedder, queries)
    reopened.close()


def query_times(index: CapabilityIndex, embedder: WordLlamaEmbedder, queries: list[str]) -> None:
    """Prints what a query costs with and without its embedding, beside two peers over the same vectors."""
    known = Fixed(embedder)
    known.embed_all(queries)
    matrix = index._table.vectors  # the peers search the very same vectors
    rows = [[float(value) for value in row] for row in matrix]
    naive = median(lambda query: naive_nearest(rows, known.embed([query])[0].tolist()), queries[:3])
    dense = median(lambda query: dense_nearest(matrix, known.embed([query])[0]), queries)
    whole = median(lambda query: index.nearest(query, K), queries)
    index._embedder = known
    warm = [index.nearest(query, K) for query in queries]
    assert len(warm) == len(queries)
    fused = median(lambda query: index.nearest(query, K), queries)
    print(f"{'query':36}{'median':>10}   times as fast as the Python loop")
    print(f"{'Python loop, cosine':36}{naive * 1e3:10.2f} ms{1:10.0f}")
    print(f"{'numpy, cosine alone':36}{dense * 1e3:10.2f} ms{naive / dense:10.0f}")
    print(f"{'index, after the embedding':36}{fused * 1e3:10.2f} ms{naive / fused:10.0f}")
    print(f"{'index, with the embedding':36}{whole * 1e3:10.2f} ms{naive / whole:10.0f}\n")


class Fixed:
    """An embedder that knows each text after the first time, so that what is left is the search."""

    def __init__(self, embedder: WordLlamaEmbedder) -> None:
        self.name = embedder.name
        self._embedder = embedder
        self._known: dict[str, Any] = {}

    def embed_all(self, texts: Sequence[str]) -> None:
        self._known.update(zip(texts, self._embedder.embed(texts), strict=True))

    def embed(self, texts: Sequence[str]) -> Vectors:
        if unknown := [text for text in texts if text not in self._known]:
            self.embed_all(unknown)
        return np.stack([self._known[text] for text in texts])


def naive_nearest(rows: list[list[float]], query: list[float]) -> list[int]:
    scores = [sum(a * b for a, b in zip(row, query, strict=True)) for row in rows]
    return sorted(range(len(rows)), key=lambda row: -scores[row])[:K]


def dense_nearest(matrix: Vectors, query: Any) -> list[int]:
    scores = matrix @ query
    rows = np.argpartition(scores, -K)[-K:]
    return [int(row) for row in rows[np.argsort(-scores[rows])]]


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(work: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    return statistics.median(seconds(lambda argument=argument: work(argument)) for argument in arguments)


# Quality


def quality(folder: Path, embedder: WordLlamaEmbedder) -> None:
    """Prints recall@1, recall@5 and nDCG@5, in percent, by meaning alone and fused."""
    tools, queries = lines(folder / "tools.jsonl"), lines(folder / "queries.jsonl")
    queries = random.Random(1).sample(queries, min(MAX_QUERIES, len(queries)))
    capabilities = [capability(tool, f"c{number}") for number, tool in enumerate(tools)]
    ids = {tool["id"]: f"c{number}" for number, tool in enumerate(tools)}
    index = CapabilityIndex(None, embedder)
    index.refresh(capabilities)
    plain = embedder.embed([f"{spaced(tool['name'])}: {tool['summary']}" for tool in tools])
    scores: dict[str, list[tuple[float, ...]]] = {"cosine": [], "fused": []}
    for query in queries:
        relevant = {ids[id] for id in query["relevant"]}
        vector = embedder.embed([query["query"]])[0]
        scores["cosine"].append(marks([f"c{row}" for row in dense_nearest(plain, vector)], relevant))
        scores["fused"].append(marks([id for id, _ in index.nearest(query["query"], K)], relevant))
    print(f"{folder.name}: {len(tools)} tools, {len(queries)} queries")
    for name, all_marks in scores.items():
        means = (100 * statistics.fmean(column) for column in zip(*all_marks, strict=True))
        print(f"  {name:8}" + " / ".join(f"{mean:.1f}" for mean in means))


def marks(found: list[str], relevant: set[str]) -> tuple[float, float, float]:
    """recall@1, recall@5 and nDCG@5 of one query."""
    hits = [id in relevant for id in found]
    gain = sum(hit / math.log2(rank + 2) for rank, hit in enumerate(hits))
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(K, len(relevant))))
    return hits[0] / len(relevant), sum(hits) / len(relevant), gain / ideal


# Data


def corpus(data: Path | None, count: int) -> tuple[list[Capability], list[str]]:
    """`count` capabilities and 200 queries: the sets' tools, repeated in other words where there are fewer."""
    if data is None:
        return made_up(count)
    names = ("metatool", "sealtools", "stabletoolbench")
    tools = [tool for name in names for tool in lines(data / name / "tools.jsonl")]
    queries = [query["query"] for name in names for query in lines(data / name / "queries.jsonl")]
    found = []
    for number in range(count):
        tool, turn = tools[number % len(tools)], number // len(tools)
        found.append(capability(tool, f"c{number}", suffix=f" (variant {turn})" if turn else ""))
    return found, random.Random(1).sample(queries, 200)


def made_up(count: int) -> tuple[list[Capability], list[str]]:
    draw = random.Random(1)
    verbs = ("get", "list", "update", "convert", "compare", "forecast", "translate", "schedule", "validate", "export")
    things = ("salary", "invoice", "weather", "flight", "recipe", "patient", "ticket", "route", "tax", "photo", "song")
    facts = ("by country", "for one customer", "as a table", "in another currency", "with its history", "per month")
    tools = []
    for number in range(count):
        verb, thing, other = draw.choice(verbs), draw.choice(things), draw.choice(things)
        summary = f"{verb.title()} the {thing} and {other} {draw.choice(facts)}, {draw.choice(facts)}, number {number}."
        schema = {"parameters": {f"{thing}_id": {"description": f"Which {thing}"}, "limit": {"description": "Rows"}}}
        tools.append({"name": f"{verb}_{thing}_{other}", "summary": summary, "schema": schema})
    queries = [
        f"Please {draw.choice(verbs)} the {draw.choice(things)} and its {draw.choice(things)}" for _ in range(200)
    ]
    return [capability(tool, f"c{number}") for number, tool in enumerate(tools)], queries


def capability(tool: dict[str, Any], id: str, suffix: str = "") -> Capability:
    """A tool as a capability. Names that are no ids stand in front of the summary, as the id's words would."""
    properties = {name: {"description": description} for name, description in parameters(tool.get("schema") or {})}
    return Capability(
        id=id,
        summary=f"{spaced(tool['name'])}: {tool['summary']}{suffix}"[:1000],
        binary="tool.wasm",
        version=1,
        sha256="0" * 64,
        language="wasm",
        input_schema={"properties": properties},
        output_schema={},
        effects="pure",
        permissions={},
        examples=(),
        status="active",
    )


def parameters(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(schema.get("parameters"), dict):
        for name, about in schema["parameters"].items():
            yield name, str(about.get("description", "")) if isinstance(about, dict) else ""
        return
    for about in [*(schema.get("required") or ()), *(schema.get("optional") or ())]:
        if isinstance(about, dict):
            yield about["name"], about.get("description") or ""


def spaced(name: str) -> str:
    return " ".join(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_:|]+", " ", name).split())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
