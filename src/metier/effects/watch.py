"""Ends statements of databases from outside: a step of one may take long, and look at no clock while it does."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TICK: Final = 0.01


@dataclass(slots=True, eq=False)
class Watched:
    """One statement that is being carried out."""

    until: float
    stop: Callable[[], None]
    scratch_bytes: int | None
    thread: int = field(default_factory=threading.get_native_id)
    written: int = 0
    too_much: bool = False
    """It was ended for what it wrote, and not for its time."""

    def is_over(self) -> bool:
        self.too_much = self.too_much or (
            self.scratch_bytes is not None and _written(self.thread) - self.written > self.scratch_bytes
        )
        return self.too_much or time.monotonic() > self.until


class Watch:
    """Looks at all statements of the process a hundred times a second, as long as there are any."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: set[Watched] = set()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def over(self, until: float, stop: Callable[[], None], scratch_bytes: int | None = None) -> Iterator[Watched]:
        """Has `stop` called, from another thread and again and again, after `until` (of time.monotonic) or when this
        thread has written more than `scratch_bytes` to files. Only Linux tells the latter."""
        watched = Watched(until, stop, scratch_bytes)
        watched.written = _written(watched.thread) if scratch_bytes is not None else 0
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="metier-statements", daemon=True)
                self._thread.start()
            self._watched.add(watched)
            self._changed.notify()
        try:
            yield watched
        finally:
            with self._changed:
                self._watched.discard(watched)

    def _look(self) -> None:
        while True:
            with self._changed:
                while not self._watched:
                    self._changed.wait()
                for watched in self._watched:
                    if watched.is_over():
                        with contextlib.suppress(Exception):  # it ended by itself, or its connection did
                            watched.stop()
            time.sleep(TICK)


WATCH: Final = Watch()


def _written(thread: int) -> int:
    """Bytes that a thread of this process gave to write calls so far (proc(5), `wchar`); 0 where nobody counts."""
    try:
        text = Path(f"/proc/self/task/{thread}/io").read_text(encoding="ascii")
        return int(text.partition("wchar: ")[2].partition("\n")[0])
    except (OSError, ValueError):
        return 0
