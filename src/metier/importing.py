"""Capabilities of another library, taken into this one with their history.

What another library knew of them counts for nothing here: hashes are verified, modules admitted, permissions asked for
as those of a new draft, examples run again, and evidence starts anew. Nothing is written before all of that went well,
and then everything at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from metier.approval import Decision, Request
from metier.capability import LIVE, Capability, Provenance, Status
from metier.config import root_paths
from metier.errors import ApprovalPending, InvalidModule, LibraryError, PublishConflict, UnknownCapability, UsageError
from metier.library import Artifact, source_text
from metier.lifecycle import breaks_contract
from metier.mutation.gates import check_permissions, mismatch
from metier.permissions import CapabilityId
from metier.portable.folders import hashed, read_history, renamed
from metier.runner import Loaded
from metier.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Imported:
    """What was taken in, and what is known of it here."""

    capability: Capability
    was: str
    """`id@version` where it came from."""
    versions: int
    held: int
    """Examples that were run, on copies of the data, and hold."""
    notes: tuple[str, ...]
    """What a person should know: examples that were not run or do not hold on the data here, and versions that do not
    run."""


def bring_in(
    runtime: Runtime, folder: Path, *, by: str, id: str | None = None, trust: bool = False, approved: bool = False
) -> Imported:
    """Takes a capability's folder into the library, under another `id` if one is given.

    Its current version is a candidate here, whatever it was there, unless `by` trusts it. With `approved` they allow
    what it asks for beyond what is given unasked; otherwise the approver is asked.

    Raises:
        UsageError: there is no such folder, or the id is none.
        BrokenCapability: a version is damaged or changed since it was published.
        PublishConflict: the id is taken.
        ApprovalPending: it asks for more than is given unasked, and nobody is there to approve. Nothing was imported.
        InvalidModule: the sandbox does not admit it, or it was built for another engine.
        LibraryError: it asks for what this library allows nobody, an example does not hold, or somebody said no.
    """
    history = read_history(folder)
    was = history[-1].capability
    if id is not None and id != was.id:
        history = [renamed(artifact, _checked_id(id)) for artifact in history]
    current = history[-1].capability
    _must_be_free(runtime, current.id)
    decision = _allowed(runtime, history, by, approved)
    loaded = runtime.runner.load(current, history[-1].wasm)
    notes = _not_admitted(runtime, history[:-1])
    held, more = _examples(runtime, loaded, current)
    history[-1] = _as_known_here(history[-1], was, by, decision, trust)
    published = runtime.library.adopt(history)
    before = published.model_copy(update={"status": was.status})
    runtime.journal.evidence.moved(before, published.status, f"imported by {by} from {was.name}")
    return Imported(published, was.name, len(history), held, (*notes, *more))


def _checked_id(id: str) -> str:
    try:
        return TypeAdapter(CapabilityId).validate_python(id)
    except ValidationError:
        raise UsageError(f"{id!r} is no id: small letters, digits and _, beginning with a letter, at most 63") from None


def _must_be_free(runtime: Runtime, id: str) -> None:
    """Said before anybody is asked; `adopt` holds it against other writers."""
    try:
        there = runtime.library.get(id)
    except UnknownCapability:
        return
    raise PublishConflict(f"{id} exists here, at version {there.version}; import it under another id: --as ID")


def _allowed(runtime: Runtime, history: list[Artifact], by: str, approved: bool) -> Decision:
    """Who allows what any version asks for. An earlier one counts too: it may be rolled back or fallen back to."""
    policy, current = runtime.settings.policy, history[-1]
    roots = root_paths(runtime.library.path, runtime.settings)
    findings = check_permissions(current.capability, policy.ceiling, roots)
    if findings:
        raise LibraryError(f"{current.capability.id}: {'; '.join(findings)} (or allow it in metier.toml, [policy])")
    beyond = tuple(dict.fromkeys(ask for a in history for ask in a.capability.permissions.beyond(policy.unasked)))
    if not beyond:
        return Decision(True, "policy")
    if approved:
        return Decision(True, by)
    request = Request(current.capability, beyond, source_text(current.source))
    decision = runtime.approver.decide(request)
    asked = f"{current.capability.id} asks for more than is given unasked ({', '.join(beyond)})"
    if decision.approved is None:
        raise ApprovalPending(f"{asked}; nothing was imported. Decide at a terminal, or allow it with --yes")
    if not decision.approved:
        raise LibraryError(f"{asked}: {decision.reason or 'it was refused'}; nothing was imported")
    return decision


def _not_admitted(runtime: Runtime, past: list[Artifact]) -> list[str]:
    """A line for each earlier version that cannot run here. It is history all the same."""
    notes = []
    for artifact in past:
        try:
            runtime.runner.load(artifact.capability, artifact.wasm)
        except InvalidModule as error:
            notes.append(f"version {artifact.capability.version} does not run here: {error}")
    return notes


def _examples(runtime: Runtime, loaded: Loaded, capability: Capability) -> tuple[int, list[str]]:
    """How many examples hold, and a line for each that was not run, or tells of other data than are here.

    Raises:
        LibraryError: one does not hold that depends on nothing of this library, or its outcome breaks the contract.
    """
    held, notes = 0, list[str]()
    away = _out_of_reach(capability)
    if away and capability.examples:
        return 0, [f"no example was run: the program asks for {away}, which reaches beyond this library"]
    for number, example in enumerate(capability.examples, start=1):
        outcome = runtime.runner.rehearse(loaded, example.input, fixtures=example.fixtures)
        problem = mismatch(example, outcome)
        if problem is None:
            held += 1
        elif breaks_contract(outcome) or example.fixtures or not capability.permissions.files:
            raise LibraryError(f"{capability.id}: example {number} does not hold: {problem}; nothing was imported")
        else:
            notes.append(f"example {number} does not hold on the data here: {problem}")
    return held, notes


def _out_of_reach(capability: Capability) -> str:
    """The effects that an example cannot have without touching what is outside this library."""
    asked = {
        "http": capability.permissions.http,
        "sql": capability.permissions.sql,
        "call": capability.permissions.call,
    }
    return ", ".join(effect for effect, wanted in asked.items() if wanted)


def _as_known_here(artifact: Artifact, was: Capability, by: str, decision: Decision, trust: bool) -> Artifact:
    """The current version with the state that it has in this library, and with where it came from."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = was.provenance or Provenance(author="hand", created=now)
    origin = f"{now} by {by}, from {was.name} ({was.status}, {(was.sha256 or '')[:12]})"
    status: Status = was.status if trust or was.status not in LIVE | {"superseded"} else "candidate"
    update = {
        "status": status,
        "pinned": was.pinned if trust else None,
        # What stands in for a retired one there may be something else here.
        "replaced_by": None,
        "replaced_with": None,
        "provenance": made.model_copy(update={"approved_by": decision.by, "gates": {**made.gates, "imported": origin}}),
    }
    return hashed(Artifact(artifact.capability.model_copy(update=update), artifact.wasm, artifact.source))
