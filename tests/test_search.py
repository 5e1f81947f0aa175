"""Searching a large library: as a small one is searched, whoever changed it, and whatever befell its files."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from metier import Library, Runtime
from metier import library as library_room
from metier import stock as stock_room
from metier.catalogue import FILE_NAME as CATALOGUE
from metier.search import FOLDER

SUMMARIES = {
    "get_salary": "Look up what an employee earns.",
    "get_leave": "Look up how many days off an employee has left.",
    "get_events": "List the events in a person's calendar.",
    "water_plants": "Water the plants on the roof.",
    "mix_paint": "Mix a paint of some colour.",
}
WHOLE = {
    "version": 1,
    "sha256": "0" * 64,
    "language": "wasm",
    "input_schema": {},
    "output_schema": {},
    "effects": "pure",
    "permissions": {},
    "status": "active",
}
TASK = "water the plants"


def put(library: Path, id: str, summary: str) -> None:
    folder = library / id
    folder.mkdir(exist_ok=True)
    (folder / "a.wasm").write_bytes(b"\0asm\1\0\0\0")
    (folder / "meta.json").write_text(json.dumps({"id": id, "summary": summary, "binary": "a.wasm"}), encoding="utf-8")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Library.create(tmp_path / "capabilities")
    for id, summary in SUMMARIES.items():
        put(tmp_path / "capabilities", id, summary)
    return tmp_path / "capabilities"


@pytest.fixture
def runtime(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    monkeypatch.setattr(library_room, "MANY", 3)
    with Runtime.open(path) as runtime:
        yield runtime


def found(runtime: Runtime, task: str = TASK, k: int = 3) -> list[str]:
    return [capability.id for capability, _ in runtime.nearest(task, k)]


def test_a_large_library_is_searched_as_a_small_one_is(
    path: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runtime.library.is_large()
    large = [(c.id, score) for c, score in runtime.nearest("how many days off has Ann left, and what does she earn", 5)]
    monkeypatch.setattr(library_room, "MANY", 100)
    with Runtime.open(path) as small:
        assert not small.library.is_large()
        exact = [
            (c.id, score) for c, score in small.nearest("how many days off has Ann left, and what does she earn", 5)
        ]
    assert [id for id, _ in large] == [id for id, _ in exact]
    assert [score for _, score in large] == pytest.approx([score for _, score in exact], abs=2e-6)
    assert found(runtime, k=0) == [] and len(found(runtime, k=100)) == len(SUMMARIES)


def test_what_any_process_publishes_or_retires_counts_at_the_next_search(path: Path, runtime: Runtime) -> None:
    assert found(runtime)[0] == "water_plants"
    other = Library.open(path)
    other.set_status("water_plants", "retired")
    assert "water_plants" not in found(runtime)
    other.set_status("water_plants", "active")
    assert found(runtime)[0] == "water_plants"


DYING = """
import os, sys
from metier.library import Library
Library.open(sys.argv[1], checkpoint=lambda step: os._exit(9) if step == "sync water_plants" else None).set_status(
    "water_plants", "retired"
)
"""


def test_what_a_writer_published_that_died_before_it_noted_it_counts_too(path: Path, runtime: Runtime) -> None:
    assert found(runtime)[0] == "water_plants"
    assert subprocess.run([sys.executable, "-c", DYING, str(path)], check=False).returncode == 9
    assert "water_plants" not in found(runtime)


def test_a_hit_that_was_edited_or_deleted_by_hand_is_noticed_before_it_is_shown(path: Path, runtime: Runtime) -> None:
    assert found(runtime)[0] == "water_plants"
    put(path, "water_plants", "Reads a thermometer.")
    assert runtime.nearest("read a thermometer", 1)[0][0].summary == "Reads a thermometer."
    shutil.rmtree(path / "water_plants")
    assert "water_plants" not in found(runtime, k=5)


def test_a_folder_that_came_by_git_is_found_once_the_folders_were_looked_over(path: Path, runtime: Runtime) -> None:
    assert found(runtime)[0] == "water_plants"
    put(path, "sing_song", "Sing a song about whales.")
    assert runtime.library.stock.look_is_due()
    runtime.library.stock.look_over()
    assert not runtime.library.stock.look_is_due()
    assert found(runtime, "sing about whales")[0] == "sing_song"
    shutil.rmtree(path / "sing_song")
    runtime.library.stock.look_over()
    assert "sing_song" not in found(runtime, "sing about whales", 9)


def test_a_look_that_was_ended_is_gone_on_with(path: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_room, "_SLICE", 2)
    assert found(runtime)[0] == "water_plants"
    put(path, "sing_song", "Sing a song about whales.")
    steps = iter([True, True, False])
    runtime.library.stock.look_over(lambda: next(steps))
    assert runtime.library.stock.look_is_due()
    left = iter([True, True])
    runtime.library.stock.look_over(lambda: next(left))
    assert not runtime.library.stock.look_is_due()
    assert found(runtime, "sing about whales")[0] == "sing_song"


def test_tasks_that_were_solved_count_at_the_next_search(runtime: Runtime) -> None:
    task = "who is on the night shift"
    before = {c.id: score for c, score in runtime.nearest(task, 5)}
    runtime.memory.remember(task, "mix_paint", 1, {}, "{}", "nobody", "pure")
    after = {c.id: score for c, score in runtime.nearest(task, 5)}
    assert after["mix_paint"] == max(after.values()) > before["mix_paint"]
    runtime.memory.forget(task)
    assert {c.id: score for c, score in runtime.nearest(task, 5)} == before


@pytest.mark.parametrize("what", [CATALOGUE, FOLDER])
def test_deleted_or_damaged_files_are_made_anew_from_the_library(
    path: Path, runtime: Runtime, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    best = runtime.nearest(TASK, 5)
    runtime.close()
    state = path / ".metier"
    if what == FOLDER:
        shutil.rmtree(state / FOLDER)
    else:
        for file in state.glob(f"{CATALOGUE}*"):
            file.write_bytes(b"no database" * 999)
    with Runtime.open(path) as again, caplog.at_level(logging.WARNING):
        assert again.nearest(TASK, 5) == best
    assert len(caplog.records) == (0 if what == FOLDER else 1)


def test_a_task_that_was_solved_is_recalled_and_an_example_counts_as_one(path: Path, runtime: Runtime) -> None:
    runtime.memory.remember("Water everything", "water_plants", 1, {}, "{}", "done", "pure")
    now = runtime.now()
    decision = runtime.recall.decide("water everything", now)
    assert decision.capability is not None and decision.capability.id == "water_plants"
    folder = path / "mix_paint"
    example = {"task": "Mix the blue of a whale", "input": {}, "output": {}}
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8")) | WHOLE | {"examples": [example]}
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    runtime.library.stock.look_over()
    decision = runtime.recall.decide("mix the blue of a whale", now)
    assert decision.capability is not None and decision.capability.id == "mix_paint"


def test_a_sample_stands_for_what_cannot_be_shown(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    capabilities, vectors = runtime.finder.embedded()
    assert len(capabilities) == len(vectors) == len(SUMMARIES)
    assert runtime.finder.embedded()[0] is capabilities
    assert runtime.finder.alike() == []
