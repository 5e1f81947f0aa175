"""What a run saw of the outside, in order: kept while it is live, told again when it is replayed.

Everything that can differ between two days goes through `observe`: the state of host files, the clock, random seeds,
and the answers of effects that reach beyond the run. So a replay needs nothing but the record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from metier import schemas
from metier.outcomes import Effect
from metier.sandbox.files import Backing, FileError, Stat
from metier.sandbox.limits import Limits
from metier.sandbox.wasi import LimitReached

RECORD_BYTES = Limits().record_bytes


class Record(Protocol):
    """`effects` are the observations so far; `blobs` holds the contents that they name by hash."""

    effects: list[Effect]
    blobs: dict[str, bytes]

    def observe(self, request: str, answer: Callable[[], str]) -> str:
        """The answer to `request`: that of `answer` in a live run, the recorded one in a replay.

        Raises:
            LimitReached: requests and answers together are larger than a run may have them.
        """


class _Kept:
    """Observations in memory, until the run is over: `most` bytes of them, and the one that goes beyond."""

    def __init__(self, most: int) -> None:
        self.effects: list[Effect] = []
        self._most = most
        self._size = 0

    def keep(self, effect: Effect) -> str:
        """Keeps one and returns its answer. Raises LimitReached, in a replay at the same one as in the run."""
        self.effects.append(effect)
        # Python takes up to four bytes for each character of a text that is not ASCII.
        self._size += sum(len(text) * (1 if text.isascii() else 4) for text in (effect.request, effect.answer))
        if self._size > self._most:
            raise LimitReached("effects", f"requests and answers of effects have more than {self._most} bytes together")
        return effect.answer


class LiveRecord(_Kept):
    """Asks, and keeps what was answered."""

    def __init__(self, most: int = RECORD_BYTES) -> None:
        super().__init__(most)
        self.blobs: dict[str, bytes] = {}

    def observe(self, request: str, answer: Callable[[], str]) -> str:
        return self.keep(Effect(request, answer()))


class Diverged(Exception):
    """A replay asked for something else than the run did. `position` counts observations from 0."""

    def __init__(self, position: int, recorded: str, asked: str) -> None:
        super().__init__(f"effect {position} was {recorded}, and is {asked} now")
        self.position = position


class ReplayedRecord(_Kept):
    """Answers from a record, in its order, and never asks outside."""

    def __init__(self, effects: Sequence[Effect], blobs: Mapping[str, bytes], most: int = RECORD_BYTES) -> None:
        super().__init__(most)
        self._told = effects
        self.blobs = dict(blobs)

    @property
    def left(self) -> int:
        """How many recorded observations were not asked for."""
        return len(self._told) - len(self.effects)

    def observe(self, request: str, answer: Callable[[], str]) -> str:
        position = len(self.effects)
        if position >= len(self._told):
            raise Diverged(position, "nothing", request)
        effect = self._told[position]
        if effect.request != request:
            raise Diverged(position, effect.request, request)
        return self.keep(effect)


class RecalledRecord(_Kept):
    """Answers from a record in whatever order it is asked, for another program than the one that was recorded."""

    def __init__(self, effects: Sequence[Effect], blobs: Mapping[str, bytes], most: int = RECORD_BYTES) -> None:
        super().__init__(most)
        self.blobs = dict(blobs)
        self._told: dict[str, list[str]] = {}
        for effect in effects:
            self._told.setdefault(effect.request, []).append(effect.answer)

    def observe(self, request: str, answer: Callable[[], str]) -> str:
        """The answers to a request in their order, the last one again and again.

        Raises:
            Diverged: nobody asked that.
        """
        answers = self._told.get(request)
        if not answers:
            raise Diverged(len(self.effects), "never asked", request)
        return self.keep(Effect(request, answers.pop(0) if len(answers) > 1 else answers[0]))


class RecordedFiles:
    """Host files as a run observes them: looks and listings in the record, contents as blobs beside it."""

    def __init__(self, host: Backing, record: Record) -> None:
        self._host = host
        self._record = record

    def stat(self, root: str, path: str) -> Stat | None:
        def look() -> Any:
            found = self._host.stat(root, path)
            return [found.kind, found.size] if found else None

        told = self._observe("stat", root, path, look)
        return Stat(told[0], told[1]) if told else None

    def read(self, root: str, path: str) -> bytes:
        def look() -> Any:
            data = self._host.read(root, path)
            key = hashlib.sha256(data).hexdigest()
            self._record.blobs[key] = data
            return key

        key = self._observe("read", root, path, look)
        if key not in self._record.blobs:
            raise Diverged(len(self._record.effects) - 1, f"content {key[:12]}", "content that is not kept")
        return self._record.blobs[key]

    def names(self, root: str, path: str) -> list[str]:
        names: list[str] = self._observe("names", root, path, lambda: self._host.names(root, path))
        return names

    def _observe(self, operation: str, root: str, path: str, look: Callable[[], Any]) -> Any:
        def answer() -> str:
            try:
                return schemas.compact({"ok": look()})
            except FileError as error:
                return schemas.compact({"problem": error.problem})

        told = json.loads(self._record.observe(schemas.compact([f"files.{operation}", root, path]), answer))
        if "problem" in told:
            raise FileError(told["problem"], path)
        return told["ok"]
