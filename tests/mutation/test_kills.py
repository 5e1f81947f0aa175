"""Mutations that are killed at each of their steps, and many at once: nothing is half-visible, and nothing is lost."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.library import Library
from metier.mutation import PendingDrafts
from metier.outcomes import Mutated, NotMutated, Waits
from metier.testing import ScriptedModel
from tests.mutation.test_draft import DRAFT
from tests.mutation.test_mutator import WRITING, library, snapshot, submit

__all__ = ["library"]

WRITERS = int(os.environ.get("METIER_WRITERS", "4"))
"""Processes that publish at once; more where it is to be shown at length."""
ROUNDS = int(os.environ.get("METIER_WRITER_ROUNDS", "2"))
STEPS = {"open", "os.rename", "os.remove", "os.rmdir", "os.link", "os.truncate"}
"""What a mutation does to files, as Python tells its audit hooks of it before it is done."""
if os.environ.get("METIER_KILLS"):
    STEPS |= {"os.mkdir", "sqlite3.connect"}  # most find the folder there already

BETTER = DRAFT["source"].replace("2 *", "1 * 2 *")
SCENARIOS: dict[str, tuple[dict[str, Any], str | None]] = {
    "a new capability": (
        submit(
            id="triple",
            source=DRAFT["source"].replace("2 *", "3 *"),
            examples=[{"input": {"n": n}, "output": {"twice": 3 * n}} for n in (1, 2, 3)],
        ),
        None,
    ),
    "a replacement": (submit(source=BETTER), "double"),
    "a draft that waits": (submit(**WRITING, id="overwrite"), None),
}


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that begin with everything imported, and without a thread of another."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "metier.runtime", "metier.mutation.mutator", "pydantic_ai"])
    return context


def mutate_until(path: str, scenario: str, last: int) -> None:
    """One mutation that is killed before its step with the number `last`, counted from 0."""
    reply, parent = SCENARIOS[scenario]
    with Runtime.open(path, model=ScriptedModel([reply])) as runtime:
        steps = _steps(path)

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event in STEPS and _is_in(path, event, arguments) and next(steps) == last:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        runtime.mutate_sync("What is it?", parent, lambda _: None)
    os._exit(0)  # a hook cannot be taken away, and the interpreter's own end is no step


def _steps(path: str) -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def _is_in(path: str, event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether it changes something under `path`."""
    if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return False
    return str(arguments[0]).startswith(path)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_at_any_step_leaves_all_as_before_or_all_as_after(
    library: Library, tmp_path: Path, processes: ForkServerContext, scenario: str
) -> None:
    with Runtime.open(library.path) as runtime:
        assert isinstance(runtime.mutator().submit(DRAFT, None, "test:author"), Mutated)
    before, steps, seen = snapshot(library.path), 0, set()
    while True:
        copy = tmp_path / f"copy{steps}"
        shutil.copytree(library.path, copy, symlinks=True)
        process = processes.Process(target=mutate_until, args=(str(copy), scenario, steps))
        process.start()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), (steps, process.exitcode)
        seen.add(_state(copy, before))
        shutil.rmtree(copy)
        if process.exitcode == 0:
            break
        steps += 1
    assert steps > 3
    assert seen == {"before", "after"}


def _state(path: Path, before: dict[str, str]) -> str:
    """Whether a library is as before the mutation, or as after it; anything else fails."""
    library = Library.open(path)
    assert library.broken() == []
    assert library.check() == []
    now = {c.name for c in library.capabilities()}
    waiting = PendingDrafts(library.state).all()
    assert library.load("double", 1).source["capability.py"].decode() == DRAFT["source"]
    after = snapshot(path)
    if now == {"double@1"} and not waiting:
        assert after == before
        return "before"
    assert (now, [w.id for w in waiting]) in (
        ({"double@1", "triple@1"}, []),
        ({"double@2"}, []),
        ({"double@1"}, ["overwrite"]),
    )
    assert {file: after.get(file) for file in before if file.startswith("data")} == {
        file: content for file, content in before.items() if file.startswith("data")
    }
    for name in now:
        library.load(name.partition("@")[0])
    return "after"


def publish_many(path: str, writer: int, rounds: int) -> None:
    """Capabilities of its own, and a version of one that all others follow on as well."""
    for turn in range(rounds):
        factor = 3 + writer * rounds + turn
        times = submit(
            id=f"times_{factor}",
            summary=f"Returns a number times {factor}.",
            source=DRAFT["source"].replace("2 *", f"{factor} *"),
            examples=[{"input": {"n": n}, "output": {"twice": factor * n}} for n in (1, 2, 3)],
        )
        assert isinstance(_mutated(path, times, None), Mutated)
        shared = submit(source=DRAFT["source"].replace("2 *", f"{factor} * 2 // {factor} *"))
        outcome = _mutated(path, shared, "double")
        while not isinstance(outcome, Mutated):
            assert isinstance(outcome, NotMutated)
            assert "meanwhile" in outcome.reason or "published" in str(outcome.findings), outcome
            outcome = _mutated(path, shared, "double")


def _mutated(path: str, reply: Any, parent: str | None) -> Mutated | NotMutated | Waits | Any:
    with Runtime.open(path, model=ScriptedModel([reply, reply])) as runtime:
        try:
            return runtime.mutate_sync("What is it?", parent, lambda _: None)[0]
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}") from error


def test_many_writers_at_once_lose_nothing(library: Library, processes: ForkServerContext) -> None:
    settings = library.path / "metier.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + "mutation_rounds = 1\n", encoding="utf-8")
    with Runtime.open(library.path) as runtime:
        assert isinstance(runtime.mutator().submit(DRAFT, None, "test:author"), Mutated)
    workers = [processes.Process(target=publish_many, args=(str(library.path), n, ROUNDS)) for n in range(WRITERS)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        assert library.broken() == []
        workers[0].join(0.2)
    assert [worker.exitcode for worker in workers] == [0] * WRITERS
    factors = range(3, 3 + WRITERS * ROUNDS)
    assert {c.id for c in library.capabilities()} == {"double", *(f"times_{factor}" for factor in factors)}
    versions = library.versions("double")
    assert [c.version for c in versions] == list(range(1, len(factors) + 2))
    sources = {library.load("double", c.version).source["capability.py"].decode() for c in versions}
    assert len(sources) == len(factors) + 1
    assert library.check() == []
