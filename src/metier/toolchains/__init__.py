"""Source → wasm, one file a language. `toolchain(language)` is the way in; `protocol` says what each offers."""

from __future__ import annotations

from collections.abc import Mapping

from metier.capability import Language
from metier.errors import BuildError
from metier.toolchains.c import C
from metier.toolchains.cpp import CPP
from metier.toolchains.go import GO
from metier.toolchains.javascript import JAVASCRIPT
from metier.toolchains.lock import problem_with_lock
from metier.toolchains.protocol import Built, Files, Found, Missing, Toolchain, Workshop, reference, template
from metier.toolchains.python import PYTHON
from metier.toolchains.rust import RUST
from metier.toolchains.wat import WAT
from metier.toolchains.zig import ZIG

__all__ = [
    "BY_SUFFIX",
    "TOOLCHAINS",
    "Built",
    "Files",
    "Found",
    "Missing",
    "Toolchain",
    "Workshop",
    "installed",
    "reference",
    "template",
    "toolchain",
]

TOOLCHAINS: Mapping[Language, Toolchain] = {t.language: t for t in (PYTHON, JAVASCRIPT, RUST, GO, C, CPP, ZIG, WAT)}
"""The first one is what an author writes in unless there is a reason for another."""

BY_SUFFIX: Mapping[str, Toolchain] = {suffix: t for t in TOOLCHAINS.values() for suffix in t.suffixes}


def toolchain(language: Language) -> Toolchain:
    """The toolchain of a language.

    Raises:
        BuildError: Metier builds no such language.
    """
    try:
        return TOOLCHAINS[language]
    except KeyError:
        raise BuildError(f"Metier builds no {language}; it builds {', '.join(TOOLCHAINS)}") from None


def installed(*, unlocked: bool = False) -> list[Language]:
    """The languages that can be built on this machine; `unlocked` as in Workshop."""
    may_compile = unlocked or problem_with_lock() is None
    found = {language: t.found() for language, t in TOOLCHAINS.items()}
    return [language for language, f in found.items() if isinstance(f, Found) and (may_compile or f.path is None)]
