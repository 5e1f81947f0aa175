from __future__ import annotations

import bisect
import json
import tracemalloc
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metier import schemas
from metier.mutation.gates import same_json

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
        ("9" * 5000, "not JSON: an integer has more than 4300 digits"),
        ("[-" + "9" * 4301 + "]", "more than 4300 digits"),
        ('["\\ude00\\ud83d"]', "half of a surrogate pair"),
        ('{"a": 1, "\\u0061": 2}', "the key 'a' stands twice"),
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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9" * 4300, 10**4300 - 1),
        ("-0", 0),
        ("-0.0", -0.0),
        ("1E4", 10.0**4),
        ("1e-400", 0.0),
        ("0.1000000000000000055511151231257827", 0.1),
        ("9007199254740993", 2**53 + 1),
    ],
)
def test_integers_are_exact_and_other_numbers_the_nearest_double(text: str, value: float) -> None:
    assert parsed(text) == value
    assert type(parsed(text)) is type(value)
    assert parsed(schemas.compact(parsed(text))) == value


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


SHAPES = {
    "arrays": "[[],",
    "objects": "[{},",
    "small objects": '[{"a":1},',
    "small numbers": "[1,",
    "numbers": "[1.5,",
    "texts": '["ab",',
    "wide texts": '["€",',
    "escaped texts": '["aaaaaaaaaaaaaaaaaaaaaaaaaa\\ud83d\\ude00",',
    "members of one name": '{"a":1,',
    "members": '{"%x":1,',
    "members with values": '{"%x":%d.5,',
    "rows": '[{"a":[1,{"b":%d}],"c":"","d":null},',
}
"""How a text begins, and what follows that many times."""


def of_shape(shape: str, characters: int) -> str:
    opening, unit = SHAPES[shape][0], SHAPES[shape][1:]
    times = characters // len(unit)
    units = (unit.replace("%x", f"{n:x}").replace("%d", str(n)) for n in range(times))
    return opening + "".join(units)[:-1] + ("]" if opening == "[" else "}")


def peak_of_reading(text: str, most: int) -> tuple[str, int]:
    """How reading ends, and the bytes that it takes meanwhile."""
    ended = "read"
    tracemalloc.start()
    try:
        schemas.parse(text, what="the input", most=most)
    except schemas.InvalidJson as error:
        ended = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return ended, peak


@pytest.mark.parametrize("shape", SHAPES)
def test_a_text_of_more_values_than_fit_is_refused_before_they_are_made(shape: str) -> None:
    ended, peak = peak_of_reading(of_shape(shape, 200_000), 2**18)
    assert ended == "the input holds more values than fit in 262144 bytes of memory"
    assert peak < 2**18


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("characters", [600, 20_000])
def test_what_is_read_takes_no_more_memory_than_it_may(shape: str, characters: int) -> None:
    text = of_shape(shape, characters)

    def fits(most: int) -> bool:
        try:
            schemas.parse(text, what="the input", most=most)
        except schemas.InvalidJson as error:
            return "more values" not in str(error)
        return True

    least = bisect.bisect_left(range(100 * len(text)), True, key=fits)
    peak = peak_of_reading(text, least)[1]
    assert peak < least + 2000
    assert peak < 48 * len(text) + 2000, "texts that could not take more are not even looked at"


def test_large_data_of_the_usual_kinds_is_read() -> None:
    rows = [{f"column_{n}": row * n for n in range(10)} for row in range(30_000)]
    for value in (rows, list(range(10**6)), "text, [with] {signs}: " * 300_000, {str(n): n for n in range(100_000)}):
        assert parsed(schemas.compact(value)) == value


