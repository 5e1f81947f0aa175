"""The states of versions: candidate → active → trusted by evidence, quarantined where a contract is broken.

Decided where runs end. A success on a new input is one more row in the journal's transaction, until a version is
trusted; a failure is looked at once it is more than a wrong input:

- an output that is none, or not what the schema says, an error with exit status 0, and a trap break the contract;
- an exception that nobody raised on purpose, and fuel, memory, stack or output used up, break it if an input that
  worked before fails as well: then the program or its data changed. Otherwise the input alone is to blame;
- a run that was lost with its process counts for nothing once, since the system or a person may have ended that. The
  second time on the same input the version is quarantined, and the input is tried on no other;
- everything else is the program's own answer to a bad input, or the host's trouble, and counts for nothing.
"""

from __future__ import annotations

import builtins
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from metier import schemas
from metier.aliases import Alias, Aliases
from metier.capability import Capability, Contract, Provenance, Status, contract_fields
from metier.config import LifecycleSettings
from metier.errors import LibraryError, MetierError, PublishConflict
from metier.journal import Journal
from metier.library import Artifact, Library, Release
from metier.outcomes import Failed, Ran
from metier.replay import Comparison

log = logging.getLogger(__name__)

Rehearse = Callable[[Capability, Any], Ran | Failed]
"""Runs a version on a copy of the live data and keeps nothing."""

RANK: dict[Status, int] = {"candidate": 0, "active": 1, "trusted": 2}
BROKEN = frozenset({"contract", "trap"})
EXHAUSTED = frozenset({"fuel", "memory", "stack", "output", "check"})
"""Not "time", which a busy host uses up too."""
_NAMED = {name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, Exception)}
_HOSTS = {name for name in _NAMED if issubclass(getattr(builtins, name), OSError)}
_LIBRARIES = {"JSONDecodeError", "InvalidOperation", "DivisionByZero", "StatisticsError", "error", "InternalError"}
UNCAUGHT = frozenset((_NAMED - _HOSTS) | _LIBRARIES)
"""Kinds of errors that languages and their standard libraries raise: Python's, and JavaScript's, which are among them.
Those about files and connections are the host's trouble."""
MAX_FALLBACKS = 5
"""Earlier versions that are tried in place of a quarantined one."""


def breaks_contract(outcome: Ran | Failed) -> bool:
    """Whether this outcome alone shows a broken contract."""
    return isinstance(outcome, Failed) and outcome.kind in BROKEN


def is_doubtful(capability: Capability, outcome: Ran | Failed) -> bool:
    """Whether the contract is broken if a good input ends like this, and only the input is bad otherwise."""
    if not isinstance(outcome, Failed):
        return False
    if outcome.kind in EXHAUSTED:
        return True
    if outcome.kind != "program" or any(effect.look[:1] == ("call",) for effect in outcome.effects):
        return False  # what a called capability failed with is not this one's doing
    declared = {e.error.kind for e in capability.examples if e.error is not None}
    return outcome.code not in declared and (outcome.code == "" or outcome.code in UNCAUGHT)


