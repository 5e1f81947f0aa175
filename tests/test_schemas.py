from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metier import schemas

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
SLOW = "^(a+)+$"
"""Doubles the work of a backtracking engine with each "a"."""


def parsed(text: str | bytes) -> Any:
    return schemas.parse(text, what="the input")


# Parsing


@given(JSON)
def test_what_is_written_is_read_back(value: Any) -> None:
    for write in (schemas.canonical, schemas.compact, json.dumps):
        assert parsed(write(value)) == value
        assert parsed(write(value).encode("utf-8")) == value


@given(JSON)
def test_equal_values_have_one_canonical_text(value: Any) -> None:
    def turned(inner: Any) -> Any:
        if isinstance(inner, dict):
            return {key: turned(inner[key]) for key in reversed(inner)}
        return [turned(item) for item in inner] if isinstance(inner, list) else inner

    assert schemas.canonical(value) == schemas.canonical(turned(value))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the input is empty"),
        (" \n", "the input is empty"),
        ("{", "not JSON: .* \\(line 1, column 2\\)"),
        ("{} {}", "something after the JSON value \\(line 1\\)"),
        ("1\n2", "something after the JSON value \\(line 2\\)"),
        ("NaN", "NaN is not a JSON number"),
        ("[-Infinity]", "-Infinity is not"),
        ("1e999", "1e999 is too large a number"),
        ("-1e999", "too large a number"),
        ("9" * 5000, "not JSON"),
        ("01", "something after"),
        ("'a'", "not JSON"),
        ('{"a": 1, "a": 1}', "the key 'a' stands twice"),
        ('[{"a": {"b": 1, "c": 2, "b": 3}}]', "the key 'b' stands twice"),
        (b"\xff", "not UTF-8 \\(byte 0\\)"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        ('"\\ud800"', "half of a surrogate pair"),
        ('{"\\uDC00": 1}', "half of a surrogate pair"),
        ('"\ud800"', "half of a surrogate pair"),
        ("[" * 101 + "]" * 101, "nested deeper than 100 levels"),
        ("[" * 1_000_000, "nested deeper"),
        ('{"a":' * 100_000, "nested deeper"),
        ('["\\"",' * 101, "nested deeper"),
    ],
)
def test_a_text_that_is_not_one_json_value_says_why(text: str | bytes, problem: str) -> None:
    with pytest.raises(schemas.InvalidJson, match=problem):
        parsed(text)


def test_what_only_looks_deep_is_not() -> None:
    assert parsed("[" * 100 + "]" * 100)
    assert len(parsed("[" + "[]," * 1000 + "[]]")) == 1001
    brackets = "[{" * 1000 + '\\"' + "[{" * 1000
    assert parsed(f'["{brackets}", {{"{brackets}": 1}}]')
    assert parsed('"\\ud83d\\ude00 \\\\ud800"') == "😀 \\ud800"


@given(st.text('[]{}",:\\a1 ', max_size=40) | st.binary(max_size=20))
def test_any_text_is_a_value_or_an_error_of_one_line(text: str | bytes) -> None:
    try:
        schemas.canonical(parsed(text))
    except schemas.InvalidJson as error:
        assert "\n" not in str(error)


# Schemas


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "^[a-z]+$"}}, "required": ["a"]},
        {"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"},
        {"properties": {"pattern": {"type": "string"}, "$ref": {"type": "string"}, "patternProperties": {}}},
        {"properties": {"$dynamicRef": {"const": 1}, "unevaluatedProperties": {}}, "patternProperties": {"a": {}}},
        {
            "const": {"$ref": "https://example.com", "pattern": "(?=a)"},
            "enum": [{"$ref": 1}],
            "default": {"pattern": 1},
        },
        {"x-note": 1, "properties": {}},
    ],
)
def test_a_schema_that_can_be_held_to_passes(schema: Any) -> None:
    assert schemas.check_schema(schema) is None


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        (True, "must be a JSON object"),
        ([], "must be a JSON object"),
        ({"type": "strin"}, "at /type"),
        ({"properties": {"a": {"type": 5}}}, "at /properties/a/type"),
        ({"required": "a"}, "at /required"),
        ({"$ref": "https://example.com/schema"}, "points outside the document"),
        ({"$ref": "file:///etc/passwd"}, "points outside"),
        ({"$ref": "other.json#/a"}, "points outside"),
        ({"items": [{"$ref": "x"}]}, "at /items"),
        ({"allOf": [{"properties": {"a": {"$ref": "x"}}}]}, "points outside"),
        ({"$defs": {"a": {"not": {"$dynamicRef": "x#y"}}}}, "points outside"),
        ({"x-mine": {"a": {"$ref": "x"}}}, "points outside"),
        ({"x-mine": {"$ref": 5, "patternProperties": 5, "properties": 5}}, "points outside"),
        ({"pattern": "("}, "regex"),
        ({"pattern": "(?=a)b"}, "look-around"),
        ({"pattern": "(a)\\1"}, "look-around and back-references"),
        ({"patternProperties": {"(?!a)": {}}}, "look-around"),
        ({"items": {"properties": {"a": {"pattern": "(?<=a)"}}}}, "look-around"),
        ({"unevaluatedProperties": False, "allOf": [{"patternProperties": {SLOW: {}}}]}, "do not go together"),
    ],
)
def test_a_schema_that_cannot_be_held_to_says_why(schema: Any, problem: str) -> None:
    assert problem in (schemas.check_schema(schema) or "")


