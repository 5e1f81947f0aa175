"""Ctrl-C during a run. A program in the sandbox is one long call in C, in which Python gets to see no signal."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator

GRACE_SECONDS = 1.0
"""From Ctrl-C until the process is ended from outside. What has to be whole is so at any moment; see durable.py."""
INTERRUPTED = 130


@contextlib.contextmanager
def ended_by_interrupts() -> Iterator[None]:
    """Within it, Ctrl-C ends the process with status 130, at the latest after the grace."""
    if os.name == "nt" or threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(reader,), name="metier-interrupts", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        os.close(writer)  # ends the watcher, unless it is counting already
        watcher.join(timeout=0.1)


def _watch(reader: int) -> None:
    with os.fdopen(reader, "rb", buffering=0) as signals:
        while number := signals.read(1):
            if number[0] == signal.SIGINT:
                time.sleep(GRACE_SECONDS)
                os._exit(INTERRUPTED)
