"""Capabilities that are one: the same program under two names, or two programs that come to the same.

Likeness in meaning only says which pairs are worth a look. Contracts decide which may answer for which; what they do
decides whether it may.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from metier import schemas
from metier.aliases import Alias, can_answer
from metier.capability import Capability, contract_json
from metier.compatibility import essence
from metier.errors import LibraryError, MetierError
from metier.lifecycle import RANK
from metier.runtime import Runtime
from metier.tidy.behaviour import Behaviour, cannot_be_tried, readable_error
from metier.tidy.proposals import Proposal

MIN_OUTPUTS = 3
"""Different inputs on which two must come to the same output, before they count as one."""

Rank = tuple[bool, int, int, int, str, str]


class Duplicates:
    """Finds pairs of which one may go, and says whether one still may."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._behaviour = Behaviour(runtime)
        self._programs: dict[tuple[str, str | None], str] = {}

    def find(self) -> Iterator[Proposal]:
        """Aliases and merges; one that is kept by one proposal is retired by no other."""
        ranked = sorted(self._runtime.library.live(), key=self.rank)
        partners = self._partners(ranked)
        gone: set[str] = set()
        for old in reversed(ranked):
            for kept in partners.get(old.id, ()):
                if kept.id in gone:
                    continue
                proposal = self.proposal(kept, old)
                if isinstance(proposal, Proposal):
                    gone.add(old.id)
                    yield proposal
                    break

    def proposal(self, kept: Capability, old: Capability) -> Proposal | str:
        """To have one answer for the other; or why not."""
        why_not = self._why_not(kept, old)
        if why_not is not None:
            return why_not
        program = self._program(old)
        if program is not None and program == self._program(kept):
            return Proposal("alias", (old.name,), f"{kept.id} is the same program with the same contract", kept.name)
        untried = cannot_be_tried(kept) or cannot_be_tried(old)
        if untried is not None:
            return untried
        try:
            found = self._behaviour.agreement(Alias(old, kept, {}))
        except MetierError as error:
            return readable_error(error)
        if found.difference is not None:
            return found.difference
        if found.outputs < MIN_OUTPUTS:
            return f"only {found.outputs} inputs with an output are known that both take"
        inputs = f"{found.agreed} of {found.agreed} known inputs"
        why = f"{kept.id} takes all that {old.id} takes, and came to the same on {inputs}"
        return Proposal("merge", (old.name,), why, kept.name, found.agreed)

    def rank(self, capability: Capability) -> Rank:
        """Sorts the better one first: pinned, of a higher state, with more evidence, more examples, older."""
        made = capability.provenance.created if capability.provenance else datetime.now(UTC).isoformat()
        evidence = self._runtime.journal.evidence.count(capability)
        state = RANK[capability.status]
        return (not capability.pinned, -state, -evidence, -len(capability.examples), made, capability.id)

    def _why_not(self, kept: Capability, old: Capability) -> str | None:
        if old.pinned:
            return f"a person pinned {old.name}"
        if RANK[kept.status] < RANK[old.status]:
            return f"{old.id} is {old.status}, and {kept.id} only {kept.status}"
        problem = can_answer(kept, old, {})
        if problem is not None:
            return f"{kept.id} cannot answer for {old.id}: {problem}"
        more = kept.permissions.beyond(old.permissions)
        return f"{kept.id} may do more than {old.id}: {', '.join(more)}" if more else None

    def _partners(self, ranked: Sequence[Capability]) -> dict[str, list[Capability]]:
        """For each the better ones that may be the same, the likeliest first: those with its program, then those that
        mean nearly the same."""
        place = {capability.id: number for number, capability in enumerate(ranked)}
        found: dict[str, list[Capability]] = {}
        first: dict[str, Capability] = {}
        for capability in ranked:
            program = self._program(capability)
            if program is not None and first.setdefault(program, capability) is not capability:
                found.setdefault(capability.id, []).append(first[program])
        for one, other, _ in self._runtime.finder.alike():
            if one.id in place and other.id in place:
                better, worse = sorted((one, other), key=lambda c: place[c.id])
                if better not in found.setdefault(worse.id, []):
                    found[worse.id].append(better)
        return found

    def _program(self, capability: Capability) -> str | None:
        """What is the same only for the same program with the same contract; None where it cannot be read."""
        owner = (capability.id, capability.sha256)
        if capability.sha256 is not None and owner in self._programs:
            return self._programs[owner]
        try:
            wasm = self._runtime.library.load(capability.id, capability.version).wasm
        except LibraryError:
            return None
        contract = contract_json(capability)
        parts = [capability.effects, contract["permissions"], hashlib.sha256(wasm).hexdigest(), capability.engine]
        parts += [essence(capability.input_schema), essence(capability.output_schema)]
        self._programs[owner] = schemas.canonical(parts)
        return self._programs[owner]
