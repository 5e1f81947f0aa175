"""What keywords of JSON Schema 2020-12 ask by other schemas: one function a keyword.

Each adds a rule to a node, and what marks the members or items that it looks at, for the `unevaluated…` keywords.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from metier.schemas.conformance import (
    Finding,
    Marker,
    Marks,
    Meter,
    Node,
    named,
    shown,
)
from metier.schemas.place import NOTHING, Keyword, Place

# Arrays


def _prefix_items(place: Place, schemas: Any) -> None:
    nodes = place.each(schemas)

    def rule(value: Any, meter: Meter) -> Finding | None:
        for n, (node, item) in enumerate(zip(nodes, value if isinstance(value, list) else NOTHING, strict=False)):
            if (found := node.check(item, meter)) is not None:
                return found.within(n)
        return None

    def mark(value: Any, meter: Meter, marks: Marks) -> None:
        if isinstance(value, list):
            marks.update(range(min(len(nodes), len(value))))

    place.add(rule, mark)


def _items(place: Place, schema: Any) -> None:
    node = place.document.node(schema, place.path)
    prefix = place.schema.get("prefixItems")
    first = len(prefix) if isinstance(prefix, list) else 0

    def rule(value: Any, meter: Meter) -> Finding | None:
        if isinstance(value, list):
            for n in range(first, len(value)):
                if (found := node.check(value[n], meter)) is not None:
                    return found.within(n)
        return None

    place.add(rule, _mark_items)


def _mark_items(value: Any, meter: Meter, marks: Marks) -> None:
    if isinstance(value, list):
        meter.spend(len(value))
        marks.update(range(len(value)))


def _mark_members(value: Any, meter: Meter, marks: Marks) -> None:
    if isinstance(value, dict):
        meter.spend(len(value))
        marks.update(value)


def _contains(place: Place, schema: Any) -> None:
    node = place.document.node(schema, place.path)
    least = place.count(place.schema.get("minContains", 1))
    most = place.schema.get("maxContains")
    most = None if most is None else place.count(most)

    def matching(value: list[Any], meter: Meter) -> Iterator[int]:
        return (n for n, item in enumerate(value) if node.check(item, meter) is None)

    def rule(value: Any, meter: Meter) -> Finding | None:
        if not isinstance(value, list):
            return None
        enough = (most if most is not None else least - 1) + 1
        count = sum(1 for _ in itertools.islice(matching(value, meter), enough))
        if count < least:
            return Finding(lambda: f"{shown(value)} holds {count} items of those of which {least} are needed")
        if most is not None and count > most:
            return Finding(lambda: f"{shown(value)} holds more than {most} items of those of which {most} may be")
        return None

    def mark(value: Any, meter: Meter, marks: Marks) -> None:
        if isinstance(value, list):
            marks.update(matching(value, meter))

    place.add(rule, mark)


# Objects


def _properties(place: Place, schemas: Any) -> None:
    nodes = place.names(schemas)

    def rule(value: Any, meter: Meter) -> Finding | None:
        if isinstance(value, dict):
            meter.spend(len(nodes))
            for name, node in nodes.items():
                if name in value and (found := node.check(value[name], meter)) is not None:
                    return found.within(name)
        return None

    def mark(value: Any, meter: Meter, marks: Marks) -> None:
        if isinstance(value, dict):
            meter.spend(len(nodes))
            marks.update(name for name in nodes if name in value)

    place.add(rule, mark)


def _pattern_properties(place: Place, schemas: Any) -> None:
    nodes = place.names(schemas)
    pairs = [(place.document.pattern(text, (*place.path, text)), node) for text, node in nodes.items()]

    def rule(value: Any, meter: Meter) -> Finding | None:
        for (matches, node), name in itertools.product(pairs, value if isinstance(value, dict) else NOTHING):
            if matches(name, meter) and (found := node.check(value[name], meter)) is not None:
                return found.within(name)
        return None

    def mark(value: Any, meter: Meter, marks: Marks) -> None:
        if isinstance(value, dict):
            marks.update(name for name in value if any(matches(name, meter) for matches, _ in pairs))

    place.add(rule, mark)


def _additional_properties(place: Place, schema: Any) -> None:
    node = place.document.node(schema, place.path)
    known = place.schema.get("properties")
    known = known if isinstance(known, dict) else {}
    texts = place.schema.get("patternProperties")
    patterns = [place.document.pattern(text, place.path) for text in (texts if isinstance(texts, dict) else ())]

    def extra(value: dict[str, Any], meter: Meter) -> Iterator[str]:
        meter.spend(len(value))
        return (n for n in value if n not in known and not any(matches(n, meter) for matches in patterns))

    def rule(value: Any, meter: Meter) -> Finding | None:
        return _others(node, schema, value, extra(value, meter), meter) if isinstance(value, dict) else None

    def mark(value: Any, meter: Meter, marks: Marks) -> None:
        if isinstance(value, dict):
            marks.update(extra(value, meter))

    place.add(rule, mark)


def _others(node: Node, schema: Any, value: dict[str, Any], names: Iterator[str], meter: Meter) -> Finding | None:
    """The finding on members that no other keyword looks at."""
    if schema is False:
        some = list(itertools.islice(names, 6))
        return Finding(lambda: f"{named(some)} {'is' if len(some) == 1 else 'are'} not known here") if some else None
    for name in names:
        if (found := node.check(value[name], meter)) is not None:
            return found.within(name)
    return None


def _property_names(place: Place, schema: Any) -> None:
    node = place.document.node(schema, place.path)

    def rule(value: Any, meter: Meter) -> Finding | None:
        for name in value if isinstance(value, dict) else NOTHING:
            if (found := node.check(name, meter)) is not None:
                return Finding(lambda: f"a name in it does not fit: {found}")
        return None

    place.add(rule)


# Schemas in schemas


def _ref(place: Place, reference: Any) -> None:
    target = place.document.refer(reference, place.path)
    place.add(target.check, target.mark)


def _all_of(place: Place, schemas: Any) -> None:
    for node in place.each(schemas):
        place.add(node.check, node.mark)


def _any_of(place: Place, schemas: Any) -> None:
    nodes = place.each(schemas)
    needs = _alternatives(schemas)

    def rule(value: Any, meter: Meter) -> Finding | None:
        if any(node.check(value, meter) is None for node in nodes):
            return None
        return Finding(lambda: f"needs {needs}" if needs else f"{shown(value)} is not valid under any of its schemas")

    place.add(rule, _marks_branches(nodes))


def _one_of_them(place: Place, schemas: Any) -> None:
    nodes = place.each(schemas)
    needs = _alternatives(schemas)

    def rule(value: Any, meter: Meter) -> Finding | None:
        fitting = sum(1 for _ in itertools.islice((n for n in nodes if n.check(value, meter) is None), 2))
        if fitting == 1:
            return None
        if fitting:
            return Finding(
                lambda: f"give only one of {needs}" if needs else f"{shown(value)} is valid under each of two schemas"
            )
        return Finding(lambda: f"needs {needs}" if needs else f"{shown(value)} is not valid under any of its schemas")

    place.add(rule, _marks_branches(nodes))


def _alternatives(schemas: list[Any]) -> str:
    """What is needed, where each schema only says what is required; "" otherwise."""
    if not all(isinstance(schema, dict) and set(schema) == {"required"} for schema in schemas):
        return ""
    return named((named(schema["required"], " and ") for schema in schemas), " or ")


def _marks_branches(nodes: list[Node]) -> Marker:
    def mark(value: Any, meter: Meter, marks: Marks) -> None:
        for node in nodes:
            if node.check(value, meter) is None:
                node.mark(value, meter, marks)

    return mark


def _not(place: Place, schema: Any) -> None:
    node = place.document.node(schema, place.path)

    def rule(value: Any, meter: Meter) -> Finding | None:
        if node.check(value, meter) is not None:
            return None
        return Finding(lambda: f"{shown(value)} should not be valid under {shown(schema)}")

    place.add(rule)


def _if(place: Place, schema: Any) -> None:
    condition = place.document.node(schema, place.path)
    base = place.path[:-1]
    then = place.document.node(place.schema.get("then", True), (*base, "then"))
    otherwise = place.document.node(place.schema.get("else", True), (*base, "else"))

    def rule(value: Any, meter: Meter) -> Finding | None:
        return (then if condition.check(value, meter) is None else otherwise).check(value, meter)

    def mark(value: Any, meter: Meter, marks: Marks) -> None:
        if condition.check(value, meter) is None:
            condition.mark(value, meter, marks)
            then.mark(value, meter, marks)
        else:
            otherwise.mark(value, meter, marks)

    place.add(rule, mark)


def _dependent_schemas(place: Place, schemas: Any) -> None:
    nodes = place.names(schemas)

    def rule(value: Any, meter: Meter) -> Finding | None:
        meter.spend(len(nodes))
        for name, node in nodes.items() if isinstance(value, dict) else NOTHING:
            if name in value and (found := node.check(value, meter)) is not None:
                return found
        return None

    def mark(value: Any, meter: Meter, marks: Marks) -> None:
        for name, node in nodes.items() if isinstance(value, dict) else NOTHING:
            if name in value:
                node.mark(value, meter, marks)

    place.add(rule, mark)


def _unevaluated_items(place: Place, schema: Any) -> None:
    node, others = place.document.node(schema, place.path), place.node.markers.copy()

    def rule(value: Any, meter: Meter) -> Finding | None:
        if isinstance(value, list):
            seen = _seen(others, value, meter)
            for n, item in enumerate(value):
                if n not in seen and (found := node.check(item, meter)) is not None:
                    return found.within(n)
        return None

    place.add(rule, _mark_items)


def _unevaluated_properties(place: Place, schema: Any) -> None:
    node, others = place.document.node(schema, place.path), place.node.markers.copy()

    def rule(value: Any, meter: Meter) -> Finding | None:
        if not isinstance(value, dict):
            return None
        seen = _seen(others, value, meter)
        return _others(node, schema, value, (name for name in value if name not in seen), meter)

    place.add(rule, _mark_members)


def _seen(markers: list[Marker], value: Any, meter: Meter) -> Marks:
    marks: Marks = set()
    meter.spend(len(value))
    for mark in markers:
        mark(value, meter, marks)
    return marks


def _definitions(place: Place, schemas: Any) -> None:
    place.names(schemas)


def _branch(place: Place, schema: Any) -> None:
    place.document.node(schema, place.path)


APPLICATORS: dict[str, Keyword] = {
    "$defs": _definitions,
    "definitions": _definitions,
    "then": _branch,
    "else": _branch,
    "propertyNames": _property_names,
    "$ref": _ref,
    "$dynamicRef": _ref,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of_them,
    "not": _not,
    "if": _if,
    "dependentSchemas": _dependent_schemas,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "prefixItems": _prefix_items,
    "items": _items,
    "contains": _contains,
    "unevaluatedItems": _unevaluated_items,
    "unevaluatedProperties": _unevaluated_properties,
}
"""In the order in which they are held to: what looks deeper comes after what does not."""
