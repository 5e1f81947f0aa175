"""JSON and JSON Schema as contracts need them: strict, bounded, and offline.

Schemas and values are written by models and their programs, so everything about them has a bound: the memory that a
text may turn into, the size of a schema, and the steps that it takes to hold a value to it.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

from metier.schemas.text import MAX_DEPTH, InvalidJson, canonical, compact, parse

__all__ = ["MAX_DEPTH", "MAX_STEPS", "InvalidJson", "Violation", "canonical", "check_schema", "compact", "parse"]
__all__ += ["violation"]

MAX_VALIDATORS = 256
MAX_SCHEMA_BYTES = 2**18
MAX_STEPS = 5_000_000
"""Steps of one check, unless the caller says otherwise; `conformance.Meter` tells what one is."""


class Violation(str):
    """How a value breaks a schema, in one line. `kind` is "steps" or "time" where the check was not finished."""

    kind: Literal["schema", "steps", "time"] = "schema"


def check_schema(schema: Any) -> str | None:
    """Why `schema` is not one that Metier can hold a value to; None when it is."""
    from metier.schemas.place import InvalidSchema

    if not isinstance(schema, dict):
        return "a schema must be a JSON object"
    try:
        _compiled(compact(schema))
    except InvalidSchema as error:
        return str(error)
    except RecursionError:
        return "the schema is nested too deep"
    except (ValueError, TypeError) as error:
        return f"the schema is not JSON: {error}"
    return None


def violation(
    schema: dict[str, Any], value: Any, *, steps: int = MAX_STEPS, seconds: float | None = None
) -> Violation | None:
    """The first way in which `value` breaks `schema`; None when it conforms.

    A check that takes more than so many `steps` is given up, on every machine at the same place; so is one that takes
    more than so many `seconds`, which only guards against a slow machine.
    """
    if not schema:
        return None
    from metier.schemas.conformance import Meter, OutOfSteps, OutOfTime, TooDeep

    kind: Literal["schema", "steps", "time"] = "schema"
    try:
        rules = _rules_of(schema)
        if isinstance(rules, str):
            return Violation(f"the schema is none: {rules}")
        found = rules.check(value, Meter(steps, seconds))
        said = None if found is None else _shortened(str(found))
    except (TooDeep, RecursionError):
        said = "cannot be checked: the schema refers to itself without end, or nests too deep"
    except OutOfSteps:
        kind = "steps"
        said = f"cannot be checked in {steps} steps: it is too large for its schema, or that is too involved"
    except OutOfTime:
        kind, said = "time", "could not be checked within the time limit"
    if said is None:
        return None
    broken = Violation(said)
    broken.kind = kind
    return broken


def _shortened(message: str) -> str:
    message = " ".join(message.split())
    return message if len(message) <= 300 else f"{message[:200]} … {message[-90:]}"


_known: dict[int, tuple[dict[str, Any], Any]] = {}
"""Rules by the identity of their schema, which is kept with them: schemas in contracts are never changed."""


def _rules_of(schema: dict[str, Any]) -> Any:
    """The schema as rules, or why it is none."""
    found = _known.get(id(schema))
    if found is not None and found[0] is schema:
        return found[1]
    if len(_known) > MAX_VALIDATORS:
        _known.clear()
    rules = check_schema(schema) or _compiled(compact(schema))
    _known[id(schema)] = (schema, rules)
    return rules


@functools.lru_cache(maxsize=MAX_VALIDATORS)
def _compiled(schema: str) -> Any:
    import json

    from metier.schemas.compiler import compiled
    from metier.schemas.place import InvalidSchema

    if len(schema) > MAX_SCHEMA_BYTES:
        raise InvalidSchema(f"the schema has {len(schema)} characters as JSON; at most {MAX_SCHEMA_BYTES} are allowed")
    return compiled(json.loads(schema))