# Schemas


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "^[a-z]+$"}}, "required": ["a"]},
        {"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"},
        {"properties": {"pattern": {"type": "string"}, "$ref": {"type": "string"}, "patternProperties": {}}},
        {
            "properties": {"$dynamicRef": {"const": 1}, "$id": {}, "unevaluatedProperties": {}},
            "patternProperties": {"a": {}},
        },
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
        ({"allOf": [{"properties": {"a": {"$ref": "x"}}}]}, 'at /allOf/0/properties/a/$ref: "x" points outside'),
        ({"$defs": {"a": {"not": {"$dynamicRef": "x#y"}}}}, "points outside"),
        ({"x-mine": {"a": {"$ref": "x"}}, "$ref": "#/x-mine/a"}, "points outside"),
        ({"x-mine": {"$ref": 5}, "$ref": "#/x-mine"}, "at /x-mine/$ref: 5 points outside"),
        ({"$ref": "#/absent"}, "at /$ref: a reference that leads nowhere"),
        ({"$ref": "#absent"}, "leads nowhere"),
        ({"enum": [1], "$ref": "#/enum/-1"}, "leads nowhere"),
        ({"required": ["a"], "$ref": "#/required"}, "a schema is an object, true or false"),
        ({"properties": {"a": {"$id": "https://example.com/a"}}}, "at /properties/a/$id: only the whole document"),
        ({"properties": []}, "at /properties: must be an object of schemas"),
        ({"anyOf": []}, "at /anyOf: must be an array of schemas"),
        ({"minLength": -1}, "at /minLength"),
        ({"minItems": True}, "at /minItems"),
        ({"multipleOf": 0}, "at /multipleOf"),
        ({"minimum": "1"}, "at /minimum"),
        ({"enum": 5}, "at /enum"),
        ({"uniqueItems": 1}, "at /uniqueItems"),
        ({"dependentRequired": {"a": "b"}}, "at /dependentRequired"),
        ({"const": float("nan")}, "not JSON"),
        ({"pattern": "("}, "regular expression"),
        ({"pattern": 5}, "at /pattern"),
        ({"pattern": "a" * 1001}, "1000 characters in one"),
        ({"patternProperties": {f"^{n}$": {} for n in range(65)}}, "more than 64 patterns"),
        ({"description": "x" * 2**18}, "at most 262144 are allowed"),
        ({"pattern": "(?=a)b"}, "look-around"),
        ({"pattern": "(a)\\1"}, "look-around and back-references"),
        ({"patternProperties": {"(?!a)": {}}}, "look-around"),
        ({"items": {"properties": {"a": {"pattern": "(?<=a)"}}}}, "look-around"),
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
        ({"type": "integer"}, True, "true is not of type 'integer'"),
        ({"properties": {"a": {"items": {"minimum": 3}}}}, {"a": [3, 2]}, "at /a/1: 2 is less than the minimum of 3"),
        ({"required": ["a", "b", "c"]}, {"b": 1}, "needs a and c"),
        ({"anyOf": [{"required": ["a"]}, {"required": ["b", "c"]}]}, {}, "needs a or b and c"),
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1, "b": 1}, "give only one of a or b"),
        ({"oneOf": [{}, {"required": ["a"]}]}, {"a": 1}, "valid under each of"),
        ({"anyOf": [False]}, 1, "not valid under any"),
        ({"additionalProperties": False, "properties": {"a": {}}}, {"a": 1, "b": 2}, "b is not known here"),
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
        ({"$ref": "https://127.0.0.1:1/schema"}, 1, "points outside the document"),
        ({"$ref": "#"}, 1, "refers to itself without end"),
        ({"not": {"$ref": "#"}}, 1, "refers to itself without end"),
        ({"anyOf": [{"$ref": "#"}, {}]}, 1, "refers to itself without end"),
        ({"$ref": "#", "unevaluatedItems": False}, [1], "refers to itself without end"),
        ({"type": 5}, 1, "the schema is none: at /type"),
        ({"pattern": "(?=a)"}, "a", "the schema is none: at /pattern"),
        ({"uniqueItems": True}, [1, True, "1", None, [1], {"a": 1}, {"a": 1.0}], '{"a": 1.0} stands in it twice'),
        ({"uniqueItems": True}, [0, False, 2, 1, 1.0], "1 stands in it twice"),
        ({"contains": {"const": 1}}, [True], "holds 0 items"),
        ({"contains": {}, "maxContains": 1}, [1, 2], "holds more than 1"),
        ({"prefixItems": [{}], "items": False}, [1, 2], "at /1: 2 is not allowed here"),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, "needs b"),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "needs b where there is a"),
        ({"dependentSchemas": {"a": {"maxProperties": 1}}}, {"a": 1, "b": 2}, "may have at most 1 members"),
        ({"propertyNames": {"maxLength": 1}}, {"ab": 1}, "a name in it does not fit"),
        ({"not": {"type": "string"}}, "a", "should not be valid under"),
        ({"minimum": 2**53 + 1}, 2.0**53, "less than the minimum"),
        ({"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False}, {"b": 1}, "b is not known here"),
        (
            {"unevaluatedProperties": False, "allOf": [{"patternProperties": {SLOW: {}}}]},
            {"a" * 10_000: 1, "b": 1},
            "b is not known here",
        ),
        ({"contains": {"const": 1}, "unevaluatedItems": False}, [1, 2], "at /1: 2 is not allowed here"),
        ({"type": "string"}, {f"k{n}": 1 for n in range(10**5)}, "an object of 100000 members is not of type"),
        ({"type": "string"}, 1 << 10_000, "an integer of 10001 bits is not of type"),
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
        ({"uniqueItems": True}, [1, True, 0, False, "1", None, [1], [True], {"a": 1}, {"a": True}, {"a": [1, 2]}]),
        ({"enum": [1, "a", [1.0]]}, [1]),
        ({"const": {"a": 1}}, {"a": 1.0}),
        ({"type": "object", "unevaluatedProperties": False, "anyOf": [{"properties": {"a": {}}}]}, {"a": 1}),
        ({"$anchor": "me", "properties": {"child": {"$ref": "#me"}}}, {"child": {"child": {}}}),
        ({"properties": {"a": {"$ref": "#/$defs/x~1y~0%25"}}, "$defs": {"x/y~%": {"type": "integer"}}}, {"a": 1}),
        ({"$id": "https://example.com/a", "$defs": {"b": {"type": "integer"}}, "$ref": "#/$defs/b"}, 1),
    ],
)
def test_a_value_that_conforms_passes(schema: dict[str, Any], value: Any) -> None:
    assert schemas.check_schema(schema) is None
    assert schemas.violation(schema, value) is None


