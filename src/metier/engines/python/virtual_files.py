"""The files of a run: granted roots through the effect door, and a private /tmp in memory.

No filesystem is linked into the engine. `install` replaces `open` and the functions of `os` that take paths or
descriptors; everything above them in the standard library (`pathlib`, `shutil`, `glob`, `zipfile`, …) then works.
It has to run before those modules are imported, since some keep the functions that they find.
"""

import base64
import builtins
import errno
import io
import os
import posixpath
import stat as stat_bits
import weakref
import zlib

import host

_ERRNO = {
    "not_found": errno.ENOENT,
    "denied": errno.EACCES,
    "exists": errno.EEXIST,
    "is_directory": errno.EISDIR,
    "not_directory": errno.ENOTDIR,
    "not_empty": errno.ENOTEMPTY,
    "invalid": errno.EINVAL,
    "no_space": errno.ENOSPC,
    "read_only": errno.EROFS,
}
_ABSENT = object()
_MODIFIED = 946_684_800  # files have no times here: 2000-01-01, which zip archives can express


class Node:
    """The content of a file that is open or lies in /tmp. `path` is None once the file has been removed."""

    __slots__ = ("data", "dirty", "handles", "path")

    def __init__(self, path, data=b""):
        self.path, self.data, self.dirty, self.handles = path, data, False, 0

    def save(self):
        if self.dirty and self.path is not None and not _is_private(self.path):
            _write(self.path, bytes(self.data), "replace")
        self.dirty = False


private = {"/tmp": None}  # path → Node, or None for a directory
opened = {}  # path → Node of files under granted roots that are open now
descriptors = {}  # number → Raw
_streams = []  # weak references to what open() returned
_cwd = "/"


def save_all():
    """Write back what open files hold, so that listings, renames and other programs see it."""
    for node in list(opened.values()):
        node.save()


def close_all():
    """Close every stream that the program left open."""
    for reference in _streams:
        stream = reference()
        if stream is not None and not stream.closed:
            stream.close()
    save_all()
    for connection in list(_connections):
        connection.close()


# Paths and the door


def _absolute(path):
    path = os.fspath(path)
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if "\0" in path:
        raise ValueError("embedded null byte")
    if not path:
        raise _error(errno.ENOENT, path)
    return "/" + posixpath.normpath(posixpath.join(_cwd, path)).lstrip("/")


def _is_private(path):
    return path == "/tmp" or path.startswith("/tmp/")


def _error(number, path, message=None):
    return OSError(number, message or os.strerror(number), path)


def _ask(op, path, **fields):
    try:
        return host.request(op, path=path, **fields)
    except host.Error as error:
        number = _ERRNO.get(error.kind)
        if number is None:
            raise
        plain = number in (errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY)
        raise _error(number, path, None if plain else str(error)) from None


def _read(path):
    value = _ask("files.read", path)
    return value["text"].encode() if "text" in value else base64.b64decode(value["base64"])


def _write(path, data, mode):
    try:
        content = {"text": data.decode()}
    except UnicodeDecodeError:
        content = {"base64": base64.b64encode(data).decode()}
    _ask("files.write", path, **content, mode=mode)


def _entry(path):
    """(is a directory, size) of a path."""
    if path == "/":
        return True, 0
    node = private.get(path, _ABSENT) if _is_private(path) else opened.get(path, _ABSENT)
    if node is None:
        return True, 0
    if node is not _ABSENT:
        return False, len(node.data)
    if _is_private(path):
        raise _error(errno.ENOENT, path)
    value = _ask("files.stat", path)
    return value["kind"] == "directory", value.get("size", 0)


def _private_parent(path):
    parent = private.get(posixpath.dirname(path), _ABSENT)
    if parent is not None:
        raise _error(errno.ENOENT if parent is _ABSENT else errno.ENOTDIR, path)


# Open files


