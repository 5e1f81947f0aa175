"""Two versions held against each other, part by part: each key of the contract, and each source file."""

from __future__ import annotations

import difflib
import json

from metier.capability import Contract, contract_json
from metier.library import Artifact


def parts(contract: Contract, source: dict[str, bytes]) -> dict[str, str]:
    """What a version says, as texts: the contract's keys as JSON, and the source files as `src/…`."""
    told = {key: value for key, value in contract_json(contract).items() if key != "id"}
    texts = {key: json.dumps(value, indent=2, ensure_ascii=False) for key, value in told.items()}
    return texts | {f"src/{path}": text.decode("utf-8", "replace") for path, text in sorted(source.items())}


def changed(old: Artifact, new: Artifact) -> dict[str, tuple[str, str]]:
    """The parts that differ, by name, each as it was and as it is; "" where one of the two lacks it."""
    before, after = (parts(artifact.capability, dict(artifact.source)) for artifact in (old, new))
    names = dict.fromkeys((*after, *before))
    pairs = {name: (before.get(name, ""), after.get(name, "")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def unified(old: Artifact, new: Artifact) -> dict[str, list[str]]:
    """The lines of a unified diff of each part that differs."""
    before, after = old.capability.name, new.capability.name
    return {
        part: list(
            difflib.unified_diff(was.splitlines(), now.splitlines(), f"{before}/{part}", f"{after}/{part}", lineterm="")
        )
        for part, (was, now) in changed(old, new).items()
    }
