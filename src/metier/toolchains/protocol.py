"""What every language's file here offers: whether it is installed, what a capability in it looks like, and a build."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from metier.capability import Language
from metier.errors import BuildError
from metier.sandbox.cache import default_cache_folder

if TYPE_CHECKING:
    from metier.sandbox.box import Box

Files = Mapping[str, bytes]
"""A draft's source: plain file names and their contents."""

MAX_SOURCE_BYTES = 4 * 2**20
_SDKS: Final[Mapping[Language, str]] = {"rust": "rust", "go": "go/metier", "c": "c", "cpp": "c", "zig": "zig"}
"""Folders under `sdk`."""


@dataclass(frozen=True, slots=True)
class Found:
    """A toolchain that can build here."""

    name: str
    """Name and version, as provenance keeps them: "go 1.27.3"."""
    path: Path | None = None
    """Its program; None where it is a part of Metier."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What to install, as one line."""

    install: str


@dataclass(frozen=True, slots=True)
class Built:
    """A module, what built it, and the engine that it runs on, as meta.json's `engine` names it."""

    wasm: bytes
    toolchain: str
    engine: str | None = None


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where sources are built. `unlocked` is the operator's word that compilers may run without a lock around them."""

    box: Box
    unlocked: bool = False
    folder: Path = field(default_factory=lambda: default_cache_folder() / "toolchains")
    """What toolchains prepare once, such as a standard library; no draft ever writes there."""


class Toolchain(Protocol):
    """One language."""

    @property
    def language(self) -> Language: ...

    @property
    def file_name(self) -> str:
        """Under which the source of a capability is kept, such as `capability.rs`."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of files in this language, that of `file_name` first."""

    def found(self) -> Found | Missing: ...

    def build(self, files: Files, workshop: Workshop) -> Built:
        """The module. The same source gives the same bytes, wherever and whenever it is built.

        Raises:
            BuildError: the source is at fault; the message is for whoever wrote it, with lines and without host paths.
            SetupMissing: something is not installed, or no lock holds the compiler; the message says what to do.
        """


def template(toolchain: Toolchain) -> str:
    """A short capability in the language, whole and idiomatic, that shows input, output, an error and an effect."""
    return resources.files(__package__).joinpath("templates", toolchain.file_name).read_text(encoding="utf-8")


def reference(toolchain: Toolchain) -> str:
    """What the language's SDK offers, a line a function, from the table of its README; empty where there is no SDK."""
    folder = _SDKS.get(toolchain.language)
    if folder is None:
        return ""
    readme = resources.files(__package__).joinpath("sdk", *folder.split("/"), "README.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ", 1) for line in readme.splitlines() if line.startswith("| `")]
    return "".join(f"- {what}: {does}\n" for what, does in rows)


def text_of(files: Files, file_name: str) -> str:
    """The one source file of a language that knows no others.

    Raises:
        BuildError: it is not there, or is not UTF-8.
    """
    try:
        return checked(files)[file_name].decode("utf-8")
    except KeyError:
        raise BuildError(f"there is no {file_name}") from None
    except UnicodeDecodeError as error:
        raise BuildError(f"{file_name}: not UTF-8 at byte {error.start}") from None


def checked(files: Files) -> Files:
    """The files, if they can be laid into one folder.

    Raises:
        BuildError: a name leads elsewhere, or they are larger together than any source.
    """
    for name in files:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name):
            raise BuildError(f"{name!r} is no plain file name")
    size = sum(map(len, files.values()))
    if size > MAX_SOURCE_BYTES:
        raise BuildError(f"the source has {size} bytes, more than the limit of {MAX_SOURCE_BYTES}")
    return files
