"""The library: a folder of capabilities with all their versions. The source of truth; only this room writes to it.

A version that is published becomes the current one by one atomic rename of meta.json, after everything that it names is
on the disk. Before the binary and src/ are exchanged, the version that they belonged to lies whole in versions/<n>/: a
reader that finds files which do not match the meta.json it has read takes them from there, so readers never wait, and
the next writer puts them back.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import itertools
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from metier import version_folder
from metier.capability import Capability, Contract, Provenance, Status, contract_fields, first_problem, parse_meta
from metier.config import FILE_NAME, STATE_FOLDER, Settings, load_settings, root_paths
from metier.durable import Checkpoint, Disk, no_checkpoint
from metier.errors import BrokenCapability, LibraryError, PublishConflict, UnknownCapability, UsageError
from metier.locks import exclusive
from metier.stock import Stock
from metier.version_folder import META, SOURCE, VERSIONS, Artifact, Stamp

__all__ = ["Artifact", "Broken", "Library", "Release"]

LOCK_SECONDS = 30.0
READ_ATTEMPTS, READ_PAUSE = 4, 0.01
"""A reader that meets a writer's exchange of files looks again; the exchange itself takes well under a pause."""
SETTLED_NS = 100_000_000
"""Age of a meta.json from which on its stamp tells every change: file systems count time in ticks of some 10 ms."""

MANY = 10_000
"""Folders from which on a library is large: what changed in it is told by its catalogue. Up to there, every look reads
the stamp of each meta.json, some 15 µs a folder."""

SETTINGS_TEMPLATE = """\
# The operator's settings for this library. Nothing that a model or a program says changes them.

# Folders that capabilities may be granted files in, relative to this one.
# [roots]
# hr = "data/hr"

# The most that any capability may do here; what is absent is impossible.
# [policy]
# files = [{ root = "hr", path = "**", access = "write" }]

# What a new draft gets of it without a person being asked.
# [policy.unasked]
# files = [{ root = "hr", path = "**", access = "read" }]

# Models as "provider:name"; keys and endpoints come from the environment.
# [model]
# chat = "openai:gpt-5"

# Bounds on one run.
# [limits]
# seconds = 30.0
"""


@dataclass(frozen=True)
class Broken:
    """A folder that is no capability as it stands. `problem` is one line: what is wrong, and what to do."""

    folder: str
    problem: str


@dataclass(frozen=True)
class Release:
    """What publishing takes: a contract, the program that keeps it, and where they came from."""

    contract: Contract
    wasm: bytes
    source: Mapping[str, bytes]
    engine: str | None
    parent: str | None
    provenance: Provenance
    status: Status = "active"
    follows: int | None = None
    """The version that it takes the place of, where that is not its parent."""


def source_text(source: Mapping[str, bytes]) -> str:
    """A source as one text: its file, or its files one after the other, each under its name."""
    texts = {name: content.decode("utf-8", "replace") for name, content in sorted(source.items())}
    return "\n".join(texts.values() if len(texts) == 1 else (f"{name}:\n{text}" for name, text in texts.items()))


