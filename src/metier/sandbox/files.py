"""The virtual filesystem of one run: granted roots as `/root`, everything written held in an overlay.

What a grant does not name does not exist. Nothing reaches the host before `commit`. WASI programs go through the
overlay, the effect door through the paths here; both see the same tree.
"""

from __future__ import annotations

from collections.abc import Mapping

from metier.permissions import Grant
from metier.sandbox.hostfiles import Backing, Change, FileError, HostFiles, Kind, Problem, Stat, Unkeepable, commit
from metier.sandbox.limits import Limits
from metier.sandbox.nodes import File, Folder, Link, Place
from metier.sandbox.overlay import Overlay, split

__all__ = [
    "Backing",
    "Change",
    "File",
    "FileError",
    "FileSystem",
    "HostFiles",
    "Kind",
    "Problem",
    "Stat",
    "Unkeepable",
    "commit",
]


class FileSystem:
    """Files as one run sees and changes them. Paths are absolute and normal: `/root/folder/file`."""

    def __init__(
        self, backing: Backing, grant: Grant, limits: Limits, fixtures: Mapping[str, bytes] | None = None
    ) -> None:
        self.overlay = Overlay(backing, grant, limits, fixtures or {})
        self.roots: tuple[str, ...] = tuple(self.overlay.roots)

    def stat(self, path: str) -> Stat:
        if path == "/":
            return Stat("directory", 0)
        node = self._place(path, follow=True).node
        if isinstance(node, Folder):
            return Stat("directory", 0)
        if isinstance(node, File):
            return Stat("file", node.size)
        raise FileError("not_found", path)

    def exists(self, path: str) -> bool:
        try:
            self.stat(path)
        except FileError:
            return False
        return True

    def open(self, path: str) -> File:
        """An existing file, with its content read."""
        node = None if path == "/" else self._place(path, follow=True).node
        if path == "/" or isinstance(node, Folder):
            raise FileError("is_directory", path)
        if not isinstance(node, File):
            raise FileError("not_found", path)
        self.overlay.load(node)
        return node

    def names(self, path: str) -> list[str]:
        """The visible names in a directory, sorted; a symbolic link that leads nowhere is among them."""
        if path == "/":
            return list(self.roots)
        folder = self._place(path, follow=True).node
        if not isinstance(folder, Folder):
            raise FileError("not_directory" if folder else "not_found", path)
        return list(self.overlay.names(folder))

    def create(self, path: str) -> File:
        """A new empty file; its folder must exist."""
        place = self._writable(path)
        if place.slash:
            raise FileError("is_directory", path)
        return self.overlay.create(place)

    def write(self, file: File, offset: int, data: bytes) -> None:
        """Puts `data` at `offset`; a gap is filled with zeros."""
        self.overlay.write(file, offset, data)

    def resize(self, file: File, size: int) -> None:
        self.overlay.resize(file, size)

    def make_directory(self, path: str) -> None:
        self.overlay.make_directory(self._place(path, follow=False, otherwise="denied"))

    def remove_directory(self, path: str) -> None:
        self.overlay.remove_directory(self._place(path, follow=False))

    def remove(self, path: str) -> None:
        self.overlay.remove(self._place(path, follow=False, otherwise="denied"))

    def rename(self, path: str, to: str) -> None:
        """Moves a file or a directory; an existing file or empty directory at the target is replaced."""
        if split(path)[0] != split(to)[0]:
            raise FileError("cross_root", to)
        self.overlay.rename(self._place(path, follow=False), self._place(to, follow=False))

    def must_be_writable(self, path: str) -> None:
        self._writable(path)

    def changes(self) -> list[Change]:
        """What the run changed: directories made, then files written or removed by path, then directories removed,
        the deepest first. A file with two names is two files.

        Raises:
            Unkeepable: a symbolic link is left, or a file took the place of a host directory or the other way round.
        """
        now: dict[str, Kind] = {}
        made: list[Change] = []
        files: list[Change] = []
        removed: list[Change] = []
        for path, node in self.overlay.every():
            now[path] = "directory" if isinstance(node, Folder) else "file"
            if isinstance(node, Link):
                raise Unkeepable(f"{path} is a symbolic link, and a run may not leave one behind")
            if isinstance(node, Folder) and node.made:
                made.append(Change(*split(path), None, directory=True))
            elif isinstance(node, File) and node.dirty:
                files.append(Change(*split(path), bytes(node.data)))
        for path, kind in self.overlay.gone.items():
            if now.get(path, kind) != kind:
                raise Unkeepable(f"{path} was a {kind} and is a {now[path]} now; a run may not turn one into the other")
            if path not in now:
                kinds = removed if kind == "directory" else files
                kinds.append(Change(*split(path), None, directory=kind == "directory", removed=True))
        return sorted(made, key=_by_path) + sorted(files, key=_by_path) + sorted(removed, key=_by_path, reverse=True)

    def _writable(self, path: str) -> Place:
        place = self._place(path, follow=True, otherwise="denied")
        if isinstance(place.node, Folder):
            raise FileError("is_directory", path)
        if not self.overlay.may_write(place):
            raise FileError("denied", path)
        return place

    def _place(self, path: str, *, follow: bool, otherwise: Problem = "not_found") -> Place:
        """Where a path leads. Links stay within the root; `otherwise` is the problem with a root that is not there."""
        root, rest = split(path)
        folder = self.overlay.roots.get(root)
        if folder is None:
            raise FileError(otherwise, path)
        return self.overlay.walk(folder, rest, follow=follow) if rest else Place(folder, ".", folder, True)


def _by_path(change: Change) -> tuple[str, str]:
    return change.root, change.path
