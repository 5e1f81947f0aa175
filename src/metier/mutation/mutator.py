"""One mutation from task to published version: author → gates → publish, at most so many rounds.

A draft lives in memory until it is published, so a mutation that fails or dies leaves no trace in the library.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metier import events
from metier.aliases import Aliases
from metier.approval import Approver, Decision, Request
from metier.capability import Capability, Contract, Example, Language, Provenance, unpublished
from metier.config import Settings
from metier.errors import BuildError, InvalidModule, PublishConflict, SetupMissing
from metier.evidence import Failure
from metier.journal import Journal
from metier.library import Artifact, Library, Release, source_text
from metier.model import ChatModel
from metier.mutation import gates
from metier.mutation.author import Author, brief
from metier.mutation.desk import Surroundings
from metier.mutation.draft import Draft, NotADraft, draft_of
from metier.mutation.independence import Independence
from metier.mutation.pending import PendingDrafts, Waiting
from metier.mutation.probing import check_probes
from metier.mutation.regression import Regression
from metier.mutation.rights import check_rights
from metier.mutation.sameness import same_program
from metier.mutation.trials import Trial, tried
from metier.mutation.twins import Nearest, Twins, finding
from metier.outcomes import Exists, Mutated, Mutation, NotMutated, Waits
from metier.permissions import Permissions
from metier.prompts import fingerprint, render
from metier.runner import Loaded, Runner
from metier.schemas import canonical
from metier.toolchains import Built, Files, Workshop, installed, toolchain

Emit = Callable[[events.Event], None]

MAX_FAILURES_SHOWN = 3


Demand = Callable[[Loaded], list[str]]
"""What one order wants of a program beyond the gates; findings, empty where it is met."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of the drafts of one order: to come after version `follows` of the parent, and a demand."""

    follows: int | None = None
    demand: Demand | None = None


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


