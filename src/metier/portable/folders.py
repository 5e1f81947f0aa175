"""A capability with its whole history as a folder, laid out as a library has it, for another library to take in."""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path

from metier import version_folder
from metier.capability import Capability
from metier.durable import Disk, no_checkpoint
from metier.errors import BrokenCapability, LibraryError, UsageError
from metier.library import Artifact, Library
from metier.version_folder import META, VERSIONS

ATTEMPTS = 4
"""How often versions are read again where somebody publishes meanwhile."""


def write_history(library: Library, id: str, folder: Path) -> list[Capability]:
    """Writes every version of a capability into `folder`, which is new or empty, whole or not at all.

    Raises:
        UnknownCapability, BrokenCapability: it is not there, or one of its versions is not what was published.
        UsageError: the folder has something in it, or cannot be written.
    """
    history = _history(library, id)
    staged = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    disk = Disk(no_checkpoint)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} is not an empty folder; choose another one")
        try:
            version_folder.write_version(disk, staged, history[-1])
            for artifact in history[:-1]:
                version_folder.write_version(disk, staged / VERSIONS / str(artifact.capability.version), artifact)
            staged.replace(folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}") from None
    return [artifact.capability for artifact in history]


def read_history(folder: Path) -> list[Artifact]:
    """Every version in a capability's folder, the current one last, each verified against its content hash.

    Raises:
        UsageError: there is no such folder.
        BrokenCapability: a version is damaged, or does not belong where it lies; one line says which.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; the folder of a capability is expected, with its {META}")
    current = _version(folder)
    found = {current.capability.version: current}
    for archived in _archived(folder):
        artifact = _version(archived)
        capability = artifact.capability
        if capability.id != current.capability.id or str(capability.version) != archived.name:
            raise BrokenCapability(f"{archived / META}: is {capability.name}, which does not belong there")
        if capability.version > current.capability.version:
            raise BrokenCapability(f"{archived}: is later than the current version, {current.capability.version}")
        # What lies there under the current number is left by a publish that died: the current files are the truth.
        found.setdefault(capability.version, artifact)
    return [found[number] for number in sorted(found)]


def renamed(artifact: Artifact, id: str) -> Artifact:
    """The same version under another id. The id is part of the contract, so its content hash is another one."""
    before = artifact.capability

    def moved(name: str | None) -> str | None:
        return f"{id}@{name.partition('@')[2]}" if name and name.partition("@")[0] == before.id else name

    names = {"parent": moved(before.parent), "replaced_by": moved(before.replaced_by)}
    capability = before.model_copy(update={"id": id, "binary": f"{id}.wasm", "sha256": None, **names})
    return hashed(Artifact(capability, artifact.wasm, artifact.source))


def hashed(artifact: Artifact) -> Artifact:
    """The artifact with the content hash that it has, whatever it had before."""
    sha256 = version_folder.hash_of(artifact)
    return Artifact(artifact.capability.model_copy(update={"sha256": sha256}), artifact.wasm, artifact.source)


def _history(library: Library, id: str) -> list[Artifact]:
    for _ in range(ATTEMPTS):
        current = library.get(id)
        numbers = sorted(n for n in _numbers(library.path / id / VERSIONS) if n < current.version)
        past = [library.load(id, number) for number in numbers]
        last = library.load(id, current.version)
        if library.get(id).version == current.version:
            return [*past, last]
    raise LibraryError(f"{id} is being written to without pause; try again")


def _version(folder: Path) -> Artifact:
    version_folder.stamp(folder)
    capability = version_folder.read_meta(folder)
    return hashed(version_folder.read_version(folder, capability))


def _archived(folder: Path) -> list[Path]:
    versions = folder / VERSIONS
    if versions.is_symlink():
        raise BrokenCapability(f"{versions}: a symbolic link; put the folder itself there")
    return [versions / str(number) for number in _numbers(versions)]


def _numbers(versions: Path) -> list[int]:
    try:
        return sorted(int(p.name) for p in versions.iterdir() if re.fullmatch("[1-9][0-9]{0,8}", p.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise BrokenCapability(f"{versions}: {error.strerror}") from None
