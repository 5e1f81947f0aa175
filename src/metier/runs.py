"""The runs of one library on live data: executed, kept in the journal, and of consequence for the version's state.

Nothing here knows of models or tasks, so it is what a worker process needs.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metier.capability import Capability
from metier.config import Settings, root_paths, secret_readers
from metier.effects import HttpService, SqlStores
from metier.errors import InvalidModule, MetierError
from metier.journal import Journal, new_run_id
from metier.library import Library
from metier.lifecycle import Lifecycle
from metier.outcomes import Failed, Ran
from metier.permissions import Permissions
from metier.runner import Loaded, Runner
from metier.sandbox.box import Box

MAX_LOADED = 256
"""Programs kept ready in memory."""


class Runs:
    """Executes capabilities of a library with its operator's settings. Safe to use from several threads."""

    def __init__(self, library: Library, settings: Settings, box: Box, now: datetime | None = None) -> None:
        self.library = library
        self.settings = settings
        self.fixed_now = now
        """What time it always is; None for that of this machine."""
        self.state = _state_folder(library)
        self.journal = Journal(self.state, keep_runs=settings.journal.runs)
        self.runner = Runner(
            box,
            roots=root_paths(library.path, settings),
            policy=settings.policy.ceiling,
            limits=settings.limits,
            state=self.state,
            resolve=lambda id, version: self.load(library.get(id, version)),
            http=HttpService(networks=settings.http.networks, secrets=secret_readers(library.path, settings)),
            stores=SqlStores(settings.stores, library.path),
            journal=self.journal,
            clock=time.time_ns if now is None else lambda: _nanoseconds(now),
        )
        self.lifecycle = Lifecycle(library, self.journal, settings.lifecycle, self._rehearse)
        self._loaded: dict[tuple[str, int, str], Loaded] = {}
        self._lock = threading.RLock()

    def now(self) -> datetime:
        """What time it is to runs with a recorded clock, with its time zone."""
        return self.fixed_now or datetime.now().astimezone()

    def execute(
        self,
        capability: Capability,
        input: Any,
        *,
        grant: Permissions | None = None,
        task_run_id: str | None = None,
        run_id: str | None = None,
    ) -> Ran | Failed:
        """Runs one version on live data, keeps the run in the journal and draws the consequence for the version's
        state. `grant` narrows what it may do; `run_id` names the run, where somebody has named it already."""
        run_id = run_id or new_run_id()
        try:
            loaded = self.load(capability)
            outcome = self.runner.run(loaded, input, grant=grant, task_run_id=task_run_id, run_id=run_id)
        except InvalidModule as error:
            said = str(error).removeprefix(f"{capability.id}: ")
            outcome = Failed(capability.id, capability.version, input, "module", said)
        return self.ended(dataclasses.replace(outcome, run_id=run_id), capability, grant, task_run_id)

    def ended(
        self, outcome: Ran | Failed, capability: Capability, grant: Permissions | None, task_run_id: str | None
    ) -> Ran | Failed:
        """The outcome of a run, kept in the journal, with the consequence that was drawn."""
        follows = self.lifecycle.ended(outcome, capability, task_run_id=task_run_id, judged=grant is None)
        return dataclasses.replace(outcome, consequence=follows) if isinstance(outcome, Failed) and follows else outcome

    def load(self, capability: Capability) -> Loaded:
        """A version, ready to run; kept ready for the next time."""
        key = (capability.id, capability.version, capability.sha256 or "")
        with self._lock:
            loaded = self._loaded.get(key) if capability.sha256 else None
            if loaded is None or loaded.capability != capability:
                artifact = self.library.load(capability.id, capability.version)
                loaded = self.runner.load(artifact.capability, artifact.wasm)
                if len(self._loaded) >= MAX_LOADED:
                    del self._loaded[next(iter(self._loaded))]
                self._loaded[key] = loaded
            return loaded

    def close(self) -> None:
        """Lets go of the journal. What was done stays."""
        self.journal.close()

    def _rehearse(self, capability: Capability, input: Any) -> Ran | Failed:
        return self.runner.rehearse(self.load(capability), input)


def _nanoseconds(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000


def _state_folder(library: Library) -> Path | None:
    """Where what is derived and local goes; None where the library cannot be written."""
    try:
        return library.make_state()
    except (MetierError, OSError):
        return None
