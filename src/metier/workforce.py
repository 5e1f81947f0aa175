"""The runs of a library in worker processes: one that crashes, hangs or is killed fails that run alone.

A run has its id before it goes to a worker, which executes it and keeps it in the journal. When a worker is lost, what
it had begun to commit is brought to its end first; then the journal says what came of the run, or that it was lost.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

from metier import schemas
from metier.capability import Capability
from metier.config import Settings
from metier.journal import Recorded, new_run_id
from metier.library import Library
from metier.outcomes import Failed, FailureKind, Ran
from metier.permissions import Permissions
from metier.runs import Runs
from metier.sandbox.box import Box
from metier.sandbox.crew import Crew
from metier.sandbox.limits import MIB, Limits
from metier.sandbox.workers import Lost

log = logging.getLogger(__name__)
GRACE_SECONDS: Final = 60.0
"""What a run may take in a worker on top of its own time: loading, waiting for other writers."""
HOST_BYTES: Final = 1024 * MIB
"""Memory that the host's side of a run may take, besides what `Limits` gives to the run and its files."""


@dataclass(frozen=True, slots=True)
class Job:
    """A run that a worker is to do. `input` is JSON text."""

    run_id: str
    capability: str
    version: int
    input: str
    grant: Permissions | None
    task_run_id: str | None


class Workforce:
    """Executes what `Runs` does, in the processes of a crew whose function is `at_work`."""

    def __init__(self, runs: Runs, crew: Crew[Job, Ran | Failed]) -> None:
        self._runs = runs
        self.crew = crew

    @classmethod
    def of(cls, runs: Runs, count: int) -> Workforce:
        """`count` processes with the same library and settings, started in the background."""
        make = functools.partial(at_work, runs.library.path, runs.settings, runs.fixed_now)
        limits = runs.settings.limits
        crew = Crew(make, count, seconds=seconds_of(limits), item_bytes=_bytes_of(limits))
        crew.start()
        return cls(runs, crew)

    def execute(
        self,
        capability: Capability,
        input: Any,
        *,
        grant: Permissions | None = None,
        task_run_id: str | None = None,
    ) -> Ran | Failed:
        """`Runs.execute`, in a worker; the outcome comes without the contents that it saw, which the journal has.

        Raises:
            Overloaded: too many runs wait already.
        """
        try:
            text = schemas.compact(input)
        except (ValueError, TypeError, RecursionError):  # it is no JSON, so it is refused before anything runs
            return self._runs.execute(capability, input, grant=grant, task_run_id=task_run_id)
        job = Job(new_run_id(), capability.id, capability.version, text, grant, task_run_id)
        outcome = self.crew.call(job)
        if isinstance(outcome, Lost):
            return self._settled(job, capability, input, outcome.reason)
        return dataclasses.replace(outcome, input=input)

    def close(self) -> None:
        """Waits for the runs under way and ends the processes."""
        self.crew.close()

    def _settled(self, job: Job, capability: Capability, input: Any, reason: str) -> Ran | Failed:
        """What came of a run whose worker was lost."""
        log.warning("the run %s of %s lost its worker: %s", job.run_id, capability.name, reason)
        undecided = any(
            left.intent is not None and left.intent.entry is not None and left.intent.entry.row["run_id"] == job.run_id
            for left in self._runs.runner.recover()
        )
        recorded = self._runs.journal.recorded(job.run_id)
        if recorded is not None:
            return _outcome(recorded, input)
        doubt = ""
        if undecided:
            doubt = "; what it wrote waits for a store to say whether it was committed"
        elif capability.effects == "write" and not self._runs.journal.keeps:
            doubt = "; without a journal nobody knows whether what it wrote was kept"
        lost = Failed(
            capability.id,
            capability.version,
            input,
            "lost",
            f"the run was lost: {reason}{doubt}",
            grant=(capability.permissions, self._runs.settings.policy.ceiling, *((job.grant,) if job.grant else ())),
            run_id=job.run_id,
        )
        return self._runs.ended(lost, capability, job.grant, job.task_run_id)


def seconds_of(limits: Limits) -> float:
    """What a run may take in a worker, with one more that judges its failure."""
    return 2 * limits.seconds + GRACE_SECONDS


def _bytes_of(limits: Limits) -> int:
    return limits.memory_bytes + limits.read_bytes + 2 * limits.overlay_bytes + limits.record_bytes + HOST_BYTES


def _outcome(recorded: Recorded, input: Any) -> Ran | Failed:
    """A run as the journal has it; what it said beside its output, and how long it took, is not there."""
    if recorded.output_text is not None:
        return Ran(
            recorded.capability,
            recorded.version,
            input,
            json.loads(recorded.output_text),
            recorded.output_text,
            stderr="",
            fuel=recorded.fuel,
            seconds=0.0,
            effects=recorded.effects,
            grant=recorded.permissions,
            run_id=recorded.run_id,
        )
    return Failed(
        recorded.capability,
        recorded.version,
        input,
        cast("FailureKind", recorded.kind),
        recorded.error or "",
        recorded.code or "",
        fuel=recorded.fuel,
        effects=recorded.effects,
        grant=recorded.permissions,
        run_id=recorded.run_id,
    )


# The worker's side


def at_work(library: Path, settings: Settings, now: datetime | None = None) -> Callable[[Job], Ran | Failed]:
    """What a worker does with a job. The settings are its parent's, whatever metier.toml says by now."""
    box = Box(stack_bytes=settings.limits.stack_bytes, announce=log.warning)
    box.prepare()
    runs = Runs(Library(library), settings, box, now)

    def work(job: Job) -> Ran | Failed:
        outcome = runs.execute(
            runs.library.get(job.capability, job.version),
            json.loads(job.input),
            grant=job.grant,
            task_run_id=job.task_run_id,
            run_id=job.run_id,
        )
        return dataclasses.replace(outcome, input=None, blobs={})

    return work