class Mutator:
    """Makes capabilities for one library."""

    def __init__(
        self,
        library: Library,
        runner: Runner,
        *,
        roots: Mapping[str, Path],
        settings: Settings,
        approver: Approver,
        pending: PendingDrafts,
        journal: Journal,
        load: Callable[[Capability], Loaded],
        nearest: Nearest = lambda text, k: (),
    ) -> None:
        self._library = library
        self._evidence = journal.evidence
        recorded = settings.lifecycle.recorded_inputs
        self._regression = Regression(runner, journal, load, Aliases(library), recorded_inputs=recorded)
        self._twins = Twins(runner, load, nearest)
        self._runner = runner
        self._workshop = Workshop(runner.box, settings.toolchains.unlocked)
        self._roots = roots
        self._settings = settings
        self._policy = settings.policy
        self._approver = approver
        self._pending = pending

    async def mutate(
        self,
        model: ChatModel,
        task: str,
        parent: Artifact | None,
        emit: Emit,
        *,
        neighbours: Sequence[Capability] = (),
        tester: ChatModel | None = None,
        demand: Demand | None = None,
    ) -> tuple[Mutation, int, int]:
        """The outcome, with how often models were asked and how many tokens that took.

        `neighbours` are the capabilities nearest to the task, of which one may do it already. `tester` writes tests
        without seeing what the author wrote. What a `demand` finds goes back to the author like what the gates find.

        Raises:
            ModelError: the author's endpoint fails; the library is as it was.
        """
        author = self._author(model, task, parent, neighbours, emit)
        return await self._written(author, self._independence(tester, emit), parent, emit, Wanted(demand=demand))

    async def repair(
        self,
        model: ChatModel,
        parent: Artifact,
        failures: Sequence[Failure],
        follows: int,
        emit: Emit,
        *,
        tester: ChatModel | None = None,
    ) -> tuple[Mutation, int, int]:
        """Has a version mended that broke its contract; what comes of it takes the place of version `follows`.

        Raises:
            ModelError: the author's endpoint fails; the library is as it was.
        """
        task = render("repair", parent=parent.capability, failures=failures[-MAX_FAILURES_SHOWN:])
        author = self._author(model, task, parent, (), emit, kept=parent.capability)
        return await self._written(author, self._independence(tester, emit), parent, emit, Wanted(follows))

    def _author(
        self,
        model: ChatModel,
        task: str,
        parent: Artifact | None,
        neighbours: Sequence[Capability],
        emit: Emit,
        *,
        kept: Capability | None = None,
    ) -> Author:
        agent = self._settings.agent
        return Author(
            model,
            task,
            parent,
            self._surroundings(parent, neighbours),
            taken=self._taken(),
            steps=agent.mutation_steps,
            tokens=agent.mutation_tokens,
            emit=emit,
            kept=kept,
        )

    async def _written(
        self,
        author: Author,
        independence: Independence | None,
        parent: Artifact | None,
        emit: Emit,
        wanted: Wanted,
    ) -> tuple[Mutation, int, int]:
        """Drafts, as many as may be, until one passes the gates; if they are as `wanted`."""
        outcome = await self._passed(author, independence, parent, emit, wanted)
        asked, tokens = (independence.asked, independence.tokens) if independence else (0, 0)
        return outcome, author.asked + asked, author.tokens + tokens

    async def _passed(
        self,
        author: Author,
        independence: Independence | None,
        parent: Artifact | None,
        emit: Emit,
        wanted: Wanted,
    ) -> Mutation:
        findings: tuple[str, ...] = ()
        rounds = self._settings.agent.mutation_rounds
        for number in range(1, rounds + 1):
            written = await author.write()
            if written.existing is not None:
                return Exists(written.existing)
            if written.spent:
                spent = f"{author.asked} requests and {author.tokens} tokens"
                return NotMutated(f"the author used up what it may, {spent}", number - 1, findings)
            checked = Checked(written.findings)
            if written.draft is not None:
                last = number == rounds
                checked = await self._examined(written.draft, parent, author.model_name, independence, wanted, last)
            outcome = self._settled(checked, number)
            findings = outcome.findings if isinstance(outcome, NotMutated) else ()
            name = written.draft.contract.id if written.draft else None
            emit(events.DraftChecked(number, name, findings))
            if isinstance(outcome, Mutated):
                emit(events.Published(outcome.capability.id, outcome.capability.version))
                return outcome
            if isinstance(outcome, Waits):
                emit(events.WaitsForApproval(outcome.capability, outcome.beyond))
                return outcome
            if isinstance(outcome, NotMutated) and checked.release is not None and _replaces(checked.release):
                return outcome  # what was published or pinned meanwhile, no author can mend
            if checked.existing is not None and number == rounds:
                return Exists(checked.existing)
            author.mend(findings, rounds - number, checked.existing)
        return NotMutated(f"no draft passed the checks in {rounds} rounds", rounds, findings)

    async def _examined(
        self,
        draft: Draft,
        parent: Artifact | None,
        by: str,
        independence: Independence | None,
        wanted: Wanted,
        last: bool,
    ) -> Checked:
        """One draft of a model after all gates, that of independence last: it costs the most."""
        if wanted.follows is not None and not _keeps_id(draft, parent):
            return Checked(("this is a repair: keep the id of the parent",))
        checked = await asyncio.to_thread(
            self._checked, draft, parent, by, fingerprint("author"), last=last and not wanted.follows
        )
        if checked.release is None:
            return checked
        release = dataclasses.replace(checked.release, follows=wanted.follows)
        if checked.beyond and self._shows_more(release.contract, parent):
            return dataclasses.replace(checked, release=release)  # it may not be run yet
        if wanted.demand is not None:
            loaded = self._runner.load(unpublished(release.contract), release.wasm)
            findings = await asyncio.to_thread(wanted.demand, loaded)
            if findings:
                return Checked(tuple(findings))
        if independence is not None:
            examined = await independence.examine(release, parent)
            if examined.findings:
                return Checked(examined.findings)
            release = examined.release
        return dataclasses.replace(checked, release=release)

    def _independence(self, tester: ChatModel | None, emit: Emit) -> Independence | None:
        agent = self._settings.agent
        if tester is None or agent.independence == "off":
            return None
        return Independence(
            tester,
            self._runner,
            self._build,
            self._roots,
            agent.tester_requests,
            agent.independence,
            emit,
        )

    def _build(self, language: Language, files: Files) -> Built:
        return toolchain(language).build(files, self._workshop)

    def _surroundings(self, parent: Artifact | None, neighbours: Sequence[Capability] = ()) -> Surroundings:
        shown = self._grantable(parent)
        parents = parent.capability.permissions if parent else Permissions()
        return Surroundings(
            library=self._library,
            runner=self._runner,
            build=self._build,
            roots=self._roots,
            shown=shown,
            open=shown if self._settings.agent.samples else parents,
            ceiling=self._policy.ceiling,
            languages=installed(unlocked=self._workshop.unlocked),
            neighbours=neighbours,
            research=self._settings.research,
        )

    def brief(self, task: str, parent: Artifact | None, *, hand_in: str) -> str:
        """What an author outside, a person or a connected agent, has to know to write a draft for a task."""
        return "\n".join(brief(task, parent, self._surroundings(parent), taken=self._taken(), hand_in=hand_in))

    def submit(
        self,
        fields: Mapping[str, Any],
        parent: Artifact | None,
        author: str,
        *,
        wasm: bytes | None = None,
        by_hand: bool = False,
    ) -> Mutated | Waits | NotMutated:
        """Takes the draft that somebody outside wrote through the gates, and publishes it if they find nothing.

        `wasm` is the module where there is no source. What a person wrote `by_hand` needs one example only.

        Raises:
            SetupMissing: a person wrote it, and what builds it is not here.
            LibraryError: the library cannot be written.
        """
        try:
            draft = draft_of(fields, wasm=wasm)
        except NotADraft as problem:
            return NotMutated("the draft is not complete", 1, tuple(problem.findings))
        if not by_hand:
            return self._settled(self._checked(draft, parent, author), 1)
        return self._settled(self.check(draft, parent, author, by_hand=True), 1)

    def check(
        self,
        draft: Draft,
        parent: Artifact | None,
        author: str,
        *,
        prompt_sha256: str | None = None,
        by_hand: bool = False,
        last: bool = False,
    ) -> Checked:
        """Takes a draft through all gates, and collects what they find as far as each can do without the others.

        A draft with its parent's id that cannot take its place gets an id of its own where it is the `last` one.

        Raises:
            SetupMissing: what builds its language is not installed, or may not run.
        """
        capability = parent.capability if parent else None
        contract = draft.contract
        findings = gates.check_permissions(contract, self._policy, self._roots)
        apart: Sequence[str] = ()
        if capability is not None and contract.id == capability.id:
            apart = gates.check_replacement(contract, capability, by_hand=by_hand)
            if last and apart:
                contract = self._sibling(contract)
            else:
                findings += apart
        try:
            built = self._built(draft)
            loaded = self._runner.load(unpublished(contract), built.wasm)
        except (BuildError, InvalidModule) as error:
            findings += gates.check_contract(contract, self._taken(), capability, least=0)
            return Checked((f"the source does not build: {error}", *findings))
        beyond = self._beyond(contract, parent)
        decision, least = None, 1 if by_hand else gates.MIN_EXAMPLES
        if self._shows_more(contract, parent):
            open_ = len(draft.unfinished)
            findings += gates.check_contract(contract, self._taken(), capability, least=least, open_=open_)
            decision = Decision(None, "nobody") if findings else self._decide(contract, beyond, draft.source, parent)
            if findings or not decision.approved:
                release = self._release(contract, draft, built, capability, author, prompt_sha256, decision, by_hand)
                return _undecided(findings, decision, release, beyond, draft.unfinished)
        contract, problems = gates.finished(self._runner, loaded, contract, draft.unfinished)
        findings += problems + gates.check_contract(contract, self._taken(), capability, least=least)
        trials = tried(self._runner, loaded, contract.examples)
        findings += gates.check_examples(trials)
        findings = findings or self._determinism(contract, loaded, built.wasm, trials)
        if not findings and capability is not None and contract.id == capability.id:
            contract, worse = self._carried_on(contract, loaded, capability)
            if worse and last:
                contract, apart = self._sibling(contract), worse
            else:
                findings = worse
        findings = findings or check_rights(self._runner, loaded, trials, named=not apart)
        if not by_hand:
            findings = findings or _unchanged(draft, contract, parent)
            findings = findings or check_probes(self._runner, loaded, trials)
        if findings:
            return Checked(tuple(dict.fromkeys(findings)))
        if not by_hand and not apart and (capability is None or contract.id != capability.id):
            twin = self._twins.twin(loaded, contract, capability)
            if twin is not None:
                return Checked((finding(twin, contract),), existing=twin)
        decision = decision or self._decide(contract, beyond, draft.source, parent)
        release = self._release(contract, draft, built, capability, author, prompt_sha256, decision, by_hand)
        checked = Checked((), release) if decision.approved else _undecided([], decision, release, beyond, ())
        return dataclasses.replace(checked, apart=tuple(apart))

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
        taken = set(self._taken())
        ids = (f"{contract.id[:60]}_{number}" for number in itertools.count(2))
        return contract.model_copy(update={"id": next(id for id in ids if id not in taken)})

    def _release(
        self,
        contract: Contract,
        draft: Draft,
        built: Built,
        parent: Capability | None,
        author: str,
        prompt_sha256: str | None,
        decision: Decision,
        by_hand: bool,
    ) -> Release:
        provenance = Provenance(
            author=author,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            prompt_sha256=prompt_sha256,
            toolchain=built.toolchain if draft.wasm is None else None,
            approved_by=decision.by,
        )
        return Release(
            contract=contract,
            wasm=built.wasm,
            source=draft.files,
            engine=built.engine,
            parent=parent.name if parent else None,
            provenance=provenance,
            status="active" if by_hand else "candidate",
        )

    def _checked(
        self,
        draft: Draft,
        parent: Artifact | None,
        author: str,
        prompt_sha256: str | None = None,
        *,
        last: bool = False,
    ) -> Checked:
        """The same for a model, which cannot install anything but can write in another language."""
        try:
            return self.check(draft, parent, author, prompt_sha256=prompt_sha256, last=last)
        except SetupMissing as missing:
            language = draft.contract.language
            return Checked((f"{language} cannot be built here: {missing}. Write it in another language",))

    def _built(self, draft: Draft) -> Built:
        if draft.wasm is not None:
            return Built(draft.wasm, "")
        return self._build(draft.contract.language, draft.files)

    def publish(self, release: Release) -> Capability:
        """Puts a checked release into the library, as a new capability or as the next version of its own parent.

        Raises:
            PublishConflict: someone else took the id, or published a version, meanwhile.
        """
        expected = int(release.parent.partition("@")[2]) if _replaces(release) and release.parent else None
        if expected is not None and release.status == "candidate" and self._library.get(release.contract.id).pinned:
            raise PublishConflict(f"a person pinned {release.contract.id}; nothing that a model wrote replaces it")
        published = self._library.publish(release, expected_version=release.follows or expected)
        inputs = [canonical(example.input) for example in published.examples]
        for failure in self._evidence.failures(published.id):
            if canonical(failure.input) in inputs:
                self._evidence.mended(failure)
        return published

    def approve(self, id: str, by: str) -> Mutated | NotMutated:
        """Publishes a draft that waited, after its examples were run once more: the data may have changed since.

        Raises:
            UsageError: no draft waits under this id.
            LibraryError: the library cannot be written.
        """
        waiting = self._pending.get(id)
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
        release = dataclasses.replace(release, contract=contract)
        if findings:
            return NotMutated("the draft does not pass the checks any more", 1, tuple(findings))
        provenance = release.provenance.model_copy(update={"approved_by": by})
        outcome = self._settled(Checked((), dataclasses.replace(release, provenance=provenance)), 1)
        assert not isinstance(outcome, Waits)
        if isinstance(outcome, Mutated):
            self._pending.remove(id)
        return outcome

    def _settled(self, checked: Checked, rounds: int) -> Mutated | Waits | NotMutated:
        """Publishes what was checked, or has it wait, or says why neither."""
        if checked.release is None:
            return NotMutated("the draft did not pass the checks", rounds, checked.findings)
        if checked.beyond:
            self._pending.add(Waiting(checked.release, checked.beyond, checked.unfinished))
            return Waits(checked.release.contract.id, checked.beyond)
        try:
            return Mutated(self.publish(checked.release), rounds, checked.apart)
        except PublishConflict as conflict:
            return NotMutated("someone else published meanwhile", rounds, (str(conflict),))

    def _taken(self) -> Sequence[str]:
        return [*(c.id for c in self._library.capabilities()), *(b.folder for b in self._library.broken())]

    def _grantable(self, parent: Artifact | None) -> Permissions:
        """What the author is shown: what a draft gets unasked, or reads as its parent does, within the policy."""
        usual = self._usual(parent)
        one_by_one = [
            *(Permissions(files=(f,)) for f in usual.files),
            *(Permissions(http=(h,)) for h in usual.http),
            *(Permissions(sql=(s,)) for s in usual.sql),
            *(Permissions(call=(c,)) for c in usual.call),
        ]
        within = [p for p in one_by_one if not p.beyond(self._policy)]
        return Permissions(
            files=tuple(f for p in within for f in p.files),
            http=tuple(h for p in within for h in p.http),
            sql=tuple(s for p in within for s in p.sql),
            call=tuple(c for p in within for c in p.call),
        )

    def _usual(self, parent: Artifact | None) -> Permissions:
        """What nobody has to be asked for: what drafts get unasked, and what the parent reads.

        The parent's right to change things is not handed down: the model names the parent."""
        unasked = self._policy.unasked
        parents = parent.capability.permissions if parent else Permissions()
        reads = tuple(f.model_copy(update={"access": "read"}) for f in parents.files)
        return unasked.model_copy(update={"files": (*unasked.files, *reads), "call": (*unasked.call, *parents.call)})

    def _beyond(self, contract: Contract, parent: Artifact | None) -> tuple[str, ...]:
        """What a draft asks for beyond the usual, in plain words."""
        return tuple(contract.permissions.beyond(self._usual(parent)))

    def _shows_more(self, contract: Contract, parent: Artifact | None) -> bool:
        """Whether already a rehearsal would show the author, or somebody outside, what nobody has allowed yet. What a
        rehearsal writes is thrown away, so only what is read counts."""
        files = tuple(f.model_copy(update={"access": "read"}) for f in contract.permissions.files)
        sql = tuple(
            s.model_copy(update={"tables": dict.fromkeys(s.tables, ("select",))}) for s in contract.permissions.sql
        )
        reads = contract.permissions.model_copy(update={"files": files, "sql": sql})
        return bool(reads.beyond(self._usual(parent)))

    def _decide(self, contract: Contract, beyond: tuple[str, ...], source: str, parent: Artifact | None) -> Decision:
        if not beyond:
            return Decision(True, "policy")
        parent_source = source_text(parent.source) if parent else None
        return self._approver.decide(Request(contract, beyond, source, parent_source))


