"""What keywords of JSON Schema 2020-12 ask of a value itself: one function a keyword, which adds a rule to a node."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from metier.schemas.conformance import (
    TYPES,
    Finding,
    Meter,
    is_number,
    key_of,
    kind_of,
    named,
    shown,
    shown_name,
    twin,
)
from metier.schemas.formats import FORMATS
from metier.schemas.place import NOTHING, Keyword, Place

# Any value


def _type(place: Place, wanted: Any) -> None:
    names = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and n in TYPES for n in names):
        place.reject(f"{shown(wanted)} is no type; types are {', '.join(sorted(TYPES))}")
    allowed = frozenset(names) | ({"integer"} if "number" in names else frozenset())
    words = " or ".join(f"'{name}'" for name in names)

    def rule(value: Any, meter: Meter) -> Finding | None:
        if kind_of(value) in allowed:
            return None
        return Finding(lambda: f"{shown(value)} is not of type {words}")

    place.add(rule)


def _const(place: Place, wanted: Any) -> None:
    _one_of(place, [wanted], f"{shown(wanted)} was expected")


def _enum(place: Place, wanted: Any) -> None:
    if not isinstance(wanted, list):
        place.reject("must be an array")
    _one_of(place, wanted, f"is not one of {shown_list(wanted)}")


def _one_of(place: Place, allowed: list[Any], words: str) -> None:
    free = Meter(10**9)
    keys, kinds = {key_of(value, free) for value in allowed}, {type(value) for value in allowed}
    kinds |= {int, float} if kinds & {int, float} else set()

    def rule(value: Any, meter: Meter) -> Finding | None:
        if type(value) in kinds and key_of(value, meter) in keys:
            return None
        return Finding(lambda: f"{shown(value)} {words}" if words.startswith("is") else words)

    place.add(rule)


def shown_list(values: list[Any]) -> str:
    some = ", ".join(shown(value, 40) for value in values[:6])
    return f"[{some}]" if len(values) <= 6 else f"[{some}, … {len(values)} in all]"


# Numbers


def _bound(holds: Callable[[Any, Any], bool], words: str) -> Keyword:
    def keyword(place: Place, bound: Any) -> None:
        if not is_number(bound):
            place.reject("must be a number")

        def rule(value: Any, meter: Meter) -> Finding | None:
            if not is_number(value) or holds(value, bound):
                return None
            return Finding(lambda: f"{shown(value)} is {words} {shown(bound)}")

        place.add(rule)

    return keyword


def _multiple_of(place: Place, factor: Any) -> None:
    if not is_number(factor) or factor <= 0:
        place.reject("must be a number above 0")
    exact = _decimal(factor)

    def rule(value: Any, meter: Meter) -> Finding | None:
        # On the decimals that stand in the text: 19.99 is a multiple of 0.01, which binary fractions deny.
        if not is_number(value):
            return None
        meter.spend(1 if isinstance(value, float) else value.bit_length() // 64)
        if not _decimal(value) % exact:
            return None
        return Finding(lambda: f"{shown(value)} is not a multiple of {shown(factor)}")

    place.add(rule)


def _decimal(number: float) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


# Texts


def _length(kind: str, holds: Callable[[int, int], bool], words: str) -> Keyword:
    def keyword(place: Place, wanted: Any) -> None:
        bound = place.count(wanted)

        def rule(value: Any, meter: Meter) -> Finding | None:
            if kind_of(value) != kind or holds(len(value), bound):
                return None
            return Finding(lambda: f"{shown(value)} {words.format(bound)}, and has {len(value)}")

        place.add(rule)

    return keyword


def _pattern(place: Place, wanted: Any) -> None:
    matches = place.document.pattern(wanted, place.path)

    def rule(value: Any, meter: Meter) -> Finding | None:
        if not isinstance(value, str) or matches(value, meter):
            return None
        return Finding(lambda: f"{shown(value)} does not match {shown(wanted)}")

    place.add(rule)


def _format(place: Place, name: Any) -> None:
    if not isinstance(name, str):
        place.reject("must be a text")
    reads = FORMATS.get(name)
    if reads is None:
        return

    def rule(value: Any, meter: Meter) -> Finding | None:
        if not isinstance(value, str):
            return None
        meter.spend(1 + len(value) // 64)
        return None if reads(value) else Finding(lambda: f"{shown(value)} is not a {shown(name)}")

    place.add(rule)


# Arrays and objects


def _unique_items(place: Place, wanted: Any) -> None:
    if not isinstance(wanted, bool):
        place.reject("must be true or false")

    def rule(value: Any, meter: Meter) -> Finding | None:
        found = twin(value, meter) if isinstance(value, list) else None
        return None if found is None else Finding(lambda: f"{shown(found[0])} stands in it twice")

    if wanted:
        place.add(rule)


def _required(place: Place, wanted: Any) -> None:
    names = place.texts(wanted)

    def rule(value: Any, meter: Meter) -> Finding | None:
        if not isinstance(value, dict):
            return None
        meter.spend(len(names))
        if all(name in value for name in names):
            return None
        return Finding(lambda: f"needs {named([n for n in names if n not in value], ' and ')}")

    place.add(rule)


def _dependent_required(place: Place, wanted: Any) -> None:
    if not isinstance(wanted, dict):
        place.reject("must be an object of arrays of texts")
    needs = {name: place.texts(others) for name, others in wanted.items()}

    def rule(value: Any, meter: Meter) -> Finding | None:
        for name, others in needs.items() if isinstance(value, dict) else NOTHING:
            meter.spend(1 + len(others))
            if name in value and not all(other in value for other in others):
                missing = [other for other in others if other not in value]
                return Finding(lambda: f"needs {named(missing, ' and ')} where there is {shown_name(name)}")  # noqa: B023
        return None

    place.add(rule)


def _text(place: Place, value: Any) -> None:
    if not isinstance(value, str):
        place.reject("must be a text")


def _counts(place: Place, value: Any) -> None:
    place.count(value)


ASSERTIONS: dict[str, Keyword] = {
    "$id": _text,
    "$anchor": _text,
    "$dynamicAnchor": _text,
    "title": _text,
    "description": _text,
    "minContains": _counts,
    "maxContains": _counts,
    "type": _type,
    "const": _const,
    "enum": _enum,
    "minimum": _bound(operator.ge, "less than the minimum of"),
    "maximum": _bound(operator.le, "greater than the maximum of"),
    "exclusiveMinimum": _bound(operator.gt, "less than or equal to the minimum of"),
    "exclusiveMaximum": _bound(operator.lt, "greater than or equal to the maximum of"),
    "multipleOf": _multiple_of,
    "minLength": _length("string", operator.ge, "needs at least {} characters"),
    "maxLength": _length("string", operator.le, "may have at most {} characters"),
    "pattern": _pattern,
    "format": _format,
    "minItems": _length("array", operator.ge, "needs at least {} items"),
    "maxItems": _length("array", operator.le, "may have at most {} items"),
    "minProperties": _length("object", operator.ge, "needs at least {} members"),
    "maxProperties": _length("object", operator.le, "may have at most {} members"),
    "required": _required,
    "dependentRequired": _dependent_required,
    "uniqueItems": _unique_items,
}