class Raw(io.RawIOBase):
    """An unbuffered open file over a node."""

    def __init__(self, node, name, readable, writable, append=False):
        self._node, self._position = node, 0
        self._readable, self._writable, self._append = readable, writable, append
        self.name = name
        self.mode = ("ab" if append else "rb+" if readable else "wb") if writable else "rb"
        self._descriptor = next(n for n in range(3, 1 << 20) if n not in descriptors)
        descriptors[self._descriptor] = self
        node.handles += 1

    def _check(self, allowed, verb):
        if self.closed:
            raise ValueError("I/O operation on closed file")
        if not allowed:
            raise io.UnsupportedOperation(verb)

    def readable(self):
        return self._readable

    def writable(self):
        return self._writable

    def seekable(self):
        return True

    def fileno(self):
        self._check(True, "fileno")
        return self._descriptor

    def readall(self):
        self._check(self._readable, "not readable")
        data = bytes(self._node.data[self._position :])
        self._position += len(data)
        return data

    def readinto(self, buffer):
        self._check(self._readable, "not readable")
        data = self._node.data[self._position : self._position + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def write(self, buffer):
        self._check(self._writable, "not writable")
        data = self._mutable()
        if self._append:
            self._position = len(data)
        if self._position > len(data):
            data.extend(bytes(self._position - len(data)))
        buffer = memoryview(buffer).cast("B")
        data[self._position : self._position + len(buffer)] = buffer
        self._position += len(buffer)
        return len(buffer)

    def seek(self, offset, whence=0):
        self._check(True, "seek")
        base = {0: 0, 1: self._position, 2: len(self._node.data)}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._position = base + offset
        return self._position

    def truncate(self, size=None):
        self._check(self._writable, "truncate")
        size = self._position if size is None else size
        data = self._mutable()
        del data[size:]
        data.extend(bytes(size - len(data)))
        return size

    def _mutable(self):
        node = self._node
        if not isinstance(node.data, bytearray):
            node.data = bytearray(node.data)
        node.dirty = True
        return node.data

    def sync(self):
        self._node.save()

    def close(self):
        if self.closed:
            return
        super().close()
        descriptors.pop(self._descriptor, None)
        node = self._node
        node.handles -= 1
        try:
            node.save()
        finally:
            if not node.handles and node.path is not None:
                opened.pop(node.path, None)


def _open_raw(name, *, read, write, append=False, create=False, exclusive=False, truncate=False):
    path = _absolute(name)
    if _is_private(path):
        node = private.get(path, _ABSENT)
        if node is None:
            raise _error(errno.EISDIR, name)
        if node is _ABSENT:
            if not create:
                raise _error(errno.ENOENT, name)
            _private_parent(path)
            node = private[path] = Node(path)
        elif exclusive:
            raise _error(errno.EEXIST, name)
    else:
        node = opened.get(path)
        if node is None:
            node = Node(path, _begin(path, create, exclusive, truncate))
            opened[path] = node
        elif exclusive:
            raise _error(errno.EEXIST, name)
    if truncate and node.data:
        node.data, node.dirty = b"", True
    return Raw(node, name, read, write, append)


def _begin(path, create, exclusive, truncate):
    """The content with which a file under a granted root opens. Creates and truncates at once, as POSIX does."""
    if path == "/":
        raise _error(errno.EISDIR, path)
    if exclusive or truncate:
        _write(path, b"", "create" if exclusive else "replace")
        return b""
    try:
        return _read(path)
    except FileNotFoundError:
        if not create:
            raise
    _write(path, b"", "create")
    return b""


def open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
    """The built-in `open` over virtual files. Text is UTF-8 unless told otherwise."""
    if not isinstance(mode, str):
        raise TypeError(f"open() argument 'mode' must be str, not {type(mode).__name__}")
    flags = set(mode)
    if flags - set("rwaxbt+") or len(mode) != len(flags) or len(flags & set("rwax")) != 1 or {"t", "b"} <= flags:
        raise ValueError(f"invalid mode: {mode!r}")
    binary, plus = "b" in flags, "+" in flags
    if binary and (encoding is not None or errors is not None or newline is not None):
        raise ValueError("binary mode doesn't take an encoding, errors or newline argument")
    read, write = "r" in flags or plus, "r" not in flags or plus
    if opener is not None:
        kinds = (os.O_RDWR if plus else os.O_WRONLY if write else os.O_RDONLY) | (os.O_CREAT if "r" not in flags else 0)
        kinds |= os.O_TRUNC if "w" in flags else os.O_EXCL if "x" in flags else os.O_APPEND if "a" in flags else 0
        raw = _descriptor(opener(file, kinds))
        raw.name = file
    elif isinstance(file, int):
        raw = _descriptor(file)
        if not closefd:
            raw = Raw(raw._node, file, read, write, raw._append)
    else:
        raw = _open_raw(
            file,
            read=read,
            write=write,
            append="a" in flags,
            create="r" not in flags,
            exclusive="x" in flags,
            truncate="w" in flags,
        )
        if "a" in flags:
            raw.seek(0, 2)
    if binary and buffering == 0:
        stream = raw
    else:
        if buffering == 0:
            raise ValueError("can't have unbuffered text I/O")
        size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
        kind = io.BufferedRandom if plus else io.BufferedWriter if write else io.BufferedReader
        stream = kind(raw, size)
        if not binary:
            encoding = "utf-8" if encoding in (None, "locale") else encoding
            stream = io.TextIOWrapper(stream, encoding, errors, newline, line_buffering=buffering == 1)
            stream.mode = mode
    _streams.append(weakref.ref(stream))
    return stream


def _descriptor(number):
    try:
        return descriptors[number]
    except KeyError:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None


# os: descriptors


def _os_open(path, flags, mode=0o777, *, dir_fd=None):
    if flags & os.O_DIRECTORY:
        raise _error(errno.ENOTSUP, path)
    kind = flags & (os.O_RDWR | os.O_WRONLY | os.O_RDONLY)
    return _open_raw(
        path,
        read=kind != os.O_WRONLY,
        write=kind in (os.O_WRONLY, os.O_RDWR),
        append=bool(flags & os.O_APPEND),
        create=bool(flags & os.O_CREAT),
        exclusive=bool(flags & os.O_CREAT and flags & os.O_EXCL),
        truncate=bool(flags & os.O_TRUNC),
    ).fileno()


def _os_write(fd, data):
    if fd in (1, 2):
        return standard_output.write(data)
    return _descriptor(fd).write(data)


def _os_read(fd, count):
    return b"" if fd == 0 else _descriptor(fd).read(count)


def _os_lseek(fd, position, whence):
    return _descriptor(fd).seek(position, whence)


def _os_pread(fd, count, offset):
    return bytes(_descriptor(fd)._node.data[offset : offset + count])


def _os_close(fd):
    _descriptor(fd).close()


def _os_sync(fd):
    _descriptor(fd if isinstance(fd, int) else fd.fileno()).sync()


def _os_fstat(fd):
    if fd in (0, 1, 2):
        return os.stat_result((stat_bits.S_IFIFO | 0o600, fd, 0, 1, 0, 0, 0, 0, 0, 0))
    node = _descriptor(fd)._node
    return _status(node.path or "", False, len(node.data))


def _os_ftruncate(fd, length):
    _descriptor(fd).truncate(length)


def _os_isatty(fd):
    return False


# os: paths


def _status(path, directory, size):
    mode = stat_bits.S_IFDIR | 0o755 if directory else stat_bits.S_IFREG | 0o644
    inode = zlib.crc32(path.encode("utf-8", "surrogatepass"))
    return os.stat_result((mode, inode, 1, 1, 0, 0, size, _MODIFIED, _MODIFIED, _MODIFIED))


def _os_stat(path, *, dir_fd=None, follow_symlinks=True):
    if isinstance(path, int):
        return _os_fstat(path)
    full = _absolute(path)
    try:
        return _status(full, *_entry(full))
    except OSError as error:
        error.filename = path
        raise


def _os_lstat(path, *, dir_fd=None):
    return _os_stat(path)


def _os_access(path, mode, *, dir_fd=None, effective_ids=False, follow_symlinks=True):
    try:
        _os_stat(path)
    except OSError:
        return False
    return True


def _touch_metadata(path, *args, **kwargs):
    """chmod, utime: the file has to exist, and nothing more is kept."""
    _os_stat(path)


class DirEntry:
    """What `os.scandir` yields."""

    __slots__ = ("_directory", "_full", "_size", "name", "path")

    def __init__(self, name, path, full, directory, size):
        self.name, self.path, self._full, self._directory, self._size = name, path, full, directory, size

    def is_dir(self, *, follow_symlinks=True):
        return self._directory

    def is_file(self, *, follow_symlinks=True):
        return not self._directory

    def is_symlink(self):
        return False

    def is_junction(self):
        return False

    def stat(self, *, follow_symlinks=True):
        return _status(self._full, self._directory, self._size)

    def inode(self):
        return self.stat().st_ino

    def __fspath__(self):
        return self.path

    def __repr__(self):
        return f"<DirEntry {self.name!r}>"


class _Scan:
    def __init__(self, entries):
        self._entries = iter(entries)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self._entries = iter(())


def _children(path):
    """[(name, is a directory, size)] of a directory, sorted."""
    full = _absolute(path)
    if _is_private(full):
        if not _entry(full)[0]:
            raise _error(errno.ENOTDIR, path)
        found = [(p, n) for p, n in private.items() if p != full and posixpath.dirname(p) == full]
        return sorted((posixpath.basename(p), n is None, 0 if n is None else len(n.data)) for p, n in found)
    save_all()
    found = [(e["name"], e["kind"] == "directory", e.get("size", 0)) for e in _ask("files.list", full)]
    if full == "/":
        found = [e for e in found if e[0] != "tmp"] + [("tmp", True, 0)]
    return sorted(found)


def _os_listdir(path="."):
    names = [name for name, _, _ in _children(path or ".")]
    return [os.fsencode(name) for name in names] if isinstance(path, bytes) else names


def _os_scandir(path="."):
    path = "." if path is None else os.fspath(path)
    convert = os.fsencode if isinstance(path, bytes) else str
    full = _absolute(path)
    return _Scan(
        DirEntry(convert(name), posixpath.join(path, convert(name)), posixpath.join(full, name), directory, size)
        for name, directory, size in _children(path)
    )


def _os_mkdir(path, mode=0o777, *, dir_fd=None):
    full = _absolute(path)
    if full == "/" or full in private:
        raise _error(errno.EEXIST, path)
    if not _is_private(full):
        _ask("files.mkdir", full)
        return
    _private_parent(full)
    private[full] = None


def _os_rmdir(path, *, dir_fd=None):
    full = _absolute(path)
    if not _is_private(full):
        _ask("files.rmdir", full)
        return
    if full == "/tmp":
        raise _error(errno.EACCES, path)
    if not _entry(full)[0]:
        raise _error(errno.ENOTDIR, path)
    if _children(full):
        raise _error(errno.ENOTEMPTY, path)
    del private[full]


def _os_remove(path, *, dir_fd=None):
    full = _absolute(path)
    if _is_private(full):
        if _entry(full)[0]:
            raise _error(errno.EISDIR, path)
        private.pop(full).path = None
        return
    _ask("files.remove", full)
    node = opened.pop(full, None)
    if node is not None:
        node.path = None


def _os_rename(src, dst, *, src_dir_fd=None, dst_dir_fd=None):
    old, new = _absolute(src), _absolute(dst)
    if _is_private(old) != _is_private(new):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), src, None, dst)
    if old == new:
        _entry(old)
        return
    if not _is_private(old):
        save_all()
        _ask("files.rename", old, to=new)
    else:
        directory, _ = _entry(old)
        _private_parent(new)
        if private.get(new, _ABSENT) is None and (not directory or _children(new)):
            raise _error(errno.EISDIR if not directory else errno.ENOTEMPTY, dst)
    for table in (private, opened):
        for path in [p for p in table if p == old or p.startswith(old + "/")]:
            node = table[new + path[len(old) :]] = table.pop(path)
            if node is not None:
                node.path = new + path[len(old) :]


