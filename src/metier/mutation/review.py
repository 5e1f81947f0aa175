"""All gates in their order, from the cheapest on: what a draft must pass before anyone else can see it.

permissions → build → contract → examples → determinism → regression → rights → probes → duplicates → approval
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metier.approval import Decision
from metier.capability import Capability, Contract, Example, Language, Provenance, unpublished
from metier.config import Policy
from metier.errors import BuildError, InvalidModule
from metier.library import Artifact, Library, Release, source_text
from metier.mutation import gates
from metier.mutation.asking import Asking
from metier.mutation.draft import Draft
from metier.mutation.pending import Waiting
from metier.mutation.probing import check_probes
from metier.mutation.regression import Regression
from metier.mutation.rights import check_rights
from metier.mutation.sameness import same_program
from metier.mutation.trials import Trial, tried
from metier.mutation.twins import Twins, finding
from metier.runner import Loaded, Runner
from metier.schemas import canonical
from metier.toolchains import Built, Files


@dataclass(frozen=True, slots=True)
class Handed:
    """A draft as it was handed in: by whom, and what it came from.

    What a person wrote `by_hand` needs one example only. The `last` draft of an order that has its parent's id and
    cannot take its place gets an id of its own.
    """

    draft: Draft
    parent: Artifact | None
    author: str
    prompt_sha256: str | None = None
    by_hand: bool = False
    last: bool = False

    @property
    def capability(self) -> Capability | None:
        """The parent, as the library lists it."""
        return self.parent.capability if self.parent else None


@dataclass(frozen=True, slots=True)
class Checked:
    """A draft after the gates: what they found, and the release that may be published if they found nothing.

    `beyond` is what a person has to approve first; empty where nobody has to. `unfinished` are examples that may not
    even be run before that.
    """

    findings: tuple[str, ...]
    release: Release | None = None
    beyond: tuple[str, ...] = ()
    unfinished: tuple[dict[str, Any], ...] = ()
    apart: tuple[str, ...] = ()
    """Why it got an id of its own instead of its parent's."""
    existing: Capability | None = None
    """What does the same already, where that is what was found."""


