"""JSON and JSON Schema as contracts need them: strict, bounded, and offline.

Schemas are written by models. So references stay inside the document (nothing is fetched), and patterns run on a
linear-time regular expression engine (Rust's, which pydantic-core carries), never on a backtracking one.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

MAX_VALIDATORS = 512
MAX_DEPTH = 100
"""Levels of nesting in a JSON text; deeper is refused by name instead of by a RecursionError."""


_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


class InvalidJson(ValueError):
    """One line: what is wrong with the text, and where."""


def parse(text: str | bytes, *, what: str) -> Any:
    """The one JSON value in `text`. Duplicate keys, numbers that are no finite number, halves of surrogate pairs, a
    second value and deep nesting are errors: what parses can be written, hashed and shown again.

    Raises:
        InvalidJson: with `what` (for example "the input") as its subject.
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise InvalidJson(f"{what} is not UTF-8 (byte {error.start})") from None
    if decoded.startswith("\ufeff"):
        raise InvalidJson(f"{what} is not JSON: it begins with a byte order mark (BOM)")
    if not decoded.strip():
        raise InvalidJson(f"{what} is empty; one JSON value is expected")
    if _too_deep(decoded):
        raise InvalidJson(f"{what} is nested deeper than {MAX_DEPTH} levels")
    try:
        value = _decoder().decode(decoded)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise InvalidJson(f"{what} has something after the JSON value (line {error.lineno})") from None
        raise InvalidJson(f"{what} is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except ValueError as error:
        raise InvalidJson(f"{what} is not JSON: {error}") from None
    if _has_half_pair(decoded, value):
        raise InvalidJson(f"{what} has half of a surrogate pair, which no UTF-8 text can hold")
    return value


@functools.cache
def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_no_constant, parse_float=_finite)


def canonical(value: Any) -> str:
    """`value` as JSON text that is the same for equal values: sorted keys, no spaces, no escapes beyond need."""
    return _CANONICAL.encode(value)


def compact(value: Any) -> str:
    """`value` as JSON text with its own key order."""
    return _COMPACT.encode(value)


def check_schema(schema: Any) -> str | None:
    """Why `schema` is not one that Metier can hold a value to; None when it is."""
    import jsonschema

    if not isinstance(schema, dict):
        return "a schema must be a JSON object"
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        keywords = list(_keywords(schema))
    except jsonschema.SchemaError as error:
        return f"at {_pointer(error.absolute_path)}: {error.message}"
    except RecursionError:
        return "the schema is nested too deep"
    names = {name for name, _ in keywords}
    if {"unevaluatedProperties", "patternProperties"} <= names:  # jsonschema joins the two by a backtracking search
        return "unevaluatedProperties and patternProperties do not go together; use additionalProperties"
    return next(filter(None, (_keyword_problem(name, value) for name, value in keywords)), None)


def _keyword_problem(keyword: str, value: Any) -> str | None:
    if keyword in ("$ref", "$dynamicRef") and not str(value).startswith("#"):
        return f"{keyword} {value!r} points outside the document"
    named = list(value) if keyword == "patternProperties" and isinstance(value, dict) else []
    patterns = [value] if keyword == "pattern" else named
    for pattern in patterns:
        if not _is_linear(str(pattern)):
            return f"pattern {pattern!r} is not a regular expression without look-around and back-references"
    return None


def violation(schema: dict[str, Any], value: Any) -> str | None:
    """The first way in which `value` breaks `schema`, in one line; None when it conforms."""
    if not schema:
        return None
    import pydantic_core
    import referencing.exceptions

    try:
        error = min(_validator_of(schema).iter_errors(value), key=_importance, default=None)
    except referencing.exceptions.Unresolvable as unresolved:
        return f"the schema has a reference that leads nowhere: {unresolved}"
    except RecursionError:
        return "the schema refers to itself without end"
    except pydantic_core.SchemaError as unreadable:
        return f"the schema has a pattern that cannot be used: {_shortened(' '.join(str(unreadable).split()))}"
    except Exception:
        # jsonschema fails in many ways on what is no schema: one that nobody checked when it was written.
        problem = check_schema(schema)
        if problem is None:
            raise
        return f"the schema is none: {problem}"
    return None if error is None else _sentence(error)


def _importance(error: Any) -> tuple[int, str]:
    return (len(error.absolute_path), str(list(error.absolute_path)))


def _sentence(error: Any) -> str:
    where = _pointer(error.absolute_path)
    prefix = "" if where == "/" else f"at {where}: "
    if error.validator in ("anyOf", "oneOf") and all(_only_requires(s) for s in error.validator_value):
        if error.validator == "oneOf" and not error.context:
            return f"{prefix}give only one of {_alternatives(error)}"
        return f"{prefix}needs {_alternatives(error)}"
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{prefix}needs {' and '.join(missing)}"
    return prefix + _shortened(error.message)


def _only_requires(schema: Any) -> bool:
    return isinstance(schema, dict) and set(schema) == {"required"}


def _alternatives(error: Any) -> str:
    return " or ".join(" and ".join(s["required"]) for s in error.validator_value)


