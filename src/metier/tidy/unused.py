"""Capabilities that nobody needed: there for a hundred tasks, and of use for none of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from metier.capability import Capability
from metier.runtime import Runtime
from metier.tidy.proposals import Proposal


class Unused:
    """Finds them, and says whether one still is one."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def find(self) -> Iterator[Proposal]:
        """Those that may be retired."""
        for capability in self._runtime.library.live():
            proposal = self.proposal(capability)
            if isinstance(proposal, Proposal):
                yield proposal

    def proposal(self, capability: Capability) -> Proposal | str:
        """To retire it; or why it stays."""
        runtime = self._runtime
        if capability.pinned:
            return f"a person pinned {capability.name}"
        if capability.status == "trusted":
            return f"{capability.id} is trusted"
        made = _made(capability)
        if made is None:
            return f"nobody knows since when {capability.id} is there"
        trial, seen = runtime.settings.lifecycle.trial_tasks, runtime.journal.usage.chances(made)
        if seen < trial:
            return f"{capability.id} has seen {seen} of {trial} tasks"
        return self._needed(capability) or Proposal(
            "retire", (capability.name,), f"it served none of {seen} tasks and calls since it is there"
        )

    def _needed(self, capability: Capability) -> str | None:
        runtime, id = self._runtime, capability.id
        if runtime.journal.usage.successes(id):
            return f"{id} ran well for somebody"
        if runtime.memory.inputs(id):
            return f"{id} solves tasks in memory"
        callers = [c.id for c in runtime.library.live() if id in c.permissions.call]
        if callers:
            return f"{callers[0]} calls {id}"
        answered = [alias.old.id for alias in runtime.aliases.onto(capability)]
        return f"{id} answers for {answered[0]}" if answered else None


def _made(capability: Capability) -> float | None:
    """When the version was made, in seconds since 1970."""
    try:
        return datetime.fromisoformat(capability.provenance.created).timestamp() if capability.provenance else None
    except (ValueError, OverflowError):
        return None
