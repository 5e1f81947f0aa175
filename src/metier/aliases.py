"""Retired capabilities whose calls another one answers: the old id goes on, and nothing that was solved is lost.

An alias is a retired capability that names what replaced it, and perhaps what its calls add to the input. It holds as
long as the other is live and its contract, with that added, can provably stand in for the retired one's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from metier.capability import Capability, Contract
from metier.compatibility import stands_in_for, with_given
from metier.errors import LibraryError
from metier.library import Library

MAX_HOPS = 16


@dataclass(frozen=True, slots=True)
class Alias:
    """A retired capability, the live one that answers its calls, and what those add to the input."""

    old: Capability
    kept: Capability
    given: Mapping[str, Any]

    def input(self, value: Any) -> Any:
        """An input of the retired capability as one of the live one."""
        return {**value, **self.given} if self.given and isinstance(value, dict) else value


class Aliases:
    """The aliases of one library. Threads may share it."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._proven: dict[tuple[str | None, str | None, str], bool] = {}

    def among(self, capabilities: Iterable[Capability]) -> dict[str, Alias]:
        """Every alias that holds, by the retired id; `capabilities` are all that the library has now."""
        known = {capability.id: capability for capability in capabilities}
        found = ((id, self._followed(old, known)) for id, old in known.items() if old.replaced_by is not None)
        return {id: alias for id, alias in found if alias is not None}

    def of(self, old: Capability) -> Alias | None:
        """What answers the calls of a capability that is not live; None where nothing does."""
        if old.status != "retired" or old.replaced_by is None:
            return None
        return self._followed(old, None)

    def onto(self, kept: Capability) -> list[Alias]:
        """Those whose calls this one answers. Raises LibraryError where the library cannot be read."""
        return [alias for alias in self.among(self._library.capabilities()).values() if alias.kept.id == kept.id]

    def _followed(self, old: Capability, known: Mapping[str, Capability] | None) -> Alias | None:
        """Goes on to what replaced it, and what replaced that, to one that is live."""
        given: dict[str, Any] = {}
        at = old
        for _ in range(MAX_HOPS):
            if at.status != "retired" or at.replaced_by is None:
                break
            given |= at.replaced_with or {}
            id = at.replaced_by.partition("@")[0]
            try:
                at = known[id] if known is not None else self._library.get(id)
            except (KeyError, LibraryError):
                return None
        if at is old or not at.live or not self._proves(old, at, given):
            return None
        return Alias(old, at, given)

    def _proves(self, old: Capability, kept: Capability, given: Mapping[str, Any]) -> bool:
        key = (old.sha256, kept.sha256, repr(sorted(given.items())))
        if key not in self._proven or None in key:
            self._proven[key] = can_answer(kept, old, given) is None
        return self._proven[key]


def can_answer(kept: Contract, old: Contract, given: Mapping[str, Any]) -> str | None:
    """Why `kept`, with what is given added to the input, cannot answer the calls of `old`; None where it can.

    Beyond standing in for the contract it has to know every property of the input: one that it ignored would be lost.
    """
    whole = with_given(kept, given)
    if isinstance(whole, str):
        return whole
    clash = sorted(set(given) & set(old.input_schema.get("properties", {})))
    if clash:
        return f"its input has {clash[0]} already"
    ignored = sorted(set(old.input_schema.get("properties", {})) - set(kept.input_schema.get("properties", {})))
    if ignored:
        return f"its input has no {ignored[0]}"
    return next(iter(stands_in_for(whole, old)), None)
