"""What may be kept of a task: the operator's policy for memory and journal, and never the value of a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from metier.config import MemorySettings, Settings, secret_readers
from metier.effects.secrets import Secrets, Veil

WITHHELD = "(not kept)"
"""Stands in the journal for the words of a task that is not to be kept."""
KEY_ENDINGS = ("_API_KEY", "_TOKEN", "_PASSWORD", "_SECRET")
"""How the names of variables end whose values are secrets, whoever reads them."""
HIDDEN = "***"


class Keeping:
    """Decides what is kept of tasks in one library. Values of secrets are read anew each time, as they may change."""

    def __init__(self, settings: MemorySettings | None = None, veil: Callable[[], Veil] = lambda: Veil({})) -> None:
        self.settings = settings or MemorySettings()
        self._never = [re.compile(pattern, re.IGNORECASE) for pattern in self.settings.never]
        self._veil = veil

    @classmethod
    def of(cls, library: Path, settings: Settings) -> Keeping:
        """What holds in the library at a path: its own secrets, its stores' passwords, and the keys of this process."""

        def veil() -> Veil:
            readers = secret_readers(library, settings) | _variables(settings.stores)
            return Secrets(readers).veil(readers)

        return cls(settings.memory, veil)

    def is_never_kept(self, *texts: str) -> bool:
        """Whether a pattern of `[memory] never` is found in one of these texts."""
        return any(pattern.search(text) for pattern in self._never for text in texts)

    def admits(self, task: str, input: str, output: str, answer: str) -> bool:
        """Whether memory may keep a task with its arguments. One that has a secret in it would not work without."""
        if not self.settings.keep or self.is_never_kept(task, input, output, answer):
            return False
        veil = self._veil()
        return not any(_holds(veil, text) for text in (task, input))

    def keeps_answer(self, output: str, answer: str) -> bool:
        """Whether memory may keep output and answer with it."""
        if not self.settings.answers:
            return False
        veil = self._veil()
        return not any(_holds(veil, text) for text in (output, answer))

    def words(self, task: str, *others: str | None) -> tuple[str | None, ...]:
        """A task's words and other texts about it as the journal may have them: without secrets, or withheld."""
        if self.is_never_kept(task, *(text for text in others if text)):
            return (WITHHELD, *(text and WITHHELD for text in others))
        veil = self._veil()
        return tuple(text and _hidden(veil, text) for text in (task, *others))


def _variables(stores: Mapping[str, str]) -> dict[str, Callable[[], str | None]]:
    """What reads the variables of this process that hold secrets; the stores' are named in their URLs."""
    named = {found[1] for url in stores.values() if (found := re.fullmatch(r"\$\{env:(\w+)\}", url))}
    keys = {name for name in os.environ if name.upper().endswith(KEY_ENDINGS)}
    return {name: partial(os.environ.get, name) for name in sorted(named | keys)}


def _holds(veil: Veil, text: str) -> bool:
    data = text.encode("utf-8", "surrogatepass")
    return veil.hide(data) != data


def _hidden(veil: Veil, text: str) -> str:
    return veil.hide(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
