"""Retrieval: how often the right capability is among the first, how that grows with use, and how long it takes.

    python bench/retrieval.py [--data DIR] [--capabilities N] [--plot FILE.svg] [--json]

DIR holds a folder a set (bench/toolsets.py). Each set is searched cold: by the index, by meaning alone, by our BM25
alone and, where it is installed, by bm25s. `held-out` is the half of the queries on which no constant was fitted.
A set with enough queries a tool is also searched after 0 to 40 solved tasks a tool: by the index, by the mean of a
tool's vectors, and by the nearest single task. Queries held out there are five a tool, so that every tool counts alike.
A set with tasks that no tool fits says how well these are recognised. Without DIR, only times are taken, over made-up
capabilities; each is given as a multiple of a naive peer in the same run.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.toolsets import Query, ToolSet, corpus, load

from metier.capability import Capability
from metier.retrieval.calibration import GENERAL, NOTHING_FITS, Calibration, fitted, margins
from metier.retrieval.documents import document
from metier.retrieval.embedders import Vectors, WordLlamaEmbedder
from metier.retrieval.index import CapabilityIndex
from metier.retrieval.lexical import LexicalIndex, Vocabulary, terms

K = 5
STORED = (0, 1, 5, 10, 20, 40)
"""Solved tasks a tool at which the learning curve is measured."""
HELD_OUT = 5
"""Queries a tool that the learning curve is measured on."""
OURS = "metier"
Search = Callable[[str], Sequence[str]]
"""The ids of the first K for a task, best first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--capabilities", type=int, default=1000, help="how many the times are taken over")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="needs matplotlib: pip install 'metier[bench]'")
    parser.add_argument("--json", action="store_true", help="every figure, as JSON")
    arguments = parser.parse_args()
    if arguments.plot and importlib.util.find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib: pip install 'metier[bench]'")
    folders = sorted(arguments.data.iterdir()) if arguments.data and arguments.data.is_dir() else []
    sets = [load(folder) for folder in folders if (folder / "tools.jsonl").is_file()]
    if arguments.data and not sets:
        parser.error(f"--data: {arguments.data} holds no folder with tools.jsonl")
    embedder = WordLlamaEmbedder()
    found: dict[str, Any] = {"cold": {each.name: cold(each, embedder) for each in sets}, "learning": {}, "fit": {}}
    for each in sets:
        if _tasks_a_tool(each) >= 2 * HELD_OUT:
            found["learning"][each.name] = learning(each, embedder)
        found["fit"][each.name] = abstention(each, embedder)
    found["speed"] = speed(*corpus(arguments.data, arguments.capabilities), embedder)
    print(json.dumps(found, indent=2) if arguments.json else text(found))
    if arguments.plot:
        draw(arguments.plot, found)


# Cold


def cold(tools: ToolSet, embedder: WordLlamaEmbedder) -> dict[str, Any]:
    """Marks in percent of each way to search, over all queries and over the held-out half."""
    index = CapabilityIndex(None, embedder)
    index.refresh(tools.capabilities)
    ways: dict[str, Search] = {
        OURS: lambda query: [id for id, _ in index.nearest(query, K)],
        "meaning alone": by_meaning(tools.capabilities, embedder),
        "BM25 alone": by_words(tools.capabilities),
    }
    if importlib.util.find_spec("bm25s"):
        ways["bm25s"] = by_bm25s(tools.capabilities)
    marks = {
        name: [marked(search(query.text), query.relevant) for query in tools.queries] for name, search in ways.items()
    }
    draw = random.Random(1)
    held_out = [draw.random() >= 0.5 for _ in tools.queries]
    return {
        "tools": len(tools.capabilities),
        "queries": len(tools.queries),
        "all": {name: _means(each) for name, each in marks.items()},
        "held-out": {
            name: _means([mark for mark, kept in zip(each, held_out, strict=True) if kept])
            for name, each in marks.items()
        },
    }


def by_meaning(capabilities: Sequence[Capability], embedder: WordLlamaEmbedder) -> Search:
    titles = embedder.embed([document(capability).title for capability in capabilities])
    return lambda query: [capabilities[row].id for row in _first(titles @ embedder.embed([query])[0])]


def by_words(capabilities: Sequence[Capability]) -> Search:
    vocabulary = Vocabulary()
    bags = [vocabulary.bag(document(capability).words(capability.id)) for capability in capabilities]
    index = LexicalIndex(vocabulary, bags)
    return lambda query: [capabilities[row].id for row in _first(index.scores(terms(query)))]


