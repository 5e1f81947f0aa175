"""A form for an input schema, and the value that was written into it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metier import schemas
from metier.errors import UsageError

PREFIX = "input."
RAW = "input"
"""The field that holds the whole input as JSON, where the schema is not one of an object with named properties."""
LONG = 200


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `control` is "text", "number", "choice", "yes-no" or "json"; `choices` are JSON texts."""

    name: str
    label: str
    control: str
    required: bool
    about: str
    value: str
    step: str = "any"
    choices: tuple[str, ...] = ()


def form_fields(schema: Mapping[str, Any], example: Any = None, given: Mapping[str, str] | None = None) -> list[Field]:
    """The fields for a schema, filled with what was `given` to the form, else with an example."""
    properties = schema.get("properties")
    simple = isinstance(properties, dict) and properties and schema.get("type", "object") == "object"
    if not simple or not isinstance(properties, dict):
        start = "{}" if example is None else json.dumps(example, indent=2, ensure_ascii=False)
        return [Field(RAW, "input", "json", True, "JSON", (given or {}).get(RAW, start))]
    required = schema.get("required") or ()
    values = example if isinstance(example, dict) else {}
    return [
        _field(name, property, name in required, values.get(name, ...), given) for name, property in properties.items()
    ]


def form_value(schema: Mapping[str, Any], given: Mapping[str, str]) -> Any:
    """The input that a form says. A field that is left empty is left out, unless it is a required text.

    Raises:
        UsageError: a field does not hold what it should.
    """
    fields = form_fields(schema, given=given)
    if [field.name for field in fields] == [RAW]:
        return _parsed(given.get(RAW, ""), RAW)
    value = {}
    for field in fields:
        text = given.get(field.name, "")
        if text == "" and not (field.control == "text" and field.required):
            continue
        value[field.label] = text if field.control == "text" else _parsed(text, field.label)
    return value


def _field(name: str, property: Any, required: bool, example: Any, given: Mapping[str, str] | None) -> Field:
    about = str(property.get("description", "")) if isinstance(property, dict) else ""
    control, choices, step = _control(property)
    field = f"{PREFIX}{name}"
    if given is not None:
        value = given.get(field, "")
    elif example is ...:
        value = ""
    else:
        value = example if control == "text" and isinstance(example, str) else json.dumps(example, ensure_ascii=False)
    return Field(field, name, control, required, about, value, step, choices)


def _control(property: Any) -> tuple[str, tuple[str, ...], str]:
    if not isinstance(property, dict):
        return "json", (), "any"
    if isinstance(property.get("enum"), list):
        return "choice", tuple(json.dumps(value, ensure_ascii=False) for value in property["enum"]), "any"
    kind = property.get("type")
    if kind == "boolean":
        return "choice", ("true", "false"), "any"
    if kind in ("number", "integer"):
        return "number", (), "1" if kind == "integer" else "any"
    return ("text" if kind == "string" else "json"), (), "any"


def _parsed(text: str, what: str) -> Any:
    try:
        return schemas.parse(text, what=what)
    except schemas.InvalidJson as error:
        raise UsageError(str(error)) from None
