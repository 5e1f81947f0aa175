"""One contract in place of another: a yes is a proof, held to by random schemas and values."""

from __future__ import annotations

import random
from typing import Any

import pytest

from metier import schemas
from metier.capability import Contract
from metier.compatibility import changes_unseen, stands_in_for, why_not_within

NAME = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}


def changed(**changes: Any) -> dict[str, Any]:
    return {**NAME, **changes}


WITHIN: list[tuple[Any, Any]] = [
    (NAME, NAME),
    (NAME, {}),
    (NAME, True),
    (False, NAME),
    (NAME, changed(description="what it is")),
    (NAME, changed(required=[])),
    (NAME, changed(properties={"name": {"type": "string"}, "unit": {"type": "string"}})),
    (NAME, changed(additionalProperties=True)),
    (NAME, changed(properties={"name": {"type": ["string", "null"]}})),
    ({"type": "integer"}, {"type": "number"}),
    ({"type": "integer", "minimum": 3}, {"type": "integer", "exclusiveMinimum": 2}),
    ({"type": "integer", "exclusiveMinimum": 2}, {"type": "integer", "minimum": 2}),
    ({"enum": ["a", "b"]}, {"type": "string", "maxLength": 1}),
    ({"const": 3}, {"type": "integer", "minimum": 3}),
    ({"type": "string", "minLength": 2}, {"type": "string", "minLength": 1}),
    ({"type": "string", "pattern": "^a"}, {"pattern": "^a"}),
    ({"type": "array", "items": {"type": "integer"}}, {"type": "array", "items": {"type": "number"}}),
    ({"type": "string"}, {"minimum": 3}),
    ({"type": "object", "additionalProperties": False}, {"type": "object", "properties": {"a": {"type": "string"}}}),
    (
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
    ),
]

