"""The gate against near-duplicates: a draft that does what a live capability does already is not published beside it.

Which ones are looked at is a matter of meaning; whether one is a twin is decided by its contract, which has to cover
the draft's, and by what it does on the draft's own examples.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from metier.aliases import can_answer
from metier.capability import Capability, Contract, Example
from metier.compatibility import changes_unseen
from metier.errors import InvalidModule, LibraryError, MetierError
from metier.mutation.regression import whole_difference
from metier.outcomes import Failed
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

    def twin(self, draft: Loaded, contract: Contract, parent: Capability | None) -> Capability | None:
        """The live capability that makes the draft needless; None where there is none, or where it would not show."""
        if changes_unseen(contract):
            return None
        for known in self._nominated(contract, parent):
            more = known.permissions.beyond(contract.permissions)
            if more or can_answer(known, contract, {}) is not None:
                continue
            with contextlib.suppress(InvalidModule, LibraryError):
                loaded = self._load(known)
                if all(self._does(loaded, draft, example) for example in contract.examples):
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

    def _does(self, known: Loaded, draft: Loaded, example: Example) -> bool:
        """Whether it does on an example what the draft does, files included; for an error any of its own."""
        outcome = self._runner.rehearse(known, example.input, fixtures=example.fixtures)
        if example.error is not None:
            return isinstance(outcome, Failed) and outcome.kind in ("program", "input")
        wanted = self._runner.rehearse(draft, example.input, fixtures=example.fixtures)
        return whole_difference(wanted, outcome) is None


def finding(twin: Capability, contract: Contract) -> str:
    """What the author is told."""
    return FINDING.format(id=twin.id, count=len(contract.examples))
