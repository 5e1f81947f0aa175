"""Contracts of the reference capabilities, put together from their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).with_name("programs")
Schema = Mapping[str, Any]

DATE: Schema = {"type": "string", "format": "date", "description": "a day, such as 2024-05-31"}
TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
BODY: Schema = {"type": "string", "minLength": 1, "maxLength": 20_000}
PERSON: Schema = {"type": "string", "minLength": 1, "maxLength": 100, "description": "first name, full name or address"}


def whole(least: int, most: int, description: str) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most, "description": description}


def one_of(*values: str) -> Schema:
    return {"enum": [*values]}


def several(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1, "maxItems": 20}


def record(properties: Mapping[str, Schema], optional: Sequence[str] = ()) -> dict[str, Any]:
    """The schema of an object that has these properties and no others."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}


def source(*parts: str) -> str:
    """A program, from the parts that programs share and its own."""
    return "\n\n".join((PROGRAMS / f"{part}.py").read_text(encoding="utf-8").strip() for part in parts) + "\n"


def draft(
    id: str,
    summary: str,
    parts: Sequence[str],
    input: Schema,
    output: Schema,
    *,
    writes: Sequence[str],
    reads: Sequence[str] = (),
    clock: bool = False,
    fixtures: Mapping[str, str],
    examples: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What an author hands in, without the example of the task at hand. `writes` and `reads` are paths, root first."""
    asked = [(path, "read") for path in reads] + [(path, "write") for path in writes]
    files = [{"root": path.partition("/")[0], "path": path.partition("/")[2], "access": how} for path, how in asked]
    return {
        "id": id,
        "summary": summary,
        "language": "python",
        "source": source(*parts, id),
        "input_schema": dict(input),
        "output_schema": dict(output),
        "effects": "write",
        "permissions": {"files": files, **({"clock": "recorded"} if clock else {})},
        "fixtures": {path: fixtures[path] for path in (*reads, *writes)},
        "examples": [dict(example) for example in examples],
    }
