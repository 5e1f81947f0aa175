"""Metier: a self-evolving agent runtime. What was solved once is kept as verified WebAssembly.

The names below are loaded when they are first used, so that `import metier` stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metier.capability import Capability
    from metier.library import Library
    from metier.runtime import Answer, Runtime

__all__ = ["Answer", "Capability", "Library", "Runtime"]
__version__ = "0.1.0"

_ROOMS = {
    "Answer": "metier.runtime",
    "Capability": "metier.capability",
    "Library": "metier.library",
    "Runtime": "metier.runtime",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'metier' has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)
