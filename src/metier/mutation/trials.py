"""One example tried: the program on it as it is, and with something changed around it, to see what depends on what.

Every change is tried on what the first run was told of the outside, so nothing but the change can make a difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from metier import schemas
from metier.capability import Example
from metier.outcomes import Failed, Ran
from metier.permissions import Permissions
from metier.record import Diverged, RecalledRecord
from metier.runner import Loaded, Runner

DIVERGED = ("diverged",)
"""What comes of a run that asks the outside for something else than the first one did."""


@dataclass(frozen=True, slots=True)
class Trial:
    """An example and what the program makes of it."""

    example: Example
    outcome: Ran | Failed

    @property
    def read(self) -> dict[str, bytes]:
        """The files of the host that it read, `root/path`, with what they held."""
        found = {}
        for effect in self.outcome.effects:
            look = effect.look
            if look[:1] == ("files.read",):
                content = self.outcome.blobs.get(json.loads(effect.answer).get("ok", ""))
                if content is not None:
                    found[f"{look[1]}/{look[2]}"] = content
        return found


def tried(runner: Runner, loaded: Loaded, examples: Iterable[Example]) -> list[Trial]:
    """Each example with what the program makes of it, on copies of the data."""
    return [Trial(e, runner.rehearse(loaded, e.input, fixtures=e.fixtures)) for e in examples]


def again(
    runner: Runner,
    loaded: Loaded,
    trial: Trial,
    *,
    input: Any = ...,
    fixtures: Mapping[str, Any] | None = None,
    grant: Permissions | None = None,
) -> Ran | Failed | None:
    """The example once more with another input, with `fixtures` over its own, or with less granted; None where the
    program then asks the outside for something new."""
    example = trial.example
    laid = {**(example.fixtures or {}), **fixtures} if fixtures else example.fixtures
    record = RecalledRecord(trial.outcome.effects, trial.outcome.blobs)
    value = example.input if input is ... else input
    try:
        return runner.rehearse(loaded, value, fixtures=laid, grant=grant, record=record)
    except Diverged:
        return None


def essence(outcome: Ran | Failed | None) -> tuple[Any, ...]:
    """What of an outcome a user could notice."""
    if outcome is None:
        return DIVERGED
    if isinstance(outcome, Ran):
        return ("ran", schemas.canonical(outcome.output), tuple(sorted(outcome.changed.items())))
    return ("failed", outcome.kind, outcome.code)
