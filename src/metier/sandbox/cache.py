"""Compiled code, kept between processes. Loading it is running it, so each file is private and authenticated.

An entry is a file of native code and a tag beside it: an HMAC-SHA256 over its name and code, with a key that only
this user can read. A file that anyone else could have written, or whose tag does not match, is compiled anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import mmap
import os
import platform
import secrets
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import wasmtime
from wasmtime.component import Component

from metier.sandbox.compiler import compile_module
from metier.sandbox.limits import Limits
from metier.sandbox.native import STACK_BYTES

log = logging.getLogger(__name__)
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
        self._setting = f"sha256 tag, {target or 'native'} {platform.machine()} {sys.platform} stack {STACK_BYTES}"

    def module(self, wasm: bytes, limits: Limits) -> wasmtime.Module:
        """The module compiled, from the cache where it is there, else by a process of its own.

        Raises:
            InvalidModule: it does not compile within the limits.
        """
        key = hashlib.sha256(wasm).hexdigest()

        def compiled() -> wasmtime.Module:
            code = compile_module(wasm, limits, self._target)
            return wasmtime.Module.deserialize(self._engine, code)

        return self._load(wasmtime.Module, key, compiled)

    def component(self, key: str, wasm: Callable[[], bytes], announce: Callable[[], None]) -> Component:
        """The component with the content hash `key`; `wasm` is asked for its bytes, and `announce` called, only when it
        has to be compiled."""

        def compiled() -> Component:
            announce()
            return Component(self._engine, wasm())

        return self._load(Component, key, compiled)

    def has(self, key: str) -> bool:
        return self._path(key).exists()

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(f"{key} {self._setting}".encode()).hexdigest()
        return self._folder / f"{name[:40]}.cwasm"

    def _load(self, kind: type[Code], key: str, compile_it: Callable[[], Code]) -> Code:
        path = self._path(key)
        if self._is_authentic(path):
            # Code of another wasmtime version is refused by wasmtime itself, and then replaced.
            with contextlib.suppress(wasmtime.WasmtimeError):
                return kind.deserialize_file(self._engine, str(path))
        code = compile_it()
        try:
            self._store(path, code.serialize())
        except OSError as error:
            log.warning("compiled code is not kept: %s", error)
        return code

    def _is_authentic(self, path: Path) -> bool:
        try:
            tag = path.with_suffix(".tag").read_bytes()
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            with os.fdopen(descriptor, "rb") as file:
                if not _private(os.fstat(file.fileno())) or not _private(self._folder.stat()):
                    return False
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    return hmac.compare_digest(tag, self._tag(path.name, content))
        except (OSError, ValueError):
            return False

    def _store(self, path: Path, code: bytes | bytearray) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for target, content in ((path, code), (path.with_suffix(".tag"), self._tag(path.name, code))):
            temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
            try:
                with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(content)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)

    def _tag(self, name: str, code: bytes | bytearray | mmap.mmap) -> bytes:
        keyed = hmac.new(self._key(), name.encode(), "sha256")
        keyed.update(code)
        return keyed.digest()

    def _key(self) -> bytes:
        path = self._folder / "key"
        try:
            if not _private(path.stat()):
                path.unlink()
            return path.read_bytes()
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = path.with_name(f".key.{secrets.token_hex(8)}")
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)  # keeps the key of whoever came first
            temporary.unlink()
            return path.read_bytes()


def _private(found: os.stat_result) -> bool:
    if os.name == "nt":
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
