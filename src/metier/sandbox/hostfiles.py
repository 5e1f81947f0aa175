"""The operator's folders on this machine: read while a run goes on, changed only by a `Staging` after it.

Everything is opened beneath a directory descriptor, segment by segment, never through a symbolic link; special and
hard-linked files are neither served nor replaced.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import stat as stat_module
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal, Protocol

Kind = Literal["file", "directory"]
Problem = Literal[
    "not_found",
    "denied",
    "exists",
    "is_directory",
    "not_directory",
    "not_empty",
    "invalid",
    "no_space",
    "cross_root",
    "loop",
    "outside",
    "name_too_long",
    "too_many",
]


MAX_NAMES: Final = 65_536
"""Names of one directory. Listing more would take longer than a deadline may be late."""


class FileError(Exception):
    """A file operation that failed as it would on any system; `problem` is its errno in words."""

    def __init__(self, problem: Problem, path: str) -> None:
        super().__init__(f"{path}: {problem.replace('_', ' ')}")
        self.problem = problem


class Unkeepable(FileError, OSError):
    """What a run leaves behind that a commit cannot make real. An OSError too, as all that `commit` raises."""

    def __init__(self, why: str) -> None:
        Exception.__init__(self, why)
        self.problem = "invalid"


@dataclass(frozen=True, slots=True)
class Stat:
    kind: Kind
    size: int
    """Bytes; 0 for a directory."""


class Backing(Protocol):
    """Where the files of the roots come from. Paths are relative to the root, "" is the root itself."""

    def stat(self, root: str, path: str) -> Stat | None: ...
    def read(self, root: str, path: str) -> bytes: ...
    def names(self, root: str, path: str) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a run: a file's new content, or None where the file was removed; a directory that was made, or
    with `removed` one that is gone."""

    root: str
    path: str
    content: bytes | None
    directory: bool = False
    removed: bool = False


class HostFiles:
    """The operator's folders, read only."""

    def __init__(self, roots: Mapping[str, Path], max_bytes: int) -> None:
        self._roots = roots
        self._max_bytes = max_bytes

    def stat(self, root: str, path: str) -> Stat | None:
        try:
            descriptor, found = self._open(root, path)
        except OSError:
            return None
        os.close(descriptor)
        return Stat("directory", 0) if stat_module.S_ISDIR(found.st_mode) else Stat("file", found.st_size)

    def read(self, root: str, path: str) -> bytes:
        try:
            descriptor, found = self._open(root, path)
            try:
                if stat_module.S_ISDIR(found.st_mode):
                    raise FileError("is_directory", path)
                if found.st_size > self._max_bytes:
                    raise FileError("no_space", path)
                data = _read_to_end(descriptor, found.st_size, self._max_bytes + 1)
            finally:
                os.close(descriptor)
        except OSError:
            raise FileError("not_found", path) from None
        if len(data) > self._max_bytes:
            raise FileError("no_space", path)
        return data

    def names(self, root: str, path: str) -> list[str]:
        """The names in a directory, sorted; those that are not UTF-8 cannot be said to a program and are left out.

        Raises:
            FileError: not_found; too_many, for a directory with more than MAX_NAMES.
        """
        try:
            descriptor, _ = self._open(root, path)
            try:
                with os.scandir(descriptor) as entries:
                    names = [entry.name for entry in itertools.islice(entries, MAX_NAMES + 1)]
            finally:
                os.close(descriptor)
        except OSError:
            raise FileError("not_found", path) from None
        if len(names) > MAX_NAMES:
            raise FileError("too_many", path)
        return sorted(name for name in names if name.isascii() or _is_utf8(name))

    def _open(self, root: str, path: str) -> tuple[int, os.stat_result]:
        """A descriptor of a regular file or a directory beneath the root, for the caller to close.

        Raises:
            OSError: it is not there, or it is something that is not served.
        """
        if root not in self._roots:
            raise FileNotFoundError(root)
        folder, name = _descended(self._roots[root], path)
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(name or ".", flags, dir_fd=folder)
        finally:
            os.close(folder)
        try:
            found = os.fstat(descriptor)
            if not stat_module.S_ISDIR(found.st_mode) and not _is_plain(found):
                raise OSError("neither a plain file nor a directory")
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, found


def _read_to_end(descriptor: int, expected: int, most: int) -> bytes:
    """The content of a file, which may have grown or shrunk since it had `expected` bytes; no more than `most`."""
    parts: list[bytes] = []
    left = most
    while left > 0 and (part := os.read(descriptor, min(left, expected + 1 if not parts else 2**20))):
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_plain(found: os.stat_result) -> bool:
    return stat_module.S_ISREG(found.st_mode) and found.st_nlink == 1


@contextlib.contextmanager
def descend(root: Path, path: str) -> Iterator[tuple[int, str]]:
    """A descriptor of the folder that holds `path`, and the last segment; no symbolic link is followed on the way."""
    descriptor, name = _descended(root, path)
    try:
        yield descriptor, name
    finally:
        os.close(descriptor)


