"""Inputs and data with one small thing changed, to see what a program makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from metier import schemas
from metier.capability import Contract, Example


def variations(example: Example, contract: Contract) -> Iterator[Example]:
    """The example with one leaf of its input changed: a number by one, to zero and below, a text emptied and cut."""
    for changed in varied(example.input, contract.input_schema):
        yield example.model_copy(update={"input": changed})


def varied(value: Any, schema: dict[str, Any]) -> Iterator[Any]:
    """An input with one leaf changed each time, as far as its schema allows."""
    for path, leaf in _leaves(value):
        for other in _others(leaf):
            changed = _replaced(value, path, other)
            if schemas.violation(schema, changed) is None:
                yield changed


def other_values(name: str, examples: Sequence[Example], contract: Contract) -> Iterator[tuple[Example, Any]]:
    """Examples that give the input `name`, each with inputs that differ from its own in that alone: without it, with
    what another example gives, with another choice of its schema, and varied."""
    schema = contract.input_schema
    given = [e for e in examples if isinstance(e.input, dict) and name in e.input]
    listed = schema["properties"][name]
    choices = listed.get("enum", []) if isinstance(listed, dict) else []
    elsewhere = [e.input[name] for e in given]
    for example in given:
        rest = {key: value for key, value in example.input.items() if key != name}
        others = [*elsewhere, *choices, *_around(example.input[name])]
        for changed in (rest, *({**example.input, name: other} for other in others)):
            if changed != example.input and schemas.violation(schema, changed) is None:
                yield example, changed


def _around(value: Any) -> Iterator[Any]:
    for path, leaf in _leaves(value):
        yield from (_replaced(value, path, other) for other in _others(leaf))


def perturbed(content: Any) -> Any:
    """Data of the same shape that says something else: each number and text in it is another one."""
    if isinstance(content, bytes):
        content = content.decode("utf-8", "replace")
    if isinstance(content, str):
        try:
            return json.dumps(_stirred(schemas.parse(content.encode("utf-8"), what="it")))
        except schemas.InvalidJson:
            return "".join(chr(ord(c) + 1) if c.isascii() and c.isalnum() else c for c in content)
    return _stirred(content)


def _stirred(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stirred(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_stirred(item) for item in value]
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 7
    return f"{value}x" if isinstance(value, str) else value


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list):
        yield path, value
        for number, item in enumerate(value):
            yield from _leaves(item, (*path, number))
    else:
        yield path, value


def _others(value: Any) -> Sequence[Any]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, (int, float)):
        return (value + 1, value - 1, 0, -value)
    if isinstance(value, str):
        return ("", value.upper(), value[:-1], f"{value} x")
    if isinstance(value, list):
        return ([], value[:1], value[::-1], value + value[:1])
    return ()


def _replaced(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    head, *rest = path
    if isinstance(value, dict):
        return {**value, head: _replaced(value[head], tuple(rest), other)}
    return [_replaced(item, tuple(rest), other) if number == head else item for number, item in enumerate(value)]
