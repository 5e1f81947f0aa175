"""A JSON Schema document made into rules.

One document is one resource: references stay inside it, and no sub-schema has an `$id`. Patterns run on a linear-time
engine (Rust's, which pydantic-core carries). Keywords that the standard does not know say something to people only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from metier.schemas.applicators import APPLICATORS
from metier.schemas.assertions import ASSERTIONS
from metier.schemas.conformance import Finding, Meter, Node, shown
from metier.schemas.place import InvalidSchema, Place, Reference, invalid

KEYWORDS = ASSERTIONS | APPLICATORS

MAX_SCHEMA_DEPTH = 100
"""Keywords, names and indices on the way to a schema."""
MAX_PATTERNS = 64
MAX_PATTERN_LENGTH = 1000
"""Compiled, one pattern can take 10 MB."""


def compiled(schema: dict[str, Any]) -> Node:
    """The schema as rules.

    Raises:
        InvalidSchema: it is none that Metier can hold a value to.
    """
    return Compiler(schema).root


class Compiler:
    """Makes nodes out of one document. Where a reference leads is looked up when all else is known."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._nodes: dict[int, Node] = {}
        self._anchors: dict[str, Node] = {}
        self._references: list[tuple[Reference, str, tuple[str, ...]]] = []
        self._patterns = 0
        self.root = self.node(document, ())
        while self._references:
            reference, text, path = self._references.pop()
            reference.target = self._anchors.get(text[1:]) or self._at_pointer(text, path)

    def node(self, schema: Any, path: tuple[str, ...]) -> Node:
        """The node of a schema that stands at `path` in the document."""
        if isinstance(schema, bool):
            return _ANYTHING if schema else _NOTHING
        if not isinstance(schema, dict):
            raise invalid(path, "a schema is an object, true or false")
        if len(path) > MAX_SCHEMA_DEPTH:
            raise InvalidSchema("the schema is nested too deep")
        known = self._nodes.get(id(schema))
        if known is not None:
            return known
        node = self._nodes[id(schema)] = Node()
        if "$id" in schema and schema is not self._document:
            raise invalid((*path, "$id"), "only the whole document may have one")
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(schema.get(keyword), str):
                self._anchors[schema[keyword]] = node
        for keyword, make in KEYWORDS.items():
            if keyword in schema:
                make(Place(self, node, schema, (*path, keyword)), schema[keyword])
        return node

    def refer(self, reference: Any, path: tuple[str, ...]) -> Reference:
        """What leads to the schema that `reference` names."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise invalid(path, f"{shown(reference)} points outside the document")
        made = Reference()
        self._references.append((made, reference, path))
        return made

    def _at_pointer(self, reference: str, path: tuple[str, ...]) -> Node:
        at = self._document
        first, *steps = (s.replace("~1", "/").replace("~0", "~") for s in unquote(reference[1:]).split("/"))
        try:
            if first:
                raise KeyError(first)
            for step in steps:
                at = at[int(step) if isinstance(at, list) and step.isdecimal() else step]
        except (LookupError, TypeError, ValueError):
            raise invalid(path, f"a reference that leads nowhere: {shown(reference)}") from None
        return self.node(at, tuple(steps))

    def pattern(self, text: Any, path: tuple[str, ...]) -> Callable[[str, Meter], bool]:
        """What tells whether some text holds a match."""
        self._patterns += 1
        if not isinstance(text, str):
            raise invalid(path, "a pattern is a text")
        if self._patterns > MAX_PATTERNS or len(text) > MAX_PATTERN_LENGTH:
            raise invalid(path, f"more than {MAX_PATTERNS} patterns, or than {MAX_PATTERN_LENGTH} characters in one")
        search = linear_pattern(text)
        if search is None:
            problem = "is not a regular expression without look-around and back-references"
            raise invalid(path, f"pattern {shown(text)} {problem}")

        def matches(value: str, meter: Meter) -> bool:
            meter.spend(1 + len(value) // 64)
            return search(value)

        return matches


_ANYTHING, _NOTHING = Node(), Node()
_NOTHING.rules.append(lambda value, meter: Finding(lambda: f"{shown(value)} is not allowed here"))


@functools.lru_cache(maxsize=MAX_PATTERNS)
def linear_pattern(pattern: str) -> Callable[[str], bool] | None:
    """What tells whether some text holds a match, in time linear in it; None where that engine cannot."""
    import pydantic_core
    from pydantic_core import core_schema

    try:
        validator = pydantic_core.SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except pydantic_core.SchemaError:
        return None
    return validator.isinstance_python
