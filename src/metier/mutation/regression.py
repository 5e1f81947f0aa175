"""The regression gate: a replacement does all that its parent is known to do, or it is no replacement.

Known are the parent's frozen examples, the latest different inputs in the journal, its own and those of the versions
before it, and the inputs on which it broke its contract. A recorded input is tried on what was seen then, so that data
which changed since plays no part; where the replacement looks elsewhere, both are tried side by side on a copy of the
present data.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from metier import schemas
from metier.aliases import Aliases
from metier.capability import Capability, Contract, Example, ExpectedError
from metier.errors import InvalidModule
from metier.evidence import Failure
from metier.journal import Journal, Recorded
from metier.lifecycle import breaks_contract, is_doubtful
from metier.mutation.gates import mismatch, same_json
from metier.outcomes import Failed, Ran
from metier.prompts import clipped
from metier.record import Diverged, RecalledRecord
from metier.runner import Loaded, Runner

SECONDS = 20.0
"""How long recorded inputs are tried; those that are left then are not."""
MAX_PROBLEMS = 8
"""An author needs no more to see what is wrong."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What speaks against a replacement; and what becomes an example of it, since its parent failed on it."""

    problems: tuple[str, ...]
    examples: tuple[Example, ...] = ()


class Regression:
    """Holds replacements against what is known of their parents."""

    def __init__(
        self,
        runner: Runner,
        journal: Journal,
        load: Callable[[Capability], Loaded],
        aliases: Aliases,
        *,
        recorded_inputs: int,
    ) -> None:
        self._aliases = aliases
        self._runner = runner
        self._journal = journal
        self._load = load
        self._recorded_inputs = recorded_inputs

    def check(self, loaded: Loaded, contract: Contract, parent: Capability) -> Findings:
        """Tries the program of a replacement.

        Raises:
            LibraryError: the parent cannot be loaded.
        """
        old: Loaded | None = None
        with contextlib.suppress(InvalidModule):  # built for another engine: its record alone speaks for it
            old = self._load(parent)
        frozen = (*parent.examples, *self._of_aliases(parent))
        problems = [p for e in frozen if (p := self._example_problem(e, loaded, old)) is not None]
        until = time.monotonic() + SECONDS
        for recorded in self._journal.recorded_inputs(parent, self._recorded_inputs, earlier=True):
            if len(problems) >= MAX_PROBLEMS or time.monotonic() > until:
                break
            if (problem := self._recorded_problem(recorded, loaded, old, parent)) is not None:
                ran = f"{recorded.capability}@{recorded.version}"
                problems.append(f"on input {_shown(recorded.input)}, which {ran} ran on: {problem}")
        examples = []
        for failure in self._journal.evidence.failures(parent.id):
            example, problem = self._mended(failure, loaded)
            if problem is not None:
                problems.append(problem)
            elif example is not None and not _has(contract, example):
                examples.append(example)
        return Findings(tuple(dict.fromkeys(problems)), tuple(examples))

    def _of_aliases(self, parent: Capability) -> Iterator[Example]:
        """The frozen examples of retired capabilities whose calls the parent answers, as calls of the parent."""
        for alias in self._aliases.onto(parent):
            for example in alias.old.examples:
                yield example.model_copy(update={"input": alias.input(example.input)})

    def _example_problem(self, example: Example, new: Loaded, old: Loaded | None) -> str | None:
        """How a frozen example does not hold. One that the parent itself fails by now, because its data changed, holds
        if both do the same, or if it breaks the parent's contract and not the new one's."""
        after = self._runner.rehearse(new, example.input, fixtures=example.fixtures)
        problem = mismatch(example, after)
        if problem is None:
            return None
        before = self._runner.rehearse(old, example.input, fixtures=example.fixtures) if old is not None else None
        if old is not None and before is not None and mismatch(example, before) is not None:
            mended = _is_broken(old.capability, before) and not _is_broken(new.capability, after)
            if mended or _difference(before, after) is None:
                return None
        return f"frozen example of the parent, input {_shown(example.input)}: {problem}"

    def _recorded_problem(self, recorded: Recorded, new: Loaded, old: Loaded | None, parent: Capability) -> str | None:
        """How the replacement differs, on a recorded input, from what the parent did. What the parent made of an input
        that only a version before it ran on, its program says."""
        own = recorded.sha256 == parent.sha256
        if not own and old is None:
            return None
        before: Ran | Failed | Recorded = recorded
        try:
            after = self._runner.rehearse(new, recorded.input, record=_recalled(recorded))
            if old is not None and (old.capability.effects == "write" or not own):
                before = self._runner.rehearse(old, recorded.input, record=_recalled(recorded))
        except Diverged:
            if old is None:
                return None
            after = self._runner.rehearse(new, recorded.input)
            before = self._runner.rehearse(old, recorded.input)
        if old is not None and _is_broken(old.capability, before):
            return None if not _is_broken(new.capability, after) else _difference(recorded if own else before, after)
        difference = _difference(before, after)
        if difference is None and isinstance(before, Ran) and isinstance(after, Ran):
            return _other_changes(before.changed, after.changed)
        return difference

    def _mended(self, failure: Failure, new: Loaded) -> tuple[Example | None, str | None]:
        """The input on which the parent failed as an example of the new version; or why it is none yet."""
        outcome = self._runner.rehearse(new, failure.input, fixtures=failure.fixtures)
        if _is_broken(new.capability, outcome):
            assert isinstance(outcome, Failed)
            where = " with the files as they were then" if failure.fixtures else ""
            return None, (
                f"input {_shown(failure.input)}, on which the parent failed ({failure.kind}: {failure.error}), still "
                f"fails{where}: {outcome.code or outcome.kind}: {outcome.error}"
            )
        own = {"input": failure.input} | ({"fixtures": failure.fixtures} if failure.fixtures else {})
        if isinstance(outcome, Ran):
            return Example.model_validate({**own, "output": outcome.output}), None
        if outcome.kind not in ("program", "input"):
            return None, None
        return Example(**own, error=ExpectedError(kind=outcome.code or outcome.kind)), None


