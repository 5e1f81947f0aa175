"""Recorded runs replay byte for byte, whatever became of the data; a difference is named."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.capability import Contract, Provenance
from metier.library import Library, Release
from metier.sandbox.box import Box
from metier.sandbox.shipped import PYTHON
from metier.toolchains import python

READ_TWO = """
import json, random, time, os

def run(input: dict) -> dict:
    people = json.load(open("/hr/people.json"))
    return {"people": people, "names": os.listdir("/hr"), "time": time.time(), "random": random.random()}
"""
WRITE = """
def run(input: dict) -> dict:
    with open("/hr/log.txt", "a") as log:
        log.write(input["line"] + "\\n")
    return {"log": open("/hr/log.txt").read()}
"""
NESTING = """
import host

def run(input: dict) -> dict:
    first = host.call("append", {"line": "from the caller"})
    try:
        host.call("append", {"lines": 1})
        refused = ""
    except host.Error as error:
        refused = error.kind
    return {"log": open("/hr/log.txt").read(), "first": first, "refused": refused}
"""
FILES = [{"root": "hr", "path": "**", "access": "write"}]


def publish(library: Library, box: Box, id: str, source: str, *, version: int | None = None, **values: Any) -> None:
    contract = Contract.model_validate(
        {
            "id": id,
            "summary": id,
            "language": "python",
            "input_schema": {"type": "object"},
            "output_schema": {"type": "object"},
            "effects": "write",
            "permissions": {"files": FILES},
            "examples": [],
            **values,
        }
    )
    release = Release(
        contract=contract,
        wasm=python.build(source, box),
        source={"capability.py": source.encode()},
        engine=PYTHON.pin,
        parent=f"{id}@{version}" if version else None,
        provenance=Provenance(author="hand", created="2026-01-01T00:00:00+00:00"),
    )
    library.publish(release, expected_version=version)


@pytest.fixture
def library(tmp_path: Path, box: Box) -> Library:
    library = Library.create(tmp_path / "capabilities")
    (library.path / "data").mkdir()
    (library.path / "data" / "people.json").write_text('["John"]', encoding="utf-8")
    (library.path / "metier.toml").write_text(
        '[roots]\nhr = "data"\n[policy]\ncall = ["*"]\nclock = "recorded"\nrandom = "recorded"\n'
        'files = [{ root = "hr", path = "**", access = "write" }]\n'
        '[policy.unasked]\nfiles = [{ root = "hr", path = "**", access = "read" }]\n',
        encoding="utf-8",
    )
    clocks = {"clock": "recorded", "random": "recorded"}
    reading = [{"root": "hr", "path": "**", "access": "read"}]
    publish(library, box, "look", READ_TWO, effects="read", permissions={"files": reading, **clocks})
    line = {"type": "object", "required": ["line"]}
    publish(library, box, "append", WRITE, input_schema=line)
    publish(library, box, "nesting", NESTING, permissions={"files": FILES, "call": ["append"]})
    return library


@pytest.fixture
def runtime(library: Library) -> Iterator[Runtime]:
    with Runtime.open(library.path) as runtime:
        yield runtime


def newest(runtime: Runtime) -> str:
    return str(runtime.journal.recent(1)[0]["run_id"])


def test_a_run_replays_when_its_data_is_gone(runtime: Runtime, library: Library) -> None:
    runtime.call("look", {})
    (library.path / "data" / "people.json").write_text('["Jane"]', encoding="utf-8")
    (library.path / "data" / "other.json").write_text("1", encoding="utf-8")
    assert runtime.replay(newest(runtime)).difference is None
    shutil.rmtree(library.path / "data")
    assert runtime.replay(newest(runtime)).identical


def test_a_recorded_clock_and_randomness_differ_between_runs_and_not_in_a_replay(runtime: Runtime) -> None:
    first, second = runtime.call("look", {}), runtime.call("look", {})
    assert first["time"] != second["time"]
    assert first["random"] != second["random"]
    assert all(runtime.replay(run["run_id"]).identical for run in runtime.journal.recent())


@pytest.mark.parametrize("workers", [0, 1])
def test_a_runtime_that_is_told_the_time_tells_runs_the_same(library: Library, workers: int) -> None:
    now = datetime(2023, 11, 30, 9, 15, 0, 250_000, tzinfo=UTC)
    with Runtime.open(library.path, now=now.replace(tzinfo=None), workers=workers) as runtime:
        assert runtime.now() == now
        first, second = (runtime.call("look", {})["time"] for _ in range(2))
        assert first == second == pytest.approx(now.timestamp(), abs=0.001)
        assert runtime.replay(newest(runtime)).identical


def test_a_write_is_not_done_again_by_a_replay(runtime: Runtime, library: Library) -> None:
    for line in ("a", "b"):
        runtime.call("append", {"line": line})
    log = library.path / "data" / "log.txt"
    assert log.read_text(encoding="utf-8") == "a\nb\n"
    assert all(runtime.replay(run["run_id"]).identical for run in runtime.journal.recent())
    assert log.read_text(encoding="utf-8") == "a\nb\n"


def test_a_called_capability_writes_into_its_callers_run(runtime: Runtime, library: Library) -> None:
    assert runtime.call("nesting", {}) == {
        "log": "from the caller\n",
        "first": {"log": "from the caller\n"},
        "refused": "input",
    }
    assert (library.path / "data" / "log.txt").read_text(encoding="utf-8") == "from the caller\n"
    assert runtime.replay(newest(runtime)).difference is None


def test_a_replay_runs_the_version_that_was_called_then(runtime: Runtime, library: Library, box: Box) -> None:
    runtime.call("nesting", {})
    run_id = newest(runtime)
    line = {"type": "object", "required": ["line"]}
    publish(library, box, "append", WRITE.replace('"\\n"', '"!\\n"'), version=1, input_schema=line)
    assert runtime.replay(run_id).difference is None
    assert runtime.call("nesting", {})["log"].endswith("from the caller!\n")


def test_failures_replay_as_failures(runtime: Runtime) -> None:
    outcome = runtime.execute(runtime.library.get("append"), {"line": 5})
    assert runtime.replay(outcome.run_id).difference is None
    refused = runtime.execute(runtime.library.get("append"), {})
    assert runtime.replay(refused.run_id).difference is None


def test_a_moved_library_replays(runtime: Runtime, library: Library, tmp_path: Path) -> None:
    runtime.call("look", {})
    runtime.close()
    moved = tmp_path / "elsewhere" / "skills"
    moved.parent.mkdir()
    shutil.move(library.path, moved)
    with Runtime.open(moved) as again:
        assert again.replay(newest(again)).difference is None


def change(runtime: Runtime, statement: str) -> None:
    path = runtime.library.path / ".metier" / "journal.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE runs SET fuel = fuel + 1", "fuel"),
        ("UPDATE runs SET output = replace(output, 'John', 'Jane')", "output"),
        ("UPDATE runs SET input = '{\"a\": 1}'", "outcome"),
        ("UPDATE runs SET sha256 = 'x'", "identity"),
        ("UPDATE runs SET effects = replace(effects, 'people.json', 'peoples.json')", "effects"),
        ("UPDATE runs SET effects = replace(effects, 'ok\\', 'ko\\')", "effects"),
        ("UPDATE runs SET effects = replace(effects, ':', '')", "effects"),
        ("UPDATE runs SET capability = 'gone'", "identity"),
        ("DELETE FROM blobs", "effects"),
    ],
)
def test_the_first_difference_is_named_and_the_chain_shows_the_change(
    runtime: Runtime, statement: str, named: str
) -> None:
    runtime.call("look", {})
    if "input" in statement:
        runtime.library.get("look")
    change(runtime, statement)
    comparison = runtime.replay(newest(runtime))
    if "input" not in statement:  # look takes any input
        assert str(comparison.difference).startswith(named)
    assert runtime.journal.verify()[1] is not None


def test_of_long_outputs_what_differs_is_shown(runtime: Runtime) -> None:
    runtime.call("look", {})
    change(runtime, "UPDATE runs SET output = '{' || hex(zeroblob(10000000)) || '}'")
    difference = str(runtime.replay(newest(runtime)).difference)
    assert difference.startswith("output: ")
    assert len(difference) < 1000


def test_an_untouched_journal_verifies_and_a_missing_run_shows(runtime: Runtime) -> None:
    for _ in range(5):
        runtime.call("look", {})
    assert runtime.journal.verify() == (5, None)
    change(runtime, "DELETE FROM runs WHERE seq = 3")
    assert "missing" in str(runtime.journal.verify()[1])


def test_calls_that_are_not_granted_are_denied(library: Library, runtime: Runtime, box: Box) -> None:
    publish(library, box, "sneaky", NESTING, permissions={"files": FILES, "call": ["look"]})
    with pytest.raises(Exception, match="not allowed"):
        runtime.call("sneaky", {})


def test_endless_calls_end(library: Library, runtime: Runtime, box: Box) -> None:
    source = 'import host\n\ndef run(input: dict) -> dict:\n    return host.call("again", {})\n'
    publish(library, box, "again", source, effects="read", permissions={"call": ["again"]})
    with pytest.raises(Exception, match="more than its 32 MiB of memory"):  # each leaves half to the next
        runtime.call("again", {})


def test_a_changed_record_is_not_held_against_the_program(library: Library, runtime: Runtime) -> None:
    runtime.call("look", {})
    change(runtime, "UPDATE runs SET output = replace(output, 'John', 'Jane')")
    assert str(runtime.replay(newest(runtime)).difference).endswith("changed since, see `metier runs verify`")
    assert library.get("look").live
