"""Two vector spaces while the embedder changes: the old one serves until the new one is complete; they never mix."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from metier.errors import MetierError

log = logging.getLogger(__name__)

FILE_NAME = "embedder"
RETRY_SECONDS = 60.0
"""Time after which a new space is tried again whose embedder failed."""


class Closable(Protocol):
    def close(self) -> None: ...


Index = TypeVar("Index", bound=Closable)


class Spaces(Generic[Index]):
    """The index in the space of the embedder `wanted`; while that is not complete, the one that served before.

    `open` makes the index of an embedder, `complete` fills one. Which embedder serves is a file in the folder `state`.
    """

    def __init__(
        self, state: Path | None, wanted: str, open: Callable[[str], Index], complete: Callable[[Index], None]
    ) -> None:
        self._file = state and state / FILE_NAME
        self._wanted = wanted
        self._open = open
        self._complete = complete
        self._lock = threading.RLock()
        self._serving: tuple[str, Index] | None = None
        self._left: list[Index] = []
        self._thread: threading.Thread | None = None
        self._tried = -RETRY_SECONDS
        self._told = False

    def serving(self) -> Index:
        """The index to search. It has to be made complete by the caller, as ever."""
        with self._lock:
            if self._serving is None:
                name = self._served() or self._wanted
                self._serving = (name, self._open(name))
            name, index = self._serving
            idle = self._thread is None or not self._thread.is_alive()
            if name != self._wanted and idle and time.monotonic() - self._tried >= RETRY_SECONDS:
                self._tried = time.monotonic()
                self._thread = threading.Thread(target=self._work, name="metier-embed", daemon=True)
                self._thread.start()
            return index

    def completed(self) -> None:
        """Note that what serves is complete: after a restart with another embedder, it goes on serving at first."""
        with self._lock:
            if self._serving is not None and self._serving[0] == self._wanted:
                self._note()

    def wait(self) -> None:
        """Returns when no new space is being made, because it serves or because its embedder failed."""
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """Closes what was opened. What is being embedded is kept, and goes on next time."""
        with self._lock:
            opened = [*self._left, *([self._serving[1]] if self._serving else [])]
            self._left, self._serving = [], None
        for index in opened:
            index.close()

    def _work(self) -> None:
        index = self._open(self._wanted)
        try:
            self._complete(index)
        except (MetierError, OSError) as error:
            index.close()
            with self._lock:
                if not self._told and self._serving is not None:
                    self._told = True
                    log.warning("%s: %s; %s goes on serving", self._wanted, error, self._serving[0])
            return
        with self._lock:
            if self._serving is None:  # closed meanwhile
                index.close()
                return
            self._left.append(self._serving[1])  # somebody may be searching it
            self._serving = (self._wanted, index)
            self._note()

    def _served(self) -> str | None:
        if self._file is None:
            return None
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return self._file.read_text(encoding="utf-8").strip() or None
        return None

    def _note(self) -> None:
        """Renames a whole file over the old one; where that cannot be, the next process starts with what is wanted."""
        if self._file is None or self._served() == self._wanted:
            return
        with contextlib.suppress(OSError):
            staged = self._file.with_name(f"{FILE_NAME}.{os.getpid()}.{secrets.token_hex(4)}")
            staged.write_text(self._wanted + "\n", encoding="utf-8")
            staged.replace(self._file)
