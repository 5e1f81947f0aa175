"""The index of a large library: what the exact one finds, through kills, damage and other processes."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from metier.capability import Capability
from metier.retrieval import coarse
from metier.retrieval.documents import bounded, document
from metier.retrieval.embedders import WordLlamaEmbedder
from metier.retrieval.fusion import clauses
from metier.retrieval.index import CapabilityIndex
from metier.retrieval.large import LargeIndex
from metier.retrieval.lexical import terms
from metier.retrieval.meaning import Meaning
from metier.retrieval.rows import Damaged, Query, Row, row, token
from metier.retrieval.vectors import VectorStore

WORDLLAMA = WordLlamaEmbedder()
VERBS = ("list", "convert", "forecast", "translate", "validate", "export", "merge", "price", "book", "cancel")
THINGS = ("salary", "invoice", "weather", "flight", "recipe", "patient", "ticket", "route", "tax", "photo", "song")
FACTS = ("by country", "for one customer", "as a table", "in another currency", "with its history", "per month")


def made_up(count: int, seed: int = 1) -> list[Capability]:
    draw = random.Random(seed)
    return [
        Capability(
            id=f"tool_{n:05}",
            summary=" ".join(draw.choice(part) for part in (VERBS, THINGS, THINGS, FACTS)) + f" {n}",
            binary="tool.wasm",
        )
        for n in range(count)
    ]


def rows_of(capabilities: Sequence[Capability]) -> list[Row]:
    documents = [document(capability) for capability in capabilities]
    vectors = Meaning(VectorStore(None, WORDLLAMA.name), WORDLLAMA).vectors(documents)
    return [
        row(capability.id, vector, entry.words(capability.id))
        for capability, entry, vector in zip(capabilities, documents, vectors, strict=True)
    ]


def query(text: str) -> Query:
    parts = clauses(bounded(text))
    return Query(WORDLLAMA.embed(parts), tuple(tuple(dict.fromkeys(map(token, terms(part)))) for part in parts))


def filled(folder: Path, rows: Sequence[Row], mark: str = "library:1") -> LargeIndex:
    index = LargeIndex(folder)
    assert index.load([rows[: len(rows) // 2], rows[len(rows) // 2 :]], now=mark, learned={})
    index.sync()
    return index


def put(index: LargeIndex, changed: dict[str, Row | None], mark: str) -> None:
    assert index.apply(changed, since=index.sync(), now=mark, learned={})
    index.sync()


TASKS = [
    "forecast the weather per month and then book a flight for one customer",
    "price the invoice in another currency",
    "tool 1234",
    "cancel the ticket, merge the photo, translate the recipe and export the song as a table",
]


def test_it_ranks_as_the_exact_index_does(tmp_path: Path) -> None:
    capabilities = made_up(2000)
    exact = CapabilityIndex(None, WORDLLAMA)
    exact.refresh(capabilities)
    index = filled(tmp_path, rows_of(capabilities))
    for task in TASKS:
        for (id, score), (other, near) in zip(exact.nearest(task, 10), index.nearest(query(task), 10), strict=True):
            assert (id, score) == (other, pytest.approx(near, abs=2e-6))


def test_two_rough_looks_lose_hardly_any_of_the_best_ten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    capabilities = made_up(6000)
    exact = CapabilityIndex(None, WORDLLAMA)
    exact.refresh(capabilities)
    index = filled(tmp_path, rows_of(capabilities))
    for name, rows in (("FIRST", 1200), ("CLAUSE", 120), ("SECOND", 300)):
        monkeypatch.setattr(coarse, name, rows)
    draw, kept = random.Random(2), []
    for n in range(40):
        task = f"{draw.choice(VERBS)} my {draw.choice(THINGS)} {draw.choice(FACTS)}, number {draw.randrange(6000)}"
        best = exact.nearest(task, 10)
        near = dict(index.nearest(query(task), 10))
        kept.append(sum(near.get(id, 0) >= best[-1][1] - 2e-6 for id, _ in index.nearest(query(task), 10)) / 10)
        assert index.nearest(query(task), 10) == index.nearest(query(task), 10), n
    assert np.mean(kept) >= 0.99


def test_long_documents_of_many_solved_tasks_rank_as_the_exact_index_ranks_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capabilities = made_up(400)
    draw = random.Random(4)
    told = made_up(9000, seed=5)
    solved = {c.id: tuple(other.summary for other in draw.sample(told, 60)) for c in capabilities}
    exact = CapabilityIndex(None, WORDLLAMA)
    exact.refresh(capabilities, solved)
    documents = [document(capability, solved[capability.id]) for capability in capabilities]
    vectors = Meaning(VectorStore(None, WORDLLAMA.name), WORDLLAMA).vectors(documents)
    entries = zip(capabilities, documents, vectors, strict=True)
    index = filled(tmp_path, [row(c.id, vector, entry.words(c.id)) for c, entry, vector in entries])
    for name, rows in (("FIRST", 100), ("CLAUSE", 30), ("SECOND", 60)):
        monkeypatch.setattr(coarse, name, rows)
    kept = []
    for entry in draw.sample(told, 30):
        best = exact.nearest(entry.summary, 5)
        kept += [score >= best[-1][1] - 2e-6 for _, score in index.nearest(query(entry.summary), 5)]
    assert np.mean(kept) >= 0.95


def test_a_row_that_is_put_in_taken_out_or_replaced_ranks_as_if_it_had_always_been_so(tmp_path: Path) -> None:
    rows = rows_of(made_up(300))
    other = rows_of([Capability(id="water_plants", summary="Water the plants on the roof.", binary="a.wasm")])[0]
    index = filled(tmp_path / "one", rows)
    put(index, {other.id: other, rows[7].id: None}, "library:2")
    anew = filled(tmp_path / "two", [*rows[:7], *rows[8:], other])
    for task in (*TASKS, "water the plants", "tool 7"):
        found = index.nearest(query(task), 20)
        assert found == anew.nearest(query(task), 20)
        assert rows[7].id not in dict(found)
    assert index.merge()
    assert index.nearest(query("water the plants"), 20) == anew.nearest(query("water the plants"), 20)
    assert len(index) == 300


def test_the_next_process_opens_what_the_last_one_left(tmp_path: Path) -> None:
    rows = rows_of(made_up(50))
    index = filled(tmp_path, rows[:40])
    put(index, {entry.id: entry for entry in rows[40:]}, "library:2")
    found = index.nearest(query(TASKS[0]), 50)
    index.close()
    again = LargeIndex(tmp_path)
    assert again.sync() == "library:2"
    assert again.nearest(query(TASKS[0]), 50) == found


def test_two_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    rows = rows_of(made_up(40))
    one, two = filled(tmp_path, rows[:20]), LargeIndex(tmp_path)
    since = two.sync()
    put(one, {rows[20].id: rows[20]}, "library:2")
    assert not two.apply({rows[21].id: rows[21]}, since=since, now="library:3", learned={})
    put(two, {rows[21].id: rows[21]}, "library:3")
    assert one.sync() == two.sync() == "library:3"
    assert one.merge()
    put(two, {rows[22].id: rows[22]}, "library:4")
    one.sync()
    assert len(one) == len(two) == 23
    assert one.nearest(query(TASKS[1]), 30) == two.nearest(query(TASKS[1]), 30)


@pytest.mark.parametrize("name", ["ids", "codes", "posting_rows", "bag_tokens", "vocabulary", "segment.json", "middle"])
def test_a_damaged_or_missing_file_is_told_once_and_nothing_is_found_until_it_is_made_anew(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = rows_of(made_up(60))
    filled(tmp_path, rows).close()
    folder = next(tmp_path.glob("segment-*"))
    path = folder / (name if "." in name else f"{name}.npy")
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    for spoiled in (bytes(content), None):
        path.unlink()
        if spoiled is not None:
            path.write_bytes(spoiled)
        caplog.clear()
        index = LargeIndex(tmp_path)
        assert index.sync() is None
        assert index.nearest(query(TASKS[0]), 5) == []
        assert len(caplog.records) == 1 and "made anew" in caplog.text
        assert index.load([rows], now="library:9", learned={})
        assert index.sync() == "library:9"
        assert len(index.nearest(query(TASKS[0]), 5)) == 5
        index.close()
        folder = next(tmp_path.glob("segment-*"))
        path = folder / path.name


def test_a_damaged_vector_never_ranks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(tmp_path, rows_of(made_up(60))).close()
    path = next(tmp_path.glob("segment-*")) / "vectors.npy"
    with path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"\x55\x55\x55\x55")
    index = LargeIndex(tmp_path)
    index.sync()
    with pytest.raises(Damaged):
        index.nearest(query(TASKS[0]), 5)
    assert "made anew" in caplog.text and len(index) == 0
    assert index.sync() is None


def test_a_tail_that_is_no_database_is_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = rows_of(made_up(30))
    filled(tmp_path, rows).close()
    for file in tmp_path.glob("tail.sqlite*"):
        file.write_bytes(b"not a database" * 500)
    index = LargeIndex(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert index.sync() is None
    assert len(caplog.records) == 1
    assert index.load([rows], now="library:2", learned={})
    index.sync()
    assert len(index.nearest(query(TASKS[0]), 30)) == 30
    assert len(list(tmp_path.glob("segment-*"))) == 1


MERGER = """
import sys
from pathlib import Path
import numpy as np
from metier.retrieval.large import LargeIndex
from metier.retrieval.rows import row
index = LargeIndex(Path(sys.argv[1]))
print("ready", flush=True)
n = 0
while True:
    n += 1
    new = row(f"id_{n}", np.eye(8, dtype=np.float32)[n % 8], [("word", 1.0), (str(n), 1.0)])
    index.apply({new.id: new}, since=index.sync(), now=f"library:{n}", learned={})
    print(n, flush=True)
    if n % 3 == 0:
        index.merge()
"""


def test_a_kill_at_any_moment_loses_nothing_that_was_said_to_be_kept(tmp_path: Path) -> None:
    for turn in range(4):
        shutil.rmtree(tmp_path / "index", ignore_errors=True)
        command = [sys.executable, "-c", MERGER, str(tmp_path / "index")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            kept = 0
            for line in process.stdout:
                kept = int(line) if line[0] != "r" else 0
                if kept == 11 + 4 * turn:
                    process.send_signal(signal.SIGKILL)
            process.wait()
        index = LargeIndex(tmp_path / "index")
        mark = index.sync()
        assert mark is not None and int(mark.partition(":")[2]) >= kept
        assert len(index) == int(mark.partition(":")[2])
        index.close()
