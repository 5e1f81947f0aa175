"""Processes that many threads hand items to: what goes wrong with one item stays with it, and none is left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from metier.errors import LibraryError, Overloaded
from metier.sandbox.crew import Crew
from metier.sandbox.workers import Lost

MIB = 2**20


def worker(how: str, value: Any) -> Any:
    """What a worker of these tests does with a value, which may be a word that says how to go wrong."""
    if value == "who":
        return os.getpid()
    if value == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if value == "hang":
        threading.Event().wait()
    if value == "bomb":
        return len([bytearray(16 * MIB) for _ in range(10_000)])
    if value == "hold":
        return len(HELD.append(bytearray(200 * MIB)) or HELD)  # type: ignore[func-returns-value]
    if value == "raise":
        raise LibraryError("a reason")
    if value == "print":
        print("noise")
    if isinstance(value, tuple):  # says that it is at work, and goes on when it is told to
        arrived, released = map(Path, value)
        arrived.touch()
        with released.open("rb") as file:
            return file.read()
    return how, value


HELD: list[bytearray] = []


def making(how: str) -> Callable[[Any], Any]:
    return partial(worker, how)


def making_nothing() -> Callable[[Any], Any]:
    raise RuntimeError("no library")


@contextmanager
def crew(count: int = 2, *, seconds: float = 60, **options: Any) -> Iterator[Crew[Any, Any]]:
    opened: Crew[Any, Any] = Crew(partial(making, "made"), count, seconds=seconds, **options)
    try:
        yield opened
    finally:
        opened.close()


def gates(folder: Path, count: int) -> list[tuple[str, str]]:
    """For each of so many items: the file that it makes when it is begun, and a pipe that it reads before it ends."""
    found = []
    for number in range(count):
        released = folder / f"released-{number}"
        os.mkfifo(released)
        found.append((str(folder / f"arrived-{number}"), str(released)))
    return found


def release(gate: tuple[str, str], word: bytes) -> None:
    """Lets an item go on. The pipe opens when the item has come to it."""
    with Path(gate[1]).open("wb") as file:
        file.write(word)


def is_there(process: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_each_caller_gets_the_answer_to_its_own_item() -> None:
    with crew() as opened, ThreadPoolExecutor(16) as threads:
        assert list(threads.map(opened.call, range(500))) == [("made", number) for number in range(500)]
        assert len(opened.processes) == 2


def test_items_and_answers_larger_than_a_pipe_holds_arrive() -> None:
    with crew(1) as opened:
        assert opened.call("x" * 9_000_000) == ("made", "x" * 9_000_000)


@pytest.mark.parametrize(
    ("how", "options", "reason"),
    [
        ("die", {}, "its process ended (SIGKILL)"),
        ("hang", {"seconds": 0.5}, "it took longer than 0.5 s"),
        pytest.param(
            "bomb",
            {"item_bytes": 256 * MIB},
            "its process ran out of memory",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="the bound on memory is Linux's"),
        ),
    ],
)
def test_a_worker_that_is_lost_takes_one_item_with_it(how: str, options: dict[str, Any], reason: str) -> None:
    with crew(**options) as opened, ThreadPoolExecutor(8) as threads:
        items = [*range(30), how, *range(30)]
        answers = list(threads.map(opened.call, items))
        assert answers == [Lost(reason) if item == how else ("made", item) for item in items]


def test_what_the_function_raises_is_raised_to_the_caller() -> None:
    with crew(1) as opened:
        before = opened.call("who")
        with pytest.raises(LibraryError, match="a reason") as raised:
            opened.call("raise")
        assert "in worker" in raised.value.__notes__[0]  # where it was raised
        assert opened.call("who") == before


def test_a_worker_that_died_between_two_items_loses_none() -> None:
    with crew(2) as opened:
        for _ in range(3):
            process = opened.call("who")
            os.kill(process, signal.SIGKILL)
            os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
            assert opened.call("next") == ("made", "next")


@pytest.mark.skipif(sys.platform != "linux", reason="the bound on memory is Linux's")
def test_a_worker_that_goes_on_holding_memory_is_replaced() -> None:
    with crew(1, item_bytes=256 * MIB) as opened:
        first = opened.call("who")
        assert [opened.call("hold"), opened.call("who") == first] == [1, True]
        assert opened.call("hold") == 2
        assert opened.call("who") != first
        assert not is_there(first)


def test_a_worker_makes_place_for_another_after_so_many_items() -> None:
    with crew(1, items=3) as opened:
        processes = [opened.call("who") for _ in range(7)]
    assert [len(set(processes[start : start + 3])) for start in (0, 3, 6)] == [1, 1, 1]
    assert len(set(processes)) == 3


def test_too_many_callers_are_refused_and_the_others_served(tmp_path: Path) -> None:
    (gate,) = gates(tmp_path, 1)
    with crew(1, waiting=2) as opened, ThreadPoolExecutor(4) as threads:
        assert opened.most_calls == 3
        first = threads.submit(opened.call, gate)
        with Path(gate[1]).open("wb") as at_work:  # opens when the item is there
            calls = [threads.submit(opened.call, number) for number in range(3)]
            (refused,) = wait(calls, return_when=FIRST_COMPLETED).done
            with pytest.raises(Overloaded, match="3 runs are under way or wait already"):
                refused.result()
            at_work.write(b"one")
        assert first.result() == b"one"
        assert {call.result() for call in calls if call is not refused} < {("made", number) for number in range(3)}


def test_those_who_wait_are_served_in_their_order() -> None:
    order: SimpleQueue[int] = SimpleQueue()

    def caller(number: int) -> None:
        while True:
            if opened.call(number) == ("made", number):
                order.put(number)

    with crew(1) as opened, ThreadPoolExecutor(5) as threads:
        callers = [threads.submit(caller, number) for number in range(4)]
        served = [order.get() for _ in range(200)]
        threads.submit(opened.close)
        for ended in callers:
            assert isinstance(ended.exception(), Overloaded)
    assert min(served.count(number) for number in range(4)) > 30  # nobody overtakes those who wait


def test_closing_waits_for_what_was_taken_and_takes_no_more(tmp_path: Path) -> None:
    (gate,) = gates(tmp_path, 1)
    with crew(2) as opened, ThreadPoolExecutor(2) as threads:
        answer = threads.submit(opened.call, gate)
        with Path(gate[1]).open("wb") as at_work:
            processes = opened.processes
            closed = threads.submit(opened.close)
            with pytest.raises(Overloaded, match="brought to an end"):
                while not closed.done():
                    opened.call("late")
            assert not closed.done()
            at_work.write(b"done")
        assert answer.result() == b"done"
        closed.result()
        assert opened.processes == []
    assert not any(is_there(process) for process in processes)


def test_a_crew_that_cannot_be_made_says_so() -> None:
    opened: Crew[Any, Any] = Crew(making_nothing, 2, seconds=10)
    try:
        for _ in range(2):
            assert opened.call("x") == Lost("no process can be started: its process ended (status 1)")
    finally:
        opened.close()


PARENT = """
import os, signal, sys
from functools import partial
from metier.sandbox.crew import Crew
from tests.sandbox.test_crew import making

