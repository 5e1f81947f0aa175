"""Where a keyword stands in a schema, and what it needs of the rest of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from metier.schemas.conformance import (
    Finding,
    Marker,
    Marks,
    Meter,
    Node,
    Rule,
    kind_of,
    shown,
    shown_name,
)

Path = tuple[str, ...]
NOTHING: tuple[Any, ...] = ()
Matcher = Callable[[str, Meter], bool]


class InvalidSchema(ValueError):
    """One line: where the schema is none, and why."""


def invalid(path: Path, why: str) -> InvalidSchema:
    """The error that says so of what stands at `path`."""
    return InvalidSchema(f"at /{'/'.join(shown_name(step) for step in path)}: {why}")


class Reference:
    """Leads to a node that is known once the whole document is."""

    __slots__ = ("target",)
    target: Node

    def check(self, value: Any, meter: Meter) -> Finding | None:
        return self.target.check(value, meter)

    def mark(self, value: Any, meter: Meter, marks: Marks) -> None:
        self.target.mark(value, meter, marks)


class Document(Protocol):
    """What keywords need of the compiler. Each raises InvalidSchema where `path` holds no such thing."""

    def node(self, schema: Any, path: Path) -> Node: ...

    def refer(self, reference: Any, path: Path) -> Reference: ...

    def pattern(self, text: Any, path: Path) -> Matcher: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a keyword stands: in which document, in whose schema, and where that is."""

    document: Document
    node: Node
    schema: dict[str, Any]
    path: Path

    def reject(self, why: str) -> NoReturn:
        raise invalid(self.path, why)

    def add(self, rule: Rule, marker: Marker | None = None) -> None:
        self.node.rules.append(rule)
        if marker is not None:
            self.node.markers.append(marker)

    def each(self, schemas: Any) -> list[Node]:
        """The nodes of an array of schemas."""
        if not isinstance(schemas, list) or not schemas:
            self.reject("must be an array of schemas, not empty")
        return [self.document.node(schema, (*self.path, str(n))) for n, schema in enumerate(schemas)]

    def names(self, schemas: Any) -> dict[str, Node]:
        """The nodes of an object of schemas."""
        if not isinstance(schemas, dict):
            self.reject("must be an object of schemas")
        return {name: self.document.node(schema, (*self.path, name)) for name, schema in schemas.items()}

    def texts(self, wanted: Any) -> list[str]:
        if not isinstance(wanted, list) or not all(isinstance(name, str) for name in wanted):
            self.reject("must be an array of texts")
        return wanted

    def count(self, wanted: Any) -> int:
        if kind_of(wanted) != "integer" or wanted < 0:
            self.reject(f"must be a whole number from 0 on, not {shown(wanted)}")
        return int(wanted)


Keyword = Callable[[Place, Any], None]