def _is_broken(capability: Capability, outcome: Ran | Failed | Recorded) -> bool:
    if isinstance(outcome, Recorded):
        if outcome.kind is None:
            return False
        outcome = Failed(
            outcome.capability, outcome.version, outcome.input, "program", outcome.error or "", outcome.code or ""
        )
    return breaks_contract(outcome) or is_doubtful(capability, outcome)


def _recalled(recorded: Recorded) -> RecalledRecord:
    return RecalledRecord(recorded.effects, recorded.blobs)


def whole_difference(before: Ran | Failed, after: Ran | Failed) -> str | None:
    """How two outcomes differ, in what they returned, in the kind of their error, or in the files that they leave."""
    difference = _difference(before, after)
    if difference is None and isinstance(before, Ran) and isinstance(after, Ran):
        return _other_changes(before.changed, after.changed)
    return difference


def _difference(before: Ran | Failed | Recorded, after: Ran | Failed) -> str | None:
    """How what is returned differs from what was; an error stays one of the same kind."""
    text = getattr(before, "output_text", None)
    if text is not None:
        if isinstance(after, Failed):
            return f"it returned {clipped(text, 400)}, and fails now: {after.code or after.kind}: {after.error}"
        if not same_json(json.loads(text), after.output):
            return f"it returned {clipped(text, 400)}, and returns {clipped(after.output_text, 400)} now"
        return None
    was = getattr(before, "code", None) or getattr(before, "kind", None)
    if isinstance(after, Ran):
        return f"it failed ({was}: {getattr(before, 'error', '')}), and returns {clipped(after.output_text, 400)} now"
    now = after.code or after.kind
    return None if was == now else f"it failed with {was}, and fails with {now} now: {after.error}"


def _other_changes(was: Mapping[str, bytes | None], now: Mapping[str, bytes | None]) -> str | None:
    for path in dict.fromkeys([*was, *now]):
        if path not in now or path not in was:
            return f"it wrote {path}, and does not now" if path in was else f"it writes {path}, and did not before"
        if not _same_content(was[path], now[path]):
            return f"it leaves something else in {path} than before"
    return None


def _same_content(was: bytes | None, now: bytes | None) -> bool:
    if was == now or was is None or now is None:
        return was == now
    try:
        return same_json(schemas.parse(was, what="it"), schemas.parse(now, what="it"))
    except schemas.InvalidJson:
        return False


def _has(contract: Contract, example: Example) -> bool:
    wanted = schemas.canonical([example.input, example.fixtures])
    return any(schemas.canonical([e.input, e.fixtures]) == wanted for e in contract.examples)


def _shown(value: Any) -> str:
    return clipped(json.dumps(value, ensure_ascii=False), 400)
