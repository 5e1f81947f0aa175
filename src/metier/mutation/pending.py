"""Drafts that passed every check and wait for a person, because they ask for more than is given unasked.

They lie in the library's state folder, whole, and are nobody's capability until someone approves them.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from metier.capability import Contract, Provenance, content_hash, contract_json
from metier.errors import LibraryError, UsageError
from metier.library import Release
from metier.schemas import InvalidJson, canonical, parse

FOLDER = "pending"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One draft that waits, and what it asks for beyond the usual, in plain words."""

    release: Release
    beyond: tuple[str, ...]
    unfinished: tuple[dict[str, Any], ...] = ()
    """Examples that get their outcome when it is approved: running them would show what nobody has allowed yet."""

    @property
    def id(self) -> str:
        return self.release.contract.id


class PendingDrafts:
    """The drafts of one library that wait. `state` is the library's state folder."""

    def __init__(self, state: Path | None) -> None:
        self._folder = state / FOLDER if state else None

    def all(self) -> list[Waiting]:
        """By id. What cannot be read any more is left out; it never was anybody's."""
        if self._folder is None or not self._folder.is_dir():
            return []
        found = (_read(folder) for folder in sorted(self._folder.iterdir()) if not folder.name.startswith("."))
        return [waiting for waiting in found if waiting is not None]

    def get(self, id: str) -> Waiting:
        """The draft that waits under an id.

        Raises:
            UsageError: there is none.
        """
        waiting = {w.id: w for w in self.all()}
        if id not in waiting:
            raise UsageError(f"no draft {id!r} waits for approval; waiting: {', '.join(waiting) or 'none'}")
        return waiting[id]

    def add(self, waiting: Waiting) -> None:
        """Keeps a draft, in place of an earlier one with its id.

        Raises:
            LibraryError: the library cannot be written.
        """
        if self._folder is None:
            raise LibraryError("the library cannot be written, so no draft can wait for approval in it")
        self._folder.mkdir(exist_ok=True)
        staged = self._folder / f".{waiting.id}-{secrets.token_hex(4)}"
        _write(staged, waiting)
        self.remove(waiting.id)
        staged.rename(self._folder / waiting.id)

    def remove(self, id: str) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder / id, ignore_errors=True)


def _write(folder: Path, waiting: Waiting) -> None:
    release = waiting.release
    (folder / "src").mkdir(parents=True)
    for name, content in release.source.items():
        (folder / "src" / name).write_bytes(content)
    (folder / "program.wasm").write_bytes(release.wasm)
    about = {
        "contract": contract_json(release.contract),
        "engine": release.engine,
        "parent": release.parent,
        "provenance": release.provenance.model_dump(mode="json"),
        "beyond": waiting.beyond,
        "unfinished": waiting.unfinished,
        "status": release.status,
        "follows": release.follows,
    }
    (folder / "draft.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read(folder: Path) -> Waiting | None:
    try:
        about = parse((folder / "draft.json").read_bytes(), what="the draft")
        release = Release(
            contract=Contract.model_validate(about["contract"]),
            wasm=(folder / "program.wasm").read_bytes(),
            source={path.name: path.read_bytes() for path in sorted((folder / "src").iterdir())},
            engine=about["engine"],
            parent=about["parent"],
            provenance=Provenance.model_validate(about["provenance"]),
            status="active" if about.get("status") == "active" else "candidate",
            follows=about.get("follows"),
        )
        beyond = TypeAdapter(tuple[str, ...]).validate_python(about["beyond"])
        unfinished = TypeAdapter(tuple[dict[str, Any], ...]).validate_python(about["unfinished"])
        return Waiting(release, beyond, unfinished)
    except (OSError, InvalidJson, ValidationError, KeyError, TypeError):
        return None


def fingerprint(waiting: Waiting) -> str:
    """What tells this draft from any other under its id."""
    release = waiting.release
    whole = [content_hash(release.contract, release.wasm, dict(release.source)), waiting.beyond, waiting.unfinished]
    return hashlib.sha256(canonical([*whole, release.parent]).encode("utf-8", "surrogatepass")).hexdigest()
