"""What tests of compiled languages share: which can be built here, and a build."""

from __future__ import annotations

import pytest

from metier.sandbox.box import Box
from metier.toolchains import TOOLCHAINS, Missing, Workshop, toolchain
from metier.toolchains.lock import problem_with_lock

COMPILED = ["rust", "go", "c", "cpp", "zig"]
"""Languages whose compilers run in a locked room."""

SELF_MADE = [language for language in TOOLCHAINS if language not in COMPILED]


def need(language: str, *, locked: bool = True) -> None:
    """Skips the test where the language cannot be built here, with the reason."""
    found = toolchain(language).found()  # type: ignore[arg-type]
    if isinstance(found, Missing):
        pytest.skip(f"no {language}: {found.install}")
    if locked and language in COMPILED and (problem := problem_with_lock()):
        pytest.skip(problem)


def build(language: str, source: str, box: Box, **more: str) -> bytes:
    """The module of a source, with `more` files beside it: `x_h="…"` is `x.h`."""
    need(language)
    chain = toolchain(language)  # type: ignore[arg-type]
    files = {name.replace("_", ".", 1): text.encode() for name, text in more.items()}
    return chain.build({chain.file_name: source.encode(), **files}, Workshop(box)).wasm
