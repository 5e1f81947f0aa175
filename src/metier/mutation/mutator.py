"""One mutation from task to published version: author → gates → publish, at most so many rounds.

A draft lives in memory until it is published, so a mutation that fails or dies leaves no trace in the library.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metier import events
from metier.approval import Approver, Decision, Request
from metier.capability import Capability, Contract, Example, Provenance, contract_fields
from metier.config import Policy
from metier.errors import BuildError, InvalidModule, PublishConflict, SetupMissing
from metier.library import Artifact, Library, Release, source_text
from metier.model import ChatModel
from metier.mutation import gates
from metier.mutation.author import Author, brief
from metier.mutation.draft import Draft, NotADraft, draft_of
from metier.mutation.pending import PendingDrafts, Waiting
from metier.outcomes import Mutated, NotMutated, Waits
from metier.permissions import Permissions
from metier.prompts import fingerprint
from metier.runner import Runner
from metier.schemas import canonical
from metier.toolchains import Built, Workshop, toolchain

Emit = Callable[[events.Event], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """A draft after the gates: what they found, and the release that may be published if they found nothing.

    `beyond` is what a person has to approve first; empty where nobody has to.
    """

    findings: tuple[str, ...]
    release: Release | None = None
    beyond: tuple[str, ...] = ()


class Mutator:
    """Makes capabilities for one library."""

    def __init__(
        self,
        library: Library,
        runner: Runner,
        *,
        roots: Mapping[str, Path],
        policy: Policy,
        approver: Approver,
        pending: PendingDrafts,
        rounds: int,
        samples: bool = False,
        unlocked: bool = False,
    ) -> None:
        """`unlocked` lets compilers run without a lock around them, where there is none."""
        self._library = library
        self._runner = runner
        self._workshop = Workshop(runner.box, unlocked)
        self._roots = roots
        self._policy = policy
        self._approver = approver
        self._pending = pending
        self._rounds = rounds
        self._samples = samples

    async def mutate(
        self, model: ChatModel, task: str, parent: Artifact | None, emit: Emit
    ) -> tuple[Mutated | Waits | NotMutated, int, int]:
        """The outcome, with how often the model was asked and how many tokens that took.

        Raises:
            ModelError: the author's endpoint fails; the library is as it was.
        """
        author = Author(
            model,
            task,
            parent,
            taken=self._taken(),
            roots=self._roots,
            shown=self._grantable(parent),
            samples=self._samples,
        )
        findings: tuple[str, ...] = ()
        asked = tokens = 0
        for number in range(1, self._rounds + 1):
            emit(events.ModelAsked("author", model.name))
            written = await author.write()
            asked, tokens = asked + 1, tokens + written.tokens
            emit(events.ModelAnswered("author", written.tokens))
            checked = Checked(written.findings)
            if written.draft is not None:
                checked = await asyncio.to_thread(
                    self._checked, written.draft, parent, author.model_name, fingerprint("author")
                )
            outcome = self._settled(checked, number)
            findings = outcome.findings if isinstance(outcome, NotMutated) else ()
            name = written.draft.contract.id if written.draft else None
            emit(events.DraftChecked(number, name, findings))
            if isinstance(outcome, Mutated):
                emit(events.Published(outcome.capability.id, outcome.capability.version))
                return outcome, asked, tokens
            if isinstance(outcome, Waits):
                emit(events.WaitsForApproval(outcome.capability, outcome.beyond))
                return outcome, asked, tokens
            author.mend(findings, self._rounds - number)
        reason = f"no draft passed the checks in {self._rounds} rounds"
        return NotMutated(reason, self._rounds, findings), asked, tokens

    def brief(self, task: str, parent: Artifact | None, *, hand_in: str) -> str:
        """What an author outside, a person or a connected agent, has to know to write a draft for a task."""
        shown = self._grantable(parent)
        taken = self._taken()
        return "\n".join(
            brief(task, parent, taken=taken, roots=self._roots, shown=shown, hand_in=hand_in, samples=self._samples)
        )

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
        return self._settled(self.check(draft, parent, author, least=1), 1)

    def check(
        self,
        draft: Draft,
        parent: Artifact | None,
        author: str,
        *,
        prompt_sha256: str | None = None,
        least: int = gates.MIN_EXAMPLES,
    ) -> Checked:
        """Takes a draft through all gates, and collects what they find as far as each can do without the others.

        Raises:
            SetupMissing: what builds its language is not installed, or may not run.
        """
        capability = parent.capability if parent else None
        contract = draft.contract
        findings = gates.check_permissions(contract, self._policy, self._roots)
        try:
            built = self._built(draft)
            loaded = self._runner.load(_unpublished(contract), built.wasm)
        except (BuildError, InvalidModule) as error:
            findings += gates.check_contract(contract, self._taken(), capability, least=0)
            return Checked((f"the source does not build: {error}", *findings))
        contract, problems = gates.finished(self._runner, loaded, contract, draft.unfinished)
        findings += problems + gates.check_contract(contract, self._taken(), capability, least=least)
        contract = _with_examples_of(contract, capability)
        findings += gates.check_examples(self._runner, loaded, contract.examples)
        if findings:
            return Checked(tuple(dict.fromkeys(findings)))
        beyond = self._beyond(contract, parent)
        decision = self._decide(contract, beyond, draft.source, parent)
        if decision.approved is False:
            return Checked(
                (f"its permissions were not approved: {', '.join(beyond)}: {decision.reason}. Ask for less.",)
            )
        provenance = Provenance(
            author=author,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            prompt_sha256=prompt_sha256,
            toolchain=built.toolchain if draft.wasm is None else None,
            approved_by=decision.by,
        )
        release = Release(
            contract=contract,
            wasm=built.wasm,
            source=draft.files,
            engine=built.engine,
            parent=capability.name if capability else None,
            provenance=provenance,
        )
        return Checked((), release, beyond if decision.approved is None else ())

    def _checked(self, draft: Draft, parent: Artifact | None, author: str, prompt_sha256: str | None = None) -> Checked:
        """The same for a model, which cannot install anything but can write in another language."""
        try:
            return self.check(draft, parent, author, prompt_sha256=prompt_sha256)
        except SetupMissing as missing:
            language = draft.contract.language
            return Checked((f"{language} cannot be built here: {missing}. Write it in another language",))

    def _built(self, draft: Draft) -> Built:
        if draft.wasm is not None:
            return Built(draft.wasm, "")
        return toolchain(draft.contract.language).build(draft.files, self._workshop)

    def publish(self, release: Release) -> Capability:
        """Puts a checked release into the library, as a new capability or as the next version of its own parent.

        Raises:
            PublishConflict: someone else took the id, or published a version, meanwhile.
        """
        replaces = release.parent is not None and release.parent.partition("@")[0] == release.contract.id
        expected = int(release.parent.partition("@")[2]) if replaces and release.parent else None
        return self._library.publish(release, expected_version=expected)

    def approve(self, id: str, by: str) -> Mutated | NotMutated:
        """Publishes a draft that waited, after its examples were run once more: the data may have changed since.

        Raises:
            UsageError: no draft waits under this id.
            LibraryError: the library cannot be written.
        """
        release = self._pending.get(id).release
        loaded = self._runner.load(_unpublished(release.contract), release.wasm)
        findings = gates.check_permissions(release.contract, self._policy, self._roots)
        findings += gates.check_examples(self._runner, loaded, release.contract.examples)
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
            self._pending.add(Waiting(checked.release, checked.beyond))
            return Waits(checked.release.contract.id, checked.beyond)
        try:
            return Mutated(self.publish(checked.release), rounds)
        except PublishConflict as conflict:
            return NotMutated("someone else published meanwhile", rounds, (str(conflict),))

    def _taken(self) -> Sequence[str]:
        return [*(c.id for c in self._library.capabilities()), *(b.folder for b in self._library.broken())]

    def _grantable(self, parent: Artifact | None) -> Permissions:
        """What the author is shown: what a draft gets unasked, or has from its parent, within the policy."""
        parents = parent.capability.permissions.files if parent else ()
        wanted = [Permissions(files=(f,)) for f in (*self._policy.unasked.files, *parents)]
        wanted += [Permissions(http=(h,)) for h in self._policy.unasked.http]
        within = [p for p in wanted if not p.beyond(self._policy)]
        return Permissions(
            files=tuple(f for p in within for f in p.files), http=tuple(h for p in within for h in p.http)
        )

    def _beyond(self, contract: Contract, parent: Artifact | None) -> tuple[str, ...]:
        """What a draft asks for that nobody gets unasked and its parent does not read either, in plain words.

        The parent's right to change things is not handed down: the model names the parent."""
        unasked = self._policy.unasked
        parents = parent.capability.permissions if parent else Permissions()
        reads = tuple(f.model_copy(update={"access": "read"}) for f in parents.files)
        usual = unasked.model_copy(update={"files": (*unasked.files, *reads), "call": (*unasked.call, *parents.call)})
        return tuple(contract.permissions.beyond(usual))

    def _decide(self, contract: Contract, beyond: tuple[str, ...], source: str, parent: Artifact | None) -> Decision:
        if not beyond:
            return Decision(True, "policy")
        parent_source = source_text(parent.source) if parent else None
        return self._approver.decide(Request(contract, beyond, source, parent_source))


def _unpublished(contract: Contract) -> Capability:
    return Capability.model_construct(
        **contract_fields(contract), binary=f"{contract.id}.wasm", version=1, sha256=None, status="candidate"
    )


def _with_examples_of(contract: Contract, parent: Capability | None) -> Contract:
    """A new version carries its parent's frozen examples on, in front of its own."""
    if parent is None or parent.id != contract.id:
        return contract

    def key(example: Example) -> str:
        return canonical([example.task, example.input, example.fixtures])

    frozen = {key(example) for example in parent.examples}
    own = tuple(example for example in contract.examples if key(example) not in frozen)
    return contract.model_copy(update={"examples": (*parent.examples, *own)})
