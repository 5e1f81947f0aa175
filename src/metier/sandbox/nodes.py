"""What the names of a run's filesystem stand for: files, directories, symbolic links."""

from __future__ import annotations

from dataclasses import dataclass


class Node:
    """What a name stands for. Times are nanoseconds of the run's own clock: zero for what the host has, until the
    run changes it."""

    __slots__ = ("accessed", "inode", "links", "modified")

    def __init__(self, inode: int) -> None:
        self.inode = inode
        self.links = 0
        self.accessed = 0
        self.modified = 0

    @property
    def size(self) -> int:
        return 0


class File(Node):
    """A file's content in this run. Descriptors share it, also after its names are gone."""

    __slots__ = ("data", "dirty", "opens", "origin", "seen_size")

    def __init__(self, inode: int, data: bytes | bytearray, origin: tuple[str, str] | None = None) -> None:
        super().__init__(inode)
        self.data = data
        self.dirty = False
        self.opens = 0
        self.origin = origin
        """Root and path of the host file whose name it still has."""
        self.seen_size: int | None = None
        """The size that the host told, until the content is read."""

    @property
    def size(self) -> int:
        return len(self.data) if self.seen_size is None else self.seen_size


class Link(Node):
    """A symbolic link."""

    __slots__ = ("target",)

    def __init__(self, inode: int, target: str) -> None:
        super().__init__(inode)
        self.target = target

    @property
    def size(self) -> int:
        return len(self.target.encode("utf-8"))


class Folder(Node):
    """A directory. A name that is None in `entries` is known to be absent."""

    __slots__ = ("entries", "listed", "listing", "made", "name", "origin", "parent")

    def __init__(self, inode: int, name: str, parent: Folder | None, origin: tuple[str, str] | None) -> None:
        super().__init__(inode)
        self.entries: dict[str, Node | None] = {}
        self.name = name
        self.parent = parent
        self.origin = origin
        """Root and path of the host directory whose names show through."""
        self.listed = origin is None
        self.listing: tuple[str, ...] | None = None
        self.made = origin is None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads: the name in its folder, and the node that is there. "." is the folder itself."""

    folder: Folder
    name: str
    node: Node | None
    slash: bool = False
    """The path ends in a slash or a dot, so it can only mean a directory."""
