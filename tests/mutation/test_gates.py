"""The gates: what they let through, and the precise words of what they stop."""

from __future__ import annotations

from typing import Any

import pytest

from metier.capability import Contract, Example
from metier.mutation.gates import (
    check_contract,
    check_determinism,
    check_permissions,
    check_replacement,
    mismatch,
    same_json,
)
from metier.mutation.trials import tried
from metier.outcomes import Failed, Ran
from metier.permissions import Permissions
from metier.sandbox.box import Box
from tests.conftest import capability, runner, says
from tests.mutation.test_draft import DRAFT


def contract(**changes: Any) -> Contract:
    values = {key: value for key, value in {**DRAFT, **changes}.items() if key != "source"}
    return Contract.model_validate(values)


def ran(output: Any) -> Ran:
    return Ran("x", 1, {}, output, "", "", 1, 0.0)


def failed(kind: Any = "program", code: str = "not_found", error: str = "no employee 'Bob'") -> Failed:
    return Failed("x", 1, {}, kind, error, code)


def test_a_sound_contract_passes() -> None:
    assert check_contract(contract(), [], None) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"examples": DRAFT["examples"][:2]}, "at least 3"),
        ({"examples": [DRAFT["examples"][0]] * 3}, "with the same input"),
        (
            {"examples": [{"input": {"n": n}, "error": {}} for n in range(3)]},
            "at least one example must have an output",
        ),
        ({"examples": [*DRAFT["examples"], {"input": {"n": "1"}, "output": {"twice": 2}}]}, "example 4: its input"),
        ({"examples": [*DRAFT["examples"], {"input": {"n": 9}, "output": {"twice": "18"}}]}, "example 4: its output"),
        (
            {"examples": [*DRAFT["examples"], {"input": {"n": 9}, "output": {"twice": 18}, "answer": "{x}"}]},
            "leads nowhere",
        ),
        ({"input_schema": {"type": "array"}}, "input_schema must have"),
        ({"output_schema": {"type": "object"}}, "output_schema must name"),
        ({"input_schema": {"type": "obj"}}, "input_schema"),
        ({"input_schema": {"type": "object", "$ref": "http://example.com/x"}}, "outside the document"),
        ({"output_schema": {"type": "object", "properties": {"a": {"pattern": "(?=a)"}}}}, "look-around"),
    ],
)
def test_an_unsound_contract_is_stopped(changes: dict[str, Any], said: str) -> None:
    assert any(said in finding for finding in check_contract(contract(**changes), [], None))


def test_a_schema_that_asks_for_work_without_end_is_stopped_at_the_first_example() -> None:
    chain = {f"s{n}": {"allOf": [{"$ref": f"#/$defs/s{n - 1}"}] * 2} for n in range(1, 60)}
    schema = {"type": "object", "$defs": {"s0": {}, **chain}, "$ref": "#/$defs/s59"}
    right: list[Any] = [{"input": {"n": n}, "output": {"twice": 2 * n}} for n in range(200)]
    for examples in (right, [{"input": {"n": "x"}, "error": {}}, *right]):
        (finding,) = check_contract(contract(input_schema=schema, examples=examples), [], None)
        assert finding.startswith("example 1: its input does not match input_schema: cannot be checked in 5000000")


def test_a_taken_id_is_stopped() -> None:
    assert "taken" in check_contract(contract(), ["double"], None)[0]


def test_the_parents_id_is_only_for_what_stands_in_for_the_parent() -> None:
    same = capability(**{name: getattr(contract(), name) for name in Contract.model_fields})
    assert check_contract(contract(), ["double"], same) == check_replacement(contract(), same) == []
    other = contract(output_schema={"type": "object", "properties": {"twice": {"type": "number"}}})
    assert "belongs to the parent" in check_replacement(other, same)[0]


def test_permissions_stay_within_the_policy() -> None:
    wants = contract(
        effects="write", permissions={"files": [{"root": "hr", "path": "salaries.json", "access": "write"}]}
    )
    reading = Permissions.model_validate({"files": [{"root": "hr", "path": "**", "access": "read"}]})
    writing = Permissions.model_validate({"files": [{"root": "hr", "path": "*.json", "access": "write"}]})
    assert check_permissions(wants, writing, ["hr"]) == []
    assert "write hr/salaries.json is not allowed" in check_permissions(wants, reading, ["hr"])[0]
    assert "no root named 'hr'" in check_permissions(wants, writing, [])[0]


@pytest.mark.parametrize(
    ("example", "outcome", "said"),
    [
        (Example(input={}, output={"a": 1}), ran({"a": 1}), None),
        (Example(input={}, output={"a": 1}), ran({"a": 1.0}), None),
        (Example(input={}, output={"a": 1}), ran({"a": True}), "returned"),
        (Example(input={}, output={"a": 1}), ran({"a": 1, "b": 2}), "returned"),
        (Example(input={}, output={"a": 1}), failed(), "it failed: program error (not_found)"),
        (Example(input={}, error={"kind": "not_found"}), failed(), None),
        (Example(input={}, error={"message": "NO EMPLOYEE"}), failed(), None),
        (Example(input={}, error={"kind": "input"}), failed("input", ""), None),
        (Example(input={}, error={"kind": "ambiguous"}), failed(), "kind 'ambiguous'"),
        (Example(input={}, error={"message": "other"}), failed(), "says 'other'"),
        (Example(input={}, error={}), ran({}), "expected an error"),
        (Example(input={}, error={}), failed("trap"), "error of the program's own"),
        (Example(input={}, error={}), failed("contract"), "error of the program's own"),
    ],
)
def test_an_example_holds_or_says_how_not(example: Example, outcome: Ran | Failed, said: str | None) -> None:
    problem = mismatch(example, outcome)
    assert (problem is None) if said is None else said in str(problem)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, True),
        ([1, 2], [2, 1], False),
        (True, 1, False),
        (0, False, False),
        ("1", 1, False),
        (None, 0, False),
        ({}, [], False),
    ],
)
def test_json_values_are_compared_as_json(a: Any, b: Any, same: bool) -> None:
    assert same_json(a, b) is same


def test_what_another_back_end_does_otherwise_is_stopped(box: Box) -> None:
    on = runner(box)
    version = capability(output_schema={"type": "object"})
    program = on.load(version, says('{"a": 1}'))
    examples = tried(on, program, [Example(input={}, output={"a": 1})])
    assert check_determinism(on, program, on.portable.load(version, says('{"a": 1}')), examples) == []
    for other, said in ((says('{"a": 2}'), "output was"), (says('{"a": 1}', "x", 1), "output was")):
        found = check_determinism(on, program, on.portable.load(version, other), examples)
        assert len(found) == 1
        assert "the portable interpreter differs" in found[0]
        assert said in found[0]
