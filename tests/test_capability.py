from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from metier.capability import (
    MAX_META_BYTES,
    Capability,
    Contract,
    Example,
    Provenance,
    Schema,
    content_hash,
    meta_json,
    parse_meta,
)
from metier.errors import BrokenCapability

WHERE = Path("capabilities/get_salary/meta.json")
SKETCH: dict[str, Any] = {"id": "get_salary", "summary": "Gets a salary", "binary": "get_salary.wasm"}
WHOLE: dict[str, Any] = SKETCH | {
    "version": 3,
    "sha256": "ab" * 32,
    "language": "python",
    "engine": "python:3.14:abc",
    "input_schema": {"type": "object", "properties": {"name": {"type": "string"}}},
    "output_schema": {"type": "object"},
    "effects": "read",
    "permissions": {"files": [{"root": "hr", "path": "salaries.json", "access": "read"}]},
    "examples": [
        {"task": "What's John's salary?", "input": {"name": "John"}, "output": {"salary": 1.0}, "answer": "{salary}"},
        {"input": None, "error": {"kind": "input"}, "fixtures": {"hr/salaries.json": []}},
        {"input": 1, "output": None},
    ],
    "parent": "get_salary@2",
    "status": "candidate",
    "provenance": {"author": "hand", "created": "2025-01-01T00:00:00Z"},
}


def parsed(meta: Any) -> Capability:
    return parse_meta(json.dumps(meta), where=WHERE)


def test_three_keys_are_a_capability_that_may_do_nothing_beyond_computing() -> None:
    capability = parsed(SKETCH)
    assert (capability.version, capability.language, capability.effects) == (1, "wasm", "pure")
    assert (capability.input_schema, capability.sha256, capability.live) == ({}, None, True)
    assert capability.permissions.sentences() == []


def test_a_whole_meta_json_is_written_as_it_was_read() -> None:
    capability = parsed(WHOLE)
    assert capability.name == "get_salary@3"
    assert meta_json(capability) == WHOLE
    assert list(meta_json(capability))[:3] == ["id", "summary", "binary"]
    assert parsed(meta_json(capability)) == capability


def test_a_sketch_that_is_written_whole_is_the_same_capability() -> None:
    assert parsed(meta_json(parsed(SKETCH))) == parsed(SKETCH)


