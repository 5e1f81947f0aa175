"""What a toolchain needs beside itself and makes once: compiled standard libraries and SDKs.

It is made in a locked room without any draft, and no draft's compiler can write there. The folder is private to the
user; one that others could have written to is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path

from metier.errors import BuildError, SetupMissing
from metier.locks import in_turn
from metier.toolchains.protocol import Workshop


def sdk(*parts: str) -> Path:
    """A folder or file of the SDKs that come with Metier."""
    return Path(str(resources.files(__package__).joinpath("sdk", *parts)))


def prepared(workshop: Workshop, language: str, inputs: Iterable[str | bytes], make: Callable[[Path], None]) -> Path:
    """The folder of what `make` made of these inputs, made now if it is not there. Complete or absent, never half.

    Raises:
        SetupMissing: it cannot be made.
    """
    digest = hashlib.sha256()
    for item in inputs:
        content = item.encode() if isinstance(item, str) else item
        digest.update(len(content).to_bytes(8, "little") + content)
    name = f"{language}-{digest.hexdigest()[:24]}"
    target = workshop.folder / name
    if _is_private(workshop.folder) and _is_private(target):
        return target
    workshop.box.announce(f"preparing {language} for this machine (once, it may take a minute)")
    workshop.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not _is_private(workshop.folder):
        raise SetupMissing(f"{workshop.folder} can be written to by others; name another folder in METIER_CACHE_DIR")
    with in_turn(target):
        return target if _is_private(target) else _made(target, language, make)


def _made(target: Path, language: str, make: Callable[[Path], None]) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    staged = target.with_name(f".{target.name}-{secrets.token_hex(6)}")
    staged.mkdir(mode=0o700)
    try:
        make(staged)
        with contextlib.suppress(OSError):  # somebody else was faster
            staged.rename(target)
    except BuildError as error:
        raise SetupMissing(f"what builds {language} does not work here: {error}") from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return target


def _is_private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.geteuid()
        and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )
