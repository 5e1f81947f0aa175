"""Whether one contract can stand in for another: schemas of which one provably admits all that the other does.

Containment of JSON Schemas is undecidable in general. What is decided here is a part that contracts are made of: types,
objects with properties, lists, bounds, enumerations. Anything else counts as contained only where both say the same.
So a yes is a proof, and a no may be one that a cleverer check would not give.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from metier import schemas
from metier.capability import Contract

Schema = Any
"""A JSON Schema: an object, true or false."""

TYPES: Final = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
NOTES: Final = frozenset(
    {"title", "description", "default", "examples", "$comment", "deprecated", "readOnly", "writeOnly"}
)
"""Keywords that exclude no value."""
BOUNDS: Final = {
    "minLength": ("string", 1),
    "maxLength": ("string", -1),
    "minItems": ("array", 1),
    "maxItems": ("array", -1),
    "minProperties": ("object", 1),
    "maxProperties": ("object", -1),
}
"""The type that each is about, and 1 where a larger number admits less."""
SAME: Final = {
    "pattern": "string",
    "format": "string",
    "multipleOf": "number",
    "uniqueItems": "array",
    "propertyNames": "object",
    "dependentRequired": "object",
    "contains": "array",
    "not": None,
    "anyOf": None,
    "oneOf": None,
    "allOf": None,
}
"""Keywords that are the same constraint wherever they stand, so both may just say the same. None: about any type."""
OBJECTS: Final = frozenset({"properties", "additionalProperties", "required"})
NUMBERS: Final = frozenset({"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"})
KNOWN: Final = NOTES | NUMBERS | OBJECTS | {*BOUNDS, *SAME, "type", "enum", "const", "items"}
MAX_LEVELS: Final = 30


def stands_in_for(new: Contract, old: Contract) -> list[str]:
    """Why `new` cannot take the place of `old`, in words for an author; empty where it provably can.

    It has to take every input that the old one takes, give only outputs that the old one could give, and have the same
    effects: less is a loss, as of a save, and more is a danger.
    """
    problems = []
    if new.effects != old.effects:
        problems.append(f"its effects are {new.effects!r} and were {old.effects!r}")
    if (where := why_not_within(old.input_schema, new.input_schema)) is not None:
        problems.append(f"its input_schema does not take all that was taken: {where}")
    if (where := why_not_within(new.output_schema, old.output_schema)) is not None:
        problems.append(f"its output_schema allows what was not returned before: {where}")
    return problems


def changes_unseen(contract: Contract) -> bool:
    """Whether it may change something outside of files, so that a run on copies does not show all that it does."""
    wants = contract.permissions
    writes = any(verb != "select" for s in wants.sql for verbs in s.tables.values() for verb in verbs)
    return writes or any(set(h.methods) - {"GET", "HEAD"} for h in wants.http)


def with_given(contract: Contract, values: Mapping[str, Any]) -> Contract | str:
    """The contract as it is for one who leaves these properties of the input out because their values are given; or why
    there is none."""
    if not values:
        return contract
    schema = contract.input_schema
    properties = schema.get("properties", {})
    for name, value in values.items():
        if name not in properties or not _matches(properties[name], value):
            return f"its input has no {name} that may be {schemas.compact(value)[:80]}"
    if set(schema) - NOTES - OBJECTS - {"type"}:
        return "its input_schema says more than which properties there are"
    left = {name: inner for name, inner in properties.items() if name not in values}
    required = [name for name in schema.get("required", ()) if name not in values]
    return contract.model_copy(update={"input_schema": {**schema, "properties": left, "required": required}})


def why_not_within(narrow: Schema, wide: Schema) -> str | None:
    """Why a value may match `narrow` and not `wide`, as far as can be told; None where that is impossible."""
    if _plain(narrow) == _plain(wide):
        return None
    return _within(narrow, wide, "", 0)


def _within(narrow: Schema, wide: Schema, at: str, level: int) -> str | None:
    if wide is True or narrow is False or (isinstance(wide, dict) and not _stripped(wide)):
        return None
    where = f"at {at or '/'}: "
    if wide is False or level > MAX_LEVELS:
        return f"{where}nothing is allowed there" if wide is False else f"{where}nested too deep to be compared"
    narrow = {} if narrow is True else narrow
    if not _has_references(narrow) and not _has_references(wide) and _plain(narrow) == _plain(wide):
        return None
    strange = sorted(set(wide) - KNOWN) or sorted(set(narrow) & {"prefixItems", "patternProperties"})
    if strange:
        return f"{where}{strange[0]} is not compared; leave both the same"
    values = [narrow["const"]] if "const" in narrow else narrow.get("enum")
    if values is not None:
        bad = (v for v in values if _matches(narrow, v) and not _matches(wide, v))
        return next((f"{where}{schemas.compact(value)[:80]}" for value in bad), None)
    return next(filter(None, _differences(narrow, wide, at, level)), None)


def _differences(narrow: Mapping[str, Any], wide: Mapping[str, Any], at: str, level: int) -> Any:
    where = f"at {at or '/'}: "
    types = _types(narrow)
    if not types <= _types(wide) | ({"integer"} if "number" in _types(wide) else set()):
        yield f"{where}type {_listed(narrow)} is not within {_listed(wide)}"
    if "const" in wide or "enum" in wide:
        yield f"{where}only some values were allowed"
    for keyword, (type_, sign) in BOUNDS.items():
        if keyword in wide and type_ in types and not _tighter(narrow, wide, keyword, sign):
            yield f"{where}{keyword} {wide[keyword]}"
    if types & {"integer", "number"}:
        yield from (f"{where}{bound}" for bound in _loose_bounds(narrow, wide))
    for keyword, about in SAME.items():
        concerned = about is None or about in types or (about == "number" and "integer" in types)
        if keyword in wide and concerned and _plain(narrow.get(keyword, ...)) != _plain(wide[keyword]):
            yield f"{where}{keyword} {schemas.compact(wide[keyword])[:80]}"
    if "array" in types and "items" in wide:
        yield _within(narrow.get("items", True), wide["items"], f"{at}/items", level + 1)
    if "object" in types:
        yield from _object_differences(narrow, wide, at, level)


def _object_differences(narrow: Mapping[str, Any], wide: Mapping[str, Any], at: str, level: int) -> Any:
    missing = sorted(set(wide.get("required", ())) - set(narrow.get("required", ())))
    if missing:
        yield f"at {at or '/'}: {missing[0]} is required on one side only"
    mine, its = narrow.get("properties", {}), wide.get("properties", {})
    rest, its_rest = narrow.get("additionalProperties", True), wide.get("additionalProperties", True)
    for name in dict.fromkeys(itertools.chain(mine, its)):
        yield _within(mine.get(name, rest), its.get(name, its_rest), f"{at}/{name}", level + 1)
    yield _within(rest, its_rest, f"{at}/*", level + 1)


def _tighter(narrow: Mapping[str, Any], wide: Mapping[str, Any], keyword: str, sign: int) -> bool:
    return keyword in narrow and sign * narrow[keyword] >= sign * wide[keyword]


def _loose_bounds(narrow: Mapping[str, Any], wide: Mapping[str, Any]) -> list[str]:
    """Numeric bounds of `wide` that those of `narrow` do not imply."""
    loose = []
    for inclusive, exclusive, sign in (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1)):
        mine = [(sign * Fraction(narrow[k]), k == exclusive) for k in (inclusive, exclusive) if k in narrow]
        for keyword in (inclusive, exclusive):
            if keyword in wide:
                wanted = (sign * Fraction(wide[keyword]), keyword == exclusive)
                if not any(have >= wanted for have in mine):
                    loose.append(f"{keyword} {wide[keyword]}")
    return loose


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    named = schema.get("type")
    types = frozenset(TYPES if named is None else [named] if isinstance(named, str) else named)
    return types | {"integer"} if "number" in types else types


def _listed(schema: Mapping[str, Any]) -> str:
    return schemas.compact(schema["type"]) if "type" in schema else "any"


def _matches(schema: Schema, value: Any) -> bool:
    return schemas.violation(schema if isinstance(schema, dict) else {"allOf": [schema]}, value) is None


def _has_references(schema: Schema) -> bool:
    """What a reference means depends on the document around it."""
    text = schemas.canonical(schema)
    return '"$ref"' in text or '"$dynamicRef"' in text or '"unevaluated' in text


def essence(schema: Schema) -> str:
    """The schema without what excludes no value, canonical: the same text for what says the same in the same way."""
    return schemas.canonical(_stripped(schema))


def _plain(schema: Schema) -> Any:
    """A schema without what excludes nothing, canonical; names of properties are no keywords."""
    if schema is ...:
        return ...
    return schemas.canonical(_stripped(schema))


def _stripped(schema: Schema) -> Any:
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in NOTES:
            continue
        if keyword in ("properties", "patternProperties", "$defs") and isinstance(value, dict):
            kept[keyword] = {name: _stripped(inner) for name, inner in value.items()}
        elif keyword in ("items", "additionalProperties", "contains", "not", "propertyNames"):
            kept[keyword] = _stripped(value)
        elif keyword in ("required", "type") and isinstance(value, list):
            kept[keyword] = sorted(value)
        else:
            kept[keyword] = value
    return kept
