"""Whether two capabilities do the same: both run on copies of the data, on every input that is known of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from metier import schemas
from metier.aliases import Alias
from metier.capability import Capability
from metier.compatibility import changes_unseen
from metier.errors import MetierError
from metier.mutation.regression import whole_difference
from metier.outcomes import Ran
from metier.runtime import Runtime

MAX_RECORDED = 30
"""Inputs from the journal, and inputs of solved tasks, that are tried of each."""


@dataclass(frozen=True, slots=True)
class Trial:
    """An input with the files that are laid over the data. A `frozen` one is an example of the one to be retired."""

    input: Any
    fixtures: Mapping[str, Any] | None = None
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class Agreement:
    """On how many inputs two came to the same, of which some to an output; or the first difference."""

    agreed: int
    outputs: int
    difference: str | None = None


class Behaviour:
    """Compares what the capabilities of one library do."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def agreement(self, alias: Alias) -> Agreement:
        """How what would answer compares with what is to be retired.

        Frozen examples of the retired one count always, other inputs where both contracts take them.

        Raises:
            MetierError: one of them cannot be loaded, or their data cannot be read.
        """
        runtime = self._runtime
        old, kept = runtime.load(alias.old), runtime.load(alias.kept)
        agreed = outputs = 0
        for trial in self._pooled(alias):
            value = alias.input(trial.input)
            if not trial.frozen and not (_takes(alias.old, trial.input) and _takes(alias.kept, value)):
                continue
            before = runtime.runner.rehearse(old, trial.input, fixtures=trial.fixtures)
            after = runtime.runner.rehearse(kept, value, fixtures=trial.fixtures)
            difference = whole_difference(before, after)
            if difference is not None:
                shown = schemas.compact(trial.input)[:200]
                return Agreement(agreed, outputs, f"on {shown}, compared with {alias.old.id}, {difference}")
            agreed, outputs = agreed + 1, outputs + isinstance(before, Ran)
        return Agreement(agreed, outputs)

    def _pooled(self, alias: Alias) -> Iterator[Trial]:
        """Every different input of both; where something is added to calls, those of the other are none of this one."""
        seen: set[str] = set()
        own = (alias.old,) if alias.given else (alias.old, alias.kept)
        for trial in itertools.chain.from_iterable(self._known(c, frozen=c is alias.old) for c in own):
            key = schemas.canonical([trial.input, trial.fixtures])
            if key not in seen:
                seen.add(key)
                yield trial

    def _known(self, capability: Capability, *, frozen: bool) -> Iterator[Trial]:
        for example in capability.examples:
            yield Trial(example.input, example.fixtures, frozen)
        for recorded in self._runtime.journal.recorded_inputs(capability, MAX_RECORDED):
            yield Trial(recorded.input)
        for value in self._runtime.memory.inputs(capability.id)[:MAX_RECORDED]:
            yield Trial(value)


def cannot_be_tried(capability: Capability) -> str | None:
    """Why runs of it on copies would tell nothing; None where they do."""
    if capability.permissions.http:
        return f"{capability.id} asks over HTTP, which is not tried"
    if changes_unseen(capability):
        return f"{capability.id} changes a store, of which a trial shows nothing"
    return None


def _takes(capability: Capability, value: Any) -> bool:
    return schemas.violation(capability.input_schema, value) is None


def readable_error(error: MetierError) -> str:
    """An error as the reason of a refusal, in one line."""
    return " ".join(str(error).split())
