"""The gate against near-duplicates: a draft that does what a live capability does already is not published beside it.

Which ones are looked at is a matter of meaning; whether one is a twin is decided by its contract, which has to cover
the draft's, and by what it does on the draft's own examples.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from metier.aliases import can_answer
from metier.capability import Capability, Contract, Example
from metier.errors import InvalidModule, LibraryError, MetierError
from metier.mutation.gates import mismatch
from metier.outcomes import Failed, Ran
from metier.runner import Loaded, Runner

MAX_NEIGHBOURS = 3
"""Capabilities that are tried beside the parent."""

Nearest = Callable[[str, int], Sequence[tuple[Capability, float]]]
"""The live capabilities nearest to a text, at most so many."""

FINDING = (
    "`{id}` already does this: its contract covers the draft's, and it comes to the same on all {count} examples. Use "
    "it, or say in the contract what differs, with an example that shows it"
)


class Twins:
    """Looks for live capabilities of one library that do what a draft does."""

    def __init__(self, runner: Runner, load: Callable[[Capability], Loaded], nearest: Nearest) -> None:
        self._runner = runner
        self._load = load
        self._nearest = nearest

    def twin(self, contract: Contract, parent: Capability | None) -> Capability | None:
        """The live capability that makes the draft needless; None where there is none."""
        for known in self._nominated(contract, parent):
            if can_answer(known, contract, {}) is not None:
                continue
            with contextlib.suppress(InvalidModule, LibraryError):
                loaded = self._load(known)
                if all(self._does(loaded, example) for example in contract.examples):
                    return known
        return None

    def _nominated(self, contract: Contract, parent: Capability | None) -> Iterator[Capability]:
        if parent is not None and parent.live:
            yield parent
        own = {contract.id, parent.id if parent is not None else contract.id}
        near: list[Capability] = []
        with contextlib.suppress(MetierError):  # an embedder that is away keeps nobody from publishing
            text = f"{contract.id.replace('_', ' ')}: {contract.summary}"
            near = [capability for capability, _ in self._nearest(text, MAX_NEIGHBOURS + len(own))]
        yield from [capability for capability in near if capability.id not in own][:MAX_NEIGHBOURS]

    def _does(self, loaded: Loaded, example: Example) -> bool:
        """Whether it comes to what the example says; where that is an error, to one of its own, whatever it says."""
        outcome = self._runner.rehearse(loaded, example.input, fixtures=example.fixtures)
        if example.error is not None:
            return isinstance(outcome, Failed) and outcome.kind in ("program", "input")
        return isinstance(outcome, Ran) and mismatch(example, outcome) is None


def finding(twin: Capability, contract: Contract) -> str:
    """What the author is told."""
    return FINDING.format(id=twin.id, count=len(contract.examples))