NOT_WITHIN: list[tuple[Any, Any, str]] = [
    (changed(required=[]), NAME, "name is required"),
    (NAME, changed(required=["name", "unit"]), "unit is required"),
    (NAME, changed(properties={"name": {"type": "integer"}}), "at /name: type"),
    (NAME, changed(properties={}), "nothing is allowed"),
    (changed(additionalProperties=True), NAME, "at /*: nothing is allowed"),
    (changed(properties={"name": {"type": "string"}, "x": {}}), NAME, "at /x"),
    ({"type": "number"}, {"type": "integer"}, "type"),
    ({}, {"type": "string"}, "type any"),
    ({"type": "integer", "minimum": 2}, {"type": "integer", "exclusiveMinimum": 2}, "exclusiveMinimum 2"),
    ({"type": "integer", "minimum": 2}, {"type": "integer", "maximum": 9}, "maximum 9"),
    ({"enum": ["a", "bc"]}, {"type": "string", "maxLength": 1}, '"bc"'),
    ({"type": "string"}, {"enum": ["a"]}, "only some values"),
    ({"type": "string"}, {"type": "string", "pattern": "^a"}, "pattern"),
    ({"type": "string"}, {"anyOf": [{"type": "string"}]}, "anyOf"),
    ({"type": "array"}, {"type": "array", "items": {"type": "number"}}, "at /items"),
    (
        {"type": "array", "prefixItems": [{}], "items": False},
        {"type": "array", "items": {"type": "null"}},
        "prefixItems",
    ),
    ({"$ref": "#/$defs/a", "$defs": {"a": {}}}, {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, "$"),
    (
        {"type": "object", "properties": {"description": {}}},
        {"type": "object", "properties": {"description": {"type": "null"}}},
        "/description",
    ),
]


@pytest.mark.parametrize(("narrow", "wide"), WITHIN)
def test_what_provably_admits_no_more_is_within(narrow: Any, wide: Any) -> None:
    assert why_not_within(narrow, wide) is None


@pytest.mark.parametrize(("narrow", "wide", "said"), NOT_WITHIN)
def test_what_may_admit_more_says_where(narrow: Any, wide: Any, said: str) -> None:
    assert said in str(why_not_within(narrow, wide))


LEAVES = ["a", "ab", "b", "", 0, 1, 2, 2.5, -3, True, False, None]


def a_schema(pick: random.Random, depth: int = 0) -> Any:
    """A random schema out of the keywords that contracts use."""
    if pick.random() < 0.06:
        return pick.choice([True, False, {}])
    schema: dict[str, Any] = {}
    if pick.random() < 0.85:
        types = [
            "string",
            "integer",
            "number",
            "boolean",
            "null",
            *(["object"] * 3 + ["array"] * 2 if depth < 3 else []),
        ]
        schema["type"] = pick.choice(types) if pick.random() < 0.8 else sorted(set(pick.choices(types, k=2)))
    options: dict[str, Any] = {
        "minimum": lambda: pick.randint(-3, 3),
        "exclusiveMaximum": lambda: pick.randint(-1, 4),
        "maximum": lambda: pick.randint(-1, 4),
        "minLength": lambda: pick.randint(0, 2),
        "maxLength": lambda: pick.randint(0, 2),
        "pattern": lambda: pick.choice(["^a", "b$"]),
        "multipleOf": lambda: pick.choice([1, 2]),
        "enum": lambda: pick.sample(LEAVES, pick.randint(1, 3)),
        "const": lambda: pick.choice(LEAVES),
        "minItems": lambda: pick.randint(0, 2),
        "uniqueItems": lambda: True,
        "required": lambda: sorted(set(pick.choices("xyz", k=2))),
        "maxProperties": lambda: pick.randint(0, 2),
        "not": lambda: {"type": pick.choice(["string", "integer"])},
        "description": lambda: "words",
    }
    for keyword in pick.sample(sorted(options), pick.randint(0, 2)):
        schema[keyword] = options[keyword]()
    if depth < 3 and pick.random() < 0.6:
        schema["properties"] = {name: a_schema(pick, depth + 1) for name in pick.sample("xyz", pick.randint(0, 2))}
        if pick.random() < 0.6:
            schema["additionalProperties"] = pick.choice([False, True, a_schema(pick, depth + 1)])
    if depth < 3 and pick.random() < 0.3:
        schema["items"] = a_schema(pick, depth + 1)
    return schema


def a_value(pick: random.Random, depth: int = 0) -> Any:
    kind = pick.random()
    if depth > 2 or kind < 0.5:
        return pick.choice(LEAVES)
    if kind < 0.8:
        return {name: a_value(pick, depth + 1) for name in pick.sample("xyzw", pick.randint(0, 3))}
    return [a_value(pick, depth + 1) for _ in range(pick.randint(0, 3))]


def varied(pick: random.Random, schema: Any) -> Any:
    """The schema with one thing changed somewhere, so that it is often nearly the same."""
    if not isinstance(schema, dict) or not schema or pick.random() < 0.2:
        return a_schema(pick, 2)
    keyword = pick.choice(sorted(schema))
    if keyword == "properties" and schema[keyword] and pick.random() < 0.7:
        name = pick.choice(sorted(schema[keyword]))
        return {**schema, keyword: {**schema[keyword], name: varied(pick, schema[keyword][name])}}
    if keyword in ("items", "additionalProperties") and pick.random() < 0.7:
        return {**schema, keyword: varied(pick, schema[keyword])}
    other = a_schema(pick, 1)
    kept = {key: value for key, value in schema.items() if key != keyword}
    return {**kept, **(dict(list(other.items())[:1]) if isinstance(other, dict) else {})}


def conforms(schema: Any, value: Any) -> bool:
    return schemas.violation({"allOf": [schema]}, value) is None


@pytest.mark.parametrize("seed", range(8))
def test_no_value_contradicts_a_yes(seed: int) -> None:
    pick = random.Random(seed)
    values = [a_value(pick) for _ in range(250)]
    proven = 0
    for _ in range(120):
        one = a_schema(pick)
        other = varied(pick, one)
        for narrow, wide in ((one, other), (other, one)):
            if why_not_within(narrow, wide) is None:
                proven += 1
                wrong = [v for v in values if conforms(narrow, v) and not conforms(wide, v)]
                assert wrong == [], (narrow, wide)
    assert proven > 20


def contract(**changes: Any) -> Contract:
    fields = {"id": "x", "summary": "X", "input_schema": NAME, "output_schema": NAME, "effects": "read"}
    return Contract.model_validate({**fields, **changes})


def test_a_replacement_may_take_more_and_return_less() -> None:
    wider = contract(input_schema=changed(required=[]))
    narrower = contract(output_schema=changed(properties={"name": {"type": "string", "minLength": 1}}))
    assert stands_in_for(wider, contract()) == []
    assert stands_in_for(narrower, contract()) == []
    assert "input_schema does not take all" in stands_in_for(contract(), wider)[0]
    assert "output_schema allows" in stands_in_for(contract(), narrower)[0]


@pytest.mark.parametrize(("new", "old"), [("write", "read"), ("read", "write"), ("pure", "read")])
def test_other_effects_make_a_sibling(new: Any, old: Any) -> None:
    assert "its effects" in stands_in_for(contract(effects=new), contract(effects=old))[0]


@pytest.mark.parametrize(
    ("permissions", "unseen"),
    [
        ({}, False),
        ({"files": [{"root": "hr", "path": "a", "access": "write"}]}, False),
        ({"sql": [{"store": "hr", "tables": {"a": ["select"]}}]}, False),
        ({"sql": [{"store": "hr", "tables": {"a": ["select"], "b": ["select", "delete"]}}]}, True),
        ({"http": [{"origin": "https://a.example", "methods": ["GET", "HEAD"]}]}, False),
        ({"http": [{"origin": "https://a.example", "methods": ["GET", "POST"]}]}, True),
    ],
)
def test_what_changes_more_than_files_is_not_seen_on_copies(permissions: Any, unseen: bool) -> None:
    assert changes_unseen(contract(effects="write", permissions=permissions)) is unseen
