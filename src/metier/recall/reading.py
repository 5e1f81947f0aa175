"""One task in every way in which its words may be arguments: by form, by a contract's choices, by names in data."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from metier.capability import Capability
from metier.recall.choices import Phrase, choice_kind
from metier.recall.entities import AsRead, AtOnce, Entities, Source, entity_at
from metier.recall.slots import Said, Span, typed_spans
from metier.recall.words import Words, phrase

MAX_CHOICES, MAX_CHOICE_WORDS = 500, 12


SCOPE = frozenset(
    "all any both each every everybody everyone everything except it me mine my no nobody none not nothing one only "
    "other others same some that the them these they this those us you".split()
)
"""Words that say which or how many, and so are no names by themselves."""
Known = Mapping[str, Mapping[Phrase, str | None]]
"""What words were learned to mean, by kind of slot."""


class Reader:
    """The spans of one task, found when they are asked for.

    Kinds are `number`, `date` and so on; `entity ID` is a name in the data that the capability ID declares, `named ID`
    such a name in quotation marks, and `choice ID PATH` one of the values that its contract lists for an argument.
    """

    def __init__(
        self,
        words: Words,
        now: datetime,
        live: Mapping[str, Capability],
        entities: Entities | AtOnce | AsRead,
        known: Known,
    ) -> None:
        self.words, self._known = words, known
        self._live, self._entities = live, entities
        self._typed: dict[tuple[str, int], list[Span]] = {}
        self._sources: dict[str, list[tuple[str, Source]]] = {}
        for span in typed_spans(words, now):
            self._typed.setdefault((span.kind, span.begin), []).append(span)

    def spans_at(self, kind: str, begin: int) -> Sequence[Span]:
        """The spans of a kind that begin at a word."""
        sort, _, of = kind.partition(" ")
        if sort == "entity":
            return [*self._entities_at(self._live.get(of), begin)]
        if sort == "named":
            return [*self._named_at(self._live.get(of), begin)]
        if sort == "choice":
            id = of.partition(" ")[0]
            return [span for span in self._choices_at(self._live.get(id), begin) if span.kind == kind]
        return self._typed.get((kind, begin), [])

    def spans_for(self, capability: Capability) -> list[Span]:
        """Every span that may be an argument of a capability."""
        found = [span for spans in self._typed.values() for span in spans]
        for begin in range(len(self.words.words)):
            found += self._entities_at(capability, begin)
            found += self._named_at(capability, begin)
            found += self._choices_at(capability, begin)
        return found

    def _entities_at(self, capability: Capability | None, begin: int) -> Iterator[Span]:
        if capability is None:
            return
        ways: dict[int, list[tuple[str, Any]]] = {}
        for end, column, values in entity_at(self._sources_of(capability), self.words.words, begin):
            if SCOPE.issuperset(self.words.words[begin:end]):
                continue
            said = self.words.said(begin, end)
            own = ways.setdefault(end, [])
            own.append((f"entity.{column}.written", Said(said)))
            if len(values) == 1:
                own.append((f"entity.{column}.stored", Said(next(iter(values)))))
        for end, read in ways.items():
            yield Span(begin, end, f"entity {capability.id}", tuple(read), self.words.said(begin, end))

    def _named_at(self, capability: Capability | None, begin: int) -> Iterator[Span]:
        """A quotation that is, up to case, a whole value in the data: the one that is stored."""
        if capability is None:
            return
        for span in self._typed.get(("quoted", begin), ()):
            inner = next(meant.text for way, meant in span.ways if way == "quotation")
            words, sources = phrase(inner), self._sources_of(capability)
            ways = [
                (f"named.{column}", Said(stored))
                for end, column, values in entity_at(sources, words, 0)
                if end == len(words) and (stored := _stored(inner, values)) is not None
            ]
            if ways:
                yield Span(span.begin, span.end, f"named {capability.id}", tuple(ways), span.said)

    def _sources_of(self, capability: Capability) -> list[tuple[str, Source]]:
        if capability.id not in self._sources:
            self._sources[capability.id] = self._entities.sources(capability)
        return self._sources[capability.id]

    def _choices_at(self, capability: Capability | None, begin: int) -> Iterator[Span]:
        """What the contract lists for an argument, and what words were learned to mean; the first where both say."""
        if capability is None:
            return
        said = self.words.words[begin : begin + MAX_CHOICE_WORDS]
        for path, choices in _choices(capability.input_schema):
            kind = choice_kind(capability.id, path)
            listed = {phrase(value): value for value in choices}
            learned = {words: value for words, value in self._known.get(kind, {}).items() if value is not None}
            for words, value in {**learned, **listed}.items():
                if words and said[: len(words)] == words:
                    end = begin + len(words)
                    yield Span(begin, end, kind, (("choice.only", Said(value)),), self.words.said(begin, end))


def _stored(said: str, values: Collection[str]) -> str | None:
    """The one of these values that is said, to the letter or in another case; None where it is none, or two."""
    alike = [said] if said in values else [value for value in values if value.casefold() == said.casefold()]
    return alike[0] if len(alike) == 1 else None


def _choices(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """The texts that a schema lists for each argument, none where it lists none, with the path to it."""
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        if not isinstance(inner, dict):
            continue
        whole = (*path, name)
        items = inner.get("items")
        listed = items.get("enum") if isinstance(items, dict) else inner.get("enum")
        few = isinstance(listed, list) and len(listed) <= MAX_CHOICES
        yield whole, [value for value in listed if isinstance(value, str)] if listed and few else []
        yield from _choices(inner, whole)
