"""Words that solved tasks use for one of several values of an argument: learned where nothing else differs.

Two tasks of a capability that are the same but for some words, and whose calls are the same but for one argument, say
what those words mean: "of engaged users" and "of total visits" gave `user_engaged` and `total_visits`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from metier.recall.templates import Induced, Path, Template

MAX_WORDS, MAX_PHRASE = 40, 4
"""Of a task in which words are learned; of what is learned."""
MAX_TASKS = 256
"""Of one capability that are looked through."""

Phrase = tuple[str, ...]


def choice_kind(capability: str, path: Path) -> str:
    """The kind of slot that takes the known words for an argument."""
    return f"choice {capability} {'.'.join(str(step) for step in path)}"


@dataclass(slots=True)
class Choices:
    """What words mean for the arguments of capabilities: by capability and argument, the value of each phrase."""

    known: dict[str, dict[Phrase, str | None]] = field(default_factory=dict)
    """By kind of slot. None: the phrase was seen with two values, and means nothing."""
    _holes: dict[str, dict[Phrase, str]] = field(default_factory=dict)
    _tasks: dict[str, list[Induced]] = field(default_factory=dict)

    def learn(self, capability: str, induced: Induced) -> list[Induced]:
        """Takes in one solved task. Returns templates, of this task and of earlier ones, in which words for a value
        were found since, with a slot for them."""
        tasks = self._tasks.setdefault(capability, [])
        if len(induced.template.words) > MAX_WORDS or len(tasks) >= MAX_TASKS:
            return []
        tasks.append(induced)
        fresh: dict[str, dict[Phrase, str]] = {}
        for path, phrase, value, hole in _holes(capability, induced):
            seen = self._holes.setdefault(hole, {})
            seen.setdefault(phrase, value)
            kind = choice_kind(capability, path)
            for other, meant in seen.items():
                if meant != value and other[0] != phrase[0] and other[-1] != phrase[-1]:
                    for words, says in ((phrase, value), (other, meant)):
                        if self._keep(kind, words, says):
                            fresh.setdefault(kind, {})[words] = says
        found = [g for task in tasks if fresh for g in self._with_slots(capability, task, fresh)]
        own = self._with_slots(capability, induced, self.known) if not fresh else ()
        return [*found, *own]

    def _keep(self, kind: str, phrase: Phrase, value: str) -> bool:
        """Whether the phrase is new."""
        known = self.known.setdefault(kind, {})
        if phrase not in known:
            known[phrase] = value
            return True
        if known[phrase] != value:
            known[phrase] = None
        return False

    def _with_slots(
        self, capability: str, induced: Induced, kinds: Mapping[str, Mapping[Phrase, str | None]]
    ) -> Iterator[Induced]:
        for path, value in induced.fixed.items():
            kind = choice_kind(capability, path)
            for phrase, says in kinds.get(kind, {}).items():
                if says is not None and says == value and self.known[kind][phrase] == says:
                    places = [i for i, words in _windows(induced.template) if words == phrase]
                    if len(places) == 1:
                        yield _opened(induced, path, kind, places[0], phrase)


def _holes(capability: str, induced: Induced) -> Iterator[tuple[Path, Phrase, str, str]]:
    """Each argument with a text for a value and words that may say it, and all else of the task and call as a key."""
    kinds = iter(induced.template.kinds)
    shown = [word if word is not None else f"\0{next(kinds)}" for word in induced.template.words]
    made = sorted(json.dumps(path) for path in induced.bindings)
    for path, value in induced.fixed.items():
        if _is_word(value):
            for begin, phrase in _windows(induced.template):
                hole = [*shown[:begin], None, *shown[begin + len(phrase) :]]
                yield (
                    path,
                    phrase,
                    value,
                    _key(capability, path, hole, [p for p in made if p != json.dumps(path)], induced),
                )
    slots = [index for index, word in enumerate(induced.template.words) if word is None]
    for path, value in induced.chosen.items():
        places = {index for parts, _ in induced.bindings[path] for index, _ in parts}
        if len(places) == 1 and _is_word(value):
            index = places.pop()
            hole = [*shown[: slots[index]], None, *shown[slots[index] + 1 :]]
            phrase = tuple(induced.said[index].casefold().split())
            yield path, phrase, value, _key(capability, path, hole, made, induced)


def _is_word(value: Any) -> bool:
    """Whether words may be learned for a value: for a day or a number they may mean another one tomorrow."""
    return isinstance(value, str) and not any(character.isdigit() for character in value)


def _key(capability: str, path: Path, hole: list[str | None], made: list[str], induced: Induced) -> str:
    others = sorted((json.dumps(p), json.dumps(v)) for p, v in induced.fixed.items() if p != path)
    return json.dumps([capability, path, hole, [p for p in made if p != json.dumps(path)], others])


def _windows(template: Template) -> Iterator[tuple[int, Phrase]]:
    """Runs of words of a template, with where they begin."""
    for begin in range(len(template.words)):
        for end in range(begin + 1, min(begin + MAX_PHRASE, len(template.words)) + 1):
            words = template.words[begin:end]
            if words[-1] is None or not words[-1][0].isalnum():
                break
            yield begin, tuple(word for word in words if word is not None)


def _opened(induced: Induced, path: Path, kind: str, begin: int, phrase: Phrase) -> Induced:
    """The template with a slot for the words at `begin`, which say the argument at `path`."""
    slot = sum(1 for word in induced.template.words[:begin] if word is None)
    words = (*induced.template.words[:begin], None, *induced.template.words[begin + len(phrase) :])
    kinds = (*induced.template.kinds[:slot], kind, *induced.template.kinds[slot:])
    moved = {
        other: frozenset(
            (tuple((index + (index >= slot), way) for index, way in parts), form) for parts, form in readings
        )
        for other, readings in induced.bindings.items()
    }
    reading: tuple[tuple[tuple[int, str], ...], str] = (((slot, "choice.only"),), "said")
    fixed: dict[Path, Any] = {other: value for other, value in induced.fixed.items() if other != path}
    return dataclasses.replace(
        induced,
        template=Template(words, kinds),
        bindings={**moved, path: frozenset([reading])},
        fixed=fixed,
        said=(*induced.said[:slot], " ".join(phrase), *induced.said[slot:]),
        chosen={**induced.chosen, path: induced.fixed[path]},
    )
