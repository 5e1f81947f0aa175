"""What was made from what."""

from __future__ import annotations

import contextlib

from metier.capability import Capability
from metier.errors import LibraryError
from metier.library import Library


def children(library: Library, id: str) -> dict[str, list[Capability]]:
    """The capabilities with another id that were made from a version of this one, by the name of that version."""
    found: dict[str, list[Capability]] = {}
    for capability in library.capabilities():
        with contextlib.suppress(LibraryError):
            first = capability if capability.version == 1 else library.get(capability.id, 1)
            if capability.id != id and first.parent is not None and first.parent.partition("@")[0] == id:
                found.setdefault(first.parent, []).append(capability)
    return found
