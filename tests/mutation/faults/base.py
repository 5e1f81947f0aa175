"""What the corpus is made of: a right program with its contract and two sets of tests, and faults to put into it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import Any

TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
WHOLE: dict[str, Any] = {"type": "integer"}
NUMBER: dict[str, Any] = {"type": "number"}
FLAG: dict[str, Any] = {"type": "boolean"}
DAY: dict[str, Any] = {"type": "string", "format": "date"}


def of(*, optional: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    """A schema of an object with these properties and no others."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def rows(**properties: Any) -> dict[str, Any]:
    return {"type": "array", "items": of(**properties)}


@dataclass(frozen=True)
class Fault:
    """One fault: its class, and what stands in the source (`old`) and in the contract instead."""

    kind: str
    old: str = ""
    new: str = ""
    contract: dict[str, Any] = field(default_factory=dict)
    parent: bool = False
    """Whether the right program is in the library already, as the parent."""

    def put_into(self, source: str) -> str:
        assert self.old in source, (self.kind, self.old)
        return source.replace(self.old, self.new) if self.old else source + self.new


@dataclass(frozen=True)
class Test:
    """What an independent tester expects, who knows the contract alone."""

    __test__ = False

    input: Any
    output: Any = None
    error: str | None = None
    data: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


@dataclass(frozen=True)
class Base:
    """A capability that is right. `tried` are the inputs of its author's examples, the first on the data as it is, the
    others on `own` data; what comes out is filled in from the run, as an author does who trusts his program."""

    id: str
    summary: str
    source: str
    input: dict[str, Any]
    output: dict[str, Any]
    tried: tuple[Any, ...]
    tests: tuple[Test, ...]
    faults: tuple[Fault, ...]
    files: dict[str, str] = field(default_factory=dict)
    """What it asks for: path and access, of the root `hr`."""
    own: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    """What the tester's files hold, where a test says nothing else."""
    language: str = "python"

    @property
    def contract(self) -> dict[str, Any]:
        files = [{"root": "hr", "path": path, "access": access} for path, access in self.files.items()]
        effects = "write" if "write" in self.files.values() else "read" if files else "pure"
        return {
            "id": self.id,
            "summary": self.summary,
            "language": self.language,
            "input_schema": self.input,
            "output_schema": self.output,
            "effects": effects,
            "permissions": {"files": files} if files else {},
        }


def program(text: str) -> str:
    return textwrap.dedent(text).lstrip()