class Lifecycle:
    """Moves the versions of one library between states."""

    def __init__(self, library: Library, journal: Journal, settings: LifecycleSettings, rehearse: Rehearse) -> None:
        self._library = library
        self._journal = journal
        self._evidence = journal.evidence
        self._aliases = Aliases(library)
        self._settings = settings
        self._rehearse = rehearse
        self._settled: set[tuple[str, str | None]] = set()
        """Versions that this process has nothing to count for any more."""

    def ended(
        self, outcome: Ran | Failed, capability: Capability, *, task_run_id: str | None, judged: bool = True
    ) -> str:
        """Keeps a run in the journal and draws the consequence, which is returned in a line; "" where there is none.

        A run that is not `judged` was under a grant of its caller, which may be why it failed.
        """
        if isinstance(outcome, Ran):
            count = self._journal.run(
                outcome, capability, task_run_id=task_run_id, also=self._earning(outcome, capability)
            )
            if count is not None:
                self._promote(capability, count, outcome.run_id)
            return ""
        self._journal.run(outcome, capability, task_run_id=task_run_id)
        if not judged or not (capability.live or capability.status == "superseded"):
            return ""
        if outcome.kind == "lost":
            return self._lost(outcome, capability)
        certain = breaks_contract(outcome)
        if not certain and not is_doubtful(capability, outcome):
            return ""
        self._evidence.failed(outcome)
        if not certain and not self._fails_on_good_input(capability):
            return ""
        reason = f"{outcome.kind if certain else outcome.code or outcome.kind}: {outcome.error}"
        return self.quarantine(capability, reason, input=(outcome.input,), run_id=outcome.run_id)

    def _lost(self, outcome: Failed, capability: Capability) -> str:
        if self._journal.times_lost(capability, outcome.input) < 2:
            return ""
        return self.quarantine(capability, f"twice on the same input, {outcome.error}", run_id=outcome.run_id)

    def replayed(self, comparison: Comparison) -> str:
        """Draws the consequence of a replay: another outcome or output of the same program breaks determinism."""
        difference = comparison.difference or ""
        if not difference.startswith(("outcome: ", "output: ")):
            return ""
        capability = self._library.get(comparison.capability, comparison.version)
        return self.quarantine(capability, f"not deterministic: {difference}", run_id=comparison.run_id)

    def quarantine(
        self, capability: Capability, reason: str, *, input: tuple[Any] | None = None, run_id: str | None = None
    ) -> str:
        """Takes a version out of use; the newest earlier one that does not fail on the `input` takes its place.

        Returns what was done, by this or another process that was faster, in a line; "" where nothing was, because
        the library cannot be written.
        """
        reason = " ".join(reason.split())[:300]
        try:
            current = self._library.get(capability.id)
            if current.version != capability.version:
                return self._quarantine_past(capability, reason, run_id)
            if not current.live:
                return f"{current.name} is {current.status}"
            answered = self._aliases.onto(current)
            successor = None if current.pinned else self._last_good(current, input)
            if successor is not None:
                release = self._again(successor)
                serving = self._library.publish(release, expected_version=current.version, leaving="quarantined")
            else:
                self._library.set_status(current.id, "quarantined", expected=current)
        except PublishConflict:
            return f"{capability.name} broke its contract, and another version is current by now"
        except LibraryError as error:
            log.warning("%s could not be quarantined: %s", capability.name, error)
            return ""
        self._evidence.forget(current)
        self._evidence.moved(current, "quarantined", reason, run_id)
        if successor is None:
            again = self._serving_again(answered, current, input)
            serve = f"; {', '.join(again)}, for which it answered, serve again" if again else ""
            return f"{current.name} broke its contract and is quarantined; {self._ways_on(current.id)}{serve}"
        self._evidence.moved(
            serving.model_copy(update={"status": "superseded"}), serving.status, f"in place of {current.name}", run_id
        )
        was = successor.capability.name
        return f"{current.name} broke its contract and is quarantined; {serving.name}, which is what {was} was, serves"

    def _serving_again(self, answered: Sequence[Alias], quarantined: Capability, input: tuple[Any] | None) -> list[str]:
        """Takes those back into use for which a quarantined one answered, unless they fail on its input as well; their
        names."""
        again = []
        for alias in answered:
            if input is not None and not alias.given:
                outcome = self._tried(alias.old, input[0])
                if outcome is not None and (breaks_contract(outcome) or is_doubtful(alias.old, outcome)):
                    continue
            with contextlib.suppress(LibraryError):  # somebody moved it meanwhile
                self._library.set_status(alias.old.id, "active", expected=alias.old)
                self._evidence.moved(alias.old, "active", f"{quarantined.name} answered for it and is quarantined")
                again.append(alias.old.name)
        return again

    def _ways_on(self, id: str) -> str:
        mend = f"`metier repair {id}` has it mended, " if self._settings.repair != "off" else ""
        return f"{mend}`metier restore {id}` brings it back as it is"

    def set_status(self, id: str, status: Status, reason: str) -> Capability:
        """Gives the current version a state because somebody says so. Raises as the library's does."""
        before = self._library.get(id)
        after = self._library.set_status(id, status)
        if before.status != status:
            self._evidence.moved(before, status, reason)
        return after

    def moved_by(self, outcome: Failed) -> bool:
        """Whether this very run had its version quarantined, and not one beside it."""
        moves = self._evidence.transitions(outcome.capability)
        return any(m.run_id == outcome.run_id and m.became == "quarantined" for m in moves)

    def retire(
        self, old: Capability, reason: str, kept: Capability | None = None, given: Mapping[str, Any] | None = None
    ) -> Capability:
        """Takes a version out of use that is as it was looked at; `kept` answers its calls, with `given` added to the
        input. Raises as the library's does."""
        after = self._library.retire(old, kept, given)
        self._evidence.moved(old, "retired", reason)
        return after

    def roll_back(self, id: str, version: int, by: str) -> Capability:
        """An earlier version as the next one, with the state that it has earned; at least active, since `by` wants it.

        Raises:
            UnknownCapability: there is no such version.
            LibraryError: the library cannot be written, or somebody published meanwhile.
        """
        current, past = self._library.get(id), self._library.load(id, version)
        trusted = self._standing(self._evidence.count(past.capability)) == "trusted"
        release = republished(past, status="trusted" if trusted else "active", by=by)
        published = self._library.publish(release, expected_version=current.version)
        self._evidence.moved(current, "superseded", f"rolled back to {past.capability.name} by {by}")
        return published

    def _earning(self, outcome: Ran, capability: Capability) -> Any:
        """What counts a success inside the journal's transaction; None where nothing is to be earned."""
        if capability.status not in ("candidate", "active") or capability.sha256 is None:
            return None
        if (capability.id, capability.sha256) in self._settled or _is_example(capability, outcome.input):
            return None
        return self._evidence.earned(capability, outcome.input)

    def _promote(self, capability: Capability, count: int, run_id: str) -> None:
        earned = self._standing(count)
        owner = (capability.id, capability.sha256)
        try:
            while (current := self._below(capability, earned)) is not None:
                with contextlib.suppress(PublishConflict):  # somebody moved it meanwhile, perhaps not as far
                    self._library.set_status(current.id, earned, current.replaced_by, expected=current)
                    inputs = "1 input" if count == 1 else f"{count} different inputs"
                    self._evidence.moved(current, earned, f"ran well on {inputs} beyond its examples", run_id)
        except LibraryError as error:
            self._settled.add(owner)
            log.info("%s earned to be %s, which could not be kept: %s", capability.name, earned, error)
        if earned == "trusted":
            self._settled.add(owner)

    def _below(self, capability: Capability, earned: Status) -> Capability | None:
        """The version as it is now, if it is live as the current one and in a lower state; None otherwise."""
        current = self._library.get(capability.id)
        same = current.version == capability.version and current.sha256 == capability.sha256
        return current if same and current.live and RANK[current.status] < RANK[earned] else None

    def _standing(self, count: int) -> Status:
        if count >= self._settings.trusted_after:
            return "trusted"
        return "active" if count >= self._settings.active_after else "candidate"

    def _fails_on_good_input(self, capability: Capability) -> bool:
        """Whether an input that worked, or is the first example on live data, ends in a failure that counts."""
        known = self._journal.last_success(capability)
        examples = ((e.input,) for e in capability.examples if e.error is None and not e.fixtures)
        good = known or next(examples, None)
        if good is None:
            return False
        outcome = self._tried(capability, good[0])
        return outcome is not None and (breaks_contract(outcome) or is_doubtful(capability, outcome))

    def _last_good(self, current: Capability, input: tuple[Any] | None) -> Artifact | None:
        past = [
            c for c in self._library.versions(current.id) if c.status == "superseded" and c.sha256 != current.sha256
        ]
        for capability in sorted(past, key=lambda c: -c.version)[:MAX_FALLBACKS]:
            outcome = self._tried(capability, input[0]) if input is not None else None
            if outcome is not None and (breaks_contract(outcome) or is_doubtful(capability, outcome)):
                continue
            try:
                return self._library.load(capability.id, capability.version)
            except LibraryError:
                continue
        return None

    def _tried(self, capability: Capability, input: Any) -> Ran | Failed | None:
        try:
            return self._rehearse(capability, input)
        except MetierError:
            return None

    def _quarantine_past(self, capability: Capability, reason: str, run_id: str | None) -> str:
        past = self._library.get(capability.id, capability.version)
        if past.status != "superseded":
            return f"{past.name} is {past.status}"
        self._library.quarantine_past(past.id, past.version)
        self._evidence.forget(past)
        self._evidence.moved(past, "quarantined", reason, run_id)
        return f"{past.name}, an earlier version, broke its contract and is quarantined"

    def _again(self, artifact: Artifact) -> Release:
        capability = artifact.capability
        by_model = capability.provenance is not None and ":" in capability.provenance.author
        standing = self._standing(self._evidence.count(capability))
        return republished(artifact, status=standing if by_model or standing == "trusted" else "active")


def republished(artifact: Artifact, *, status: Status, by: str | None = None) -> Release:
    """An earlier version as a release of its own, which keeps when and by whom it was made, or was made now `by`."""
    capability = artifact.capability
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = capability.provenance or Provenance(author="hand", created=now)
    if by is not None:
        made = made.model_copy(update={"author": by, "created": now, "approved_by": by})
    return Release(
        contract=Contract(**contract_fields(capability)),
        wasm=artifact.wasm,
        source=artifact.source,
        engine=capability.engine,
        parent=capability.name,
        provenance=made,
        status=status,
    )


def _is_example(capability: Capability, input: Any) -> bool:
    if not capability.examples:
        return False
    wanted = schemas.canonical(input)
    return any(schemas.canonical(example.input) == wanted for example in capability.examples)
