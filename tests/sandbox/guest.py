"""A program's side of WASI without a program: memory in a bytearray, functions called one by one."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metier.permissions import Grant, Permissions
from metier.sandbox.files import FileSystem, HostFiles
from metier.sandbox.limits import Limits
from metier.sandbox.native import OutOfBounds
from metier.sandbox.wasi import Clock, Process, RandomStream, answered, functions

ALL = (1 << 29) - 1
READ, WRITE = 1 << 1, 1 << 6
CREAT, DIRECTORY, EXCL, TRUNC = 1, 2, 4, 8
APPEND, FOLLOW = 1, 1
RESULT, BUFFER, VECTORS, TEXT, OTHER = 0, 1024, 16_384, 20_480, 28_672
"""Where the calls below put things."""

FUNCTIONS = {name: answered(function, lambda process: process) for name, function in functions().items()}


class Buffer:
    """Guest memory of 64 KiB with the interface of sandbox.native.Memory."""

    def __init__(self) -> None:
        self.bytes = bytearray(65_536)

    def read(self, address: int, size: int) -> bytes:
        if address + size > len(self.bytes):
            raise OutOfBounds
        return bytes(self.bytes[address : address + size])

    def write(self, address: int, data: bytes | bytearray) -> None:
        if address + len(data) > len(self.bytes):
            raise OutOfBounds
        self.bytes[address : address + len(data)] = data

    def write_u32(self, address: int, value: int) -> None:
        self.write(address, value.to_bytes(4, "little"))

    def write_u64(self, address: int, value: int) -> None:
        self.write(address, value.to_bytes(8, "little"))


@dataclass
class Entry:
    name: str
    inode: int
    kind: int
    next: int


@dataclass
class Guest:
    """One run's process. What a call returns is an error number, 0 for success; `open` and the like assert success."""

    process: Process
    memory: Buffer = field(default_factory=Buffer)

    def call(self, name: str, *arguments: int) -> int:
        result = FUNCTIONS[name](self.process, self.memory, *arguments)
        assert result is not None
        return result

    def text(self, text: str | bytes, at: int = TEXT) -> tuple[int, int]:
        raw = text.encode() if isinstance(text, str) else text
        self.memory.write(at, raw)
        return at, len(raw)

    def u32(self) -> int:
        return int(struct.unpack("<I", self.memory.read(RESULT, 4))[0])

    def u64(self) -> int:
        return int(struct.unpack("<Q", self.memory.read(RESULT, 8))[0])

    def try_open(
        self,
        path: str | bytes,
        oflags: int = 0,
        *,
        rights: int = ALL & ~WRITE,
        inheriting: int = ALL,
        fd: int = 3,
        follow: bool = True,
        flags: int = 0,
    ) -> int:
        return self.call("path_open", fd, int(follow), *self.text(path), oflags, rights, inheriting, flags, RESULT)

    def open(self, path: str, oflags: int = 0, **how: Any) -> int:
        assert self.try_open(path, oflags, **how) == 0
        return self.u32()

    def create(self, path: str, content: bytes = b"") -> None:
        fd = self.open(path, CREAT, rights=ALL)
        assert self.write(fd, content) == 0
        assert self.call("fd_close", fd) == 0

    def write(self, fd: int, data: bytes) -> int:
        self.memory.write(BUFFER, data)
        self.memory.write(VECTORS, struct.pack("<II", BUFFER, len(data)))
        return self.call("fd_write", fd, VECTORS, 1, RESULT)

    def read(self, fd: int, size: int = 1000) -> bytes:
        self.memory.write(VECTORS, struct.pack("<II", BUFFER, size))
        assert self.call("fd_read", fd, VECTORS, 1, RESULT) == 0
        return self.memory.read(BUFFER, self.u32())

    def seek(self, fd: int, delta: int, whence: int = 0) -> int:
        return self.call("fd_seek", fd, delta % 2**64, whence, RESULT)

    def path(self, name: str, path: str | bytes, *arguments: int, fd: int = 3) -> int:
        """`path_create_directory`, `path_remove_directory` or `path_unlink_file`, without that prefix."""
        return self.call(f"path_{name}", fd, *self.text(path), *arguments)

    def two(self, name: str, path: str, to: str, fd: int = 3, to_fd: int = 3, flags: int | None = None) -> int:
        """`path_rename`, or `path_link` with its flags."""
        return self.call(
            f"path_{name}", fd, *([] if flags is None else [flags]), *self.text(path), to_fd, *self.text(to, OTHER)
        )

    def symlink(self, target: str, path: str, fd: int = 3) -> int:
        return self.call("path_symlink", *self.text(target, OTHER), fd, *self.text(path))

    def stat(self, path: str, *, follow: bool = True, fd: int = 3) -> dict[str, int] | int:
        """What path_filestat_get tells, or its error."""
        error = self.call("path_filestat_get", fd, int(follow), *self.text(path), RESULT)
        return error or self._filestat()

    def fstat(self, fd: int) -> dict[str, int] | int:
        return self.call("fd_filestat_get", fd, RESULT) or self._filestat()

    def _filestat(self) -> dict[str, int]:
        names = ("dev", "ino", "type", "nlink", "size", "atim", "mtim", "ctim")
        return dict(zip(names, struct.unpack("<QQBxxxxxxxQQQQQ", self.memory.read(RESULT, 64)), strict=True))

    def fdstat(self, fd: int) -> tuple[int, int, int, int]:
        """Type, flags, rights, rights inherited."""
        assert self.call("fd_fdstat_get", fd, RESULT) == 0
        kind, flags, base, inheriting = struct.unpack("<BxHxxxxQQ", self.memory.read(RESULT, 24))
        return kind, flags, base, inheriting

    def readdir(self, fd: int, cookie: int = 0, size: int = 4096) -> list[Entry]:
        """The whole entries in one answer of fd_readdir."""
        assert self.call("fd_readdir", fd, BUFFER, size, cookie, RESULT) == 0
        raw, entries = self.memory.read(BUFFER, self.u32()), []
        while len(raw) >= 24:
            after, inode, length, kind = struct.unpack_from("<QQIB", raw)
            if len(raw) < 24 + length:
                break
            entries.append(Entry(raw[24 : 24 + length].decode(), inode, kind, after))
            raw = raw[24 + length :]
        return entries


def guest(root: Path, *permissions: tuple[str, str], limits: Limits | None = None, stdin: bytes = b"") -> Guest:
    """A guest with `root` as its first preopen; permissions are (path, access), all of it to write by default."""
    files = [{"root": "hr", "path": path, "access": access} for path, access in permissions or [("**", "write")]]
    limits = limits or Limits()
    system = FileSystem(
        HostFiles({"hr": root}, limits.effect_bytes), Grant((Permissions.model_validate({"files": files}),)), limits
    )
    return Guest(Process(system, limits, Clock(10**18), RandomStream(b"test"), stdin=stdin))
