"""The `fd_*` functions of WASI preview 1. Each takes the process, the guest's memory and its own arguments."""

from __future__ import annotations

import struct
from typing import Final

from metier.sandbox.native import Memory
from metier.sandbox.nodes import File, Folder, Node
from metier.sandbox.preview1 import (
    DIRENT,
    FDFLAG_APPEND,
    FDFLAGS_ALL,
    FDSTAT,
    FILESTAT,
    FST_ATIM,
    FST_ATIM_NOW,
    FST_MTIM,
    FST_MTIM_NOW,
    SUCCESS,
    VECTOR,
    Errno,
    FileType,
    Right,
    WasiError,
)
from metier.sandbox.process import Descriptor, Process

MAX_VECTORS: Final = 1024
"""Buffers in one call, as on Linux."""
MAX_OFFSET: Final = 2**63 - 1


def fd_read(p: Process, m: Memory, fd: int, iovs: int, count: int, result: int) -> int:
    file = _readable(p, fd)
    source = p.stdin if file.node is None else _file(file).data
    size = _scatter(m, iovs, count, source, file.position)
    file.position += size
    m.write_u32(result, size)
    return SUCCESS


def fd_pread(p: Process, m: Memory, fd: int, iovs: int, count: int, offset: int, result: int) -> int:
    node = _seekable(_readable(p, fd))
    m.write_u32(result, _scatter(m, iovs, count, node.data, offset))
    return SUCCESS


def fd_write(p: Process, m: Memory, fd: int, iovs: int, count: int, result: int) -> int:
    file = _writable(p, fd)
    data = _gather(p, m, iovs, count)
    if file.write is not None:
        file.write(p, data)
    else:
        node = _file(file)
        if file.flags & FDFLAG_APPEND:
            file.position = node.size
        p.files.write(node, file.position, data)
        file.position += len(data)
    m.write_u32(result, len(data))
    return SUCCESS


def fd_pwrite(p: Process, m: Memory, fd: int, iovs: int, count: int, offset: int, result: int) -> int:
    node = _seekable(_writable(p, fd))
    data = _gather(p, m, iovs, count)
    p.files.write(node, offset, data)
    m.write_u32(result, len(data))
    return SUCCESS


def fd_seek(p: Process, m: Memory, fd: int, delta: int, whence: int, result: int) -> int:
    looking = whence == 1 and delta == 0
    file = p.descriptor(fd)
    node = _seekable(file, Right.FD_TELL if looking and not file.rights & Right.FD_SEEK else Right.FD_SEEK)
    if whence > 2:
        return Errno.INVAL
    position = (0, file.position, node.size)[whence] + _signed(delta)
    if not 0 <= position <= MAX_OFFSET:
        return Errno.INVAL
    file.position = position
    m.write_u64(result, position)
    return SUCCESS


def fd_tell(p: Process, m: Memory, fd: int, result: int) -> int:
    return fd_seek(p, m, fd, 0, 1, result)


def fd_close(p: Process, m: Memory, fd: int) -> int:
    p.descriptor(fd)
    p.close(fd)
    return SUCCESS


def fd_renumber(p: Process, m: Memory, fd: int, to: int) -> int:
    file = p.descriptor(fd)
    p.descriptor(to)
    if fd != to:
        p.close(to)
        p.descriptors[to] = file
        del p.descriptors[fd]
    return SUCCESS


def fd_sync(p: Process, m: Memory, fd: int) -> int:
    p.descriptor(fd, Right.FD_SYNC)
    return SUCCESS


def fd_datasync(p: Process, m: Memory, fd: int) -> int:
    p.descriptor(fd, Right.FD_DATASYNC)
    return SUCCESS


def fd_advise(p: Process, m: Memory, fd: int, offset: int, size: int, advice: int) -> int:
    _seekable(p.descriptor(fd), Right.FD_ADVISE)
    return SUCCESS if advice <= 5 else Errno.INVAL


def fd_allocate(p: Process, m: Memory, fd: int, offset: int, size: int) -> int:
    node = _seekable(_writable(p, fd), Right.FD_ALLOCATE)
    if size == 0:
        return Errno.INVAL
    if offset + size > node.size:
        p.files.resize(node, offset + size)
    return SUCCESS


def fd_fdstat_get(p: Process, m: Memory, fd: int, result: int) -> int:
    file = p.descriptor(fd)
    m.write(result, FDSTAT.pack(file.kind, file.flags, file.rights, file.inheriting))
    return SUCCESS


def fd_fdstat_set_flags(p: Process, m: Memory, fd: int, flags: int) -> int:
    file = p.descriptor(fd, Right.FD_FDSTAT_SET_FLAGS)
    if flags > FDFLAGS_ALL:
        return Errno.INVAL
    file.flags = flags
    return SUCCESS


def fd_fdstat_set_rights(p: Process, m: Memory, fd: int, base: int, inheriting: int) -> int:
    file = p.descriptor(fd)
    if base & ~file.rights or inheriting & ~file.inheriting:
        return Errno.NOTCAPABLE
    file.rights, file.inheriting = base, inheriting
    return SUCCESS


def fd_filestat_get(p: Process, m: Memory, fd: int, result: int) -> int:
    file = p.descriptor(fd, Right.FD_FILESTAT_GET)
    m.write(result, filestat(file.node, file.kind))
    return SUCCESS


def fd_filestat_set_size(p: Process, m: Memory, fd: int, size: int) -> int:
    file = p.descriptor(fd)
    node = _seekable(file, Right.FD_FILESTAT_SET_SIZE)
    if not file.rights & Right.FD_WRITE:
        return Errno.INVAL
    p.files.resize(node, size)
    return SUCCESS


