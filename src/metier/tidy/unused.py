"""Capabilities that nobody needed: there for a hundred tasks, and of use for none of them."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from metier.capability import Capability
from metier.runtime import Runtime
from metier.tidy.proposals import Proposal


@dataclass(frozen=True, slots=True)
class _Need:
    """Why capabilities are needed, by their ids, and when anything was asked of the library."""

    reasons: Mapping[str, str]
    asked: Sequence[float]
    """In seconds since 1970, ascending."""


class Unused:
    """Finds them, and says whether one still is one."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def find(self) -> Iterator[Proposal]:
        """Those that may be retired."""
        need = self._need()
        for capability in self._runtime.library.live():
            proposal = self._proposal(capability, need)
            if isinstance(proposal, Proposal):
                yield proposal

    def proposal(self, capability: Capability) -> Proposal | str:
        """To retire it; or why it stays."""
        return self._proposal(capability, self._need())

    def _proposal(self, capability: Capability, need: _Need) -> Proposal | str:
        if capability.pinned:
            return f"a person pinned {capability.name}"
        if capability.status == "trusted":
            return f"{capability.id} is trusted"
        made = _made(capability)
        if made is None:
            return f"nobody knows since when {capability.id} is there"
        trial = self._runtime.settings.lifecycle.trial_tasks
        seen = len(need.asked) - bisect.bisect_right(need.asked, made)
        if seen < trial:
            return f"{capability.id} has seen {seen} of {trial} tasks"
        return need.reasons.get(capability.id) or Proposal(
            "retire", (capability.name,), f"it served none of {seen} tasks and calls since it is there"
        )

    def _need(self) -> _Need:
        runtime = self._runtime
        known = runtime.library.capabilities()
        reasons = {alias.kept.id: f"it answers for {id}" for id, alias in runtime.aliases.among(known).items()}
        reasons |= {id: f"{c.id} calls it" for c in known if c.live for id in c.permissions.call}
        reasons |= dict.fromkeys(runtime.memory.counts(), "it solves tasks in memory")
        reasons |= {sums.capability: "it ran well" for sums in runtime.journal.usage.runs() if sums.runs > sums.failed}
        return _Need(reasons, runtime.journal.usage.asked())


def _made(capability: Capability) -> float | None:
    """When the version was made, in seconds since 1970."""
    try:
        return datetime.fromisoformat(capability.provenance.created).timestamp() if capability.provenance else None
    except (ValueError, OverflowError):
        return None