def doubled(times: int) -> dict[str, Any]:
    """Asks twice for what asks twice for it, and so on."""
    chain = {f"s{n}": {"allOf": [{"$ref": f"#/$defs/s{n - 1}"}] * 2} for n in range(1, times + 1)}
    return {"$defs": {"s0": {}, **chain}, "$ref": f"#/$defs/s{times}"}


TEN_THOUSAND = {str(number): number for number in range(10_000)}
TOO_MUCH = {
    "a chain that doubles": (doubled(40), 1),
    "a chain at each item": ({"items": {"$ref": "#/$defs/s12"}, "$defs": doubled(12)["$defs"]}, [1] * 10_000),
    "a long constant": ({"items": {"const": list(range(10_000))}}, [list(range(10_000))] * 2_000),
    "unique items": ({"items": {"uniqueItems": True}}, [list(range(10_000))] * 2_000),
    "long texts": ({"items": {"enum": ["x" * 10**5]}}, ["x" * 10**5] * 10_000),
    "a pattern": ({"items": {"pattern": "y"}}, ["x" * 10**5 + "y"] * 10_000),
    "members": ({"items": {"additionalProperties": {}}}, [TEN_THOUSAND] * 2_000),
    "marks": ({"items": {"items": {}, "unevaluatedItems": False}}, [[1] * 10_000] * 2_000),
    "required names": ({"items": {"required": list(TEN_THOUSAND)}}, [TEN_THOUSAND] * 2_000),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_a_check_that_asks_for_too_much_work_is_given_up(what: str) -> None:
    schema, value = TOO_MUCH[what]
    assert schemas.check_schema(schema) is None
    said = schemas.violation(schema, value)
    assert said is not None
    assert said.kind == "steps"
    assert "cannot be checked in 5000000 steps" in said


def test_a_check_takes_the_same_steps_each_time() -> None:
    schema = {"items": {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}]}, "uniqueItems": True}

    def enough(steps: int) -> bool:
        return schemas.violation(schema, list(range(100)), steps=steps) is None

    least = next(steps for steps in range(5000) if enough(steps))
    assert least > 500
    assert not any(enough(steps) for steps in (1, least // 2, least - 1))
    assert all(enough(steps) for steps in (least, least + 1, 10**9))


def test_a_check_ends_at_its_deadline() -> None:
    said = schemas.violation(doubled(40), 1, steps=10**12, seconds=0.01)
    assert said is not None
    assert said.kind == "time"


def test_many_values_are_unique_in_the_work_of_looking_at_them() -> None:
    objects = [{"a": number, "b": [str(number)]} for number in range(100_000)]
    colliding = [number * (2**61 - 1) for number in range(100_000)]  # which all have one hash
    for items in (objects, colliding, [number * 2.0**61 for number in range(100_000)], list(map(str, colliding))):
        assert schemas.violation({"uniqueItems": True}, items) is None
        assert "stands in it twice" in str(schemas.violation({"uniqueItems": True}, [*items, items[0]]))


def test_a_value_as_deep_as_a_text_may_be_is_held_to_a_schema_that_refers_to_itself() -> None:
    tree = {"properties": {"a": {"$ref": "#/$defs/tree"}}}
    value = parsed('{"a":' * 100 + "1" + "}" * 100)
    assert schemas.violation({"$defs": {"tree": tree}, "$ref": "#/$defs/tree"}, value) is None
    said = str(schemas.violation({"$defs": {"tree": {**tree, "type": "object"}}, "$ref": "#/$defs/tree"}, value))
    assert said.startswith("at /a/a/a")
    assert said.endswith("1 is not of type 'object'")


@given(JSON, JSON)
def test_enum_and_unique_items_know_which_values_are_equal(a: Any, b: Any) -> None:
    same = same_json(a, b)
    assert (schemas.violation({"enum": [a]}, b) is None) == same
    assert (schemas.violation({"uniqueItems": True}, [a, b]) is not None) == same


OBJECTS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 3) | st.sampled_from(["a", "ab", 1.5, None, True]))
VALUES = OBJECTS | st.lists(OBJECTS | st.integers(0, 3) | st.just("a"), max_size=4) | st.sampled_from([1, 1.0, "abc"])
LEAVES = st.sampled_from(
    [
        *({"type": "integer"}, {"type": ["object", "null"]}, {"const": 1}, {"enum": ["a", 1.0]}, {"minimum": 1}, True),
        *({"required": ["a"]}, {"maxProperties": 1}, {"minItems": 2}, {"uniqueItems": True}, {"pattern": "b$"}, False),
        *({"multipleOf": 2}, {"exclusiveMaximum": 3}, {"maxLength": 1}, {"dependentRequired": {"a": ["b"]}}),
    ]
)
APPLICATORS: dict[str, Any] = {
    **dict.fromkeys(["allOf", "anyOf", "oneOf", "prefixItems"], lambda s: st.lists(s, min_size=1, max_size=3)),
    **dict.fromkeys(["not", "if", "then", "else", "items", "contains", "propertyNames"], lambda s: s),
    **dict.fromkeys(["additionalProperties", "unevaluatedItems", "unevaluatedProperties"], lambda s: s),
    **dict.fromkeys(["properties", "dependentSchemas"], lambda s: st.dictionaries(st.sampled_from("abc"), s)),
}
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.fixed_dictionaries({}, optional={key: of(inner) for key, of in APPLICATORS.items()}),
    max_leaves=8,
)


@settings(deadline=None)
@given(SCHEMAS.filter(lambda schema: isinstance(schema, dict)), VALUES)
def test_verdicts_are_those_of_the_reference_implementation(schema: dict[str, Any], value: Any) -> None:
    assert schemas.check_schema(schema) is None
    expected = jsonschema.Draft202012Validator(schema).is_valid(value)
    assert (schemas.violation(schema, value) is None) == expected


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
