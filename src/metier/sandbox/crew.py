"""Processes that many threads hand items to. One that crashes, hangs, is killed or wants too much memory takes only the
item with it that it worked on, and another takes its place.

Each works on one item at a time. Whoever has an item waits for a worker in the order of arrival, and then for its
answer at its pipe itself, so that nothing stands between the two.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

from metier.errors import Overloaded
from metier.sandbox.workers import START_SECONDS, Lost, how_it_ended

Item = TypeVar("Item")
Result = TypeVar("Result")

WAITING: Final = 256
"""Items that may wait for a worker."""
MOST_ITEMS: Final = 10_000
"""What a worker answers before another takes its place, against what piles up slowly."""
MOST_IDLE_DEATHS: Final = 3
"""Workers that may be found dead, besides all that there were, before an item counts as lost."""
BROUGHT_SECONDS: Final = 10.0
"""How long the end waits for starts that are under way."""
OUT_OF_MEMORY: Final = 77
"""Exit status of a worker that did not get the memory that it asked for."""

_processes = threading.Lock()
"""Children of a process are counted and waited for without one of multiprocessing's own."""


@dataclass(eq=False, slots=True)
class _Worker:
    process: multiprocessing.process.BaseProcess
    pipe: Connection


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


class Crew(Generic[Item, Result]):
    """`count` processes, each with a function of its own that `make` returns there; both must be picklable.

    An item may take `seconds`, and on Linux `item_bytes` of memory (None: any), before its worker is given up.
    `waiting` items may wait for a worker; one that answered `items` of them makes place for another.
    """

    def __init__(
        self,
        make: Callable[[], Callable[[Item], Result]],
        count: int,
        *,
        seconds: float,
        item_bytes: int | None = None,
        waiting: int = WAITING,
        items: int = MOST_ITEMS,
    ) -> None:
        self.most_calls = count + waiting
        """Items that may be at work or wait at one time."""
        self._make = make
        self._count = count
        self._seconds = seconds
        self._bounds = (item_bytes, items)
        self._spawn = multiprocessing.get_context("spawn")
        self._lock = threading.Lock()
        self._settled = threading.Condition(self._lock)
        self._workers: set[_Worker] = set()
        """All that were started and not ended."""
        self._coming = 0
        """How many are about to be started or to become ready."""
        self._free: list[_Worker] = []
        self._waiting: deque[SimpleQueue[_Worker | Lost]] = deque()
        self._calls = 0
        self._closed = self._ended = False
        atexit.register(self._end_all)  # before multiprocessing's own end, which waits for what does not end by itself

    def start(self) -> None:
        """Starts the workers, in the background. The first call does so otherwise."""
        with self._lock:
            self._fill()

    @property
    def processes(self) -> list[int]:
        """Ids of the processes."""
        with self._lock:
            return sorted(worker.process.pid or 0 for worker in self._workers)

    @property
    def calls(self) -> int:
        """How many items are under way or wait."""
        return self._calls

    def call(self, item: Item) -> Result | Lost:
        """What a worker makes of the item, or that its worker was lost. What the function raises, this raises.

        Raises:
            Overloaded: too many wait already, or this was closed.
        """
        sent = pickle.dumps(item)
        with self._lock:
            if self._closed:
                raise Overloaded("the runs are being brought to an end; no further one is begun")
            if self._calls >= self.most_calls:
                raise Overloaded(f"{self.most_calls} runs are under way or wait already; try again in a moment")
            self._calls += 1
        try:
            answer = self._call(sent)
        finally:
            with self._lock:
                self._calls -= 1
                self._settled.notify_all()
        if isinstance(answer, _Raised):
            raise answer.error
        return answer

    def close(self) -> None:
        """Takes no further item, waits for those that were taken, and ends the workers."""
        with self._lock:
            self._closed = True
            self._settled.wait_for(lambda: not self._calls)
        self._end_all()

    def _end_all(self) -> None:
        atexit.unregister(self._end_all)
        with self._lock:
            self._closed = self._ended = True
            # One whose start is broken off by the end of this process says so on stderr, at length.
            self._settled.wait_for(lambda: not self._coming, BROUGHT_SECONDS)
            workers, self._workers, free, self._free = self._workers, set(), self._free, []
        for worker in workers:
            _kill(worker)
        for worker in free:  # the pipes of others are closed by whoever waits at them
            worker.pipe.close()

    # One item

    def _call(self, sent: bytes) -> Result | Lost | _Raised:
        for _ in range(self._count + MOST_IDLE_DEATHS):
            worker = self._take()
            if isinstance(worker, Lost):
                return worker
            try:
                worker.pipe.send_bytes(sent)
            except OSError:  # it died before, so nothing of the item was begun
                reason = self._drop(worker)
            except BaseException:
                self._drop(worker)
                raise
            else:
                return self._answer(worker)
        return Lost(reason)

    def _answer(self, worker: _Worker) -> Result | Lost | _Raised:
        reason = ""
        try:
            if worker.pipe.poll(self._seconds):
                answer, goes_on = worker.pipe.recv()
                if goes_on:
                    self._free_again(worker)
                else:
                    self._drop(worker)
                return answer  # type: ignore[no-any-return]  # what the function returned
            reason = f"it took longer than {self._seconds:g} s"
        except (EOFError, OSError):
            pass
        except BaseException:  # whoever waits is interrupted, and the answer would be the next one's
            self._drop(worker)
            raise
        ended = self._drop(worker)
        return Lost(reason or ended)

    def _take(self) -> _Worker | Lost:
        """The next worker, once it is free; `Lost` where none can be started."""
        with self._lock:
            self._fill()
            if self._free:
                return self._free.pop()
            place: SimpleQueue[_Worker | Lost] = SimpleQueue()
            self._waiting.append(place)
        try:
            return place.get()
        except BaseException:
            self._leave(place)
            raise

    def _leave(self, place: SimpleQueue[_Worker | Lost]) -> None:
        with self._lock:
            if place in self._waiting:
                self._waiting.remove(place)
                return
        worker = place.get()
        if isinstance(worker, _Worker):
            self._free_again(worker)

    # The workers

    def _fill(self) -> None:
        """Has as many workers started as are missing. To be called under the lock."""
        while len(self._workers) + self._coming < self._count and not self._ended:
            self._coming += 1
            threading.Thread(target=self._bring, name="metier-worker-start", daemon=True).start()

    def _bring(self) -> None:
        """Starts a worker and frees it when it is ready."""
        ours, theirs = self._spawn.Pipe()
        process = self._spawn.Process(target=_work, args=(self._make, theirs, *self._bounds), daemon=True)
        worker = _Worker(process, ours)
        try:
            with _processes:
                process.start()
        except OSError as error:
            with self._lock:
                self._coming -= 1
                self._settled.notify_all()
            self._not_brought(f"no process can be started: {error}")
            return
        finally:
            theirs.close()
        with self._lock:
            self._coming -= 1
            self._workers.add(worker)
            self._settled.notify_all()
            wanted = not self._ended
        reason = ""
        try:
            if wanted and ours.poll(START_SECONDS):
                ours.recv()  # it is ready
                self._free_again(worker)
                return
            reason = f"it was not ready within {START_SECONDS:g} s"
        except (EOFError, OSError):
            pass
        ended = self._drop(worker, refill=False)
        self._not_brought(f"no process can be started: {reason or ended}")

    def _not_brought(self, reason: str) -> None:
        """Tells whoever waits longest, and tries again if there are others."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().put(Lost(reason))
            if self._waiting:
                self._fill()

    def _free_again(self, worker: _Worker) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().put(worker)
            else:
                self._free.append(worker)

    def _drop(self, worker: _Worker, *, refill: bool = True) -> str:
        """Ends a worker, and has another started in its place. How its process ended."""
        _kill(worker)
        worker.pipe.close()
        with self._lock:
            self._workers.discard(worker)
            if refill:
                self._fill()
        status = worker.process.exitcode
        return (
            "its process ran out of memory"
            if status == OUT_OF_MEMORY
            else f"its process ended ({how_it_ended(status)})"
        )


def _kill(worker: _Worker) -> None:
    with _processes:
        worker.process.kill()
        worker.process.join()


# The worker's side


def _work(make: Callable[[], Callable[[Any], Any]], pipe: Connection, item_bytes: int | None, items: int) -> None:
    """The life of a worker. It ends with its parent, however that ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent decides what they mean
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.dup2(2, 1)  # what is the parent's to say on stdout is not mixed with anything
    threading.Thread(target=_end_with_parent, daemon=True).start()
    status = 0
    try:
        function = make()
        memory = _Memory(item_bytes)
        pipe.send(None)  # ready
        for left in range(items - 1, -1, -1):
            answer = _answered(function, pipe.recv())
            pipe.send((answer, left > 0 and memory.suffices))
    except MemoryError:
        status = OUT_OF_MEMORY
    except (EOFError, OSError):
        pass
    os._exit(status)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(0)


def _answered(function: Callable[[Any], Any], item: Any) -> Any:
    try:
        return function(item)
    except MemoryError:
        raise
    except Exception as error:
        error.add_note("".join(traceback.format_exception(error)))
        try:
            return _Raised(pickle.loads(pickle.dumps(error)))  # noqa: S301  # our own
        except Exception:  # it is made in a way that pickle does not know
            return _Raised(RuntimeError(f"{type(error).__name__}: {error}"))


class _Memory:
    """Bounds what an item may take to `item_bytes`, and what a worker goes on holding after its items to as much.

    Address space that is reserved does not count, of which pools of memories have terabytes; what may be written does.
    """

    def __init__(self, item_bytes: int | None) -> None:
        self._most = None
        if item_bytes is not None and sys.platform == "linux":
            import resource

            self._most = _data_bytes() + item_bytes
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            most = self._most + item_bytes
            resource.setrlimit(
                resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard)
            )

    @property
    def suffices(self) -> bool:
        """Whether another item can have all that it may take."""
        return self._most is None or _data_bytes() <= self._most


def _data_bytes() -> int:
    return int(Path("/proc/self/statm").read_bytes().split()[5]) * os.sysconf("SC_PAGE_SIZE")