def by_bm25s(capabilities: Sequence[Capability]) -> Search:
    """The library bm25s with its own English tokens, over the same texts."""
    import bm25s  # type: ignore[import-not-found,unused-ignore]

    documents = [document(capability) for capability in capabilities]
    index = bm25s.BM25()
    index.index(
        bm25s.tokenize([f"{each.title} {each.details}" for each in documents], stopwords="en", show_progress=False),
        show_progress=False,
    )

    def search(query: str) -> Sequence[str]:
        tokens = bm25s.tokenize([query], stopwords="en", show_progress=False)
        rows, _ = index.retrieve(tokens, k=min(K, len(capabilities)), show_progress=False)
        return [capabilities[row].id for row in rows[0].tolist()]

    return search


def marked(found: Sequence[str], relevant: frozenset[str]) -> tuple[float, float, float, float]:
    """recall@1, recall@5, nDCG@5 and the reciprocal rank (0 beyond the fifth) of one query."""
    hits = [id in relevant for id in found]
    gain = sum(hit / math.log2(rank + 2) for rank, hit in enumerate(hits))
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(K, len(relevant))))
    reciprocal = 1 / (hits.index(True) + 1) if any(hits) else 0.0
    return hits[0] / len(relevant), sum(hits) / len(relevant), gain / ideal, reciprocal


MARKS = ("recall@1", "recall@5", "nDCG@5", "MRR@5")


def _means(marks: Sequence[tuple[float, ...]]) -> dict[str, float]:
    columns = zip(*marks, strict=True)
    return {name: round(100 * statistics.fmean(column), 1) for name, column in zip(MARKS, columns, strict=True)}


def _first(scores: Any) -> list[int]:
    k = min(K, len(scores))
    rows = np.argpartition(-scores, k - 1)[:k]
    return [int(row) for row in rows[np.argsort(-scores[rows], kind="stable")]]


# Learning from use


def learning(tools: ToolSet, embedder: WordLlamaEmbedder) -> dict[str, Any]:
    """Marks after so many solved tasks a tool: over all tools, and over those with as many as the most."""
    stored, held_out = divided(tools)
    full = {id for id, queries in stored.items() if len(queries) >= STORED[-1]}
    curve: dict[str, Any] = {"queries": len(held_out), "full tools": len(full), "points": []}
    index = CapabilityIndex(None, embedder)
    for count in STORED:
        solved = {id: tuple(query.text for query in queries[:count]) for id, queries in stored.items()}
        index.refresh(tools.capabilities, solved)
        ways: dict[str, Search] = {
            OURS: lambda query: [id for id, _ in index.nearest(query, K)],
            "mean vector": by_mean(tools.capabilities, solved, embedder),
            "nearest task": by_nearest_task(tools.capabilities, solved, embedder),
        }
        point: dict[str, Any] = {"stored": count, "mean stored": statistics.fmean(map(len, solved.values()))}
        for name, search in ways.items():
            marks = [(query, marked(search(query.text), query.relevant)) for query in held_out]
            point[name] = _means([mark for _, mark in marks])
            point[f"{name}, full tools"] = _means(
                [mark for query, mark in marks if query.relevant & full] or [(0.0,) * 4]
            )
        curve["points"].append(point)
    return curve


def divided(tools: ToolSet) -> tuple[dict[str, list[Query]], list[Query]]:
    """The queries with one right tool, shuffled: those that may be stored, by tool, and `HELD_OUT` of each tool."""
    queries = [query for query in tools.queries if len(query.relevant) == 1]
    random.Random(2).shuffle(queries)
    by_tool: dict[str, list[Query]] = defaultdict(list)
    for query in queries:
        by_tool[min(query.relevant)].append(query)
    stored = {id: each[HELD_OUT:] for id, each in by_tool.items()}
    return stored, [query for each in by_tool.values() for query in each[:HELD_OUT]]


def by_mean(
    capabilities: Sequence[Capability], solved: Mapping[str, tuple[str, ...]], embedder: WordLlamaEmbedder
) -> Search:
    means = np.stack(
        [
            embedder.embed([document(capability).title, *solved.get(capability.id, ())]).mean(axis=0)
            for capability in capabilities
        ]
    )
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return lambda query: [capabilities[row].id for row in _first(means @ embedder.embed([query])[0])]