def _shortened(message: str) -> str:
    return message if len(message) <= 300 else f"{message[:200]} … {message[-90:]}"


def _pointer(path: Any) -> str:
    return "/" + "/".join(str(step) for step in path)


_known: dict[int, tuple[dict[str, Any], Any]] = {}
"""Validators by the identity of their schema, which is kept with them: schemas in contracts are never changed."""


def _validator_of(schema: dict[str, Any]) -> Any:
    found = _known.get(id(schema))
    if found is not None and found[0] is schema:
        return found[1]
    if len(_known) > MAX_VALIDATORS:
        _known.clear()
    validator = _validator(canonical(schema))
    _known[id(schema)] = (schema, validator)
    return validator


@functools.lru_cache(maxsize=MAX_VALIDATORS)
def _validator(schema: str) -> Any:
    import referencing

    return _validator_class()(json.loads(schema), registry=referencing.Registry(), format_checker=_formats())


@functools.cache
def _formats() -> Any:
    """The formats that are held to, as the standard library reads them; others say something to people only."""
    import ipaddress
    import uuid
    from datetime import date, datetime, time

    import jsonschema

    readers = {
        "date": date.fromisoformat,
        "date-time": datetime.fromisoformat,
        "time": time.fromisoformat,
        "ipv4": ipaddress.IPv4Address,
        "ipv6": ipaddress.IPv6Address,
        "uuid": uuid.UUID,
    }
    checker = jsonschema.FormatChecker(formats=())
    for name, read in readers.items():
        checker.checks(name, raises=ValueError)(
            lambda value, read=read: not isinstance(value, str) or bool(read(value))
        )
    checker.checks("email")(lambda value: not isinstance(value, str) or "@" in value[1:-1])
    return checker


@functools.cache
def _validator_class() -> Any:
    import jsonschema

    def pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, str) and not _matches(wanted, instance):
            yield jsonschema.ValidationError(f"{instance!r} does not match {wanted!r}")

    def pattern_properties(validator: Any, wanted: dict[str, Any], instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, dict):
            for regex, subschema in wanted.items():
                for key, value in instance.items():
                    if _matches(regex, key):
                        yield from validator.descend(value, subschema, path=key, schema_path=regex)

    def additional_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if not isinstance(instance, dict):
            return
        known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        extra = [key for key in instance if key not in known and not any(_matches(regex, key) for regex in patterns)]
        if isinstance(wanted, dict):
            for key in extra:
                yield from validator.descend(instance[key], wanted, path=key)
        elif wanted is False and extra:
            names = ", ".join(repr(key) for key in extra)
            were = "was" if len(extra) == 1 else "were"
            yield jsonschema.ValidationError(f"Additional properties are not allowed ({names} {were} unexpected)")

    def multiple_of(validator: Any, factor: Any, instance: Any, schema: Any) -> Iterator[Any]:
        # On the decimals that stand in the text: 19.99 is a multiple of 0.01, which binary fractions deny.
        if validator.is_type(instance, "number") and _decimal(instance) % _decimal(factor):
            yield jsonschema.ValidationError(f"{instance!r} is not a multiple of {factor!r}")

    keywords = {
        "pattern": pattern,
        "patternProperties": pattern_properties,
        "additionalProperties": additional_properties,
        "multipleOf": multiple_of,
    }
    return jsonschema.validators.extend(jsonschema.Draft202012Validator, keywords)  # type: ignore[no-untyped-call]


def _matches(pattern: str, text: str) -> bool:
    import pydantic_core

    try:
        _linear_pattern(pattern).validate_python(text)
    except pydantic_core.ValidationError:
        return False
    return True


@functools.lru_cache(maxsize=1024)
def _linear_pattern(pattern: str) -> Any:
    import pydantic_core
    from pydantic_core import core_schema

    return pydantic_core.SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


def _is_linear(pattern: str) -> bool:
    import pydantic_core

    try:
        _linear_pattern(pattern)
    except pydantic_core.SchemaError:
        return False
    return True


def _decimal(number: float) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


_SCHEMA_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
"""Keywords whose value maps names of the author's choice to schemas."""
_DATA = frozenset({"const", "enum", "default", "examples"})


def _keywords(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every keyword in a schema and its sub-schemas, with its value. Names of properties and data are no keywords."""
    if isinstance(schema, list):
        for item in schema:
            yield from _keywords(item)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            yield key, value
            if key not in _DATA:
                named = key in _SCHEMA_MAPS and isinstance(value, dict)
                yield from _keywords(list(value.values()) if named else value)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} stands twice")
    return value


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits:.40} is too large a number")
    return value


def _has_half_pair(text: str, value: Any) -> bool:
    if "\\ud" not in text and "\\uD" not in text and text.isascii():
        return False
    try:
        compact(value).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""Strings, so that brackets in them are passed over, and brackets."""


def _too_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _BRACKETS.finditer(text):
        character = token.group()
        if character in ("[", "{"):
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif character in ("]", "}"):
            depth -= 1
    return False
