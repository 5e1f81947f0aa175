"""The `path_*` functions of WASI preview 1. Paths are relative to an open directory and never lead out of it."""

from __future__ import annotations

from metier.sandbox.descriptors import filestat, kind_of, set_times
from metier.sandbox.native import Memory
from metier.sandbox.nodes import File, Folder, Link, Place
from metier.sandbox.overlay import MAX_PATH
from metier.sandbox.preview1 import (
    FDFLAGS_ALL,
    LOOKUP_FOLLOW,
    O_CREAT,
    O_DIRECTORY,
    O_EXCL,
    O_TRUNC,
    SUCCESS,
    Errno,
    FileType,
    Right,
    WasiError,
)
from metier.sandbox.process import Descriptor, Process


def path_open(
    p: Process,
    m: Memory,
    fd: int,
    lookup: int,
    path: int,
    size: int,
    oflags: int,
    rights: int,
    inheriting: int,
    flags: int,
    result: int,
) -> int:
    needed = Right.PATH_OPEN
    needed |= Right.PATH_CREATE_FILE if oflags & O_CREAT else 0
    needed |= Right.PATH_FILESTAT_SET_SIZE if oflags & O_TRUNC else 0
    if oflags > 15 or flags > FDFLAGS_ALL or oflags & (O_CREAT | O_DIRECTORY) == O_CREAT | O_DIRECTORY:
        return Errno.INVAL
    place = _place(p, m, fd, path, size, lookup, needed)
    if place.node is not None and oflags & O_CREAT and oflags & O_EXCL:
        return Errno.EXIST
    folder = isinstance(place.node, Folder)
    of_kind = Right.OF_DIRECTORY if folder else Right.OF_FILE
    allowed = p.descriptor(fd).inheriting
    if rights & of_kind & ~allowed:
        return Errno.NOTCAPABLE
    if folder and (oflags & (O_CREAT | O_TRUNC) or rights & Right.FD_WRITE):
        return Errno.ISDIR
    p.must_have_room()
    if isinstance(place.node, Folder):
        opened = Descriptor(FileType.DIRECTORY, rights & of_kind, inheriting & allowed, place.node, flags)
    else:
        file, kept = _file(p, place, rights & of_kind, oflags)
        opened = Descriptor(FileType.REGULAR_FILE, kept, inheriting & allowed & of_kind, file, flags)
    m.write_u32(result, p.open(opened))
    return SUCCESS


def _file(p: Process, place: Place, rights: int, oflags: int) -> tuple[File, int]:
    """The file to open, which is created or emptied if the flags say so, and the rights that the grant leaves."""
    node, overlay = place.node, p.files.overlay
    if isinstance(node, Link):
        raise WasiError(Errno.LOOP)
    if node is None and not oflags & O_CREAT:
        raise WasiError(Errno.NOENT)
    if node is None and place.slash:
        raise WasiError(Errno.ISDIR)
    if oflags & O_DIRECTORY:
        raise WasiError(Errno.NOTDIR)
    if not overlay.may_write(place):
        if rights & Right.FD_WRITE or oflags & O_TRUNC or node is None:
            raise WasiError(Errno.ACCES)
        rights &= ~(Right.FD_ALLOCATE | Right.FD_FILESTAT_SET_SIZE | Right.FD_FILESTAT_SET_TIMES)
    file = overlay.create(place) if node is None else node
    assert isinstance(file, File)
    if oflags & O_TRUNC:
        overlay.resize(file, 0)
    return file, rights


def path_filestat_get(p: Process, m: Memory, fd: int, lookup: int, path: int, size: int, result: int) -> int:
    node = _place(p, m, fd, path, size, lookup, Right.PATH_FILESTAT_GET).node
    if node is None:
        return Errno.NOENT
    m.write(result, filestat(node, kind_of(node)))
    return SUCCESS


