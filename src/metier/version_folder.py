"""One version on disk: a folder with its meta.json, its binary and src/, read with suspicion and written durably."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from metier.capability import MAX_META_BYTES, Capability, content_hash, meta_json, parse_meta
from metier.durable import Disk
from metier.errors import BrokenCapability

META, SOURCE, VERSIONS = "meta.json", "src", "versions"
WASM_MAGIC = b"\0asm"
"""WebAssembly core specification, 5.5.16: the first four bytes of a module."""
SMALLEST_WASM = 8
MAX_BINARY_BYTES, MAX_SOURCE_BYTES = 256 * 2**20, 64 * 2**20
"""What is read of a version, before anyone knows whether it is the one that its hash names."""

Stamp = tuple[int, int, int, int]
"""Changes when a meta.json does: inode, size, and times of change in nanoseconds."""


@dataclass(frozen=True)
class Artifact:
    """One version with its program. `source` maps paths relative to src/, with "/", to contents."""

    capability: Capability
    wasm: bytes
    source: dict[str, bytes]


def stamp(folder: Path) -> Stamp:
    """The stamp of the folder's meta.json.

    Raises:
        BrokenCapability: there is none, or it is not a regular file of this folder.
    """
    try:
        found = _own_file(folder, META)
    except FileNotFoundError:
        hint = "add one, or move the folder out of the library (names that begin with '_' are passed over)"
        raise BrokenCapability(f"{folder / META}: no {META}; {hint}") from None
    except OSError as error:
        raise BrokenCapability(f"{folder / META}: {error.strerror}") from None
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def stamp_text(stamp: Stamp) -> str:
    """A stamp in one short line."""
    return ":".join(f"{number:x}" for number in stamp)


def quick_stamp(folder: str) -> str:
    """`stamp_text` of the folder's meta.json, by one look at it; empty where there is none or it is a link."""
    try:
        found = os.lstat(f"{folder}{os.sep}{META}")
    except OSError:
        return ""
    if not stat.S_ISREG(found.st_mode):
        return ""
    return stamp_text((found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


def changed_ns(stamp: Stamp) -> int:
    """When the file with this stamp last changed, in nanoseconds since 1970."""
    return max(stamp[2:])


def read_meta(folder: Path) -> Capability:
    """The capability that the folder's meta.json describes; whether it belongs there is the caller's to say.

    Raises:
        BrokenCapability: one line with the file, what is wrong and what to do.
    """
    path = folder / META
    try:
        with path.open("rb") as file:
            text = file.read(MAX_META_BYTES + 1)
    except OSError as error:
        raise BrokenCapability(f"{path}: {error.strerror}") from None
    return parse_meta(text, where=path)


def check_binary(folder: Path, capability: Capability) -> None:
    """Raises BrokenCapability where the binary is not a regular file of this folder. Does not read it."""
    try:
        _own_file(folder, capability.binary)
    except FileNotFoundError:
        hint = "restore it from git, or publish the capability again"
        raise BrokenCapability(f"{folder / capability.binary}: no such file; {hint}") from None
    except OSError as error:
        raise BrokenCapability(f"{folder / capability.binary}: {error.strerror}") from None


def read_version(folder: Path, capability: Capability) -> Artifact:
    """The program and source in `folder`, which are those that the capability's `sha256` names, if it names any.

    Raises:
        BrokenCapability: one line with the file, what is wrong and what to do.
    """
    check_binary(folder, capability)
    path = folder / capability.binary
    try:
        wasm = _content(path, MAX_BINARY_BYTES)
        artifact = Artifact(capability, wasm, _source(folder / SOURCE))
    except OSError as error:
        raise BrokenCapability(f"{error.filename}: {error.strerror}") from None
    problem = wasm_problem(artifact.wasm)
    if problem is not None:
        raise BrokenCapability(f"{path}: {problem}; restore it from git, or publish the capability again")
    if capability.sha256 is not None and hash_of(artifact) != capability.sha256:
        hint = "restore it from git; a change is published from a copy, with `metier add`"
        raise BrokenCapability(f"{folder}: changed since it was published (its sha256 differs); {hint}")
    return artifact


def hash_of(artifact: Artifact) -> str:
    """The content hash of an artifact as it is, whatever its meta.json says.

    Raises:
        BrokenCapability: it has text that UTF-8 or JSON cannot say.
    """
    try:
        return content_hash(artifact.capability, artifact.wasm, artifact.source)
    except ValueError as error:
        raise BrokenCapability(f"{artifact.capability.id}: cannot be hashed: {error}") from None


def write_version(disk: Disk, folder: Path, artifact: Artifact) -> None:
    """Write a whole version into `folder`, which is new, and bring it to the disk."""
    files = {f"{SOURCE}/{path}": content for path, content in artifact.source.items()}
    files |= {artifact.capability.binary: artifact.wasm, META: meta_text(artifact.capability)}
    for path, content in files.items():
        disk.write(folder / path, content)
    disk.sync_tree(folder)


def meta_text(capability: Capability) -> bytes:
    """The capability's meta.json: indented and in UTF-8, so that git shows a change as lines that a person reads."""
    return (json.dumps(meta_json(capability), indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def wasm_problem(wasm: bytes) -> str | None:
    """Why `wasm` cannot be a module at all, from its first bytes; None when it may be one."""
    if not wasm:
        return "0 bytes"
    if not wasm.startswith(WASM_MAGIC) or len(wasm) < SMALLEST_WASM:
        return "not a WebAssembly module"
    return None


def source_problem(source: Mapping[str, bytes]) -> str | None:
    """Why these paths cannot be those of source files; None when they can."""
    for path in source:
        parts = PurePosixPath(path).parts
        if not parts or "/".join(parts) != path or path.startswith("/") or re.search(r"[\\\0]", path):
            return f"{path!r} is not a plain relative path"
        if any(_passed_over(part) for part in parts):
            return f"{path!r} has a name that begins with '.' or is __pycache__, which are not source"
        if any(parent.as_posix() in source for parent in PurePosixPath(path).parents):
            return f"{path!r} lies beneath a path that is a file"
    return None


def _passed_over(name: str) -> bool:
    """Names that editors, Finder and Python leave behind: no part of a version, so that they do not break its hash."""
    return name.startswith(".") or name == "__pycache__"


def _own_file(folder: Path, relative: str) -> os.stat_result:
    """The status of a regular file that lies in `folder` also after links are followed.

    Raises:
        BrokenCapability: it lies elsewhere or is no regular file.
        OSError: as the file system says.
    """
    path = folder / relative
    status = path.lstat()
    if stat.S_ISREG(status.st_mode) and "/" not in relative:
        return status
    try:
        inside = path.resolve(strict=True).is_relative_to(folder.resolve())
    except RuntimeError:  # what Python 3.11 and 3.12 raise for links in a circle
        inside = False
    if not inside:
        raise BrokenCapability(f"{path}: leads out of the capability's own folder; put the file itself there")
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BrokenCapability(f"{path}: not a regular file; put the file itself there")
    return status


def _source(folder: Path) -> dict[str, bytes]:
    """What lies in a source folder, by path; a folder that is not there is an empty one."""
    found: dict[str, bytes] = {}
    left = MAX_SOURCE_BYTES
    for path in sorted(_source_files(folder)) if os.path.lexists(folder) else ():
        content = _content(folder / path, left)
        left -= len(content)
        found[path] = content
    return found


def _content(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1) if size <= most else b""
    if max(size, len(content)) > most:
        raise BrokenCapability(f"{path}: larger than a version may be; restore it from git")
    return content


def _source_files(folder: Path) -> Iterator[str]:
    """The paths of the files in it and beneath, with "/"."""
    if folder.is_symlink():
        raise BrokenCapability(f"{folder}: a symbolic link; put the files themselves there")
    waiting = [("", folder)]
    while waiting:
        beneath, at = waiting.pop()
        with os.scandir(at) as entries:
            found = [entry for entry in entries if not _passed_over(entry.name)]
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                waiting.append((f"{beneath}{entry.name}/", Path(entry.path)))
            elif entry.is_file(follow_symlinks=False):
                yield beneath + entry.name
            else:
                raise BrokenCapability(f"{entry.path}: not a regular file; put the file itself there")
