"""What of a capability is searched: its texts for the embedder, its words for BM25."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from metier.capability import Capability
from metier.retrieval.lexical import terms, weight_of, words

MAX_TEXT_CHARACTERS = 4096
"""A longer query or text is cut to its first three quarters and its last quarter of this many characters."""

MAX_TASKS = 64
"""Tasks of one capability that are searched; the later ones, where there are more."""

NAME_WEIGHT = 8.0
"""What a word of a capability's name counts, besides that it stands in the title."""

_TAIL = MAX_TEXT_CHARACTERS // 4


@dataclass(frozen=True, slots=True)
class Document:
    """A capability as retrieval sees it. `title` says what it is; `tasks` are ones that it solves."""

    title: str
    tasks: tuple[str, ...]
    details: str
    """What only the words are taken of: the descriptions of the parameters."""

    def words(self, name: str) -> Iterator[tuple[str, float]]:
        """The terms of a capability of this name, and what each counts: words of the name most, pairs of words less."""
        for word in words(name):
            yield word, NAME_WEIGHT
        for text in (self.title, self.details, *self.tasks):
            for term in terms(text):
                yield term, weight_of(term)


def document(capability: Capability, solved: Sequence[str] = ()) -> Document:
    """What of `capability` is searched: name, summary, parameters and their descriptions, and the tasks that it solves:
    those of its examples and those that were `solved` with it, oldest first."""
    parameters = _parameters(capability.input_schema)
    names = " ".join(_spaced(name) for name, _ in parameters)
    examples = (example.task for example in capability.examples if example.task)
    tasks = dict.fromkeys(bounded(task) for task in (*examples, *solved))
    return Document(
        title=bounded(f"{_spaced(capability.id)}: {capability.summary} {names}"),
        tasks=tuple(tasks)[-MAX_TASKS:],
        details=bounded(" ".join(description for _, description in parameters)),
    )


def bounded(text: str) -> str:
    """`text` as one line of bounded length a line of it, safe to encode as UTF-8."""
    if len(text) > MAX_TEXT_CHARACTERS:
        text = f"{text[: MAX_TEXT_CHARACTERS - _TAIL]}\n{text[-_TAIL:]}"
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(filter(None, lines)).encode("utf-8", "replace").decode("utf-8")


def _parameters(schema: dict[str, Any]) -> list[tuple[str, str]]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return []
    return [(name, _description(property)) for name, property in properties.items()]


def _description(schema: Any) -> str:
    found = schema.get("description") if isinstance(schema, dict) else None
    return found if isinstance(found, str) else ""


def _spaced(name: str) -> str:
    return " ".join(name.replace("_", " ").split())