def test_a_schema_nested_without_bound_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(50_000):
        schema = {"not": schema}
    assert schemas.check_schema(schema) == "the schema is nested too deep"
    while schema:  # taken apart by hand: the interpreter's own way is a recursion
        schema = schema["not"]


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        ({"type": "string"}, 1, "1 is not of type 'string'"),
        ({"type": "integer"}, True, "True is not of type 'integer'"),
        ({"properties": {"a": {"items": {"minimum": 3}}}}, {"a": [3, 2]}, "at /a/1: 2 is less than the minimum of 3"),
        ({"required": ["a", "b", "c"]}, {"b": 1}, "needs a and c"),
        ({"anyOf": [{"required": ["a"]}, {"required": ["b", "c"]}]}, {}, "needs a or b and c"),
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1, "b": 1}, "give only one of a or b"),
        ({"oneOf": [{}, {"required": ["a"]}]}, {"a": 1}, "valid under each of"),
        ({"anyOf": [False]}, 1, "not valid under any"),
        ({"additionalProperties": False, "properties": {"a": {}}}, {"a": 1, "b": 2}, "('b' was unexpected)"),
        (
            {"additionalProperties": {"type": "string"}, "patternProperties": {"^n": {}}},
            {"n": 1, "b": 2},
            "at /b: 2 is not",
        ),
        ({"multipleOf": 0.01}, 19.999, "19.999 is not a multiple of 0.01"),
        ({"multipleOf": 7}, 10**400, "is not a multiple of 7"),
        ({"pattern": "^a$"}, "a\n", "does not match"),
        ({"enum": ["x" * 1000]}, "y" * 1000, " … "),
        ({"$ref": "#/absent"}, 1, "a reference that leads nowhere"),
        ({"$ref": "https://127.0.0.1:1/schema"}, 1, "a reference that leads nowhere"),
        ({"$ref": "#"}, 1, "refers to itself without end"),
        ({"type": 5}, 1, "the schema is none: at /type"),
        ({"pattern": "(?=a)"}, "a", "pattern that cannot be used"),
        ({"patternProperties": {"(": {}}}, {"a": 1}, "pattern that cannot be used"),
    ],
)
def test_a_value_that_breaks_a_schema_is_told_in_one_line(schema: dict[str, Any], value: Any, problem: str) -> None:
    said = schemas.violation(schema, value) or ""
    assert problem in said
    assert "\n" not in said
    assert len(said) < 400


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, None),
        ({"type": "integer"}, 1.0),
        ({"multipleOf": 0.01}, 19.99),
        ({"multipleOf": 0.1}, 10**400),
        ({"multipleOf": 1e-300}, 1e300),
        ({"multipleOf": 2}, "not a number"),
        ({"additionalProperties": False}, [1]),
        ({"properties": {"pattern": {"pattern": "^x"}}}, {"pattern": "x"}),
        (
            {"$defs": {"tree": {"additionalProperties": {"$ref": "#/$defs/tree"}}}, "$ref": "#/$defs/tree"},
            {"a": {"b": {}}},
        ),
        ({"$id": "https://example.com/a", "$defs": {"b": {"type": "integer"}}, "$ref": "#/$defs/b"}, 1),
    ],
)
def test_a_value_that_conforms_passes(schema: dict[str, Any], value: Any) -> None:
    assert schemas.check_schema(schema) is None
    assert schemas.violation(schema, value) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"x": {"pattern": SLOW}}},
        {"propertyNames": {"pattern": SLOW}},
        {"patternProperties": {SLOW: {}}, "additionalProperties": False},
    ],
)
def test_a_pattern_takes_linear_time_whatever_the_value(schema: dict[str, Any]) -> None:
    evil = "a" * 100_000 + "!"  # a backtracking engine would not come back
    assert schemas.check_schema(schema) is None
    assert schemas.violation(schema, {"x": evil, evil: 1}) is not None


@given(JSON.filter(lambda value: isinstance(value, dict)), JSON)
def test_any_object_is_judged_as_a_schema_and_never_breaks_the_judge(schema: dict[str, Any], value: Any) -> None:
    schemas.check_schema(schema)
    schemas.violation(schema, value)


@given(JSON)
def test_a_constant_allows_itself(value: Any) -> None:
    assert schemas.violation({"const": value}, value) is None


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("date", "2026-12-31", "someday"),
        ("date-time", "2026-12-31T10:00:00+01:00", "2026-13-01T00:00:00Z"),
        ("time", "00:00:00", "25:00"),
        ("email", "a@example.com", "nobody"),
        ("ipv4", "127.0.0.1", "127.1"),
        ("uuid", "00000000-0000-0000-0000-000000000000", "x"),
    ],
)
def test_formats_are_held_to(format: str, good: str, bad: str) -> None:
    schema = {"type": ["string", "integer"], "format": format}
    assert schemas.violation(schema, good) is None
    assert schemas.violation(schema, 5) is None
    assert "is not a" in str(schemas.violation(schema, bad))
    assert schemas.violation({"format": "nickname"}, bad) is None
