"""The folders of a large library against its catalogue: what Metier writes is noted as it is written, the rest found by
looking at every folder now and then.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from metier import version_folder
from metier.capability import Capability
from metier.catalogue import Catalogue, Entry
from metier.config import STATE_FOLDER
from metier.errors import BrokenCapability
from metier.version_folder import Stamp

LOOK_SECONDS = 300.0
"""Time after which the folders are looked at again, for what was changed by hand or by git."""
_SLICE = 2000
"""Folders that are looked at, and noted, at once."""
_LAST = "\uffff"
"""Sorts after every folder's name."""


class Stock:
    """The catalogue of the library at `path`, kept true. Threads and processes may share it.

    `names` are its folders as they are now; `read` has the stamp and the content of one's meta.json.
    """

    def __init__(
        self,
        path: Path,
        make_state: Callable[[], Path],
        names: Callable[[], list[str]],
        read: Callable[[str], tuple[Stamp, Capability]],
        settled_ns: int,
    ) -> None:
        self._path = path
        self._make_state = make_state
        self._names = names
        self._read = read
        self._settled_ns = settled_ns
        self._catalogue = Catalogue(path / STATE_FOLDER)

    def count(self) -> int:
        """How many capabilities are live; 0 where there is no catalogue."""
        return self._catalogue.count() if self._catalogue.exists() else 0

    def changes(self, since: str | None) -> tuple[list[Entry] | None, str]:
        """The folders that changed after the mark `since`, and the mark for now; None where all of them may have.

        What Metier wrote is in it at once, whichever process did; the rest when `look_over` has come by.
        """
        if not self.count():
            self.look_over()
        self._note(self._catalogue.expected())
        return self._catalogue.changed(since)

    def live(self) -> list[str]:
        """The ids of the live capabilities, sorted."""
        return self._catalogue.live()

    def aliases(self) -> list[str]:
        """The ids of the retired capabilities that name what answers for them."""
        return self._catalogue.aliases()

    def recheck(self, ids: Sequence[str]) -> bool:
        """Looks at these capabilities' folders; whether one may not be as the catalogue has it, which is put right.

        One that was written this moment is as it was read or not: its stamp cannot tell, so it counts as changed.
        """
        known = self._catalogue.of(ids)
        changed = [id for id in ids if id not in known or self._stamp(id) != known[id].stamp]
        stale = [entry for entry in map(self._entry, changed) if not entry.stamp or entry != known.get(entry.folder)]
        if stale:
            self._catalogue.note(stale)
        return bool(stale)

    def look_is_due(self) -> bool:
        """Whether folders came or went since the last look at all of them, or it was long ago."""
        looked, stamp = self._catalogue.looked()
        return stamp != self._own_stamp() or not 0 <= time.time() - looked < LOOK_SECONDS

    def look_over(self, going_on: Callable[[], bool] = lambda: True, *, anew: bool = False) -> None:
        """Brings the catalogue up to what lies in the folders, as long as `going_on` says so. Reads the changed ones.

        A look that was ended is gone on with by the next one, unless that is to begin `anew`.

        Raises:
            LibraryError: the library's folder cannot be read.
        """
        with contextlib.suppress(OSError):
            self._make_state()
        left = None if anew else self._catalogue.look_left()
        began, stamp, last = left or (time.time(), self._own_stamp(), "")
        names = [name for name in self._names() if name >= last]
        for start in range(0, max(1, len(names)), _SLICE):
            if not going_on():
                self._catalogue.leave_look(began, stamp, last)
                return
            part = names[start : start + _SLICE]
            end = part[-1] if start + _SLICE < len(names) else _LAST
            self._compare(part, self._catalogue.between(last, end))
            last = end + "\0"
        self._catalogue.look_done(began, stamp)

    @contextlib.contextmanager
    def writing(self, ids: Sequence[str]) -> Iterator[None]:
        """Around what writes these capabilities: they are noted after it, and by whoever comes where it dies."""
        noted = ids if self._catalogue.exists() else ()
        self._catalogue.expect(noted)
        looked_at = bool(noted) and self._catalogue.looked()[1] == self._own_stamp()
        try:
            yield
        finally:
            self._note(noted)
            if looked_at:  # that this folder came is known, and no reason to look at all of them
                self._catalogue.stamp(self._own_stamp())

    def close(self) -> None:
        self._catalogue.close()

    def _compare(self, names: Sequence[str], known: dict[str, Entry]) -> None:
        changed = [name for name in names if not self._is(known.get(name))]
        fresh = [entry for entry in map(self._entry, changed) if entry != known.get(entry.folder)]
        here = set(names)
        gone = [name for name, entry in known.items() if name not in here and (entry.live or entry.alias)]
        if fresh or gone:
            self._catalogue.note(fresh, gone)

    def _is(self, entry: Entry | None) -> bool:
        return entry is not None and entry.stamp != "" and self._stamp(entry.folder) == entry.stamp

    def _note(self, ids: Sequence[str]) -> None:
        if ids:
            self._catalogue.note([self._entry(id) for id in ids])

    def _entry(self, id: str) -> Entry:
        try:
            stamp, found = self._read(id)
        except BrokenCapability:
            return Entry(id, self._stamp(id), live=False)
        settled = time.time_ns() - version_folder.changed_ns(stamp) > self._settled_ns
        alias = found.status == "retired" and found.replaced_by is not None
        return Entry(id, version_folder.stamp_text(stamp) if settled else "", found.live, alias)

    def _stamp(self, id: str) -> str:
        return version_folder.quick_stamp(f"{self._path}{os.sep}{id}")

    def _own_stamp(self) -> str:
        try:
            return str(self._path.stat().st_mtime_ns)
        except OSError:
            return ""