def _os_truncate(path, length):
    with open(path, "r+b") as file:
        file.truncate(length)


def _os_readlink(path, *, dir_fd=None):
    _os_stat(path)
    raise _error(errno.EINVAL, path)


def _no_links(src, dst, *args, **kwargs):
    raise _error(errno.EPERM, dst, "links are not available inside a capability")


def _os_getcwd():
    return _cwd


def _os_getcwdb():
    return os.fsencode(_cwd)


def _os_chdir(path):
    global _cwd
    full = _absolute(path)
    if not _entry(full)[0]:
        raise _error(errno.ENOTDIR, path)
    _cwd = full


# SQLite has its own file access in C: a database file is loaded into memory and written back when it changed


_connections = weakref.WeakSet()


def _virtual_sqlite():
    import sqlite3
    import urllib.parse

    real_connect = sqlite3.connect

    class Connection(sqlite3.Connection):
        """A connection to a database that lives in a virtual file."""

        _path = _saved = None

        def _attach(self, path, data):
            if data:
                self.deserialize(data)
            self._path, self._saved = path, data
            _connections.add(self)

        def _save(self):
            if self._path is not None and not self.in_transaction:
                data = self.serialize()
                if data != self._saved:
                    with open(self._path, "wb") as file:
                        file.write(data)
                    self._saved = data

        def commit(self):
            super().commit()
            self._save()

        def __exit__(self, kind, value, traceback):
            result = super().__exit__(kind, value, traceback)
            self._save()
            return result

        def close(self):
            if self._path is not None:
                if self.in_transaction:
                    self.rollback()
                self._save()
                self._path = None
                _connections.discard(self)
            super().close()

    def connect(database, *args, uri=False, factory=None, **kwargs):
        name = os.fsdecode(database)
        create = True
        if uri and name.startswith("file:"):
            parts = urllib.parse.urlsplit(name)
            query = dict(urllib.parse.parse_qsl(parts.query))
            name, create = urllib.parse.unquote(parts.path), query.get("mode") not in ("ro", "rw")
            if query.get("mode") == "memory":
                name = ":memory:"
        if name in (":memory:", ""):
            return real_connect(":memory:", *args, **kwargs, **({"factory": factory} if factory else {}))
        if factory not in (None, sqlite3.Connection):
            raise sqlite3.NotSupportedError("a connection factory works only with ':memory:' inside a capability")
        try:
            try:
                with open(name, "rb") as file:
                    data = file.read()
            except FileNotFoundError:
                if not create:
                    raise
                data = b""
                open(name, "wb").close()
        except OSError as error:
            raise sqlite3.OperationalError(f"unable to open database file: {error}") from None
        connection = real_connect(":memory:", *args, factory=Connection, **kwargs)
        connection._attach(_absolute(name), data)
        return connection

    sqlite3.connect = sqlite3.dbapi2.connect = connect