def path_filestat_set_times(
    p: Process, m: Memory, fd: int, lookup: int, path: int, size: int, access: int, modified: int, flags: int
) -> int:
    place = _place(p, m, fd, path, size, lookup, Right.PATH_FILESTAT_SET_TIMES)
    if place.node is None:
        return Errno.NOENT
    if not p.files.overlay.may_write(place):
        return Errno.ACCES
    set_times(p, place.node, access, modified, flags)
    return SUCCESS


def path_create_directory(p: Process, m: Memory, fd: int, path: int, size: int) -> int:
    p.files.overlay.make_directory(_place(p, m, fd, path, size, 0, Right.PATH_CREATE_DIRECTORY))
    return SUCCESS


def path_remove_directory(p: Process, m: Memory, fd: int, path: int, size: int) -> int:
    p.files.overlay.remove_directory(_place(p, m, fd, path, size, 0, Right.PATH_REMOVE_DIRECTORY))
    return SUCCESS


def path_unlink_file(p: Process, m: Memory, fd: int, path: int, size: int) -> int:
    p.files.overlay.remove(_place(p, m, fd, path, size, 0, Right.PATH_UNLINK_FILE))
    return SUCCESS


def path_rename(p: Process, m: Memory, fd: int, path: int, size: int, to_fd: int, to: int, to_size: int) -> int:
    source = _place(p, m, fd, path, size, 0, Right.PATH_RENAME_SOURCE)
    p.files.overlay.rename(source, _place(p, m, to_fd, to, to_size, 0, Right.PATH_RENAME_TARGET))
    return SUCCESS


def path_link(
    p: Process, m: Memory, fd: int, lookup: int, path: int, size: int, to_fd: int, to: int, to_size: int
) -> int:
    if lookup:  # a link is always to what the name stands for, itself a link or not
        return Errno.INVAL
    source = _place(p, m, fd, path, size, 0, Right.PATH_LINK_SOURCE)
    p.files.overlay.link(source, _place(p, m, to_fd, to, to_size, 0, Right.PATH_LINK_TARGET))
    return SUCCESS


def path_symlink(p: Process, m: Memory, target: int, target_size: int, fd: int, path: int, size: int) -> int:
    text = _text(m, target, target_size)
    if not text:
        return Errno.NOENT
    p.files.overlay.symlink(_place(p, m, fd, path, size, 0, Right.PATH_SYMLINK), text)
    return SUCCESS


def path_readlink(p: Process, m: Memory, fd: int, path: int, size: int, buffer: int, room: int, result: int) -> int:
    node = _place(p, m, fd, path, size, 0, Right.PATH_READLINK).node
    if not isinstance(node, Link):
        return Errno.INVAL if node else Errno.NOENT
    target = node.target.encode()[:room]
    m.write(buffer, target)
    m.write_u32(result, len(target))
    return SUCCESS


def _place(p: Process, m: Memory, fd: int, path: int, size: int, lookup: int, right: int) -> Place:
    """Where a directory descriptor and a relative path lead.

    Raises:
        WasiError: BADF, NOTDIR, NOTCAPABLE, INVAL; a path that is too long, not UTF-8 or has a NUL.
        FileError: the path does not lead anywhere.
    """
    folder = p.descriptor(fd)
    if not isinstance(folder.node, Folder):
        raise WasiError(Errno.NOTDIR)
    if right & ~folder.rights:
        raise WasiError(Errno.NOTCAPABLE)
    if lookup > LOOKUP_FOLLOW:
        raise WasiError(Errno.INVAL)
    return p.files.overlay.walk(folder.node, _text(m, path, size), follow=bool(lookup & LOOKUP_FOLLOW))


def _text(m: Memory, address: int, size: int) -> str:
    if size > MAX_PATH:
        raise WasiError(Errno.NAMETOOLONG)
    try:
        text = m.read(address, size).decode("utf-8")
    except UnicodeDecodeError:
        raise WasiError(Errno.ILSEQ) from None
    if "\0" in text:
        raise WasiError(Errno.INVAL)
    return text
