"""One mutation from task to published version: author → gates → publish, at most so many rounds.

A draft lives in memory until it is published, so a mutation that fails or dies leaves no trace in the library.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metier import events
from metier.aliases import Aliases
from metier.approval import Approver
from metier.capability import Capability, Language, unpublished
from metier.config import Settings
from metier.errors import PublishConflict, SetupMissing, UsageError
from metier.evidence import Failure
from metier.journal import Journal
from metier.library import Artifact, Library, Release
from metier.model import ChatModel
from metier.mutation.asking import Asking
from metier.mutation.author import Author, brief
from metier.mutation.desk import Surroundings
from metier.mutation.draft import Draft, NotADraft, draft_of
from metier.mutation.independence import Independence
from metier.mutation.pending import PendingDrafts, Waiting
from metier.mutation.regression import Regression
from metier.mutation.review import Checked, Handed, Review
from metier.mutation.twins import Nearest, Twins
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
        self._runner = runner
        self._workshop = Workshop(runner.box, settings.toolchains.unlocked)
        self._roots = roots
        self._settings = settings
        self._pending = pending
        self._asking = Asking(settings.policy, approver)
        recorded = settings.lifecycle.recorded_inputs
        self._review = Review(
            library,
            runner,
            roots=roots,
            policy=settings.policy,
            asking=self._asking,
            regression=Regression(runner, journal, load, Aliases(library), recorded_inputs=recorded),
            twins=Twins(runner, load, nearest),
            build=self._build,
        )

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
            taken=self._review.taken(),
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
        handed = Handed(draft, parent, by, fingerprint("author"), last=last and not wanted.follows)
        checked = await asyncio.to_thread(self._checked, handed)
        if checked.release is None:
            return checked
        release = dataclasses.replace(checked.release, follows=wanted.follows)
        if checked.beyond and self._asking.shows_more(release.contract, parent):
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
        shown = self._asking.grantable(parent)
        parents = parent.capability.permissions if parent else Permissions()
        return Surroundings(
            library=self._library,
            runner=self._runner,
            build=self._build,
            roots=self._roots,
            shown=shown,
            open=shown if self._settings.agent.samples else parents,
            ceiling=self._settings.policy.ceiling,
            languages=installed(unlocked=self._workshop.unlocked),
            neighbours=neighbours,
            research=self._settings.research,
        )

    def brief(self, task: str, parent: Artifact | None, *, hand_in: str) -> str:
        """What an author outside, a person or a connected agent, has to know to write a draft for a task."""
        return "\n".join(brief(task, parent, self._surroundings(parent), taken=self._review.taken(), hand_in=hand_in))

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
            return self._settled(self._checked(Handed(draft, parent, author)), 1)
        return self._settled(self._review.check(Handed(draft, parent, author, by_hand=True)), 1)

    def _checked(self, handed: Handed) -> Checked:
        """A model's draft after the gates. A model cannot install anything, but it can write in another language."""
        try:
            return self._review.check(handed)
        except SetupMissing as missing:
            language = handed.draft.contract.language
            return Checked((f"{language} cannot be built here: {missing}. Write it in another language",))

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

    def approve(self, id: str, by: str, *, seen: Waiting | None = None) -> Mutated | NotMutated:
        """Publishes a draft that waited, after its examples were run once more: the data may have changed since.

        Raises:
            UsageError: no draft waits under this id, or it is not the one that the person has `seen`.
            LibraryError: the library cannot be written.
        """
        waiting = self._pending.get(id)
        if seen is not None and waiting != seen:
            raise UsageError(f"another draft has taken the place of the {id} that was shown; look at it first")
        contract, findings = self._review.again(waiting)
        release = dataclasses.replace(waiting.release, contract=contract)
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


def _replaces(release: Release) -> bool:
    """Whether it is to be the next version of its own parent."""
    return release.parent is not None and release.parent.partition("@")[0] == release.contract.id


def _keeps_id(draft: Draft, parent: Artifact | None) -> bool:
    return parent is not None and draft.contract.id == parent.capability.id
