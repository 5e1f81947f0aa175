"""What builds with a compiler have in common: a command that must succeed, and a listing without strangers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from metier.errors import BuildError
from metier.toolchains.lock import SECONDS, Room
from metier.toolchains.messages import trimmed

PREPARING_SECONDS: Final = 900.0
"""For a standard library, once."""


def succeed(
    room: Room,
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
    writable: Mapping[str, Path] | None = None,
) -> str:
    """What the command said.

    Raises:
        BuildError: it failed; the message is what it said, fit for a model.
    """
    done = room.run(command, environment, seconds=seconds, writable=writable)
    if done.status == 0:
        return done.said
    said = trimmed(done.said, hidden(room))
    raise BuildError(said or f"the compiler ended with status {done.status}: it may need more than it is given")


def hidden(room: Room) -> list[str]:
    """Folders of this machine that a compiler may name: only those of an unlocked one are."""
    if room.locked:
        return []
    return [room.at(name) for name in room.places] + [room.inside("draft"), room.inside("out")]


def refuse_strangers(room: Room, listing: Iterable[str]) -> None:
    """Raises:
    BuildError: the compiler read a file that belongs neither to the draft, nor to the SDK, nor to itself.
    """
    if strangers := room.strangers(listing):
        raise BuildError(f"the source reads what is no part of it: {', '.join(strangers[:5])}")
