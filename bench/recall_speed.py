"""Recall with many solved tasks: how long a decision takes, beside a plain dictionary and a cosine semantic cache.

    python bench/recall_speed.py [--tasks N]

N tasks (100,000) of a made-up office are kept, each with its template and in words of its own; 300 tasks that memory
knows, exactly or by template, and 300 that it does not, are decided on. Times are of one process.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from metier import Runtime
from metier.capability import Contract, Provenance
from metier.library import Library, Release
from metier.memory import normalize_task, task_key
from metier.recall.conditions import fingerprint
from metier.recall.entities import Entities
from metier.recall.reading import Reader
from metier.recall.templates import induce
from metier.recall.words import words_of
from metier.retrieval.embedders import WordLlamaEmbedder

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
EACH = 300
DIMENSIONS = 256
"""Of the embedded embedder."""
INSERT = "INSERT INTO solved VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100_000)
    count = parser.parse_args().tasks
    with tempfile.TemporaryDirectory() as folder:
        library = Library.create(Path(folder) / "capabilities")
        publish(library)
        with Runtime.open(library.path, now=NOW) as runtime:
            tasks = fill(runtime, count)
        with Runtime.open(library.path, now=NOW) as runtime:
            print(f"{count:,} solved tasks")
            first("exact", runtime, tasks[0])
            first("template", runtime, "something else")
            known = [tasks[n] for n in range(0, count, max(1, count // EACH))]
            exact = row("exact", runtime.decide, known)
            row("template", runtime.decide, [sentence(n, n + 7) for n in range(0, count, max(1, count // EACH))])
            row("abstention", runtime.decide, [f"{task} but not that" for task in known])
        plain = {normalize_task(task): task for task in tasks}
        row("peer: dictionary", lambda task: plain.get(normalize_task(task)), known, beside=exact)
        embedder = WordLlamaEmbedder()
        vectors = np.zeros((count, DIMENSIONS), dtype=np.float32)
        for at in range(0, count, 5_000):
            vectors[at : at + 5_000] = embedder.embed(tasks[at : at + 5_000])
        row("peer: semantic cache", lambda t: int((vectors @ embedder.embed([t])[0]).argmax()), known, beside=exact)


def first(name: str, runtime: Runtime, task: str) -> None:
    start, used = time.perf_counter(), time.process_time()
    runtime.decide(task)
    took, used = time.perf_counter() - start, time.process_time() - used
    print(f"first of a process, {name:10} {took:8.3f} s, {used:.3f} s of it computing")


def sentence(number: int, amount: int) -> str:
    """A task in words of its own for each number."""
    letters = "".join(chr(97 + int(digit)) for digit in str(number))
    return f"Order {amount} of {letters} for the {letters[::-1]} office"


def publish(library: Library) -> None:
    contract = Contract.model_validate(
        {"id": "order", "summary": "Orders.", "input_schema": {"properties": {"amount": {"type": "integer"}}}}
    )
    by_hand = Provenance(author="hand", created="2026-01-01T00:00:00+00:00")
    release = Release(contract=contract, wasm=b"\0asm\1\0\0\0", source={}, engine=None, parent=None, provenance=by_hand)
    library.publish(release, expected_version=None)


def fill(runtime: Runtime, count: int) -> list[str]:
    """The tasks, kept as if a model had solved each."""
    capability = runtime.library.get("order")
    entities = Entities({}, {}, runtime.library.path, runtime.settings.policy.ceiling)
    data, tasks, rows = fingerprint(capability, entities), [], []
    for number in range(count):
        task, input = sentence(number, number), {"amount": number}
        words = words_of(task)
        reader = Reader(words, NOW, {"order": capability}, entities, {})
        induced = induce(words.words, reader.spans_for(capability), input).text()
        tasks.append(task)
        head = (task_key(task), normalize_task(task), "order", 1, json.dumps(input), "1", "Done.", None, "pure", 0.0)
        rows.append((*head, number + 1, "run", NOW.date().isoformat(), data, induced))
    runtime.memory.store.write(INSERT, rows)
    return tasks


def row(name: str, work: Callable[[str], object], tasks: list[str], *, beside: float | None = None) -> float:
    """Prints p50 and p99 in ms, and how many times as long an exact decision takes; returns the median in seconds."""
    spent = []
    for task in tasks:
        start = time.perf_counter()
        work(task)
        spent.append(time.perf_counter() - start)
    p50, p99 = (float(np.percentile(spent, share)) for share in (50, 99))
    ratio = f"   exact / this {beside / p50:8.2f}" if beside is not None else ""
    print(f"{name:24}p50 {p50 * 1e3:9.3f} ms   p99 {p99 * 1e3:9.3f} ms{ratio}")
    return p50


if __name__ == "__main__":
    main()
