"""Compiled code, kept between processes. Loading it is running it, so each file is private and authenticated.

An entry is a file of native code and a tag beside it: an HMAC-SHA256 over its name and code, with a key that only
this user can read. A file that anyone else could have written, or whose tag does not match, is compiled anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import os
import platform
import secrets
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeVar

import wasmtime
from wasmtime.component import Component

from metier.locks import in_turn
from metier.sandbox.compiler import compile_module
from metier.sandbox.limits import Limits

log = logging.getLogger(__name__)
PART = 2**20
"""Bytes that are read at a time, so that code of any size takes no memory of its own."""
Code = TypeVar("Code", wasmtime.Module, Component)


def default_cache_folder() -> Path:
    """METIER_CACHE_DIR, else the user's cache folder of this system."""
    if named := os.environ.get("METIER_CACHE_DIR"):
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "metier"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "metier"


class CompiledCode:
    """The cache of one engine configuration (`target` names it) in one folder."""

    def __init__(self, engine: wasmtime.Engine, folder: Path, target: str | None = None) -> None:
        self._engine = engine
        self._folder = folder
        self._target = target
        self._setting = f"sha256 tag, {target or 'native'} {platform.machine()} {sys.platform}"

    def module(self, wasm: bytes, limits: Limits) -> wasmtime.Module:
        """The module compiled, from the cache where it is there, else by a process of its own.

        Raises:
            InvalidModule: it does not compile within the limits.
        """

        def compiled(file: IO[bytes]) -> None:
            compile_module(wasm, limits, file, self._target)

        return self._load(wasmtime.Module, hashlib.sha256(wasm).hexdigest(), compiled)

    def component(self, key: str, wasm: Callable[[], bytes], announce: Callable[[], None]) -> Component:
        """The component with the content hash `key`; `wasm` is asked for its bytes, and `announce` called, only when it
        has to be compiled."""

        def compiled(file: IO[bytes]) -> None:
            announce()
            file.write(Component(self._engine, wasm()).serialize())

        return self._load(Component, key, compiled, one_by_one=True)

    def engine(self, key: str, wasm: Callable[[], bytes], announce: Callable[[], None]) -> wasmtime.Module:
        """The same for an engine that is a core module; it is compiled by a process of its own."""

        def compiled(file: IO[bytes]) -> None:
            announce()
            compile_module(wasm(), Limits(), file, self._target)

        return self._load(wasmtime.Module, key, compiled, one_by_one=True)

    def has(self, key: str) -> bool:
        return self._path(key).exists()

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(f"{key} {self._setting}".encode()).hexdigest()
        return self._folder / f"{name[:40]}.cwasm"

    def _load(
        self, kind: type[Code], key: str, compile_into: Callable[[IO[bytes]], None], *, one_by_one: bool = False
    ) -> Code:
        """The code, compiled if it is not there. With `one_by_one` one process does that while others wait for it."""
        path = self._path(key)
        if (found := self._kept(kind, path)) is not None:
            return found
        with self._own_folder() as folder, in_turn(Path(folder, path.name)) if one_by_one else contextlib.nullcontext():
            if one_by_one and (found := self._kept(kind, path)) is not None:
                return found
            with _private_file(Path(folder, path.name)) as fresh:
                with fresh.open("r+b") as file:
                    compile_into(file)
                kept = folder == self._folder and self._keep(fresh, path)
                return kind.deserialize_file(self._engine, str(path if kept else fresh))

    def _kept(self, kind: type[Code], path: Path) -> Code | None:
        """What the cache has, if it is what was put there. Code of another wasmtime version wasmtime itself refuses."""
        if self._is_authentic(path):
            with contextlib.suppress(wasmtime.WasmtimeError):
                return kind.deserialize_file(self._engine, str(path))
        return None

    def _own_folder(self) -> contextlib.AbstractContextManager[Path | str]:
        """A folder that nobody else can write to: the cache's, or else one that is gone afterwards."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not _private(self._folder.stat()) or not os.access(self._folder, os.W_OK):
                raise PermissionError(f"{self._folder} is not this user's alone to write to")
            return contextlib.nullcontext(self._folder)
        except OSError as error:
            log.warning("compiled code is not kept: %s", error)
            return tempfile.TemporaryDirectory(prefix="metier-", ignore_cleanup_errors=True)

    def _keep(self, fresh: Path, path: Path) -> bool:
        """Gives a file of code its name and its tag; whether that could be."""
        try:
            with fresh.open("rb") as file, _private_file(path.with_suffix(".tag")) as tag:
                tag.write_bytes(self._tag(path.name, file))
                tag.replace(path.with_suffix(".tag"))
            fresh.replace(path)
        except OSError as error:
            log.warning("compiled code is not kept: %s", error)
            return False
        return True

    def _is_authentic(self, path: Path) -> bool:
        try:
            tag = path.with_suffix(".tag").read_bytes()
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            with os.fdopen(descriptor, "rb") as file:
                if not _private(os.fstat(file.fileno())) or not _private(self._folder.stat()):
                    return False
                return hmac.compare_digest(tag, self._tag(path.name, file))
        except OSError:
            return False

    def _tag(self, name: str, code: IO[bytes]) -> bytes:
        keyed = hmac.new(self._key(), name.encode(), "sha256")
        while part := code.read(PART):
            keyed.update(part)
        return keyed.digest()

    def _key(self) -> bytes:
        path = self._folder / "key"
        try:
            if not _private(path.stat()):
                path.unlink()
            return path.read_bytes()
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _private_file(path) as temporary:
                temporary.write_bytes(secrets.token_bytes(32))
                with contextlib.suppress(FileExistsError):
                    os.link(temporary, path)  # keeps the key of whoever came first
            return path.read_bytes()


@contextlib.contextmanager
def _private_file(beside: Path) -> Iterator[Path]:
    """An empty file of a name of its own beside another, which only this user can read; it is gone afterwards, unless
    it was renamed."""
    path = beside.with_name(f".{beside.name}.{secrets.token_hex(8)}")
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _private(found: os.stat_result) -> bool:
    if os.name == "nt":
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