def _promises(contract: Contract) -> list[Any]:
    """What a contract says that a program could do more of, or less."""
    return [contract.input_schema, contract.output_schema, contract.effects, contract.permissions]


def _unchanged(draft: Draft, contract: Contract, parent: Artifact | None) -> list[str]:
    """Why a draft is its parent once more."""
    if parent is None or contract.language != parent.capability.language:
        return []
    was = parent.capability
    same = same_program(draft.source, source_text(parent.source), contract.language)
    if not same or _promises(contract) != _promises(was):
        return []
    return [f"the source says what that of {was.name} says, and so does the contract: use {was.id!r} as it is"]


def _replaces(release: Release) -> bool:
    """Whether it is to be the next version of its own parent."""
    return release.parent is not None and release.parent.partition("@")[0] == release.contract.id


def _keeps_id(draft: Draft, parent: Artifact | None) -> bool:
    return parent is not None and draft.contract.id == parent.capability.id


def _undecided(
    findings: list[str],
    decision: Decision,
    release: Release,
    beyond: tuple[str, ...],
    unfinished: tuple[dict[str, Any], ...],
) -> Checked:
    """A draft that is not published yet: it has findings, a person said no, or it waits for one."""
    if findings:
        return Checked(tuple(dict.fromkeys(findings)))
    if decision.approved is False:
        return Checked((f"its permissions were not approved: {', '.join(beyond)}: {decision.reason}. Ask for less.",))
    return Checked((), release, beyond, unfinished)


def _with_examples_of(contract: Contract, parent: Capability | None) -> Contract:
    """A new version carries its parent's frozen examples on, in front of its own."""
    if parent is None or parent.id != contract.id:
        return contract

    def key(example: Example) -> str:
        return canonical([example.task, example.input, example.fixtures])

    frozen = {key(example) for example in parent.examples}
    own = tuple(example for example in contract.examples if key(example) not in frozen)
    return contract.model_copy(update={"examples": (*parent.examples, *own)})