def _descended(root: Path, path: str) -> tuple[int, str]:
    *folders, name = path.split("/")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    descriptor = os.open(root, flags)
    for folder in folders:
        try:
            inner = os.open(folder, flags | os.O_NOFOLLOW, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor, name


def commit(roots: Mapping[str, Path], changes: list[Change], *, token: str | None = None) -> None:
    """Makes the changes of a run real: everything is staged and synced beside its target first, then renamed.

    A directory that was removed stays where it still holds something that the run could not see. Between two renames a
    crash may come; commits.py has the whole of a run withstand it. `token` is as `Staging` has it.

    Raises:
        OSError: a target cannot be written; nothing was renamed then.
    """
    staging = Staging(roots, changes, token or secrets.token_hex(8))
    try:
        staging.prepare()
        staging.put()
    except BaseException:
        staging.undo()
        raise


class Staging:
    """Changes on their way into the operator's folders. `token` is 16 random hexadecimal digits.

    It says where everything is staged: after a crash, a Staging made of the same parts cleans up or does it again.
    """

    def __init__(self, roots: Mapping[str, Path], changes: list[Change], token: str) -> None:
        self._roots = roots
        self._changes = changes
        self._token = token
        self._there_before: set[int] = set()
        self.begun = False
        """Whether a target was touched; from then on `undo` removes only what was not put in place."""

    def prepare(self) -> None:
        """Makes directories, and writes new contents beside their targets.

        Raises:
            OSError: it cannot be; `undo` takes back what was done.
        """
        for number, change in enumerate(self._changes):
            root, path = self._roots[change.root], change.path
            try:
                if change.content is not None:
                    with _stage(root, path, _temporary(self._token, number)) as file:
                        file.write(change.content)
                        file.flush()
                        os.fsync(file.fileno())
                elif _is_made(change):
                    _make_directory(root, path)
            except FileExistsError:
                self._there_before.add(number)
                if change.content is not None:
                    raise

    def put(self, checkpoint: Callable[[str], None] = lambda _: None) -> None:
        """Renames what was staged to its targets, then removes what was removed, and brings the names to the disk.

        Raises:
            OSError: a step fails; those before it stand.
        """
        for number, change in enumerate(self._changes):
            if change.content is not None:
                with descend(self._roots[change.root], change.path) as (folder, name):
                    os.replace(_temporary(self._token, number), name, src_dir_fd=folder, dst_dir_fd=folder)
                self.begun = True
                checkpoint(f"put {change.path}")
        for change in self._changes:
            if change.content is None and not _is_made(change):
                self.begun = True
                _remove(self._roots[change.root], change)
                checkpoint(f"remove {change.path}")
        self._sync()
        self.begun = True

    def undo(self) -> None:
        """Removes what lies beside the targets, and unless targets were touched the directories that were made."""
        for number, change in reversed(list(enumerate(self._changes))):
            with contextlib.suppress(OSError, KeyError), descend(self._roots[change.root], change.path) as at:
                folder, name = at
                if number in self._there_before:
                    continue
                if change.content is not None:
                    os.unlink(_temporary(self._token, number), dir_fd=folder)
                elif _is_made(change) and not self.begun:
                    os.rmdir(name, dir_fd=folder)

    def _sync(self) -> None:
        for root, above in {(change.root, change.path.rpartition("/")[0]) for change in self._changes}:
            # One that was removed by the run needs no bringing to the disk; the folder above it does that.
            with (
                contextlib.suppress(FileNotFoundError),
                descend(self._roots[root], f"{above}/." if above else ".") as at,
            ):
                os.fsync(at[0])


def _is_made(change: Change) -> bool:
    return change.directory and not change.removed


def _temporary(token: str, number: int) -> str:
    """A name that nobody can expect, and that every file system takes, however long the target's own is."""
    return f".metier-{token}-{number}"


def _make_directory(root: Path, path: str) -> None:
    with descend(root, path) as (folder, name):
        os.mkdir(name, dir_fd=folder)  # relative to the descriptor, so no link is followed


def _stage(root: Path, path: str, temporary: str) -> BinaryIO:
    """A new file beside the target, with its mode."""
    mode = 0o644
    with descend(root, path) as (folder, name):
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not _is_plain(found):
                raise OSError(errno.EEXIST, f"{name} is in the way, and it is no plain file")
            mode = stat_module.S_IMODE(found.st_mode)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.fdopen(os.open(temporary, flags, mode, dir_fd=folder), "wb")


def _remove(root: Path, change: Change) -> None:
    with contextlib.suppress(FileNotFoundError), descend(root, change.path) as (folder, name):
        if not change.directory:
            os.unlink(name, dir_fd=folder)
            return
        try:
            os.rmdir(name, dir_fd=folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
