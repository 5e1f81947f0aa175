"""What was made from what."""

from __future__ import annotations

import contextlib
from typing import Any

from metier.capability import Capability
from metier.errors import LibraryError
from metier.evidence import Evidence
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


def history(library: Library, evidence: Evidence, id: str) -> list[dict[str, Any]]:
    """The versions of a capability as JSON values, oldest first, each with what was made from it and its moves from
    state to state that the journal knows of.

    Raises:
        UnknownCapability: there is no such capability.
        BrokenCapability: it does not load.
    """
    keys = {"id", "version", "sha256", "status", "parent", "replaced_by", "summary", "pinned", "provenance"}
    versions, moves, made = library.versions(id), evidence.transitions(id), children(library, id)
    return [
        version.model_dump(mode="json", include=keys)
        | {
            "children": [child.name for child in made.get(version.name, ())],
            "moves": [
                {"at": m.at, "was": m.was, "became": m.became, "reason": m.reason, "run_id": m.run_id}
                for m in moves
                if m.version == version.version
            ],
        }
        for version in versions
    ]
