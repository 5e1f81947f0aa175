"""All proposals for a library, and each of them carried out: only where it still holds, and in one step each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from metier import events
from metier.capability import Capability
from metier.errors import LibraryError, MetierError
from metier.outcomes import Exists, Mutated, Waits
from metier.runtime import Runtime
from metier.tidy.behaviour import readable_error
from metier.tidy.duplicates import Duplicates
from metier.tidy.generalize import Generalize
from metier.tidy.proposals import Proposal
from metier.tidy.unused import Unused

Emit = Callable[[events.Event], None]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a proposal. `retired` may be fewer than were proposed; `reasons` say why, or why nothing was."""

    proposal: Proposal
    retired: tuple[str, ...]
    kept: str | None = None
    reasons: tuple[str, ...] = ()


class Tidying:
    """Proposes, and carries out, for one library."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._duplicates = Duplicates(runtime)
        self._generalize = Generalize(runtime)
        self._unused = Unused(runtime)

    def find(self) -> list[Proposal]:
        """All proposals: aliases and merges, generalizations, what is unused. No capability is retired by two.

        Raises:
            LibraryError: the library cannot be read.
            ModelError: the embedder's endpoint fails.
        """
        found = list(self._duplicates.find())
        gone = {name.partition("@")[0] for proposal in found for name in proposal.retires}
        ranked = sorted(self._runtime.library.live(), key=self._duplicates.rank)
        found += self._generalize.find([c for c in ranked if c.id not in gone])
        taken = {name for proposal in found for name in (*proposal.retires, proposal.kept)}
        return found + [p for p in self._unused.find() if not taken & set(p.retires)]

    def carry_out(self, proposal: Proposal, emit: Emit = lambda _: None) -> Done:
        """Does what is proposed, if it still holds.

        Raises:
            ModelError: the author of a generalization fails.
        """
        try:
            old = [self._as_seen(name) for name in proposal.retires]
            kept = self._as_seen(proposal.kept) if proposal.kept is not None else None
            if proposal.kind == "generalize":
                assert kept is not None
                return self._generalized(proposal, old, kept, emit)
            again = self._unused.proposal(old[0]) if kept is None else self._duplicates.proposal(kept, old[0])
            if isinstance(again, str):
                return Done(proposal, (), reasons=(again,))
            reason = f"{again.kind}, tidied: {again.why}"
            self._runtime.lifecycle.retire(old[0], reason, kept)
        except LibraryError as error:
            return Done(proposal, (), reasons=(readable_error(error),))
        return Done(proposal, (old[0].name,), kept.name if kept is not None else None)

    def _generalized(self, proposal: Proposal, old: list[Capability], parent: Capability, emit: Emit) -> Done:
        kept = self._generalize.known(proposal)
        if kept is None:
            made = self._written(proposal, parent, emit)
            if isinstance(made, tuple):
                return Done(proposal, (), reasons=made)
            kept = made
        retired, reasons = [], []
        for capability in old:
            given = proposal.given[capability.id]
            problem = self._generalize.difference(capability, kept, given)
            if problem is None:
                try:
                    reason = f"generalize, tidied: {kept.id} with {given} does the same"
                    self._runtime.lifecycle.retire(capability, reason, kept, given)
                    retired.append(capability.name)
                    continue
                except LibraryError as error:
                    problem = readable_error(error)
            reasons.append(f"{capability.id} stays: {problem}")
        return Done(proposal, tuple(retired), kept.name, tuple(reasons))

    def _written(self, proposal: Proposal, parent: Capability, emit: Emit) -> Capability | tuple[str, ...]:
        """The generalization from an author's hand, through all gates; or why there is none."""
        if self._runtime.model is None:
            return ("there is no model to write it; set a key, or [model] in metier.toml",)
        demand = self._generalize.findings
        try:
            outcome, _, _ = self._runtime.mutate_sync(
                proposal.order, parent.id, emit, demand=lambda loaded: demand(loaded, proposal)
            )
        except LibraryError as error:
            return (readable_error(error),)
        if isinstance(outcome, Mutated):
            return outcome.capability
        if isinstance(outcome, Waits):
            asks = ", ".join(outcome.beyond)
            return (f"{outcome.capability} waits for approval of: {asks} (metier approve {outcome.capability})",)
        if isinstance(outcome, Exists):
            try:
                findings = demand(self._runtime.load(outcome.capability), proposal)
            except MetierError as error:
                findings = [readable_error(error)]
            return tuple(findings) or outcome.capability
        return (outcome.reason, *outcome.findings)

    def _as_seen(self, name: str) -> Capability:
        """The capability, if it is live and at the version that was looked at. Raises LibraryError."""
        now = self._runtime.library.get(name.partition("@")[0])
        if now.name != name or not now.live:
            raise LibraryError(f"{name} was looked at, and now {now.name} is {now.status}; look again")
        return now
