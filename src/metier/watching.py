"""Those who watch a runtime: traces and metrics. They hear what its caller hears, and what becomes of direct calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from metier import events

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
