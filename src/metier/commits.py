"""What one run changed made real as one: files, one store, and the journal's record of the run.

Before anything is changed the whole of it is kept as an intent in the library's state folder (see intents.py), and
files are staged beside their targets. Then one step decides: the store's COMMIT, or without a store the rename that
gives the intent its name. After it, whoever comes next does the rest, the same however often; before it, whoever comes
next takes back what was prepared.

    prepare the transaction → write the intent → stage files → name the intent → COMMIT → put files → journal → forget

Where the store cannot be asked what it decided, the intent stays, and no run that may reach its files or its store is
let near them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from metier.effects.decisions import Undecided
from metier.effects.sql import SqlSession, SqlStores
from metier.intents import Intent
from metier.journal import Entry, Journal
from metier.locks import exclusive
from metier.permissions import Grant
from metier.sandbox.hostfiles import Change, Staging, commit

log = logging.getLogger(__name__)
FOLDER: Final = "commits"
STAGED: Final = ".staged-"
DAMAGED: Final = ".damaged-"
IDENTITY: Final = "library-id"
LOCK: Final = "commit.lock"
LOCK_SECONDS: Final = 60.0


class NotKept(Exception):
    """What a run wrote was not kept, or must not be; the message is why, in words that may be shown."""


class StillUndecided(NotKept):
    """The store may have committed or not; the intent waits for what it says."""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A commit that was broken off and cannot be brought to an end now."""

    path: Path
    reason: str
    intent: Intent | None
    """None where it cannot be read."""

    def concerns(self, grant: Grant) -> bool:
        """Whether a run with this grant could see or change what is not settled."""
        if self.intent is None:
            return True
        if self.intent.store is not None and grant.knows_store(self.intent.store):
            return True
        return any(
            grant.allows_file(change.root, change.path, "read") or grant.allows_file(change.root, change.path, "write")
            for change in self.intent.changes
        )

    def __str__(self) -> str:
        of = f" on the store {self.intent.store!r}" if self.intent is not None and self.intent.store else ""
        return (
            f"an earlier run was broken off while what it wrote{of} was committed, and that cannot be settled: "
            f"{self.reason}. Once it can, it is; removing .metier/{FOLDER}/{self.path.name} gives up what that run "
            "wrote to files"
        )


