"""The tree of files as one run sees and changes it: host files where nothing was written, the run's own on top.

A node is asked for at the host once, so a program sees one state of it. Symbolic and hard links that the program makes
live here and only here. Each name is checked against the grant where it is reached, created or moved; since a node
keeps no other way to the host than its first name, moving it cannot widen what may be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from metier.permissions import Access, Grant
from metier.sandbox.hostfiles import Backing, FileError, Kind
from metier.sandbox.limits import Limits
from metier.sandbox.nodes import File, Folder, Link, Node, Place

MAX_PATH: Final = 4096
MAX_NAME: Final = 255
"""Bytes in a path and in one name of it, as on Linux."""
MAX_LINKS: Final = 40
"""Symbolic links followed in one lookup, as on Linux."""
MAX_MOVED: Final = 4096
"""Nodes beneath a directory that is moved in one step; of more, the program has to make a copy."""
ENTRY_BYTES: Final = 1024
MIN_NAMES: Final = 1024
"""A run can make or try one name for so many of `overlay_bytes`, and at least so many."""


class Overlay:
    """The tree of one run."""

    def __init__(self, backing: Backing, grant: Grant, limits: Limits, fixtures: Mapping[str, bytes]) -> None:
        self._backing = backing
        self._grant = grant
        self._limits = limits
        self._inodes = 0
        self._names = 0
        self._written = 0
        self._read = 0
        self.gone: dict[str, Kind] = {}
        """Names of the host that were taken away, by path, and what they were."""
        self.now: Callable[[], int] = lambda: 0
        """The run's own time, which what it makes and changes is marked with."""
        self.in_time: Callable[[], None] = lambda: None
        """Raises when the run's deadline has passed: one call may look at a great many names."""
        self.roots = {name: self._new_folder(name, None, (name, "")) for name in grant.roots()}
        for root in self.roots.values():
            root.links = 1
        for path, data in fixtures.items():
            self._lay(path, data)

    # Finding

    def walk(self, base: Folder, path: str, *, follow: bool) -> Place:
        """Where `path` leads from `base`; `follow` says whether a symbolic link at its end is followed.

        Raises:
            FileError: not_found or not_directory on the way, outside (it leaves `base`), loop, name_too_long.
        """
        self.in_time()
        if not path:
            raise FileError("not_found", path)
        if path[0] == "/":
            raise FileError("outside", path)
        slash = path.endswith(("/", "/.")) or path == "."
        pending = [name for name in reversed(path.split("/")) if name not in ("", ".")]
        way, links = [base], 0
        while pending:
            name = pending.pop()
            if name == "..":
                if len(way) == 1:
                    raise FileError("outside", path)
                way.pop()
                continue
            _check_name(name)
            node = self.child(way[-1], name)
            if isinstance(node, Link) and (pending or follow):
                links += 1
                if links > MAX_LINKS:
                    raise FileError("loop", path)
                slash = slash or (not pending and node.target.endswith(("/", "/.")))
                pending += [name for name in reversed(node.target.split("/")) if name not in ("", ".")]
            elif not pending:
                if slash and node is not None and not isinstance(node, Folder):
                    raise FileError("not_directory", path)
                return Place(way[-1], name, node, slash)
            elif isinstance(node, Folder):
                way.append(node)
            else:
                raise FileError("not_directory" if node else "not_found", path)
        return Place(way[-1], ".", way[-1], True)

    def child(self, folder: Folder, name: str) -> Node | None:
        try:
            return folder.entries[name]
        except KeyError:
            return None if folder.origin is None else self._look(folder, folder.origin, name)

    def names(self, folder: Folder) -> tuple[str, ...]:
        """The visible names in it, sorted."""
        if folder.listing is None:
            if not folder.listed and folder.origin is not None:
                for name in self._host_names(*folder.origin):
                    if name not in folder.entries:
                        self._look(folder, folder.origin, name)
                folder.listed = True
            folder.listing = tuple(sorted(name for name, node in folder.entries.items() if node is not None))
        return folder.listing

    def path_of(self, folder: Folder, name: str = ".") -> str:
        """`/root/folder/name` as it is now.

        Raises:
            FileError: not_found, where the folder was removed; name_too_long.
        """
        names = [] if name == "." else [name]
        at: Folder | None = folder
        while at is not None:
            if at.links == 0:
                raise FileError("not_found", at.name)
            names.append(at.name)
            at = at.parent
        path = "/" + "/".join(reversed(names))
        if len(path) > MAX_PATH:
            raise FileError("name_too_long", path)
        return path

    def may_write(self, place: Place) -> bool:
        """Whether the grant lets the run write a file there, or for a directory something in it."""
        path = self.path_of(place.folder, place.name)
        return self._may_hold(path) if isinstance(place.node, Folder) else self._may(path, "write")

    # Content

    def load(self, file: File) -> bytes | bytearray:
        """The file's content, read from the host on first use."""
        if file.seen_size is not None:
            assert file.origin is not None
            self.in_time()
            self.take_in(file.seen_size)
            file.data = self._backing.read(*file.origin)
            file.seen_size = None
        return file.data

    def take_in(self, size: int) -> None:
        """Counts bytes that the run takes in from outside and keeps.

        Raises:
            FileError: no_space, where they are too many.
        """
        if self._read + size > self._limits.read_bytes:
            raise FileError("no_space", "what was read")
        self._read += size

    @property
    def read(self) -> int:
        """Bytes taken in so far."""
        return self._read

    @property
    def readable(self) -> int:
        """Bytes that may still be taken in."""
        return self._limits.read_bytes - self._read

    @property
    def room(self) -> int:
        """Bytes that may still be written."""
        return self._limits.overlay_bytes - self._written

    def write(self, file: File, offset: int, data: bytes) -> None:
        """Puts `data` at `offset`; a gap is filled with zeros."""
        if not data:
            return
        end = offset + len(data)
        self.resize(file, max(len(self.load(file)), end))
        file.data[offset:end] = data  # type: ignore[index]  # resize made it a bytearray

    def resize(self, file: File, size: int) -> None:
        self._resize(file, size)
        file.modified = self.now()

    def _resize(self, file: File, size: int) -> None:
        if size > self._limits.effect_bytes:
            raise FileError("no_space", "a file")
        had = len(self.load(file))
        self._charge(size - (had if file.dirty else 0))
        if not isinstance(file.data, bytearray):
            file.data = bytearray(file.data)
        if size < had:
            del file.data[size:]
        elif size > had:
            file.data.extend(bytes(size - had))
        file.dirty = True

    def opened(self, file: File) -> None:
        self.load(file)
        file.opens += 1

    def closed(self, file: File) -> None:
        file.opens -= 1
        self._release(file)

    # Changing

    def create(self, place: Place) -> File:
        """A new empty file there."""
        if place.node is not None:
            raise FileError("exists", place.name)
        self._must_write(place)
        file = File(self._inode(), b"")
        self._put(place, file)
        file.dirty, file.data = True, bytearray()
        return file

    def make_directory(self, place: Place) -> None:
        if place.node is not None:
            raise FileError("exists", place.name)
        if not self._may_hold(self.path_of(place.folder, place.name)):
            raise FileError("denied", place.name)
        self._put(place, self._new_folder(place.name, place.folder, None))

    def symlink(self, place: Place, target: str) -> None:
        """A symbolic link there. Its target is relative, and is looked at only when the link is followed."""
        if target.startswith("/"):
            raise FileError("outside", target)
        self._must_be_new(place)
        self._must_write(place)
        link = Link(self._inode(), target)
        self._charge(link.size)
        self._put(place, link)

    def link(self, source: Place, place: Place) -> None:
        """A second name for a file, which the run must be allowed to write under both."""
        if source.node is None:
            raise FileError("not_found", source.name)
        self._must_be_new(place)
        if isinstance(source.node, Folder):
            raise FileError("denied", source.name)
        self._must_share_root(source, place)
        self._must_write(source)
        self._must_write(place)
        self._own(source.node)
        self._put(place, source.node)

    def remove(self, place: Place) -> None:
        if isinstance(place.node, Folder):
            raise FileError("is_directory", place.name)
        self._must_write(place)
        if place.node is None:
            raise FileError("not_found", place.name)
        self._drop(place.folder, place.name, place.node)

    def remove_directory(self, place: Place) -> None:
        folder = place.node
        if folder is None:
            raise FileError("not_found", place.name)
        if not isinstance(folder, Folder):
            raise FileError("not_directory", place.name)
        if place.name == ".":
            raise FileError("invalid", folder.name)
        if self.names(folder):
            raise FileError("not_empty", place.name)
        if not self._may_take(folder, self.path_of(place.folder, place.name)):
            raise FileError("denied", place.name)
        self._drop(place.folder, place.name, folder)

    def rename(self, source: Place, to: Place) -> None:
        """Moves what is there; a file, or an empty directory, at the target is replaced."""
        if "." in (source.name, to.name):
            raise FileError("invalid", ".")
        self._must_share_root(source, to)
        node, there = source.node, to.node
        old, new = self.path_of(source.folder, source.name), self.path_of(to.folder, to.name)
        if not isinstance(node, Folder):
            self._must_write(source)
        if node is None:
            raise FileError("not_found", old)
        if there is node:
            return
        if isinstance(node, Folder):
            self._must_take_directory(node, to)
        elif isinstance(there, Folder):
            raise FileError("is_directory", new)
        elif to.slash:
            raise FileError("not_directory", new)
        moved = self._carried(node, old, new)
        if there is not None:
            self._drop(to.folder, to.name, there)
        self._count_name(to.folder, to.name)
        self._uproot(moved)
        self._put(to, node)
        self._drop(source.folder, source.name, node)
        if isinstance(node, Folder):
            node.name, node.parent = to.name, to.folder

    def every(self) -> Iterator[tuple[str, Node]]:
        """Every node that is known, with its path."""
        pending = [(f"/{name}", folder) for name, folder in self.roots.items()]
        while pending:
            path, folder = pending.pop()
            for name, node in folder.entries.items():
                if node is not None:
                    yield f"{path}/{name}", node
                if isinstance(node, Folder):
                    pending.append((f"{path}/{name}", node))

    # The host's side

    def _look(self, folder: Folder, origin: tuple[str, str], name: str) -> Node | None:
        """Asks the host for a name, if the grant lets the run see it. Host paths are those of the tree."""
        self.in_time()
        root, above = origin
        path = f"{above}/{name}" if above else name
        file = self._grant.allows_file(root, path, "read")
        directory = self._grant.may_hold_files(root, path, "read")
        if not file and not directory:
            return None
        self._count_name(folder, name)
        found = self._backing.stat(root, path)
        node: Node | None = None
        if found is not None and found.kind == "directory" and directory:
            node = self._new_folder(name, folder, (root, path))
        elif found is not None and found.kind == "file" and file:
            node = File(self._inode(), b"", (root, path))
            node.seen_size = found.size
        if node is not None:
            node.links = 1
        folder.entries[name] = node
        return node

    def _host_names(self, root: str, path: str) -> list[str]:
        try:
            return self._backing.names(root, path)
        except FileError as error:
            if error.problem == "too_many":
                raise
            return []

    def _lay(self, path: str, data: bytes) -> None:
        """Puts a fixture over the host's files; the directories that it needs are there."""
        root, rest = split(path)
        *above, name = rest.split("/")
        folder = self.roots.get(root)
        if folder is None or not rest or not self._grant.allows_file(root, rest, "read"):
            return
        for i, part in enumerate(above, start=1):
            inner = folder.entries.get(part)
            if not isinstance(inner, Folder):
                inner = self._new_folder(part, folder, (root, "/".join(above[:i])))
                inner.links = 1
                folder.entries[part] = inner
            folder = inner
        file = File(self._inode(), data)
        file.links = 1
        folder.entries[name] = file

    # Names

    def _put(self, place: Place, node: Node) -> None:
        if place.name == "." or place.folder.links == 0:
            raise FileError("not_found", place.name)
        self._count_name(place.folder, place.name)
        place.folder.entries[place.name] = node
        place.folder.listing = None
        if not node.links:
            node.accessed = node.modified = self.now()
        node.links += 1

    def _drop(self, folder: Folder, name: str, node: Node) -> None:
        """Takes a name away, and with the last one what it held."""
        origin = node.origin if isinstance(node, File | Folder) else None
        if origin is not None and (isinstance(node, Folder) or "/{}/{}".format(*origin) == self.path_of(folder, name)):
            self._uproot([node])
        if folder.origin is None:
            del folder.entries[name]
            self._names -= 1
        else:
            folder.entries[name] = None
        folder.listing = None
        node.links -= 1
        if isinstance(node, Link) and not node.links:
            self._written -= node.size
        elif isinstance(node, File):
            self._release(node)

    def _uproot(self, nodes: list[Node]) -> None:
        """Cuts nodes off from their host names, which are gone then."""
        for node in nodes:
            if isinstance(node, File | Folder) and node.origin is not None:
                self.gone["/{}/{}".format(*node.origin)] = "directory" if isinstance(node, Folder) else "file"
                node.origin = None
            if isinstance(node, Folder):
                node.made = node.listed = True

    def _carried(self, node: Node, old: str, new: str) -> list[Node]:
        """Everything that moves with a node, each checked under both names and read from the host."""
        moved: list[Node] = []
        pending = [(node, old, new)]
        while pending:
            at, before, after = pending.pop()
            self.in_time()
            moved.append(at)
            if len(after) > MAX_PATH:
                raise FileError("name_too_long", after)
            if isinstance(at, Folder):
                allowed = self._may_take(at, before) and self._may_hold(after)
                beneath = [(inner, name) for name in self.names(at) if (inner := at.entries[name]) is not None]
                if len(moved) + len(pending) + len(beneath) > MAX_MOVED:
                    raise FileError("too_many", before)
                pending += [(inner, f"{before}/{name}", f"{after}/{name}") for inner, name in beneath]
            else:
                allowed = self._may(before, "write") and self._may(after, "write")
            if not allowed:
                raise FileError("denied", after)
            self._own(at)
        return moved

    def _own(self, node: Node) -> None:
        """Makes a host file's content the run's own, to be written wherever its names are in the end."""
        if isinstance(node, File):
            self._resize(node, len(self.load(node)))

    def _release(self, file: File) -> None:
        if file.links == 0 and file.opens == 0 and file.dirty:
            self._written -= len(file.data)
            file.data, file.dirty = b"", False

    def _new_folder(self, name: str, parent: Folder | None, origin: tuple[str, str] | None) -> Folder:
        return Folder(self._inode(), name, parent, origin)

    def _inode(self) -> int:
        self._inodes += 1
        return self._inodes

    # Bounds and permissions

    def _count_name(self, folder: Folder, name: str) -> None:
        if name not in folder.entries:
            self._names += 1
            if self._names > max(MIN_NAMES, self._limits.overlay_bytes // ENTRY_BYTES):
                self._names -= 1
                raise FileError("no_space", "names")
            folder.entries[name] = None

    def _charge(self, grown: int) -> None:
        if self._written + grown > self._limits.overlay_bytes:
            raise FileError("no_space", "the overlay")
        self._written += grown

    def _may(self, path: str, access: Access) -> bool:
        root, rest = split(path)
        return root in self.roots and self._grant.allows_file(root, rest, access)

    def _may_hold(self, path: str) -> bool:
        root, rest = split(path)
        return root in self.roots and self._grant.may_hold_files(root, rest, "write")

    def _may_take(self, folder: Folder, path: str) -> bool:
        """Whether the run may take a directory from its place: one that it made, or one that a permission names, as
        `out` is by `*` and not by `out/*`."""
        return folder.made or self._may(path, "write")

    def _must_write(self, place: Place) -> None:
        if not self._may(self.path_of(place.folder, place.name), "write"):
            raise FileError("denied", place.name)

    def _must_be_new(self, place: Place) -> None:
        if place.node is not None:
            raise FileError("exists", place.name)
        if place.slash:
            raise FileError("not_found", place.name)

    def _must_share_root(self, place: Place, other: Place) -> None:
        if split(self.path_of(place.folder))[0] != split(self.path_of(other.folder))[0]:
            raise FileError("cross_root", other.name)

    def _must_take_directory(self, node: Folder, to: Place) -> None:
        at: Folder | None = to.folder
        while at is not None:
            if at is node:
                raise FileError("invalid", to.name)
            at = at.parent
        if to.node is not None and not isinstance(to.node, Folder):
            raise FileError("not_directory", to.name)
        if to.node is not None and self.names(to.node):
            raise FileError("not_empty", to.name)


def split(path: str) -> tuple[str, str]:
    """`/root/rest` as (root, rest)."""
    root, _, rest = path.lstrip("/").partition("/")
    return root, rest


def _check_name(name: str) -> None:
    if name.isascii() and len(name) <= MAX_NAME:
        return
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise FileError("invalid", ascii(name)) from None
    if size > MAX_NAME:
        raise FileError("name_too_long", name)
