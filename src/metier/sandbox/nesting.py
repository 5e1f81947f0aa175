"""The files of a run inside another run: it sees the caller's overlay, and its own changes become the caller's."""

from __future__ import annotations

from metier.sandbox.files import Change, FileError, FileSystem, Stat


class OuterFiles:
    """A caller's files as the backing of a callee's filesystem."""

    def __init__(self, outer: FileSystem) -> None:
        self._outer = outer

    def stat(self, root: str, path: str) -> Stat | None:
        try:
            return self._outer.stat(_whole(root, path))
        except FileError:
            return None

    def read(self, root: str, path: str) -> bytes:
        return bytes(self._outer.open(_whole(root, path)).data)

    def names(self, root: str, path: str) -> list[str]:
        return self._outer.names(_whole(root, path))


def adopt(outer: FileSystem, change: Change) -> None:
    """Makes one change of a callee in the caller's overlay.

    Raises:
        FileError: the caller's bounds do not allow it.
    """
    path = _whole(change.root, change.path)
    if change.directory and change.removed:
        if outer.exists(path):
            outer.remove_directory(path)
    elif change.directory:
        if not outer.exists(path):
            outer.make_directory(path)
    elif change.content is None:
        if outer.exists(path):
            outer.remove(path)
    else:
        node = outer.open(path) if outer.exists(path) else outer.create(path)
        outer.resize(node, 0)
        outer.write(node, 0, change.content)


def _whole(root: str, path: str) -> str:
    return f"/{root}/{path}".rstrip("/")
