"""Work spread over processes, so that one that crashes, hangs or is killed takes only its own item with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_HAND_SECONDS = 0.05
"""A worker has items for about that long at hand: it does not wait for the next one, and at the end none has much more
to do than the others."""
FEWEST_AT_HAND, MOST_AT_HAND = 2, 256
NAP_SECONDS = 0.002
"""How long answers gather where workers have enough to do: waking up for each takes the time of short ones."""
START_SECONDS = 120.0
"""What a process may take until it can work: a loaded machine starts it slowly, and it may have much to load."""
AHEAD = 64
"""Results, in multiples of workers, that may wait for an earlier one."""


@dataclass(frozen=True, slots=True)
class Lost:
    """An item whose worker did not come to an end with it."""

    reason: str


@dataclass(slots=True)
class _Worker:
    process: multiprocessing.process.BaseProcess
    pipe: Connection
    at_hand: deque[tuple[int, Any]] = field(default_factory=deque)
    """What it was given and has not answered, oldest first: the first is what it works on."""
    ready: bool = False
    """Whether it has said that it can work. Until then its own time does not count as an item's."""
    since: float = field(default_factory=time.monotonic)
    """When it was started, was ready, or began with what it works on."""
    pace: float = AT_HAND_SECONDS
    """Seconds that an item takes of late."""

    @property
    def room(self) -> int:
        """How many more items it should have at hand."""
        wanted = int(AT_HAND_SECONDS / self.pace) if self.pace else MOST_AT_HAND
        return max(FEWEST_AT_HAND, min(MOST_AT_HAND, wanted)) - len(self.at_hand)

    def late(self, seconds: float) -> str | None:
        """How it is late, if an item may take so long; None where it is not."""
        allowed = seconds if self.ready else START_SECONDS
        if time.monotonic() - self.since <= allowed:
            return None
        return f"it took longer than {allowed:g} s" if self.ready else f"it did not start within {allowed:g} s"

    def took(self, count: int, now: float) -> None:
        """Notes that it answered `count` items since it was last looked at."""
        self.pace += ((now - self.since) / count - self.pace) / 4
        self.since = now


class Pool(Generic[Item, Result]):
    """`count` processes, each with a function of its own that `make` returns there. `make` must be picklable.

    An item may take `seconds`; a worker that takes longer is killed.
    """

    def __init__(self, make: Callable[[], Callable[[Item], Result]], count: int, *, seconds: float) -> None:
        self._make = make
        self._count = count
        self._seconds = seconds
        self._spawn = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    def map(self, items: Iterable[Item]) -> Iterator[Result | Lost]:
        """The result for each item, in the order of the items. Reads ahead no further than it has to."""
        source = iter(enumerate(items))
        done: dict[int, Result | Lost] = {}
        following, exhausted = 0, False
        self._workers = [self._start() for _ in range(self._count)]
        try:
            while True:
                room = AHEAD * self._count - len(done)
                exhausted = exhausted or not self._hand_out(source, room)
                self._collect(done)
                while following in done:
                    yield done.pop(following)
                    following += 1
                if exhausted and not done and not any(worker.at_hand for worker in self._workers):
                    return
        finally:
            self.close()

    def close(self) -> None:
        """Ends the workers, also in the middle of something."""
        for worker in self._workers:
            worker.pipe.close()
            worker.process.kill()
            worker.process.join()
        self._workers = []

    def _start(self) -> _Worker:
        ours, theirs = self._spawn.Pipe()
        process = self._spawn.Process(target=_work, args=(self._make, theirs), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _hand_out(self, source: Iterator[tuple[int, Item]], room: int) -> bool:
        """Fills the workers up; whether there may be more items."""
        for worker in self._workers:
            while worker.room > 0 and room > 0:
                entry = next(source, None)
                if entry is None:
                    return False
                self._give(worker, entry)
                room -= 1
        return True

    def _give(self, worker: _Worker, entry: tuple[int, Any]) -> None:
        if worker.ready and not worker.at_hand:
            worker.since = time.monotonic()
        worker.at_hand.append(entry)
        with contextlib.suppress(OSError):  # a worker that died is noticed when its answers are collected
            worker.pipe.send(entry[1])

    def _collect(self, done: dict[int, Result | Lost]) -> None:
        """Takes what is answered, waiting a little where nothing is; replaces workers that died or hang."""
        busy = [worker for worker in self._workers if worker.at_hand]
        if busy and all(len(worker.at_hand) * worker.pace > 2 * NAP_SECONDS for worker in busy):
            time.sleep(NAP_SECONDS)
        ready = connection.wait([worker.pipe for worker in busy], timeout=0.05) if busy else []
        for worker in busy:
            if worker.pipe in ready:
                answered = 0
                try:
                    while worker.at_hand and worker.pipe.poll():
                        if not worker.ready:
                            worker.pipe.recv()
                            worker.ready, worker.since = True, time.monotonic()
                            continue
                        done[worker.at_hand[0][0]] = worker.pipe.recv()
                        worker.at_hand.popleft()
                        answered += 1
                    if answered:
                        worker.took(answered, time.monotonic())
                except (EOFError, OSError):
                    worker.process.join()
                    self._replace(worker, done, f"its process ended ({how_it_ended(worker.process.exitcode)})")
            elif reason := worker.late(self._seconds):
                self._replace(worker, done, reason)

    def _replace(self, worker: _Worker, done: dict[int, Result | Lost], reason: str) -> None:
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()
        (lost, _), *waiting = worker.at_hand
        done[lost] = Lost(reason)
        fresh = self._start()
        for entry in waiting:
            self._give(fresh, entry)
        self._workers[self._workers.index(worker)] = fresh


def _work(make: Callable[[], Callable[[Any], Any]], pipe: Connection) -> None:
    """The life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption means
    with contextlib.suppress(EOFError, OSError):
        items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(pipe, items), daemon=True).start()
        function = make()
        pipe.send(None)  # ready
        while True:
            pipe.send(function(items.get()))
    os._exit(0)


def _read(pipe: Connection, items: queue.SimpleQueue[Any]) -> None:
    """Takes items as they come. Were they left in the pipe, it could fill up in both directions, and both ends wait."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            items.put(pipe.recv())
    os._exit(0)


def how_it_ended(status: int | None) -> str:
    """The exit status of a process in words: the signal that ended it, or the number."""
    if status is not None and status < 0:
        return signal.Signals(-status).name
    return f"status {status}"
