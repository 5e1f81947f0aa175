"""Several files changed as one: what a run wrote is first kept whole as an intent, then made real.

A crash before the intent stands leaves every file as before; after it, the next one who comes makes the rest real.
An intent is a folder `commits/<name>` in the library's state folder; renaming it there is the commit point.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from metier.sandbox.hostfiles import Change, commit, sweep

log = logging.getLogger(__name__)
FOLDER = "commits"
STAGED = ".staged-"
ABOUT = "changes.json"


def keep(
    state: Path | None,
    roots: Mapping[str, Path],
    changes: list[Change],
    *,
    checkpoint: Callable[[str], None] = lambda _: None,
) -> None:
    """Makes the changes of a run real, all or none. Without a state folder a crash may come between two files.

    Raises:
        OSError: they cannot be; then nothing was changed, or `finish` has to be called once the obstacle is gone.
    """
    if state is None or not changes:
        commit(roots, changes, checkpoint=checkpoint)
        return
    if len(changes) == 1:
        _keep_one(state / FOLDER, roots, changes, checkpoint)
        return
    intent = _written(state / FOLDER, changes, checkpoint)
    begun: list[str] = []

    def renamed(path: str) -> None:
        if path:
            begun.append(path)
        checkpoint(path or "staged")

    try:
        commit(roots, changes, token=intent.name, checkpoint=renamed)
    except OSError:
        if not begun:
            shutil.rmtree(intent, ignore_errors=True)
        raise
    checkpoint("made real")
    shutil.rmtree(intent, ignore_errors=True)


def unfinished(state: Path | None) -> bool:
    """Whether a commit is under way, or was broken off."""
    if state is None:
        return False
    try:
        with os.scandir(state / FOLDER) as entries:
            return any(True for _ in entries)
    except OSError:
        return False


def finish(state: Path, roots: Mapping[str, Path]) -> None:
    """Makes real what was broken off after its commit point, and removes what was broken off before.

    To be called under the lock that writers hold. What still cannot be made real waits for the next time.
    """
    for intent in sorted((state / FOLDER).iterdir()):
        stands, token = not intent.name.startswith(STAGED), intent.name.removeprefix(STAGED)
        try:
            if stands or (intent / ABOUT).exists():
                changes = _read(intent)
                sweep(roots, changes, token)
                if stands:
                    commit(roots, changes, token=token)
        except OSError as error:
            log.warning("a commit that was broken off cannot be finished: %s", error)
            continue
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            log.warning("%s is damaged and is dropped: %s", intent, error)
        shutil.rmtree(intent, ignore_errors=True)


def _keep_one(
    folder: Path, roots: Mapping[str, Path], changes: list[Change], checkpoint: Callable[[str], None]
) -> None:
    """One change needs no intent, its rename is the commit point. What it stages is noted for `finish` to sweep."""
    token = secrets.token_hex(8)
    note = folder / f"{STAGED}{token}"
    note.mkdir(parents=True)
    (note / ABOUT).write_text(json.dumps([_about(changes[0])]), encoding="utf-8")
    try:
        commit(roots, changes, token=token, checkpoint=lambda path: checkpoint(path or "staged"))
    finally:
        shutil.rmtree(note, ignore_errors=True)


def _written(folder: Path, changes: list[Change], checkpoint: Callable[[str], None]) -> Path:
    folder.mkdir(exist_ok=True)
    name = secrets.token_hex(8)
    staged = folder / f"{STAGED}{name}"
    staged.mkdir()
    about: list[dict[str, Any]] = []
    for number, change in enumerate(changes):
        about.append(_about(change))
        if change.content is not None:
            about[-1]["content"] = f"{number}"
            _write(staged / f"{number}", change.content)
            checkpoint(f"intent {number}")
    _write(staged / ABOUT, json.dumps(about).encode("utf-8"))
    _sync(staged)
    checkpoint("intent whole")
    intent = folder / name
    staged.rename(intent)
    _sync(folder)
    checkpoint("intent stands")
    return intent


def _about(change: Change) -> dict[str, Any]:
    return {"root": change.root, "path": change.path, "directory": change.directory, "removed": change.removed}


def _read(intent: Path) -> list[Change]:
    """Raises one of several exceptions for what `_written` did not write: a state folder may have come with a library
    that somebody else made."""
    return [
        Change(
            entry["root"],
            _inside(entry["path"]),
            _content(intent, str(int(entry["content"]))) if "content" in entry else None,
            entry["directory"],
            entry["removed"],
        )
        for entry in json.loads(_content(intent, ABOUT))
    ]


def _inside(path: str) -> str:
    if not path or any(name in ("", ".", "..") or "\0" in name for name in path.split("/")):
        raise ValueError(f"{path!r} leads out of its root")
    return path


def _content(intent: Path, name: str) -> bytes:
    if not stat.S_ISREG((intent / name).lstat().st_mode):
        raise ValueError(f"{name} is no file")
    return (intent / name).read_bytes()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