class Commits:
    """The commits of one library's runs. `state` is its state folder, None where it cannot be written."""

    def __init__(
        self,
        state: Path | None,
        roots: Mapping[str, Path],
        stores: SqlStores | None,
        journal: Journal | None,
        checkpoint: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._state = state
        self._roots = roots
        self._stores = stores
        self._journal = journal
        self._checkpoint = checkpoint

    # Committing

    def keep(self, changes: list[Change], session: SqlSession | None, entry: Entry | None) -> None:
        """Makes the changes of a run real, all or none, and with them the run's record; of a run without changes it
        keeps none.

        Raises:
            NotKept: they must not be, or nobody can tell now whether they are; the message says which.
            OSError: files cannot be written; nothing is changed.
            Exception: whatever the store's driver raises; nothing is changed.
        """
        written = session is not None and session.written is not None
        recorded = entry is not None and self._journal is not None and self._journal.keeps
        parties = len(changes) + written + recorded
        if parties < 2 or not (changes or written):
            self._keep_one(changes, session)
        elif self._state is not None:
            with exclusive(self._state / LOCK, timeout=LOCK_SECONDS):
                self._keep_all(self._state, changes, session if written else None, entry if recorded else None)
        elif len(changes) + written > 1:
            raise NotKept("the library's folder cannot be written, so several changes cannot be committed as one")
        else:
            self._keep_one(changes, session)

    def _keep_one(self, changes: list[Change], session: SqlSession | None) -> None:
        if session is not None:
            session.commit()
        commit(self._roots, changes)

    def _keep_all(self, state: Path, changes: list[Change], session: SqlSession | None, entry: Entry | None) -> None:
        token = secrets.token_hex(8)
        identity = session.prepare(_identity(state), token) if session is not None else {}
        intent = Intent(changes, session.written if session is not None else None, identity, entry)
        staging = Staging(self._roots, changes, token)
        (state / FOLDER).mkdir(exist_ok=True)
        staged, path = state / FOLDER / f"{STAGED}{token}", state / FOLDER / token
        try:
            intent.write(staged)
            self._checkpoint("intent written")
            staging.prepare()
            self._checkpoint("files staged")
            staged.rename(path)
            _sync(state / FOLDER)
            self._checkpoint("intent stands")
            if session is not None:
                self._decide(intent, session)
                self._checkpoint("store committed")
        except StillUndecided:
            raise
        except Exception:
            _take_back(staging, staged, path)
            raise
        self._put(intent, staging, path)

    def _decide(self, intent: Intent, session: SqlSession) -> None:
        """Raises what the driver raises, unless the store did commit all the same."""
        assert intent.store is not None and self._stores is not None
        try:
            session.commit()
        except Exception:
            session.close()
            try:
                if not self._stores.committed(intent.store, intent.identity):
                    raise
            except Undecided as error:
                raise StillUndecided(
                    f"the store {intent.store!r} did not say whether it committed ({error}); what the run wrote to "
                    "files waits for that"
                ) from None

    def _put(self, intent: Intent, staging: Staging, path: Path) -> None:
        """Does what is left to do after the decision."""
        try:
            staging.put(self._checkpoint)
        except OSError as error:
            if intent.store is None and not staging.begun:
                _take_back(staging, path)
                raise
            log.warning("what a run wrote is committed, and not all in place yet: %s", error)
            return
        self._forget(intent, path)

    def _forget(self, intent: Intent, path: Path) -> None:
        if intent.entry is not None:
            self._record(intent.entry)
            self._checkpoint("recorded")
        path.unlink(missing_ok=True)
        self._checkpoint("intent forgotten")

    def _record(self, entry: Entry) -> None:
        if self._journal is not None and self._journal.keeps and not self._journal.append(entry):
            log.warning("the run %s is not in the journal, which cannot be written", entry.row.get("run_id"))

    # Settling

    def settle(self) -> list[Unsettled]:
        """Brings to an end what was broken off, and returns what cannot be. Waits for a commit that is under way.

        Raises:
            LibraryError: another commit takes too long.
        """
        if self._state is None or not _entries(self._state):
            return []
        try:
            with exclusive(self._state / LOCK, timeout=LOCK_SECONDS):
                return [left for path in _entries(self._state) if (left := self._settled(path)) is not None]
        except OSError as error:
            reason = f"the library's folder cannot be written ({error.strerror or error})"
        standing = [path for path in _entries(self._state) if not path.name.startswith(STAGED)]
        return [Unsettled(path, reason, _readable(path)) for path in standing]

    def must_be_settled(self, grant: Grant) -> None:
        """Settles what it can, if the run could reach any of it.

        Raises:
            NotKept: something is left that a run with this grant could see or change.
            LibraryError: another commit takes too long.
        """
        reaches = grant.roots() or any(layer.sql for layer in grant.layers)
        for left in self.settle() if reaches else ():
            if left.concerns(grant):
                raise NotKept(str(left))

    def _settled(self, path: Path) -> Unsettled | None:
        try:
            intent = Intent.read(path)
        except FileNotFoundError:
            return None
        except ValueError as error:
            _drop(path, error)
            return None
        except OSError as error:
            return Unsettled(path, f"it cannot be read ({error.strerror})", None)
        missing = sorted({change.root for change in intent.changes} - self._roots.keys())
        if missing:
            return Unsettled(path, f"metier.toml has no root {missing[0]!r} any more", intent)
        return self._brought_to_its_end(path, intent)

    def _brought_to_its_end(self, path: Path, intent: Intent) -> Unsettled | None:
        staging = Staging(self._roots, intent.changes, path.name.removeprefix(STAGED))
        try:
            if path.name.startswith(STAGED) or not self._was_committed(intent):
                _take_back(staging, path)
                log.info("a run that was broken off before it was committed is taken back")
                return None
            staging.undo()
            staging.prepare()
            staging.put(self._checkpoint)
        except Undecided as error:
            return Unsettled(path, f"the store {intent.store!r} does not say whether it committed: {error}", intent)
        except OSError as error:
            staging.undo()
            return Unsettled(path, f"what was committed cannot be written ({error})", intent)
        self._forget(intent, path)
        log.warning("a run that was broken off while it was committed is made whole")
        return None

    def _was_committed(self, intent: Intent) -> bool:
        if intent.store is None:
            return True
        if self._stores is None:
            raise Undecided("there are no stores here")
        return self._stores.committed(intent.store, intent.identity)


def _entries(state: Path) -> list[Path]:
    try:
        with os.scandir(state / FOLDER) as entries:
            return sorted(Path(entry.path) for entry in entries if not entry.name.startswith(DAMAGED))
    except OSError:
        return []


def _readable(path: Path) -> Intent | None:
    try:
        return Intent.read(path)
    except (OSError, ValueError):
        return None


def _drop(path: Path, error: ValueError) -> None:
    if path.name.startswith(STAGED):  # a crash cut it off, so nothing had been staged
        with contextlib.suppress(OSError):
            path.unlink()
            return
    aside = path.with_name(DAMAGED + path.name)
    path.replace(aside)
    log.warning("%s is damaged (%s) and is put aside as %s", path, error, aside.name)


def _take_back(staging: Staging, *intents: Path) -> None:
    staging.undo()
    for path in intents:
        path.unlink(missing_ok=True)


def _identity(state: Path) -> str:
    """What stores know this library by: drawn once. To be called under the lock."""
    path = state / IDENTITY
    with contextlib.suppress(OSError):
        if len(known := path.read_text(encoding="ascii")) == 32:
            return known
    drawn = secrets.token_hex(16)
    fresh = path.with_name(f"{IDENTITY}.new")
    fresh.write_text(drawn, encoding="ascii")
    fresh.replace(path)
    return drawn


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