class Review:
    """Takes drafts for one library through the gates."""

    def __init__(
        self,
        library: Library,
        runner: Runner,
        *,
        roots: Mapping[str, Path],
        policy: Policy,
        asking: Asking,
        regression: Regression,
        twins: Twins,
        build: Callable[[Language, Files], Built],
    ) -> None:
        self._library = library
        self._runner = runner
        self._roots = roots
        self._policy = policy
        self._asking = asking
        self._regression = regression
        self._twins = twins
        self._build = build

    def check(self, handed: Handed) -> Checked:
        """What all gates find, as far as each can do without the others.

        Raises:
            SetupMissing: what builds its language is not installed, or may not run.
        """
        contract, findings, apart = self._identified(handed)
        try:
            built = self._built(handed.draft)
            loaded = self._runner.load(unpublished(contract), built.wasm)
        except (BuildError, InvalidModule) as error:
            findings += gates.check_contract(contract, self.taken(), handed.capability, least=0)
            return Checked((f"the source does not build: {error}", *findings))
        decision = None
        if self._asking.shows_more(contract, handed.parent):
            findings += self._contract_findings(handed, contract, open_=len(handed.draft.unfinished))
            decision = Decision(None, "nobody") if findings else self._decision(handed, contract)
            if findings or not decision.approved:
                release = _release(handed, contract, built, decision, {})
                return self._undecided(handed, findings, decision, release, handed.draft.unfinished)
        contract, findings, worse, notes = self._exercised(handed, contract, loaded, built.wasm, findings, apart)
        if findings:
            return Checked(tuple(dict.fromkeys(findings)))
        apart = apart or worse
        if twin := self._twin(handed, loaded, contract, apart):
            return Checked((finding(twin, contract),), existing=twin)
        decision = decision or self._decision(handed, contract)
        release = _release(handed, contract, built, decision, notes)
        if decision.approved:
            return Checked((), release, apart=tuple(apart))
        return dataclasses.replace(self._undecided(handed, [], decision, release, ()), apart=tuple(apart))

    def again(self, waiting: Waiting) -> tuple[Contract, list[str]]:
        """The contract of a draft that waited, with the examples that had to wait, and what is found when all are run
        once more: the data may have changed since."""
        release = waiting.release
        loaded = self._runner.load(unpublished(release.contract), release.wasm)
        findings = gates.check_permissions(release.contract, self._policy, self._roots)
        contract, problems = gates.finished(self._runner, loaded, release.contract, waiting.unfinished)
        trials = tried(self._runner, loaded, contract.examples)
        findings += problems + gates.check_examples(trials)
        findings = findings or self._determinism(contract, loaded, release.wasm, trials)
        findings = findings or check_rights(self._runner, loaded, trials)
        if not findings and release.parent is not None and release.parent.partition("@")[0] == contract.id:
            contract, findings = self._carried_on(contract, loaded, self._library.get(contract.id))
        return contract, findings

    def taken(self) -> Sequence[str]:
        """Ids that are somebody's already."""
        return [*(c.id for c in self._library.capabilities()), *(b.folder for b in self._library.broken())]

    def _identified(self, handed: Handed) -> tuple[Contract, list[str], Sequence[str]]:
        """The contract under the id that it may have, what is found of its permissions and identity, and why it stands
        apart from its parent if it does."""
        contract, capability = handed.draft.contract, handed.capability
        findings = gates.check_permissions(contract, self._policy, self._roots)
        if capability is None or contract.id != capability.id:
            return contract, findings, ()
        problems = gates.check_replacement(contract, capability, by_hand=handed.by_hand)
        if handed.last and problems:
            return self._sibling(contract), findings, problems
        return contract, findings + problems, ()

    def _contract_findings(self, handed: Handed, contract: Contract, *, open_: int = 0) -> list[str]:
        least = 1 if handed.by_hand else gates.MIN_EXAMPLES
        return gates.check_contract(contract, self.taken(), handed.capability, least=least, open_=open_)

    def _exercised(
        self,
        handed: Handed,
        contract: Contract,
        loaded: Loaded,
        wasm: bytes,
        findings: list[str],
        apart: Sequence[str],
    ) -> tuple[Contract, list[str], Sequence[str], dict[str, str]]:
        """The program run: the contract as it then is, what is found, why it stands apart, and what the gates saw."""
        contract, problems = gates.finished(self._runner, loaded, contract, handed.draft.unfinished)
        findings = findings + problems + self._contract_findings(handed, contract)
        trials = tried(self._runner, loaded, contract.examples)
        findings += gates.check_examples(trials)
        findings = findings or self._determinism(contract, loaded, wasm, trials)
        worse: list[str] = []
        notes = {"examples": f"{len(trials)} hold", "determinism": "the same on two back ends"}
        capability = handed.capability
        if not findings and capability is not None and contract.id == capability.id:
            contract, worse = self._carried_on(contract, loaded, capability)
            if worse and handed.last:
                contract = self._sibling(contract)
            else:
                findings = worse
            notes["regression"] = "apart from its parent" if worse else f"does what {capability.name} did"
        findings = findings or check_rights(self._runner, loaded, trials, named=not (apart or worse))
        if not handed.by_hand:
            findings = findings or _unchanged(handed, contract)
            findings = findings or check_probes(self._runner, loaded, trials)
        return contract, findings, worse, notes

    def _twin(self, handed: Handed, loaded: Loaded, contract: Contract, apart: Sequence[str]) -> Capability | None:
        """What does the same already, for a draft that is to stand beside it."""
        capability = handed.capability
        if handed.by_hand or apart or (capability is not None and contract.id == capability.id):
            return None
        return self._twins.twin(loaded, contract, capability)

    def _determinism(self, contract: Contract, loaded: Loaded, wasm: bytes, trials: Sequence[Trial]) -> list[str]:
        portable = self._runner.portable.load(unpublished(contract), wasm)
        return gates.check_determinism(self._runner, loaded, portable, trials)

    def _carried_on(self, contract: Contract, loaded: Loaded, parent: Capability) -> tuple[Contract, list[str]]:
        """A replacement's contract with the examples of its parent, and with the inputs on which that failed; and what
        it does worse."""
        found = self._regression.check(loaded, contract, parent)
        if found.problems:
            return contract, list(found.problems)
        whole = _with_examples_of(contract, parent)
        return whole.model_copy(update={"examples": (*whole.examples, *found.examples)}), []

    def _sibling(self, contract: Contract) -> Contract:
        """The same under an id that is free."""
        taken = set(self.taken())
        ids = (f"{contract.id[:60]}_{number}" for number in itertools.count(2))
        return contract.model_copy(update={"id": next(id for id in ids if id not in taken)})

    def _built(self, draft: Draft) -> Built:
        return Built(draft.wasm, "") if draft.wasm is not None else self._build(draft.contract.language, draft.files)

    def _decision(self, handed: Handed, contract: Contract) -> Decision:
        return self._asking.decide(contract, handed.draft.source, handed.parent)

    def _undecided(
        self,
        handed: Handed,
        findings: list[str],
        decision: Decision,
        release: Release,
        unfinished: tuple[dict[str, Any], ...],
    ) -> Checked:
        """A draft that is not published yet: it has findings, a person said no, or it waits for one."""
        beyond = self._asking.beyond(release.contract, handed.parent)
        if findings:
            return Checked(tuple(dict.fromkeys(findings)))
        if decision.approved is False:
            refusal = f"its permissions were not approved: {', '.join(beyond)}: {decision.reason}. Ask for less."
            return Checked((refusal,))
        return Checked((), release, beyond, unfinished)


def _release(handed: Handed, contract: Contract, built: Built, decision: Decision, notes: Mapping[str, str]) -> Release:
    provenance = Provenance(
        author=handed.author,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        prompt_sha256=handed.prompt_sha256,
        toolchain=built.toolchain if handed.draft.wasm is None else None,
        approved_by=decision.by,
        gates=dict(notes),
    )
    return Release(
        contract=contract,
        wasm=built.wasm,
        source=handed.draft.files,
        engine=built.engine,
        parent=handed.capability.name if handed.capability else None,
        provenance=provenance,
        status="active" if handed.by_hand else "candidate",
    )


def _unchanged(handed: Handed, contract: Contract) -> list[str]:
    """Why a draft is its parent once more."""
    parent = handed.parent
    if parent is None or contract.language != parent.capability.language:
        return []
    was = parent.capability
    same = same_program(handed.draft.source, source_text(parent.source), contract.language)
    if not same or _promises(contract) != _promises(was):
        return []
    return [f"the source says what that of {was.name} says, and so does the contract: use {was.id!r} as it is"]


def _promises(contract: Contract) -> list[Any]:
    """What a contract says that a program could do more of, or less."""
    return [contract.input_schema, contract.output_schema, contract.effects, contract.permissions]


def _with_examples_of(contract: Contract, parent: Capability) -> Contract:
    """A new version carries its parent's frozen examples on, in front of its own."""

    def key(example: Example) -> str:
        return canonical([example.task, example.input, example.fixtures])

    frozen = {key(example) for example in parent.examples}
    own = tuple(example for example in contract.examples if key(example) not in frozen)
    return contract.model_copy(update={"examples": (*parent.examples, *own)})
