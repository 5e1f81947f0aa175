"""What memory learned from one task, as the journal keeps it: enough to learn it again."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass

from metier.memory import Check, Learned


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was learned, and how what memory would have done compares with what a model did."""

    learned: Learned
    checks: tuple[Check, ...] = ()

    def text(self) -> str:
        return json.dumps([astuple(self.learned), self.checks])

    @classmethod
    def of(cls, text: str | None) -> Lesson | None:
        """What `text()` wrote; None for anything else."""
        try:
            learned, checks = json.loads(text or "")
            run_id, day, data, induced = learned
            found = cls(
                Learned(str(run_id), str(day), data and str(data), induced and str(induced)),
                tuple((float(at), str(r), str(c), str(s), bool(agreed)) for at, r, c, s, agreed in checks),
            )
        except (ValueError, TypeError, RecursionError):
            return None
        return found