def install():
    """Replace the file functions of the interpreter. Before the modules that use them are imported."""
    builtins.open = io.open = open
    for name, function in {
        "open": _os_open, "close": _os_close, "read": _os_read, "write": _os_write, "lseek": _os_lseek,
        "pread": _os_pread, "fsync": _os_sync, "fdatasync": _os_sync, "fstat": _os_fstat, "ftruncate": _os_ftruncate,
        "isatty": _os_isatty, "stat": _os_stat, "lstat": _os_lstat, "access": _os_access, "chmod": _touch_metadata,
        "utime": _touch_metadata, "listdir": _os_listdir, "scandir": _os_scandir, "mkdir": _os_mkdir,
        "rmdir": _os_rmdir, "remove": _os_remove, "unlink": _os_remove, "rename": _os_rename, "replace": _os_rename,
        "truncate": _os_truncate, "readlink": _os_readlink, "link": _no_links, "symlink": _no_links,
        "getcwd": _os_getcwd, "getcwdb": _os_getcwdb, "chdir": _os_chdir, "DirEntry": DirEntry,
    }.items():  # fmt: skip
        setattr(os, name, function)
    os.supports_dir_fd = os.supports_fd = os.supports_follow_symlinks = set()
    host.before_request.append(save_all)


def finish_install():
    """The part that needs the modules."""
    import tempfile

    tempfile.tempdir = "/tmp"
    _virtual_sqlite()


standard_output = None  # set by virtual_system
