"""A lock between processes, and between the threads of one, on a file. It goes when its holder dies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from metier.errors import LibraryError

FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.05
TURN_SECONDS = 120.0
"""How long a process waits for another one to make what it needs too."""


@contextmanager
def exclusive(path: Path, *, timeout: float) -> Iterator[None]:
    """Hold the lock on the file at `path`, which is made and never removed: another may wait on it.

    Not re-entrant. Every holder opens the file anew, so threads exclude each other as processes do.

    Raises:
        LibraryError: someone else held it for `timeout` seconds.
        OSError: the file cannot be made or opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _wait(descriptor, path, timeout)
        try:
            yield
        finally:
            _unlock(descriptor)  # closing would not do while a forked child still has the descriptor
    finally:
        os.close(descriptor)


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """One process at a time for what `path` is to hold; one that has waited TURN_SECONDS goes on all the same."""
    with ExitStack() as turn:
        with suppress(LibraryError, OSError):
            turn.enter_context(exclusive(path.with_suffix(".lock"), timeout=TURN_SECONDS))
        yield


def _wait(descriptor: int, path: Path, timeout: float) -> None:
    deadline, pause = time.monotonic() + timeout, FIRST_PAUSE
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            raise LibraryError(f"{path} is held by another writer since {timeout:g} s; wait for it, or end it")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
