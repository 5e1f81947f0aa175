"""Forms for input schemas, and the values that come back from them."""

from __future__ import annotations

from typing import Any

import pytest

from metier.errors import UsageError
from metier.web.pages.schema_form import form_fields, form_value

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "Who"},
        "age": {"type": "integer"},
        "share": {"type": "number"},
        "unit": {"enum": ["m", "km"]},
        "deep": {"type": "boolean"},
        "tags": {"type": "array"},
    },
    "required": ["name"],
}


def test_each_property_has_the_field_that_fits_it() -> None:
    fields = form_fields(SCHEMA, {"name": "Ann", "age": 3})
    assert [(f.label, f.control, f.required) for f in fields] == [
        ("name", "text", True),
        ("age", "number", False),
        ("share", "number", False),
        ("unit", "choice", False),
        ("deep", "choice", False),
        ("tags", "json", False),
    ]
    assert [f.value for f in fields][:3] == ["Ann", "3", ""]
    assert fields[3].choices == ('"m"', '"km"')
    assert fields[0].about == "Who"


def test_what_is_written_is_the_input_with_its_types_and_without_what_is_empty() -> None:
    given = {"name": "1", "age": "41", "share": "0.5", "unit": '"km"', "deep": "true", "tags": '["a"]'}
    value = form_value(SCHEMA, {f"input.{name}": text for name, text in given.items()})
    assert value == {"name": "1", "age": 41, "share": 0.5, "unit": "km", "deep": True, "tags": ["a"]}
    assert form_value(SCHEMA, {}) == {"name": ""}


@pytest.mark.parametrize("schema", [{}, {"type": "array"}, {"type": "object"}, {"type": "object", "properties": {}}])
def test_other_schemas_have_one_field_of_json(schema: dict[str, Any]) -> None:
    (field,) = form_fields(schema, [1, 2])
    assert (field.name, field.control, field.value) == ("input", "json", "[\n  1,\n  2\n]")
    assert form_value(schema, {"input": "[1, 2]"}) == [1, 2]


def test_what_is_no_json_is_said_with_the_name_of_its_field() -> None:
    with pytest.raises(UsageError, match="tags"):
        form_value(SCHEMA, {"input.tags": "[1"})
