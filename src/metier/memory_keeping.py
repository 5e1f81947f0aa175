"""The keeping of a library's task memory: forgetting a task everywhere, pruning, making it anew from the journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metier import schemas
from metier.errors import LibraryError, UsageError
from metier.memory import KeptTask, normalize_task, task_key

if TYPE_CHECKING:
    from metier.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What became of a task that was to be forgotten."""

    memory: bool
    """Whether memory had it."""
    tasks: int
    """Records of it in the journal that were removed, with its words and answers."""
    runs: int
    """Runs in the journal that served it."""
    emptied: bool
    """Whether those were emptied of what they took, saw and gave."""
    stays: tuple[str, ...]
    """Where something of it still is, and how that goes, a line each."""

    def as_json(self) -> dict[str, Any]:
        return {
            "memory": self.memory,
            "journal_tasks": self.tasks,
            "journal_runs": self.runs,
            "emptied": self.emptied,
            "stays": list(self.stays),
        }


class MemoryKeeper:
    """Looks after the memory of one open library."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._memory, self._journal = runtime.memory, runtime.journal

    def listed(self, limit: int = -1) -> list[dict[str, Any]]:
        """What is kept, the latest first, as JSON-able objects."""
        return [_as_json(kept) for kept in self._memory.rows(limit=limit)]

    def one(self, task: str) -> dict[str, Any]:
        """What is kept of one task.

        Raises:
            UsageError: nothing is.
        """
        for kept in self._memory.rows(task=task):
            return _as_json(kept)
        raise UsageError(f"memory has nothing of {task!r}; `metier memory list` says what it has")

    def prune(self, *, before: float | None, keep: int | None) -> int:
        """Drops what was solved before a time, in seconds since 1970, and all but the latest `keep`, for good: the
        journal does not bring it back. How many tasks went."""
        gone = set(self._memory.prune(before=before, keep=keep))
        if gone:
            self._journal.unlearn(lambda words: task_key(words) in gone)
        return len(gone)

    def forget(self, task: str, *, runs: bool) -> Forgetting:
        """Removes a task from memory, and its words and answers from the journal's records of tasks; with `runs` also
        what the runs that served it took, saw and gave.

        Raises:
            LibraryError: memory or journal cannot be written.
        """
        key = task_key(task)
        known = self._memory.forget(task)
        there = self._journal.forget(lambda words: task_key(words) == key, runs=runs)
        if self._memory.rows(task=task) or self._journal.has_task(lambda words: task_key(words) == key):
            raise LibraryError("it is not forgotten: memory or journal cannot be written")
        return Forgetting(known, there.tasks, there.runs, runs, tuple(self._stays(task, there.runs, runs)))

    def rebuild(self) -> int:
        """Makes memory anew from the tasks and runs in the journal. How many tasks it has now.

        Raises:
            UsageError: memory is switched off.
            LibraryError: it cannot be written.
        """
        if not self._runtime.settings.memory.keep:
            raise UsageError("memory is switched off: [memory] keep in metier.toml")
        if not self._memory.rebuild():
            raise LibraryError(f"memory cannot be made anew: {self._memory.problem}")
        return self._memory.count()

    def _stays(self, task: str, runs: int, emptied: bool) -> Iterator[str]:
        if runs and not emptied:
            kept = self._runtime.settings.journal.runs
            yield (
                f"inputs and outputs of {runs} run{'s' * (runs != 1)} in the journal, until {kept} later ones came "
                "([journal] runs); with --runs they go now"
            )
        if runs and emptied:
            yield f"that {runs} run{'s' * (runs != 1)} took place, and when: the chain of hashes needs the rows"
        normal, library = normalize_task(task), self._runtime.library
        for capability in library.capabilities():
            if any(example.task and normalize_task(example.task) == normal for example in capability.examples):
                yield f"an example of {capability.name}, which still answers it; the library is yours to edit"
        for path in self._set_aside():
            yield f"what was in {path} when it was put aside as damaged; delete it"

    def _set_aside(self) -> list[Path]:
        state = self._runtime.library.state
        return [path for name in ("memory", "journal") for path in sorted(state.glob(f"{name}.sqlite.broken*"))]


def _as_json(kept: KeptTask) -> dict[str, Any]:
    solved = kept.solved
    return {
        "task": solved.task,
        "capability": solved.capability,
        "version": solved.version,
        "input": _value(solved.input),
        "output": _value(solved.output_text),
        "answer": solved.answer or None,
        "effects": solved.effects,
        "at": solved.at,
    }


def _value(text: str) -> Any:
    """What a JSON text says; None for none, and for one that is damaged."""
    try:
        return schemas.parse(text, what="what memory has")
    except schemas.InvalidJson:
        return None