def fd_filestat_set_times(p: Process, m: Memory, fd: int, access: int, modified: int, flags: int) -> int:
    file = p.descriptor(fd, Right.FD_FILESTAT_SET_TIMES)
    assert file.node is not None  # streams never have the right
    set_times(p, file.node, access, modified, flags)
    return SUCCESS


def fd_prestat_get(p: Process, m: Memory, fd: int, result: int) -> int:
    name = p.descriptor(fd).preopen
    if name is None:
        return Errno.BADF
    m.write(result, struct.pack("<II", 0, len(name.encode())))
    return SUCCESS


def fd_prestat_dir_name(p: Process, m: Memory, fd: int, path: int, size: int) -> int:
    name = p.descriptor(fd).preopen
    if name is None:
        return Errno.BADF
    if size < len(name.encode()):
        return Errno.NAMETOOLONG
    m.write(path, name.encode())
    return SUCCESS


def fd_readdir(p: Process, m: Memory, fd: int, buffer: int, size: int, cookie: int, result: int) -> int:
    """Entries in the order that reading from cookie 0 began with: a name that is gone since is passed over, a new one
    is seen when the program begins again."""
    file = p.descriptor(fd)
    folder = file.node
    if not isinstance(folder, Folder):
        return Errno.NOTDIR
    if not file.rights & Right.FD_READDIR:
        return Errno.NOTCAPABLE
    if cookie == 0 or not file.listing:
        file.listing = (".", "..", *p.files.overlay.names(folder))
    data = bytearray()
    for number, name in enumerate(file.listing[cookie:], start=cookie + 1):
        # The parent of a descriptor's directory is nobody's business; it shows as the directory itself.
        node = folder if number <= 2 else folder.entries.get(name)
        if node is not None:
            raw = name.encode()
            data += DIRENT.pack(number, node.inode, len(raw), kind_of(node)) + raw
        if len(data) >= size:
            break
    m.write(buffer, data[:size])
    m.write_u32(result, min(len(data), size))
    return SUCCESS


# What paths.py shares


def kind_of(node: Node) -> int:
    if isinstance(node, Folder):
        return FileType.DIRECTORY
    return FileType.REGULAR_FILE if isinstance(node, File) else FileType.SYMBOLIC_LINK


def filestat(node: Node | None, kind: int) -> bytes:
    """A filestat record. All is on device 1; the time of change is always zero."""
    if node is None:
        return FILESTAT.pack(1, 0, kind, 1, 0, 0, 0, 0)
    return FILESTAT.pack(1, node.inode, kind, node.links, node.size, node.accessed, node.modified, 0)


def set_times(p: Process, node: Node, access: int, modified: int, flags: int) -> None:
    """Sets a node's times, which are the run's own and reach no host file.

    Raises:
        WasiError: INVAL for flags that contradict each other.
    """
    both_access, both_modified = FST_ATIM | FST_ATIM_NOW, FST_MTIM | FST_MTIM_NOW
    if flags > 15 or flags & both_access == both_access or flags & both_modified == both_modified:
        raise WasiError(Errno.INVAL)
    now = p.clock.wall() if flags & (FST_ATIM_NOW | FST_MTIM_NOW) else 0
    if flags & both_access:
        node.accessed = access if flags & FST_ATIM else now
    if flags & both_modified:
        node.modified = modified if flags & FST_MTIM else now


# Checks: reading and writing without the right is BADF, as on POSIX; anything else is NOTCAPABLE.


def _readable(p: Process, fd: int) -> Descriptor:
    file = p.descriptors.get(fd)
    if file is None or not file.rights & Right.FD_READ:
        raise WasiError(Errno.ISDIR if file is not None and file.kind == FileType.DIRECTORY else Errno.BADF)
    return file


def _writable(p: Process, fd: int) -> Descriptor:
    file = p.descriptors.get(fd)
    if file is None or not file.rights & Right.FD_WRITE:
        raise WasiError(Errno.BADF)
    return file


def _file(descriptor: Descriptor) -> File:
    assert isinstance(descriptor.node, File)  # only files have the rights to read and write
    return descriptor.node


def _seekable(descriptor: Descriptor, right: int = Right.FD_SEEK) -> File:
    if descriptor.node is None:
        raise WasiError(Errno.SPIPE)
    if not isinstance(descriptor.node, File):
        raise WasiError(Errno.BADF)
    if not descriptor.rights & right:
        raise WasiError(Errno.NOTCAPABLE)
    return descriptor.node


def _vectors(m: Memory, iovs: int, count: int) -> list[tuple[int, int]]:
    if count > MAX_VECTORS:
        raise WasiError(Errno.INVAL)
    return list(VECTOR.iter_unpack(m.read(iovs, 8 * count)))


def _gather(p: Process, m: Memory, iovs: int, count: int) -> bytes:
    """What the vectors hold, and no more than one byte beyond any limit that it could reach."""
    vectors = _vectors(m, iovs, count)
    if len(vectors) == 1 and vectors[0][1] <= p.most_written:
        return m.read(*vectors[0])
    parts, left = [], p.most_written
    for address, size in vectors:
        parts.append(m.read(address, min(size, left)))
        left -= len(parts[-1])
    return b"".join(parts)


def _scatter(m: Memory, iovs: int, count: int, source: bytes | bytearray, position: int) -> int:
    """Fills the vectors from the source; returns how many bytes that were."""
    at = position
    for address, size in _vectors(m, iovs, count):
        part = source[at : at + size]
        m.write(address, part)
        at += len(part)
        if len(part) < size:
            break
    return at - position


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