def by_nearest_task(
    capabilities: Sequence[Capability], solved: Mapping[str, tuple[str, ...]], embedder: WordLlamaEmbedder
) -> Search:
    texts = [(document(c).title, *solved.get(c.id, ())) for c in capabilities]
    vectors = embedder.embed([text for each in texts for text in each])
    starts = np.cumsum([0, *(len(each) for each in texts[:-1])])
    return lambda query: [
        capabilities[row].id for row in _first(np.maximum.reduceat(vectors @ embedder.embed([query])[0], starts))
    ]


def _tasks_a_tool(tools: ToolSet) -> float:
    return sum(len(query.relevant) == 1 for query in tools.queries) / len(tools.capabilities)


# What a score is worth


def abstention(tools: ToolSet, embedder: WordLlamaEmbedder) -> dict[str, Any]:
    """How far probabilities are from what came true, as shipped and after 200 tasks of this set; and, where there are
    tasks that no tool fits, how well these are told from the others."""
    index = CapabilityIndex(None, embedder)
    index.refresh(tools.capabilities)
    queries = random.Random(3).sample(tools.queries, min(2000, len(tools.queries)))
    rows = [_outcome(index, query.text, query.relevant) for query in queries]
    seen, rest = rows[: min(200, len(rows) // 2)], rows[min(200, len(rows) // 2) :]
    found: dict[str, Any] = {
        "right": round(statistics.fmean(right for *_, right in rest), 3),
        "error as shipped": _calibration_error(GENERAL, rest),
        f"error after {len(seen)} tasks": _calibration_error(fitted(seen), rest),
    }
    if tools.negatives:
        calibration = Calibration(None, embedder.name)
        best = [max(calibration.chances(_scores(index, query.text))) for query in queries]
        none = [max(calibration.chances(_scores(index, text))) for text in tools.negatives]
        ranks = [(n < b) + 0.5 * (n == b) for n in none for b in best]
        found["AUROC, fits or not"] = round(statistics.fmean(ranks), 3)
        for coverage in (0.95, 0.9, 0.8):
            threshold = sorted(best)[int((1 - coverage) * len(best))]
            accepted = statistics.fmean(chance >= threshold for chance in none)
            found[f"false accepts at coverage {coverage}"] = round(accepted, 3)
        found["told that nothing fits"] = {
            "where that is so": round(statistics.fmean(chance < NOTHING_FITS for chance in none), 3),
            "where it is not": round(statistics.fmean(chance < NOTHING_FITS for chance in best), 3),
        }
    return found


def _scores(index: CapabilityIndex, text: str) -> list[float]:
    return [score for _, score in index.nearest(text, K)]


def _outcome(index: CapabilityIndex, text: str, relevant: frozenset[str]) -> tuple[float, float, bool]:
    found = index.nearest(text, K)
    plain = [math.atanh(min(score, 0.999999)) for _, score in found]
    return plain[0], margins(plain)[0], found[0][0] in relevant


def _calibration_error(weights: Any, rows: Sequence[tuple[float, float, bool]]) -> float:
    """Expected calibration error in ten bins of equal width (Guo et al., arXiv 1706.04599)."""
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for score, margin, right in rows:
        chance = 1 / (1 + math.exp(-float(weights @ np.array([1.0, score, margin]))))
        bins[min(9, int(10 * chance))].append((chance, right))
    gaps = [
        abs(statistics.fmean(c for c, _ in each) - statistics.fmean(r for _, r in each)) * len(each)
        for each in bins.values()
    ]
    return round(sum(gaps) / len(rows), 3)


# Speed


def speed(capabilities: list[Capability], queries: list[str], embedder: WordLlamaEmbedder) -> dict[str, Any]:
    """Medians in milliseconds, in one process."""
    embedder.embed(["load the model"])
    with tempfile.TemporaryDirectory() as folder:
        index = CapabilityIndex(Path(folder), embedder)
        found: dict[str, Any] = {"capabilities": len(capabilities)}
        found["refresh, nothing embedded yet"] = _ms(lambda: index.refresh(capabilities))
        found["refresh, unchanged"] = _ms(lambda: index.refresh(capabilities))
        changed = [capabilities[0].model_copy(update={"summary": "Water the plants on the roof", "version": 2})]
        found["refresh, one changed"] = _ms(lambda: index.refresh(changed + capabilities[1:]))
        index.close()
        reopened = CapabilityIndex(Path(folder), embedder)
        found["refresh, from disk"] = _ms(lambda: reopened.refresh(capabilities))
        found["query, embedding included"] = _median(lambda query: reopened.nearest(query, K), queries)
        reopened.close()
    known = Known(embedder)
    warm = CapabilityIndex(None, known)
    warm.refresh(capabilities)
    for query in queries:
        warm.nearest(query, K)
    found["query, after the embedding"] = _median(lambda query: warm.nearest(query, K), queries)
    rows = embedder.embed([document(capability).title for capability in capabilities]).tolist()
    found["Python loop over cosines"] = _median(
        lambda query: _naive(rows, known.embed([query])[0].tolist()), queries[:3]
    )
    return found


class Known:
    """An embedder that knows each text after the first time, so that what is left is the search."""

    def __init__(self, embedder: WordLlamaEmbedder) -> None:
        self.name = embedder.name
        self._embedder = embedder
        self._known: dict[str, Any] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        if unknown := [text for text in texts if text not in self._known]:
            self._known.update(zip(unknown, self._embedder.embed(unknown), strict=True))
        return np.stack([self._known[text] for text in texts])


def _naive(rows: list[list[float]], query: list[float]) -> list[int]:
    scores = [sum(a * b for a, b in zip(row, query, strict=True)) for row in rows]
    return sorted(range(len(rows)), key=lambda row: -scores[row])[:K]


def _ms(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return round(1e3 * (time.perf_counter() - start), 3)


def _median(work: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    return round(statistics.median(_ms(lambda argument=argument: work(argument)) for argument in arguments), 3)


# What it comes to


def text(found: Mapping[str, Any]) -> str:
    """The tables, one below the other."""
    lines: list[str] = []
    for name, each in found["cold"].items():
        lines.append(f"\n{name}: {each['tools']} tools, {each['queries']} queries, cold")
        lines.append(f"  {'':28}{' / '.join(MARKS):>40}{'held-out half':>36}")
        for way, marks in each["all"].items():
            lines.append(f"  {way:28}{_row(marks):>40}{_row(each['held-out'][way]):>36}")
    for name, curve in found["learning"].items():
        lines.append(f"\n{name}: learning from use, {curve['queries']} held-out queries, recall@1 / recall@5")
        ways = [OURS, f"{OURS}, full tools", "mean vector", "nearest task"]
        lines.append(f"  {'stored':>8}" + "".join(f"{way:>22}" for way in ways))
        for point in curve["points"]:
            marks = (f"{point[way]['recall@1']:.1f} / {point[way]['recall@5']:.1f}" for way in ways)
            lines.append(f"  {point['stored']:>8}" + "".join(f"{mark:>22}" for mark in marks))
        lines.append(f"  full tools: the {curve['full tools']} that have {STORED[-1]} queries to store")
    for name, each in found["fit"].items():
        lines.append(f"\n{name}: what a score is worth")
        lines += [f"  {key:40}{value}" for key, value in each.items()]
    lines.append(f"\n{found['speed']['capabilities']:,} capabilities")
    naive = found["speed"]["Python loop over cosines"]
    for key, value in list(found["speed"].items())[1:]:
        ratio = f"{naive / value:10.0f} times as fast as the loop" if key.startswith("query") else ""
        lines.append(f"  {key:40}{value:10.3f} ms{ratio}")
    return "\n".join(lines).lstrip("\n")


def _row(marks: Mapping[str, float]) -> str:
    return " / ".join(f"{marks[name]:5.1f}" for name in MARKS)


def draw(path: Path, found: Mapping[str, Any]) -> None:
    """recall@5 of each set cold, and the learning curves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = list(found["cold"])
    ways = list(next(iter(found["cold"].values()))["all"]) if names else []
    for place, way in enumerate(ways):
        heights = [found["cold"][name]["all"][way]["recall@5"] for name in names]
        left.bar([row + place * 0.8 / len(ways) for row in range(len(names))], heights, 0.8 / len(ways), label=way)
    left.set(title="cold", ylabel="recall@5, %", xticks=[row + 0.3 for row in range(len(names))], xticklabels=names)
    left.tick_params(axis="x", labelrotation=12)
    for name, curve in found["learning"].items():
        for way in (OURS, "mean vector", "nearest task"):
            points = [(point["stored"], point[way]["recall@1"]) for point in curve["points"]]
            right.plot(*zip(*points, strict=True), marker="o", label=f"{way} ({name})")
    right.set(title="learning from use", xlabel="solved tasks a tool", ylabel="recall@1, %")
    for axes in (left, right):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
    figure.savefig(path)


if __name__ == "__main__":
    main()
