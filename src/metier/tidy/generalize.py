"""Constants that want to be parameters: capabilities of one form, each with other literals in its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metier import schemas
from metier.aliases import Alias, can_answer
from metier.capability import Capability, contract_json
from metier.compatibility import essence
from metier.errors import LibraryError, MetierError
from metier.library import source_text
from metier.mutation.gates import mismatch
from metier.prompts import render
from metier.runner import Loaded
from metier.runtime import Runtime
from metier.tidy.behaviour import Behaviour, cannot_be_tried, readable_error
from metier.tidy.literals import Skeleton, parameter_name, same_kind, skeleton
from metier.tidy.proposals import Proposal

MAX_PARAMETERS = 3
"""Literals in which a group may differ; with more of them its members have little in common."""


@dataclass(frozen=True, slots=True)
class Member:
    """A capability with its source taken apart."""

    capability: Capability
    skeleton: Skeleton


class Generalize:
    """Finds such groups, and holds what an author makes of one against all its members."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._behaviour = Behaviour(runtime)

    def find(self, ranked: Sequence[Capability]) -> Iterator[Proposal]:
        """One proposal for each group of capabilities that differ in literals alone; the best of them come first."""
        groups: dict[str, list[Member]] = {}
        for capability in ranked:
            member, key = self._member(capability)
            if member is not None:
                groups.setdefault(key, []).append(member)
        for members in groups.values():
            proposal = _proposed(members)
            if proposal is not None:
                yield proposal

    def findings(self, loaded: Loaded, proposal: Proposal) -> list[str]:
        """Why a program cannot answer for every original of a proposal; empty where it can."""
        return [why for id in proposal.given if (why := self.why_not(loaded, id, proposal)) is not None]

    def why_not(self, loaded: Loaded, id: str, proposal: Proposal) -> str | None:
        """Why a program cannot answer for one original, by contract and by its frozen examples; None where it can."""
        try:
            old = self._runtime.library.get(id)
        except LibraryError as error:
            return readable_error(error)
        alias = Alias(old, loaded.capability, proposal.given[id])
        more = alias.kept.permissions.beyond(old.permissions)
        problem = f"it asks for {', '.join(more)}" if more else can_answer(alias.kept, old, alias.given)
        if problem is not None:
            return f"it cannot be {id} with {schemas.compact(dict(alias.given))}: {problem}"
        for example in old.examples:
            value = alias.input(example.input)
            outcome = self._runtime.runner.rehearse(loaded, value, fixtures=example.fixtures)
            wrong = mismatch(example, outcome)
            if wrong is not None:
                return f"example of {id}, input {schemas.compact(value)[:400]}: {wrong}"
        return None

    def difference(self, old: Capability, kept: Capability, given: Mapping[str, Any]) -> str | None:
        """How a published generalization differs from one original on all that is known of that; None where it does
        not."""
        more = kept.permissions.beyond(old.permissions)
        if more:
            return f"{kept.id} may do more than {old.id}: {', '.join(more)}"
        untried = cannot_be_tried(old)
        if untried is not None:
            return untried
        try:
            return self._behaviour.agreement(Alias(old, kept, given)).difference
        except MetierError as error:
            return readable_error(error)

    def known(self, proposal: Proposal) -> Capability | None:
        """A live capability that is the generalization already."""
        text = proposal.order.partition("\n")[0]
        for capability, _ in self._runtime.nearest(text, len(proposal.given) + 4):
            try:
                fits = capability.id not in proposal.given and not self.findings(
                    self._runtime.load(capability), proposal
                )
            except MetierError:
                continue
            if fits:
                return capability
        return None

    def _member(self, capability: Capability) -> tuple[Member | None, str]:
        try:
            source = self._runtime.library.load(capability.id, capability.version).source
        except LibraryError:
            return None, ""
        found = skeleton(capability.language, source_text(source)) if len(source) == 1 else None
        if found is None or not found.constants:
            return None, ""
        contract = contract_json(capability)
        form = [capability.language, found.rest, capability.effects, contract["permissions"]]
        key = schemas.canonical([*form, essence(capability.input_schema), essence(capability.output_schema)])
        return Member(capability, found), key


def _proposed(members: Sequence[Member]) -> Proposal | None:
    """The proposal for a group; None where its members differ in nothing, or in too much."""
    columns = _differing(members)
    originals = [member.capability for member in members]
    retires = tuple(c.name for c in originals if not c.pinned)
    if len(members) < 2 or not 1 <= len(columns) <= MAX_PARAMETERS or not retires:
        return None
    taken = set(originals[0].input_schema.get("properties", {}))
    parameters: dict[str, str] = {}
    given: dict[str, dict[str, Any]] = {capability.id: {} for capability in originals}
    for hint, values in columns:
        kind = same_kind(values)
        if kind is None:
            return None
        name = parameter_name(hint, taken | set(parameters))
        parameters[name] = kind
        for capability, value in zip(originals, values, strict=True):
            given[capability.id][name] = value
    return Proposal(
        "generalize",
        retires,
        f"{len(originals)} capabilities differ in {_listed(parameters)} alone: {', '.join(c.id for c in originals)}",
        kept=originals[0].name,
        given=given,
        order=render("generalize", originals=originals, parameters=parameters, given=given),
    )


def _differing(members: Sequence[Member]) -> list[tuple[str, list[Any]]]:
    """The literals that are not the same in all, words of errors left out: hint, and the value of each member. One that
    stands in several places counts once."""
    found: dict[str, tuple[str, list[Any]]] = {}
    for constants in zip(*(member.skeleton.constants for member in members), strict=True):
        values = [constant.value for constant in constants]
        hint = constants[0].hint
        if hint is not None and any(value != values[0] for value in values):
            found.setdefault(schemas.canonical(values), (hint, values))
    return list(found.values())


def _listed(parameters: Mapping[str, str]) -> str:
    return " and ".join(f"`{name}`" for name in parameters)
