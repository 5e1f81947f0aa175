"""Steps on disk that survive a crash: contents are on the disk before a name leads to them.

Each step is announced to a checkpoint just before it is taken. A test that ends the process there sees what a crash
at that point leaves; one that raises there sees what a full disk does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

Checkpoint = Callable[[str], None]
"""Told the name of each step before it is taken; what it raises, the step raises."""


def no_checkpoint(step: str) -> None:
    """The checkpoint of every library outside tests."""


class Disk:
    """Durable steps. All raise OSError where the file system does."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def write(self, path: Path, content: bytes) -> None:
        """Make the file `path`, which must not exist, and the folders above it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._checkpoint(f"create {path.name}")
        with path.open("xb") as file:
            file.write(content[: len(content) // 2])
            file.flush()
            self._checkpoint(f"write {path.name}")
            file.write(content[len(content) // 2 :])
            file.flush()
            os.fsync(file.fileno())

    def sync_tree(self, folder: Path) -> None:
        """Bring the names in `folder` and beneath it to the disk; `write` did so with the contents."""
        for parent, _, _ in os.walk(folder, topdown=False):
            self.sync(Path(parent))

    def sync(self, folder: Path) -> None:
        """Bring the names in `folder` to the disk."""
        self._checkpoint(f"sync {folder.name}")
        if os.name == "nt":  # Windows has no handle to flush a folder by
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def move(self, source: Path, target: Path) -> None:
        """Rename a folder to a name that is free, on the same file system."""
        self._checkpoint(f"move {source.name} to {target.name}")
        source.rename(target)

    def replace(self, source: Path, target: Path) -> None:
        """Rename a file, in one step in place of the one that may have the name."""
        self._checkpoint(f"replace {target.name}")
        source.replace(target)
