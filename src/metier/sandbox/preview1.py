"""Numbers and records of WASI preview 1.

Source of names, layouts and numbers: the WASI preview 1 witx (`typenames.witx`, `wasi_snapshot_preview1.witx`).
"""

from __future__ import annotations

import struct
from typing import Final

SUCCESS: Final = 0


class Errno:
    ACCES: Final = 2
    BADF: Final = 8
    EXIST: Final = 20
    FAULT: Final = 21
    ILSEQ: Final = 25
    INVAL: Final = 28
    ISDIR: Final = 31
    LOOP: Final = 32
    MFILE: Final = 33
    NAMETOOLONG: Final = 37
    NOENT: Final = 44
    NOSPC: Final = 51
    NOTDIR: Final = 54
    NOTEMPTY: Final = 55
    NOTSOCK: Final = 57
    PERM: Final = 63
    SPIPE: Final = 70
    XDEV: Final = 75
    NOTCAPABLE: Final = 76


OF_PROBLEM: Final = {
    "not_found": Errno.NOENT,
    "denied": Errno.ACCES,
    "exists": Errno.EXIST,
    "is_directory": Errno.ISDIR,
    "not_directory": Errno.NOTDIR,
    "not_empty": Errno.NOTEMPTY,
    "invalid": Errno.INVAL,
    "no_space": Errno.NOSPC,
    "cross_root": Errno.XDEV,
    "loop": Errno.LOOP,
    "outside": Errno.PERM,
    "name_too_long": Errno.NAMETOOLONG,
    "too_many": Errno.XDEV,  # what makes a program copy what it cannot move
}
"""The error number of a FileError."""


class WasiError(Exception):
    """A call that fails with an error number."""

    def __init__(self, errno: int) -> None:
        super().__init__(errno)
        self.errno = errno


class FileType:
    UNKNOWN: Final = 0
    DIRECTORY: Final = 3
    REGULAR_FILE: Final = 4
    SYMBOLIC_LINK: Final = 7


class Right:
    """Bits of what a descriptor may be used for."""

    FD_DATASYNC: Final = 1 << 0
    FD_READ: Final = 1 << 1
    FD_SEEK: Final = 1 << 2
    FD_FDSTAT_SET_FLAGS: Final = 1 << 3
    FD_SYNC: Final = 1 << 4
    FD_TELL: Final = 1 << 5
    FD_WRITE: Final = 1 << 6
    FD_ADVISE: Final = 1 << 7
    FD_ALLOCATE: Final = 1 << 8
    PATH_CREATE_DIRECTORY: Final = 1 << 9
    PATH_CREATE_FILE: Final = 1 << 10
    PATH_LINK_SOURCE: Final = 1 << 11
    PATH_LINK_TARGET: Final = 1 << 12
    PATH_OPEN: Final = 1 << 13
    FD_READDIR: Final = 1 << 14
    PATH_READLINK: Final = 1 << 15
    PATH_RENAME_SOURCE: Final = 1 << 16
    PATH_RENAME_TARGET: Final = 1 << 17
    PATH_FILESTAT_GET: Final = 1 << 18
    PATH_FILESTAT_SET_SIZE: Final = 1 << 19
    PATH_FILESTAT_SET_TIMES: Final = 1 << 20
    FD_FILESTAT_GET: Final = 1 << 21
    FD_FILESTAT_SET_SIZE: Final = 1 << 22
    FD_FILESTAT_SET_TIMES: Final = 1 << 23
    PATH_SYMLINK: Final = 1 << 24
    PATH_REMOVE_DIRECTORY: Final = 1 << 25
    PATH_UNLINK_FILE: Final = 1 << 26
    POLL_FD_READWRITE: Final = 1 << 27

    OF_STREAM: Final = FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE
    """What stdin, stdout and stderr may be used for besides reading or writing."""
    OF_FILE: Final = (
        OF_STREAM
        | FD_DATASYNC
        | FD_READ
        | FD_SEEK
        | FD_SYNC
        | FD_TELL
        | FD_WRITE
        | FD_ADVISE
        | FD_ALLOCATE
        | FD_FILESTAT_SET_SIZE
        | FD_FILESTAT_SET_TIMES
    )
    OF_DIRECTORY: Final = (
        FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_DATASYNC
        | PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_SOURCE
        | PATH_LINK_TARGET
        | PATH_OPEN
        | FD_READDIR
        | PATH_READLINK
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_FILESTAT_GET
        | PATH_FILESTAT_SET_SIZE
        | PATH_FILESTAT_SET_TIMES
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_TIMES
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE
    )


LOOKUP_FOLLOW: Final = 1
O_CREAT, O_DIRECTORY, O_EXCL, O_TRUNC = 1, 2, 4, 8
FDFLAG_APPEND: Final = 1
FDFLAGS_ALL: Final = 31
FST_ATIM, FST_ATIM_NOW, FST_MTIM, FST_MTIM_NOW = 1, 2, 4, 8

VECTOR = struct.Struct("<II")
FDSTAT = struct.Struct("<BxHxxxxQQ")
"""Type, flags, rights, rights inherited."""
FILESTAT = struct.Struct("<QQBxxxxxxxQQQQQ")
"""Device, inode, type, links, size, times of access, modification and change."""
DIRENT = struct.Struct("<QQIBxxx")
"""Cookie of the next entry, inode, length of the name, type."""
EVENT = struct.Struct("<QHBxxxxxQHxxxxxx")
"""Userdata, error, type, bytes ready, flags."""