@pytest.mark.parametrize("key", ["version", "sha256", "language", "input_schema", "permissions", "examples", "status"])
def test_a_form_between_three_keys_and_the_whole_is_an_error(key: str) -> None:
    with pytest.raises(BrokenCapability, match=f"missing .*{key}"):
        parsed({name: value for name, value in WHOLE.items() if name != key})
    with pytest.raises(BrokenCapability, match="missing "):
        parsed(SKETCH | {key: WHOLE[key]})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"id": "Get_Salary"}, "id "),
        ({"id": "get_salary\n"}, "id "),
        ({"id": "a" * 64}, "id "),
        ({"id": 1}, "id "),
        ({"summary": " "}, "summary "),
        ({"summary": "x" * 1001}, "summary "),
        ({"binary": "../x.wasm"}, "binary must be a path inside"),
        ({"binary": "a/../../x.wasm"}, "binary must be a path inside"),
        ({"binary": "/x.wasm"}, "binary "),
        ({"binary": "a\\x.wasm"}, "binary "),
        ({"binary": "."}, "binary "),
        ({"binary": ""}, "binary "),
        ({"binary": "a\0"}, "binary "),
        ({"version": 0}, "version "),
        ({"version": True}, "version "),
        ({"version": "1"}, "version "),
        ({"version": 1.0}, "version "),
        ({"sha256": "AB" * 32}, "sha256 "),
        ({"sha256": "ab"}, "sha256 "),
        ({"language": "perl"}, "language "),
        ({"effects": "all"}, "effects "),
        ({"status": "live"}, "status "),
        ({"parent": "get_salary"}, "parent "),
        ({"replaced_by": "../x@1"}, "replaced_by "),
        ({"input_schema": []}, "input_schema "),
        ({"permissions": {"file": []}}, "permissions.file is not a key that Metier knows"),
        ({"examples": [{"input": 1}]}, "examples.0 .* one of the two"),
        ({"examples": [{"input": 1, "output": 1, "error": {}}]}, "one of the two"),
        ({"examples": [{"output": 1}]}, "examples.0.input "),
        ({"examples": {}}, "examples "),
        ({"provenance": {"author": "x"}}, "provenance.created "),
        ({"color\nred": 1}, "color red is not a key that Metier knows$"),
        ({"color": 1, "shape": 2}, "and 1 more"),
        ({"effects": "pure"}, "but permissions ask for more"),
    ],
)
def test_a_wrong_value_is_told_by_its_key_in_one_line(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(BrokenCapability, match=problem) as told:
        parsed(WHOLE | change)
    assert str(told.value).startswith(f"{WHERE}: ")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"x"', b"\xff", " " * (MAX_META_BYTES + 1), "[" * 10_000])
def test_what_is_no_object_is_broken(text: str | bytes) -> None:
    with pytest.raises(BrokenCapability, match=r"meta\.json: "):
        parse_meta(text, where=WHERE)


def test_a_capability_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        parsed(SKETCH).summary = "Another"


def test_a_schema_is_checked_where_a_contract_is_written() -> None:
    adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(Schema)
    assert adapter.validate_python({"type": "string"}) == {"type": "string"}
    with pytest.raises(ValidationError, match="at /type"):
        adapter.validate_python({"type": "strin"})


@pytest.mark.parametrize("status", ["quarantined", "superseded", "retired"])
def test_only_candidates_and_active_versions_are_live(status: str) -> None:
    assert not parsed(WHOLE | {"status": status}).live
    assert parsed(WHOLE | {"status": "active"}).live


# The hash

BEHAVIOUR = {
    "id": "other",
    "summary": "Another",
    "language": "rust",
    "input_schema": {},
    "output_schema": {},
    "effects": "write",
    "permissions": {},
    "examples": [],
}
CIRCUMSTANCES = {
    "binary": "x.wasm",
    "version": 4,
    "sha256": None,
    "engine": None,
    "parent": None,
    "replaced_by": "other@1",
    "replaced_with": {"factor": 2},
    "status": "retired",
    "pinned": True,
    "provenance": None,
}


def test_every_key_is_either_hashed_or_a_circumstance() -> None:
    assert set(BEHAVIOUR) | set(CIRCUMSTANCES) == set(Capability.model_fields)


@pytest.mark.parametrize("key", BEHAVIOUR)
def test_the_hash_changes_with_the_contract(key: str) -> None:
    other = parsed(WHOLE | {key: BEHAVIOUR[key]})
    assert content_hash(other, b"", {}) != content_hash(parsed(WHOLE), b"", {})


@pytest.mark.parametrize("key", CIRCUMSTANCES)
def test_the_hash_does_not_change_with_circumstances(key: str) -> None:
    other = parsed(WHOLE | {key: CIRCUMSTANCES[key]})
    assert content_hash(other, b"", {}) == content_hash(parsed(WHOLE), b"", {})


def test_the_hash_tells_files_apart() -> None:
    capability = parsed(WHOLE)
    programs = [(b"", {}), (b"a", {}), (b"", {"a": b""}), (b"", {"a": b"x"}), (b"", {"b": b"x"}), (b"x", {"a": b""})]
    assert len({content_hash(capability, wasm, source) for wasm, source in programs}) == len(programs)
    assert content_hash(capability, b"", {"a": b"1", "b": b"2"}) == content_hash(
        capability, b"", {"b": b"2", "a": b"1"}
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
EXAMPLES = st.fixed_dictionaries(
    {"input": VALUES, "output": VALUES},
    optional={"task": st.none() | st.text(), "answer": st.text(), "fixtures": st.dictionaries(st.text(), VALUES)},
).map(Example.model_validate)


@given(st.lists(EXAMPLES, max_size=2), VALUES, st.text(min_size=1).filter(str.strip), st.binary(max_size=3))
def test_the_hash_outlives_being_written_and_read(examples: Any, default: Any, summary: str, wasm: bytes) -> None:
    contract = Contract(id="a", summary=summary[:1000], input_schema={"default": default}, examples=tuple(examples))
    written = Capability(
        **{name: getattr(contract, name) for name in Contract.model_fields},
        binary="a.wasm",
        version=1,
        sha256=content_hash(contract, wasm, {}),
        status="active",
        provenance=Provenance(author="hand", created="now"),
    )
    read = parse_meta(json.dumps(meta_json(written), indent=2, ensure_ascii=False), where=WHERE)
    assert read == written
    assert content_hash(read, wasm, {}) == read.sha256
