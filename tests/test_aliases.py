"""Retired capabilities that another one answers for: calls, memory and promises by the old id go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.aliases import can_answer
from metier.errors import LibraryError, PublishConflict, RunFailed
from metier.library import Library
from metier.testing import ScriptedModel
from tests.conftest import capability
from tests.mutation.test_draft import DRAFT


def number(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "integer"}}, "required": [name]}


TIMES: dict[str, Any] = {
    "id": "times",
    "summary": "Multiplies a number by a factor.",
    "input_schema": {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "factor": {"type": "integer"}},
        "required": ["n", "factor"],
    },
    "source": 'def run(input: dict) -> dict:\n    return {"twice": input["factor"] * input["n"]}\n',
    "examples": [{"input": {"n": n, "factor": 3}, "output": {"twice": 3 * n}} for n in (1, 2, 3)],
}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create(tmp_path / "capabilities")
    (library.path / "metier.toml").write_text('[agent]\nindependence = "off"\n', encoding="utf-8")
    return library


@pytest.fixture
def runtime(library: Library) -> Iterator[Runtime]:
    with Runtime.open(library.path) as runtime:
        yield runtime


def add(runtime: Runtime, **changes: Any) -> Any:
    outcome = runtime.mutator().submit({**DRAFT, **changes}, None, "Ada", by_hand=True)
    return outcome.capability  # type: ignore[union-attr]


def alias(runtime: Runtime, old: str, kept: str, given: dict[str, Any] | None = None) -> None:
    library = runtime.library
    library.retire(library.get(old), library.get(kept), given)


def test_calls_by_the_old_id_are_answered_by_the_one_that_was_kept(runtime: Runtime) -> None:
    add(runtime, id="two_times")
    add(runtime)
    alias(runtime, "two_times", "double")
    assert runtime.call("two_times", {"n": 4}) == {"twice": 8}
    assert runtime.journal.recent()[0]["capability"] == "double"
    runtime.lifecycle.set_status("two_times", "active", "by a test")
    assert runtime.call("two_times", {"n": 4}) == {"twice": 8}
    assert runtime.journal.recent()[0]["capability"] == "two_times"
    assert runtime.library.get("two_times").replaced_by is None


def test_what_is_given_is_added_to_the_input(runtime: Runtime) -> None:
    add(runtime)
    add(runtime, **TIMES)
    alias(runtime, "double", "times", {"factor": 2})
    assert runtime.call("double", {"n": 4}) == {"twice": 8}
    assert runtime.journal.recent()[0]["input"] == {"n": 4, "factor": 2}


def test_a_solved_task_is_recalled_through_the_alias(library: Library, runtime: Runtime) -> None:
    add(runtime)
    add(runtime, **TIMES)
    called = {"name": "run_capability", "arguments": {"capability_id": "double", "input": {"n": 21}}}
    with Runtime.open(library.path, model=ScriptedModel([{"tool_calls": [called]}, {"content": "It is 42."}])) as asked:
        assert asked.run_sync("What is 21 doubled?").text == "It is 42."
    alias(runtime, "double", "times", {"factor": 2})
    answer = runtime.run_sync("What is 21 doubled?")
    assert (answer.text, answer.route, answer.used[0].capability) == ("It is 42.", "recall", "times")
    assert [c.id for c, _ in runtime.nearest("What is 21 doubled?", 1)] == ["times"]


def test_example_tasks_of_an_alias_still_count_and_one_task_of_both_is_one(runtime: Runtime) -> None:
    task = {"task": "What is twice 5?", "input": {"n": 5}, "output": {"twice": 10}, "answer": "{twice}"}
    own = {"task": "Double 6", "input": {"n": 6}, "output": {"twice": 12}, "answer": "{twice}"}
    add(runtime, id="two_times", examples=[task, own])
    add(runtime, examples=[task])
    alias(runtime, "two_times", "double")
    for question, text in (("What is twice 5?", "10"), ("Double 6", "12")):
        answer = runtime.run_sync(question)
        assert (answer.text, answer.used[0].capability) == (text, "double")


def test_an_alias_of_an_alias_leads_on_and_ends_where_nothing_is_live(runtime: Runtime) -> None:
    for id in ("one", "two", "double"):
        add(runtime, id=id)
    alias(runtime, "one", "two")
    alias(runtime, "two", "double")
    assert runtime.call("one", {"n": 1}) == {"twice": 2}
    runtime.lifecycle.set_status("double", "retired", "by a test")
    with pytest.raises(LibraryError, match="one@1 is retired"):
        runtime.call("one", {"n": 1})


def test_what_a_quarantined_one_answered_for_serves_itself_again(runtime: Runtime) -> None:
    source = 'def run(input: dict) -> dict:\n    return {"twice": 2 * input["n"] if input["n"] != 700 else "x"}\n'
    add(runtime, id="two_times")
    add(runtime, source=source)
    alias(runtime, "two_times", "double")
    with pytest.raises(RunFailed, match="at /twice"):
        runtime.call("two_times", {"n": 700})
    assert runtime.library.get("double").status == "quarantined"
    assert runtime.call("two_times", {"n": 700}) == {"twice": 1400}
    moves = runtime.journal.evidence.transitions("two_times")
    assert (moves[-1].became, moves[-1].reason) == ("active", "double@1 answered for it and is quarantined")


def test_an_alias_holds_only_while_the_contract_stands_in(runtime: Runtime) -> None:
    add(runtime, id="two_times")
    kept = add(runtime)
    alias(runtime, "two_times", "double")
    other = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]}
    narrow = {**DRAFT, "input_schema": other, "examples": [{"input": {"n": 3}, "output": {"twice": 6}}]}
    outcome = runtime.mutator().submit({**narrow, "id": "narrow"}, None, "Ada", by_hand=True)
    release = runtime.library.load("narrow")
    assert can_answer(release.capability, kept, {}) is not None
    assert outcome is not None
    runtime.library.retire(kept, release.capability)
    with pytest.raises(LibraryError, match="two_times@1 is retired"):
        runtime.call("two_times", {"n": 1})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "is required on one side only"),
        ({"factor": "two"}, "no factor that may be"),
        ({"other": 1}, "no other that may be"),
        ({"n": 1, "factor": 2}, "its input has n already"),
    ],
)
def test_what_is_given_has_to_fit_both_contracts(given: dict[str, Any], why: str) -> None:
    contract = {key: TIMES[key] for key in ("id", "input_schema")}
    times = capability(**contract, output_schema=number("twice"))
    double = capability(id="double", input_schema=number("n"), output_schema=number("twice"))
    assert why in str(can_answer(times, double, given))
    assert can_answer(times, double, {"factor": 2}) is None


def test_nothing_is_retired_that_is_not_what_was_looked_at(runtime: Runtime) -> None:
    old, kept = add(runtime, id="two_times"), add(runtime)
    runtime.library.pin("two_times", pinned=True)
    with pytest.raises(PublishConflict, match="a person pinned two_times@1"):
        runtime.library.retire(old, kept)
    runtime.library.pin("two_times", pinned=False)
    runtime.library.set_status("double", "quarantined")
    with pytest.raises(PublishConflict, match="now double@1 is quarantined"):
        runtime.library.retire(old, kept)
    assert runtime.library.get("two_times").live


def test_a_replacement_is_held_to_the_examples_of_the_aliases_too(runtime: Runtime) -> None:
    add(runtime, id="two_times", examples=[{"input": {"n": 77}, "output": {"twice": 154}}])
    kept = add(runtime)
    alias(runtime, "two_times", "double")
    worse = DRAFT["source"].replace('2 * input["n"]', '2 * input["n"] if input["n"] != 77 else 0')
    outcome = runtime.mutator().submit({**DRAFT, "source": worse}, runtime.library.load("double"), "test:author")
    assert "frozen example" in outcome.findings[0]  # type: ignore[union-attr]
    assert "77" in outcome.findings[0]  # type: ignore[union-attr]
    assert runtime.library.get("double").sha256 == kept.sha256
