"""The engines that are shipped with the package: WebAssembly, packed, and pinned by its hash."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import json
import lzma
from dataclasses import dataclass
from typing import Any, Final

from metier.errors import SetupMissing


@dataclass(frozen=True, slots=True)
class Shipped:
    """One engine: `name` is that of its files in metier/engines."""

    name: str
    language: str
    source: str
    """What the source of its capabilities is called."""
    seconds: int
    """How long it takes, about, to be compiled for a machine."""

    @property
    def sha256(self) -> str:
        return str(self.about()["sha256"])

    @property
    def pin(self) -> str:
        """Name and hash, as meta.json's `engine` has them."""
        return f"{self.name}@{self.sha256}"

    def about(self) -> dict[str, Any]:
        """What is recorded beside it: `name`, `sha256`, `size`, what it was built from and holds.

        Raises:
            SetupMissing: the file is absent.
        """
        return _about(self.name, self.language)

    def wasm(self) -> bytes:
        """The engine, unpacked and checked against its hash. Takes up to half a second.

        Raises:
            SetupMissing: the file is absent or damaged.
        """
        try:
            packed = importlib.resources.files("metier.engines").joinpath(f"{self.name}.wasm.xz").read_bytes()
            wasm = lzma.decompress(packed)
        except (FileNotFoundError, lzma.LZMAError) as error:
            raise SetupMissing(f"the {self.language} engine cannot be read: {error}. Reinstall metier") from None
        if hashlib.sha256(wasm).hexdigest() != self.sha256:
            raise SetupMissing(
                f"the {self.language} engine is damaged: its hash differs from the recorded one. Reinstall metier"
            )
        return wasm


@functools.cache
def _about(name: str, language: str) -> dict[str, Any]:
    try:
        text = importlib.resources.files("metier.engines").joinpath(f"{name}.json").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SetupMissing(f"the {language} engine is not installed: {error}. Reinstall metier") from None
    about: dict[str, Any] = json.loads(text)
    return about


PYTHON: Final = Shipped("python-3.14", "Python", "capability.py", 10)
JAVASCRIPT: Final = Shipped("quickjs-0.17", "JavaScript", "capability.js", 2)
SHIPPED: Final = (PYTHON, JAVASCRIPT)
