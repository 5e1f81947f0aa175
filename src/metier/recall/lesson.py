"""What memory learned from one task, as the journal keeps it: enough to learn it again."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import astuple, dataclass

from metier.capability import Effects
from metier.errors import LibraryError
from metier.journal import Journal
from metier.library import Library
from metier.memory import Check, Learned, SolvedTask


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


def journaled(journal: Journal, library: Library) -> tuple[list[SolvedTask], list[Check]]:
    """The solved tasks that a journal knows of, of versions that there still are, and what models said of memory."""
    found, effects = [], dict[tuple[str, int], Effects | None]()
    for s in journal.solved():
        version = (s.capability, s.version)
        if version not in effects:
            effects[version] = None
            with suppress(LibraryError):
                effects[version] = library.get(*version).effects
        if (kind := effects[version]) is not None:
            learned = lesson.learned if (lesson := Lesson.of(s.lesson)) is not None else None
            found.append(
                SolvedTask(s.task, s.capability, s.version, s.input, s.output_text, s.answer, kind, s.at, learned)
            )
    lessons = [lesson for text in journal.lessons() if (lesson := Lesson.of(text)) is not None]
    return found, [check for lesson in lessons for check in lesson.checks]