if __name__ == "__main__":
    opened = Crew(partial(making, "made"), 2, seconds=60)
    print(opened.call("print") and opened.processes, flush=True)
    if sys.argv[1] == "at work":
        opened.call((sys.argv[2], sys.argv[3]))
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes of others are waited for in Linux's way")
@pytest.mark.parametrize("how", ["at work", "idle", "unclosed"])
def test_workers_end_with_their_parent_however_that_ends(tmp_path: Path, how: str) -> None:
    (gate,) = gates(tmp_path, 1)
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    command = [sys.executable, str(script), how, *gate]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ) as parent:
        assert parent.stdout is not None
        line = parent.stdout.readline()  # and nothing that a worker printed
        watched = [os.pidfd_open(int(text)) for text in line.strip("[]\n").split(",")]
        assert len(watched) == 2
        released = os.open(gate[1], os.O_WRONLY) if how == "at work" else None  # opens when the item is there
        if how == "unclosed":
            assert parent.stdin is not None
            parent.stdin.close()  # which it ends at, without a word to its workers
        else:
            parent.kill()
        assert parent.wait(30) == (0 if how == "unclosed" else -signal.SIGKILL)
    for descriptor in watched:
        assert select.select([descriptor], [], [], 30)[0]
        os.close(descriptor)
    if released is not None:
        os.close(released)
