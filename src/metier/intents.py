"""An intent: everything that one run is about to change, in one file, so that it can be done again after a crash.

A line of JSON says what there is; the contents of files, of those that are written and those that were read, follow it
in the same order. It is written under a name that does not count, and renamed to one that does when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metier.journal import Entry, is_row
from metier.sandbox.hostfiles import Change


@dataclass(frozen=True, slots=True)
class Intent:
    """What one run changed: files, one store and the journal, each of which there may be none of."""

    changes: list[Change]
    store: str | None = None
    """The store whose COMMIT decides; without one the intent itself does, by its name."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """What the store can be asked about the transaction with."""
    entry: Entry | None = None

    def write(self, path: Path) -> None:
        """Makes the file, for its owner's eyes, and brings it to the disk. Raises OSError."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(self._head()).encode("ascii") + b"\n")
            for content in self._contents():
                file.write(content)
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def read(cls, path: Path) -> Intent:
        """The intent in a file.

        Raises:
            OSError: it cannot be read.
            ValueError: it is not whole.
        """
        head, _, rest = _content(path).partition(b"\n")
        position = 0

        def take(size: int) -> bytes:
            nonlocal position
            position += size
            if size < 0 or position > len(rest):
                raise ValueError("it is cut off")
            return rest[position - size : position]

        try:
            about = json.loads(head)
            changes = [
                _checked(
                    c["root"], c["path"], None if c["size"] is None else take(c["size"]), c["directory"], c["removed"]
                )
                for c in about["changes"]
            ]
            blobs = {sha256: take(size) for sha256, size in about["blobs"]}
            entry = None if about["row"] is None else Entry(about["row"], blobs)
            return _sound(cls(changes, about["store"], about["identity"], entry))
        except (LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"it is no intent ({type(error).__name__})") from None

    def _head(self) -> dict[str, Any]:
        return {
            "changes": [
                {
                    "root": change.root,
                    "path": change.path,
                    "size": None if change.content is None else len(change.content),
                    "directory": change.directory,
                    "removed": change.removed,
                }
                for change in self.changes
            ],
            "store": self.store,
            "identity": dict(self.identity),
            "row": dict(self.entry.row) if self.entry else None,
            "blobs": [[sha256, len(content)] for sha256, content in self.entry.blobs.items()] if self.entry else [],
        }

    def _contents(self) -> Iterator[bytes]:
        yield from (change.content for change in self.changes if change.content is not None)
        if self.entry is not None:
            yield from self.entry.blobs.values()


# A state folder may have come with a library that somebody else made, so nothing in it is taken for granted.


def _content(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if path.is_symlink() or not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def _checked(root: Any, path: Any, content: bytes | None, directory: Any, removed: Any) -> Change:
    if not all(isinstance(text, str) for text in (root, path)) or not {directory, removed} <= {True, False}:
        raise TypeError
    if "\0" in path or any(name in ("", ".", "..") for name in path.split("/")):
        raise ValueError(f"{path!r} leads out of its root")
    return Change(root, path, content, bool(directory), bool(removed))


def _sound(intent: Intent) -> Intent:
    named = ["" if intent.store is None else intent.store, *intent.identity.keys(), *intent.identity.values()]
    if not all(isinstance(text, str) for text in named):
        raise TypeError
    if intent.entry is not None:
        blobs = intent.entry.blobs.items()
        if not is_row(intent.entry.row) or any(hashlib.sha256(data).hexdigest() != key for key, data in blobs):
            raise ValueError("its record is none")
    return intent
