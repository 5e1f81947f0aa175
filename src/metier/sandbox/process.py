"""The state of one run as its program can see it: streams, descriptors, virtual time, seeded random bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from metier.outcomes import FailureKind
from metier.sandbox.files import FileSystem
from metier.sandbox.limits import Limits
from metier.sandbox.nodes import File, Folder
from metier.sandbox.preview1 import Errno, FileType, Right, WasiError


class Exited(BaseException):
    """The program ended itself. A BaseException, since it is no error and must pass every `except Exception`."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class LimitReached(Exception):
    """A bound of the run; `kind` is the failure's kind."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Clock:
    """Virtual time in nanoseconds: wall time starts where the run says, and each look moves it by one step.

    So a program that waits for time to pass sees it pass, and the same run sees the same times."""

    STEP: Final = 1_000
    END: Final = 2**63 - 1
    """Where time stands still, so that it always fits what programs keep it in."""

    def __init__(self, start_ns: int) -> None:
        self._start = start_ns
        self._elapsed = 0

    def monotonic(self) -> int:
        self.sleep(self.STEP)
        return self._elapsed

    def wall(self) -> int:
        self.sleep(self.STEP)
        return self.now()

    def now(self) -> int:
        """Wall time, without moving it."""
        return min(self._start + self._elapsed, self.END)

    def sleep(self, nanoseconds: int) -> None:
        self._elapsed = min(self._elapsed + nanoseconds, self.END)


class RandomStream:
    """Random bytes from a seed, which is asked for when the first are taken: BLAKE2b in counter mode."""

    def __init__(self, seed: bytes | Callable[[], bytes]) -> None:
        self._seed = seed
        self._key = b""
        self._counter = 0
        self._left = b""

    def take(self, count: int) -> bytes:
        if not self._key:
            seed = self._seed if isinstance(self._seed, bytes) else self._seed()
            self._key = hashlib.blake2b(seed).digest()
        parts = [self._left]
        have = len(self._left)
        while have < count:
            parts.append(hashlib.blake2b(self._counter.to_bytes(8, "little"), key=self._key).digest())
            self._counter += 1
            have += 64
        whole = b"".join(parts)
        self._left = whole[count:]
        return whole[:count]


@dataclass(slots=True)
class Descriptor:
    """An open file, directory or stream."""

    kind: int
    rights: int
    inheriting: int = 0
    node: File | Folder | None = None
    """None for a stream."""
    flags: int = 0
    position: int = 0
    write: Callable[[Process, bytes], None] | None = None
    """Where a stream's output goes."""
    preopen: str | None = None
    """The name under which the program finds it, for a directory that is open from the start."""
    listing: tuple[str, ...] = ()
    """The names of a directory as they were when reading it began."""


@dataclass(slots=True)
class Process:
    """The whole state of one run as the program can see it."""

    files: FileSystem
    limits: Limits
    clock: Clock
    random: RandomStream
    stdin: bytes = b""
    arguments: tuple[str, ...] = ("capability",)
    environ: dict[str, str] = field(default_factory=dict)
    kept_bytes: int = 0
    """Memory that an engine of this run may not have, so that runs nested in it can."""
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    descriptors: dict[int, Descriptor] = field(init=False)
    most_written: int = field(init=False)
    """Bytes of one write that are looked at: one more than any limit lets through."""

    def __post_init__(self) -> None:
        limits, self.files.overlay.now = self.limits, self.clock.now
        self.most_written = max(limits.stdout_bytes, limits.stderr_bytes, limits.effect_bytes) + 1
        reading, writing = Right.OF_STREAM | Right.FD_READ, Right.OF_STREAM | Right.FD_WRITE
        self.descriptors = {
            # Streams are of unknown type, as pipes are: a character device would make C programs flush every line.
            0: Descriptor(FileType.UNKNOWN, reading),
            1: Descriptor(FileType.UNKNOWN, writing, write=Process.write_stdout),
            2: Descriptor(FileType.UNKNOWN, writing, write=Process.write_stderr),
        }
        everything = Right.OF_DIRECTORY | Right.OF_FILE
        for number, (name, root) in enumerate(self.files.overlay.roots.items(), start=3):
            self.descriptors[number] = Descriptor(
                FileType.DIRECTORY, Right.OF_DIRECTORY, everything, root, preopen=f"/{name}"
            )

    def write_stdout(self, data: bytes) -> None:
        if len(self.stdout) + len(data) > self.limits.stdout_bytes:
            raise LimitReached("output", f"the program wrote more than {self.limits.stdout_bytes} bytes to stdout")
        self.stdout += data

    def write_stderr(self, data: bytes) -> None:
        if len(self.stderr) + len(data) > self.limits.stderr_bytes:
            raise LimitReached("output", f"the program wrote more than {self.limits.stderr_bytes} bytes to stderr")
        self.stderr += data

    def descriptor(self, number: int, right: int = 0) -> Descriptor:
        """An open descriptor that has the right.

        Raises:
            WasiError: BADF, NOTCAPABLE.
        """
        try:
            found = self.descriptors[number]
        except KeyError:
            raise WasiError(Errno.BADF) from None
        if right & ~found.rights:
            raise WasiError(Errno.NOTCAPABLE)
        return found

    def open(self, descriptor: Descriptor) -> int:
        """Gives a descriptor the lowest free number from 3.

        Raises:
            WasiError: MFILE.
        """
        self.must_have_room()
        number = 3
        while number in self.descriptors:
            number += 1
        if isinstance(descriptor.node, File):
            self.files.overlay.opened(descriptor.node)
        self.descriptors[number] = descriptor
        return number

    def must_have_room(self) -> None:
        if len(self.descriptors) >= self.limits.open_files + 3 + len(self.files.roots):
            raise WasiError(Errno.MFILE)

    def close(self, number: int) -> None:
        closed = self.descriptors.pop(number)
        if isinstance(closed.node, File):
            self.files.overlay.closed(closed.node)
