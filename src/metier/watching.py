"""Those who watch a runtime: traces and metrics. They hear what its caller hears, and what becomes of direct calls."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from metier import events
from metier.outcomes import Exists, Failed, Mutated, Mutation, NotMutated, Ran, Waits
from metier.prompts import clipped

Emit = Callable[[events.Event], None]
Watcher = Callable[[], Emit]
"""Makes what hears one task, or one call outside of tasks."""


class Told:
    """Hears the events of one task for its caller and for those who watch."""

    def __init__(self, caller: Emit, watchers: Iterable[Emit]) -> None:
        self._caller = caller
        self._watchers = tuple(watchers)

    def __call__(self, event: events.Event) -> None:
        self._caller(event)
        self.watching(event)

    def watching(self, event: events.Event) -> None:
        """Tells those who watch alone."""
        for hear in self._watchers:
            hear(event)


def told(emit: Emit, watchers: Iterable[Watcher]) -> Told:
    """`emit` with those who watch beside it; itself where they are there already."""
    return emit if isinstance(emit, Told) else Told(emit, [watch() for watch in watchers])


def run_ended(outcome: Ran | Failed) -> events.RunEnded:
    """What is told of a run that ended."""
    said = outcome.output_text if isinstance(outcome, Ran) else outcome.error
    ok = isinstance(outcome, Ran)
    return events.RunEnded(outcome.capability, outcome.version, ok, clipped(said, 300), outcome.seconds)


async def told_of_its_end(
    work: Coroutine[Any, Any, tuple[Mutation, int, int]], emit: Emit
) -> tuple[Mutation, int, int]:
    """A mutation, whose end is told whatever it is."""
    ended = events.MutationEnded("failed", None)
    try:
        outcome, asked, tokens = await work
        ended = _mutation_ended(outcome)
        return outcome, asked, tokens
    finally:
        emit(ended)


def _mutation_ended(outcome: Mutation) -> events.MutationEnded:
    match outcome:
        case Mutated():
            return events.MutationEnded("published", outcome.capability.id)
        case Exists():
            return events.MutationEnded("exists", outcome.capability.id)
        case Waits():
            return events.MutationEnded("waits", outcome.capability)
        case NotMutated():
            return events.MutationEnded("nothing", None)