class Library:
    """The capabilities in one folder. Any number of threads and processes may read and publish at once."""

    def __init__(self, path: str | os.PathLike[str], *, checkpoint: Checkpoint = no_checkpoint) -> None:
        """Use `open` or `create`. `checkpoint` is told each step of a publish before it is taken, for tests."""
        self.path = Path(path).absolute()
        self.state = self.path / STATE_FOLDER
        self._disk = Disk(checkpoint)
        self._known: dict[Path, tuple[Stamp, Capability | BrokenCapability]] = {}
        self._settings: tuple[tuple[int, int, int] | None, Settings] | None = None
        self._many: bool | None = None
        self.stock = Stock(self.path, self.make_state, self._names, self._unkept, SETTLED_NS)
        """What is in it, where it is large."""

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, checkpoint: Checkpoint = no_checkpoint) -> Library:
        """The library at `path`. Writes nothing, so one that is read-only opens too.

        Raises:
            UsageError: there is none, it cannot be read, or its metier.toml is wrong.
        """
        library = cls(path, checkpoint=checkpoint)
        try:
            with os.scandir(library.path):
                pass
        except FileNotFoundError:
            raise UsageError(f"no library at {library.path}; make one with `metier init`") from None
        except NotADirectoryError:
            raise UsageError(f"{library.path} is a file; a library is a folder, `metier init` makes one") from None
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read the library at {library.path}: {_reason(error)}") from None
        library._data_folders()  # reads metier.toml, whose mistakes are better told now
        return library

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, checkpoint: Checkpoint = no_checkpoint) -> Library:
        """A library at `path`, with a metier.toml that says what can be set. One that is there is kept as it is.

        Raises:
            UsageError: something else is there, or the folder cannot be made.
        """
        library = cls(path, checkpoint=checkpoint)
        try:
            library.path.mkdir(parents=True, exist_ok=True)
            if not _is_library(library.path):
                raise UsageError(f"{library.path} is not empty and not a library; choose another folder")
            library.make_state()
            with contextlib.suppress(FileExistsError), (library.path / FILE_NAME).open("xb") as file:
                file.write(SETTINGS_TEMPLATE.encode("utf-8"))
        except FileExistsError:
            raise UsageError(f"{library.path} is a file; choose another folder") from None
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot make a library at {library.path}: {_reason(error)}") from None
        return cls.open(path, checkpoint=checkpoint)

    def make_state(self) -> Path:
        """`state`, made if it is not there, with a .gitignore that keeps it out of git. Raises OSError."""
        self.state.mkdir(exist_ok=True)
        ignore = self.state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8", newline="\n")
        return self.state

    # Looking

    def capabilities(self) -> list[Capability]:
        """The current version of all that load, sorted by id. Parses only what changed since the last call.

        Raises:
            LibraryError: the library's folder cannot be read.
        """
        return self.everything()[0]

    def everything(self) -> tuple[list[Capability], list[Broken]]:
        """`capabilities` and `broken`, after one look at the folder."""
        capabilities, broken = [], []
        for name, found in self._scan():
            if isinstance(found, Capability):
                capabilities.append(found)
            else:
                broken.append(Broken(name, _one_line(found)))
        return capabilities, broken

    def first(self, count: int) -> list[Capability]:
        """The first so many of `capabilities`; the others are not looked at."""
        loaded = (found for _, found in self._scan() if isinstance(found, Capability))
        return list(itertools.islice(loaded, count))

    def live(self) -> list[Capability]:
        """Those of `capabilities` that are found and run."""
        return [capability for capability in self.capabilities() if capability.live]

    def broken(self) -> list[Broken]:
        """The folders that `capabilities` left out, and why. Looks at no contents of binaries; `check` does."""
        return self.everything()[1]

    def get(self, id: str, version: int | None = None) -> Capability:
        """The current version, or the one with this number.

        Raises:
            UnknownCapability: there is none; the message names those with a similar id.
            BrokenCapability: its folder does not load.
        """
        folder, capability, _ = self._find(id, version)
        version_folder.check_binary(folder, capability)
        return capability

    def versions(self, id: str) -> list[Capability]:
        """Every version that loads, the oldest first. Raises as `get` does for the current one."""
        current = self.get(id)
        found = {current.version: current}
        for number in self._archived(id):
            with contextlib.suppress(LibraryError):
                found.setdefault(number, self.get(id, number))
        return [found[number] for number in sorted(found)]

    def load(self, id: str, version: int | None = None) -> Artifact:
        """A version with its program and source, verified against its content hash.

        Raises:
            UnknownCapability: there is none; the message names those with a similar id.
            BrokenCapability: its files are missing, are not what was published, or lead elsewhere.
        """
        for attempt in range(1, READ_ATTEMPTS + 1):
            folder, capability, stamp = self._find(id, version)
            try:
                artifact = version_folder.read_version(folder, capability)
                # Without a hash, only an unchanged meta.json says that the files are still its own: a publish
                # writes the hash into it before touching them.
                if capability.sha256 is not None or version_folder.stamp(folder) == stamp:
                    return artifact
            except BrokenCapability:
                saved = self._saved(capability)
                if saved is not None:
                    return saved
                if attempt == READ_ATTEMPTS:
                    raise
                time.sleep(READ_PAUSE)
        raise LibraryError(f"{id} is being written to without pause; try again")

    def check(self) -> list[Broken]:
        """Everything that is wrong, after verifying the hash of every version. Where it may write, it first puts back
        what a publish that died half-way left.

        Raises:
            LibraryError: the library's folder cannot be read.
        """
        names = self._names()
        with contextlib.suppress(LibraryError), self._writing():
            for name in names:
                with contextlib.suppress(LibraryError, OSError):
                    self._mend(name)
        problems = []
        for name in names:
            for number in (None, *self._archived(name)):
                try:
                    self.load(name, number)
                except LibraryError as error:
                    where = name if number is None else f"{name}/{VERSIONS}/{number}"
                    problems.append(Broken(where, _one_line(error)))
        return problems

    # A large library

    def is_large(self) -> bool:
        """Whether it has so many capabilities that they are better not looked at one by one; see `stock`."""
        count = self.stock.count()
        if count:
            return count > MANY
        if self._many is None:
            self._many = len(self._names()) > MANY and self._keeps_state()
        return self._many

    def _keeps_state(self) -> bool:
        try:
            return os.access(self.make_state(), os.W_OK)
        except OSError:
            return False

    def aliased(self) -> list[Capability]:
        """The retired capabilities of a large library that name what answers for them, and what they name."""
        found: dict[str, Capability] = {}
        waiting = self.stock.aliases()
        while waiting:
            id = waiting.pop()
            with contextlib.suppress(LibraryError):
                found[id] = capability = self.get(id)
                by = (capability.replaced_by or "").partition("@")[0]
                if by and by not in found:
                    waiting.append(by)
        return list(found.values())

    def glance(self, id: str) -> Capability | None:
        """A live capability as its meta.json has it now, which is not kept; None where there is none."""
        try:
            _, found = self._unkept(id)
        except BrokenCapability:
            return None
        return found if found.live else None

    def _unkept(self, id: str) -> tuple[Stamp, Capability]:
        """The stamp and the content of a folder's meta.json, which is read, and not kept. Raises BrokenCapability."""
        folder = self.path / id
        self._check_link(folder)
        stamp, found = version_folder.stamp(folder), _parsed(folder, id)
        if isinstance(found, BrokenCapability):
            raise found
        return stamp, found

    # Writing

    def publish(self, release: Release, *, expected_version: int | None, leaving: Status = "superseded") -> Capability:
        """The release as a new capability (`expected_version` None), or as the next version after the expected one.

        It is visible to everyone when this returns, and nothing of it is when this raises. `leaving` is the status of
        the version that it follows, if that was live.

        Raises:
            PublishConflict: the current version is another than expected; nobody's work was overwritten.
            BrokenCapability: the release cannot be stored, or what it would follow does not load.
            LibraryError: the library is read-only or the disk full, or the lock was held for too long.
        """
        id = release.contract.id
        if id in self._data_folders():
            raise LibraryError(f"{id} is a folder of data (a root of {FILE_NAME}); choose another id")
        with self._writing(id):
            current = self._mend(id) if self._taken(id) else None
            _compare(id, expected_version, current)
            if current is None:
                return self._add(_draft(release, 1))
            number = max([current.capability.version, *self._archived(id)]) + 1
            following = _draft(release, number)
            if current.capability.pinned:
                following = replace(following, capability=following.capability.model_copy(update={"pinned": True}))
            return self._follow(current, following, leaving)

    def adopt(self, history: Sequence[Artifact]) -> Capability:
        """A capability of another library with all its versions, the current one last, as a new one of this library.

        It is visible to everyone when this returns, and nothing of it is when this raises.

        Raises:
            PublishConflict: the id is taken.
            BrokenCapability: a version is not what its hash names, or cannot be stored.
            LibraryError: the library is read-only or the disk full, or the lock was held for too long.
        """
        versions = [_adoptable(artifact) for artifact in history]
        current = versions[-1].capability
        if current.id in self._data_folders():
            raise LibraryError(f"{current.id} is a folder of data (a root of {FILE_NAME}); choose another id")
        with self._writing(current.id):
            if self._taken(current.id):
                raise PublishConflict(f"{current.id} exists in this library; choose another id")
            staged = self._staged() / current.id
            for artifact in versions[:-1]:
                folder = staged / VERSIONS / str(artifact.capability.version)
                version_folder.write_version(self._disk, folder, artifact)
            version_folder.write_version(self._disk, staged, versions[-1])
            self._disk.move(staged, self.path / current.id)
            self._disk.sync(self.path)
            return current

    def set_status(
        self, id: str, status: Status, replaced_by: str | None = None, *, expected: Capability | None = None
    ) -> Capability:
        """The current version with another status and `replaced_by`, which None clears.

        Raises:
            UnknownCapability: there is no such capability.
            PublishConflict: the current version is not the `expected` one any more, or has another status.
            BrokenCapability: it does not load, or `replaced_by` is not of the form `id@version`.
            LibraryError: the library is read-only or the disk full, or the lock was held for too long.
        """
        with self._writing(id):
            current = self._mend(id).capability
            if expected is not None and (current.version, current.status) != (expected.version, expected.status):
                raise PublishConflict(f"{id} is {current.name} and {current.status} by now; look again")
            update = {"status": status, "replaced_by": replaced_by, "replaced_with": None}
            changed = _checked(current.model_copy(update=update))
            if changed.sha256 is None:  # what Metier writes it vouches for
                changed = self._with_hash(changed)
            self._commit(changed)
            return changed

    def retire(
        self, old: Capability, kept: Capability | None = None, given: Mapping[str, Any] | None = None
    ) -> Capability:
        """The current version retired, if it still is the one that was looked at: live, and pinned by nobody.

        `kept` answers its calls from then on, with `given` added to their input.

        Raises:
            PublishConflict: another version serves by now, or it is pinned or retired; the same for `kept`.
            BrokenCapability, UnknownCapability: one of them does not load.
            LibraryError: the library is read-only or the disk full, or the lock was held for too long.
        """
        with self._writing(old.id):
            for seen in (old, kept) if kept is not None else (old,):
                now = self._mend(seen.id).capability
                if now.version != seen.version or not now.live:
                    raise PublishConflict(f"{seen.name} was looked at, and now {now.name} is {now.status}; look again")
            current = self._mend(old.id).capability
            if current.pinned:
                raise PublishConflict(f"a person pinned {current.name}")
            by = kept.name if kept is not None else None
            update = {"status": "retired", "replaced_by": by, "replaced_with": dict(given) if given else None}
            changed = _checked(current.model_copy(update=update))
            self._commit(changed if changed.sha256 is not None else self._with_hash(changed))
            return changed

    def pin(self, id: str, *, pinned: bool) -> Capability:
        """The current version, marked as pinned or not; later versions carry the mark on.

        Raises:
            UnknownCapability: there is no such capability.
            LibraryError: the library is read-only or the disk full, or the lock was held for too long.
        """
        with self._writing(id):
            current = self._mend(id).capability
            changed = _checked(current.model_copy(update={"pinned": True if pinned else None}))
            self._commit(changed if changed.sha256 is not None else self._with_hash(changed))
            return changed

    def quarantine_past(self, id: str, version: int) -> Capability:
        """An earlier version as one that is not run any more.

        Raises:
            UnknownCapability: there is no such version, or it is the current one.
            LibraryError: the library is read-only or the disk full, or the lock was held for too long.
        """
        with self._writing():
            folder, capability, _ = self._find(id, version)
            if folder == self.path / id:
                raise UnknownCapability(f"{id}@{version} is the current version")
            changed = _checked(capability.model_copy(update={"status": "quarantined"}))
            self._write_meta(folder, changed)
            return changed

    @contextlib.contextmanager
    def _writing(self, *ids: str) -> Iterator[None]:
        """The lock, a clean staging folder, and the file system's refusals in plain words; `ids` are written."""
        try:
            self.make_state()
            with exclusive(self.state / "lock", timeout=LOCK_SECONDS):
                self._sweep()
                try:
                    with self.stock.writing(ids):
                        yield
                finally:
                    self._sweep()
        except OSError as error:
            raise LibraryError(self._refusal(error)) from error

    def _taken(self, id: str) -> bool:
        folder = self.path / id
        if os.path.lexists(folder) and not folder.is_dir():
            raise LibraryError(f"{folder} is not a folder and stands in the way; move it, or choose another id")
        return folder.is_dir()

    def _add(self, artifact: Artifact) -> Capability:
        staged = self._staged() / artifact.capability.id
        version_folder.write_version(self._disk, staged, artifact)
        self._disk.move(staged, self.path / staged.name)
        self._disk.sync(self.path)
        return artifact.capability

    def _follow(self, current: Artifact, artifact: Artifact, leaving: Status) -> Capability:
        """Archive the current version, exchange the files, commit. What fails half-way is undone."""
        id = artifact.capability.id
        old, new = self._staged(), self._staged()
        if current.capability.sha256 is None:
            current = replace(current, capability=self._with_hash(current.capability))
            self._commit(current.capability)
        past = _superseded(current.capability, artifact.capability.name, leaving)
        version_folder.write_version(self._disk, old, replace(current, capability=past))
        version_folder.write_version(self._disk, new, artifact)
        try:
            self._archive(old, past)
            self._exchange(new, artifact.capability)
            self._disk.replace(new / META, self.path / id / META)
            self._disk.sync(self.path / id)
        except BaseException:
            with contextlib.suppress(LibraryError, OSError):
                self._mend(id)
            raise
        return artifact.capability

    def _archive(self, staged: Path, past: Capability) -> None:
        versions = self.path / past.id / VERSIONS
        if not versions.exists():
            versions.mkdir()
            self._disk.sync(versions.parent)
        target = versions / str(past.version)
        if os.path.lexists(target):
            self._discard(target)
        self._disk.move(staged, target)
        self._disk.sync(versions)

    def _exchange(self, staged: Path, capability: Capability) -> None:
        """Put the staged binary and src/ in the place of those that the capability's folder has."""
        folder = self.path / capability.id
        if not capability.binary.startswith(f"{SOURCE}/"):
            (folder / capability.binary).parent.mkdir(parents=True, exist_ok=True)
            self._disk.replace(staged / capability.binary, folder / capability.binary)
        if os.path.lexists(folder / SOURCE):
            self._discard(folder / SOURCE)
        if (staged / SOURCE).exists():
            self._disk.move(staged / SOURCE, folder / SOURCE)
        self._disk.sync(folder)

    def _commit(self, capability: Capability) -> None:
        """Make this the current version of a folder whose other files are in place."""
        self._write_meta(self.path / capability.id, capability)

    def _write_meta(self, folder: Path, capability: Capability) -> None:
        staged = self._staged()
        self._disk.write(staged / META, version_folder.meta_text(capability))
        self._disk.replace(staged / META, folder / META)
        self._disk.sync(folder)

    def _mend(self, id: str) -> Artifact:
        """The current version, after putting back its files where a publish that died had exchanged them.

        What lies in versions/ under the current number is then the remains of such a publish, and is removed:
        while it is there, readers would take it for the truth.
        """
        folder, capability, _ = self._find(id, None)
        try:
            artifact = version_folder.read_version(folder, capability)
        except BrokenCapability:
            saved = self._saved(capability)
            if saved is None:
                raise
            artifact, staged = saved, self._staged()
            version_folder.write_version(self._disk, staged, artifact)
            self._exchange(staged, capability)
        remains = folder / VERSIONS / str(capability.version)
        if capability.sha256 is not None and remains.is_dir():
            self._discard(remains)
        return artifact

    def _with_hash(self, capability: Capability) -> Capability:
        artifact = version_folder.read_version(self.path / capability.id, capability)
        return capability.model_copy(update={"sha256": version_folder.hash_of(artifact)})

    def _staged(self) -> Path:
        """A new folder for what is not visible yet. The lock is held, so whatever else lies beside it is a leftover."""
        folder = self.state / "staging" / f"{os.getpid()}-{secrets.token_hex(8)}"
        folder.mkdir(parents=True)
        return folder

    def _discard(self, folder: Path) -> None:
        self._disk.move(folder, self._staged() / folder.name)

    def _sweep(self) -> None:
        shutil.rmtree(self.state / "staging", ignore_errors=True)

    def _refusal(self, error: OSError) -> str:
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            return f"the library at {self.path} is read-only: {_reason(error)}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"no space left for the library at {self.path}; make room, then publish again"
        return f"cannot write to the library at {self.path}: {_reason(error)}"

    # Finding

    def _scan(self) -> Iterator[tuple[str, Capability | BrokenCapability]]:
        for name in self._names():
            folder = self.path / name
            try:
                self._check_link(folder)
                capability, _ = self._meta(folder, name)
                version_folder.check_binary(folder, capability)
                yield name, capability
            except BrokenCapability as broken:
                yield name, broken

    def _names(self) -> list[str]:
        data = self._data_folders()
        try:
            with os.scandir(self.path) as entries:
                found = [e for e in entries if not e.name.startswith((".", "_")) and e.name not in data]
        except OSError as error:
            raise LibraryError(f"cannot read the library at {self.path}: {_reason(error)}") from error
        return sorted(entry.name for entry in found if _is_folder(entry))

    def _data_folders(self) -> frozenset[str]:
        """Names of sub-folders that are or hold a root: data, not capabilities.

        A root that is or holds the library itself makes no folder data; otherwise it would hide every capability.
        """
        here, found = self.path.resolve(), set()
        for root in root_paths(self.path, self._current_settings()).values():
            for base, folder in ((self.path, Path(os.path.normpath(root))), (here, root.resolve())):
                if folder != base and folder.is_relative_to(base):
                    found.add(folder.relative_to(base).parts[0])
        return frozenset(found)

    def _current_settings(self) -> Settings:
        try:
            status = (self.path / FILE_NAME).stat()
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        except OSError:
            stamp = None
        if self._settings is None or self._settings[0] != stamp:
            self._settings = (stamp, load_settings(self.path))
        return self._settings[1]

    def _find(self, id: str, version: int | None) -> tuple[Path, Capability, Stamp]:
        """The folder of a version, what its meta.json says, and the stamp of that meta.json."""
        folder = self._folder(id)
        archived = folder / VERSIONS / str(version)
        try:
            capability, stamp = self._meta(folder, id)
            if version in (None, capability.version):
                return folder, capability, stamp
            # Looked for only now: a publish puts a version there before meta.json stops naming it.
            if not archived.is_dir():
                have = ", ".join(str(number) for number in sorted({capability.version, *self._archived(id)}))
                raise UnknownCapability(f"{id} has no version {version}; it has {have}")
        except BrokenCapability:
            if version is None or not archived.is_dir():
                raise
        capability, stamp = self._meta(archived, id)
        if capability.version != version:
            raise BrokenCapability(f"{archived / META}: says version {capability.version}; restore it from git")
        return archived, capability, stamp

    def _folder(self, id: str) -> Path:
        folder = self.path / id
        known = re.fullmatch(r"[^./\\\0][^/\\\0]*", id) is not None and id not in self._data_folders()
        if not known or not os.path.isdir(folder):  # noqa: PTH112 - never raises, whatever the id is
            known_ids = [] if self.is_large() else [capability.id for capability in self.capabilities()]
            near = difflib.get_close_matches(id, known_ids)
            hint = f"did you mean {' or '.join(near)}?" if near else "`metier list` shows those that there are"
            raise UnknownCapability(f"no capability {_shortened(id)!r}; {hint}")
        self._check_link(folder)
        return folder

    def _check_link(self, folder: Path) -> None:
        if folder.is_symlink() and not folder.resolve().is_relative_to(self.path.resolve()):
            raise BrokenCapability(f"{folder}: a link that leads out of the library; put the folder itself there")

    def _meta(self, folder: Path, id: str) -> tuple[Capability, Stamp]:
        """What the folder's meta.json says, parsed again only when it changed."""
        stamp = version_folder.stamp(folder)
        known = self._known.get(folder)
        if known is None or known[0] != stamp:
            known = (stamp, _parsed(folder, id))
            if time.time_ns() - version_folder.changed_ns(stamp) > SETTLED_NS:
                self._known[folder] = known
        if isinstance(known[1], BrokenCapability):
            raise BrokenCapability(*known[1].args)
        return known[1], stamp

    def _archived(self, id: str) -> list[int]:
        try:
            with os.scandir(self.path / id / VERSIONS) as entries:
                return sorted(int(e.name) for e in entries if re.fullmatch(r"[1-9][0-9]{0,8}", e.name) and e.is_dir())
        except OSError:
            return []

    def _saved(self, capability: Capability) -> Artifact | None:
        """The same version out of versions/, where a publish puts it before it touches the current files."""
        folder = self.path / capability.id / VERSIONS / str(capability.version)
        if capability.sha256 is None:
            return None
        try:
            archived, _ = self._meta(folder, capability.id)
            if archived.sha256 != capability.sha256:
                return None
            return replace(version_folder.read_version(folder, archived), capability=capability)
        except BrokenCapability:
            return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or leads to one; mostly known without asking the file system again."""
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _parsed(folder: Path, id: str) -> Capability | BrokenCapability:
    try:
        capability = version_folder.read_meta(folder)
    except BrokenCapability as broken:
        return broken
    if capability.id != id:
        hint = "rename one of them"
        return BrokenCapability(f"{folder / META}: the id is {capability.id} and the folder is {id}; {hint}")
    return capability


def _draft(release: Release, version: int) -> Artifact:
    """The release as the version that it will be, read back from its own meta.json.

    Raises:
        BrokenCapability: it could not be loaded again.
    """
    id, source = release.contract.id, dict(release.source)
    problem = version_folder.wasm_problem(release.wasm) or version_folder.source_problem(source)
    if problem is not None:
        raise BrokenCapability(f"{id} cannot be published: {problem}")
    try:
        capability = Capability(
            **contract_fields(release.contract),
            binary=f"{id}.wasm",
            version=version,
            sha256=None,
            engine=release.engine,
            parent=release.parent,
            status=release.status,
            provenance=release.provenance,
        )
    except ValidationError as error:
        raise BrokenCapability(f"{id} cannot be published: {first_problem(error)}") from None
    sha256 = version_folder.hash_of(Artifact(capability, release.wasm, source))
    stored = Artifact(_checked(capability.model_copy(update={"sha256": sha256})), release.wasm, source)
    if version_folder.hash_of(stored) != sha256:
        raise BrokenCapability(f"{id} cannot be published: its contract changes when it is written as JSON")
    return stored


def _adoptable(artifact: Artifact) -> Artifact:
    """The version as it will be read, if it is what its hash names."""
    capability = _checked(artifact.capability)
    problem = version_folder.wasm_problem(artifact.wasm) or version_folder.source_problem(artifact.source)
    if problem is None and version_folder.hash_of(replace(artifact, capability=capability)) != capability.sha256:
        problem = "its sha256 differs"
    if problem is not None:
        raise BrokenCapability(f"{capability.name} cannot be taken in: {problem}")
    return replace(artifact, capability=capability)


def _checked(capability: Capability) -> Capability:
    """The capability as its meta.json will be read."""
    where = Path(capability.id, META)
    try:
        return parse_meta(version_folder.meta_text(capability), where=where)
    except ValueError as error:
        raise BrokenCapability(f"{where}: cannot be written: {error}") from None


def _superseded(capability: Capability, by: str, leaving: Status) -> Capability:
    status = leaving if capability.live else capability.status
    return capability.model_copy(update={"status": status, "replaced_by": by, "replaced_with": None, "pinned": None})


def _compare(id: str, expected: int | None, current: Artifact | None) -> None:
    if current is None:
        if expected is not None:
            raise PublishConflict(f"{id} is not in the library, expected was its version {expected}; publish it as new")
    elif expected is None:
        raise PublishConflict(f"{id} exists, at version {current.capability.version}; choose another id, or follow it")
    elif current.capability.version != expected:
        change = f"{id} is at version {current.capability.version}, not {expected}"
        raise PublishConflict(f"{change}: another writer published meanwhile; start again from the current version")


def _is_library(folder: Path) -> bool:
    """Whether a folder is empty but for hidden files, or has what only a library has."""
    visible = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    marks = (folder / FILE_NAME, folder / STATE_FOLDER, *(entry / META for entry in visible))
    return not visible or any(mark.exists() for mark in marks)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({error.filename})" if error.filename else error.strerror
    return str(error)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}…"
