"""Replacements: never worse than their parent on its examples and on what it is known to have done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.errors import RunFailed
from metier.library import Library
from metier.outcomes import Mutated, NotMutated
from metier.testing import ScriptedModel
from tests.test_lifecycle import BETTER, ODD, READ, SETTINGS, draft, submit, write_people

RAISE = """
import json
import host

def run(input):
    people = json.load(open("/hr/people.json"))
    for person in people:
        if person["name"] == input["name"]:
            person["salary"] += 100
            if True:
                with open("/hr/people.json", "w") as file:
                    json.dump(people, file)
            return {"salary": person["salary"]}
    raise host.Error("no such person", kind="not_found")
"""


def holding(salary: int) -> dict[str, Any]:
    return {"hr/people.json": [{"name": "Kim", "salary": salary}]}


def raising(source: str) -> dict[str, Any]:
    fixture = holding(1)
    return draft(
        source,
        id="raise_salary",
        summary="Raises the salary of a person by 100.",
        effects="write",
        permissions={"files": [{"root": "hr", "path": "people.json", "access": "write"}]},
        examples=[
            {"input": {"name": "Kim"}, "output": {"salary": 101}, "fixtures": fixture, "after": holding(101)},
            {"input": {"name": "Kim"}, "output": {"salary": 102}, "fixtures": holding(2), "after": holding(102)},
            {"input": {"name": "Nobody"}, "error": {"kind": "not_found"}, "fixtures": fixture},
        ],
    )


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create(tmp_path / "capabilities")
    (library.path / "data").mkdir()
    write_people(library)
    (library.path / "metier.toml").write_text(
        SETTINGS.replace("mutation_rounds = 5", "mutation_rounds = 2"), encoding="utf-8"
    )
    return library


@pytest.fixture
def runtime(library: Library) -> Iterator[Runtime]:
    with Runtime.open(library.path) as runtime:
        yield runtime


def hands_in(fields: dict[str, Any]) -> dict[str, Any]:
    return {"tool_calls": [{"name": "submit_capability", "arguments": fields}]}


def mutate(library: Library, *drafts: dict[str, Any], parent: str = "get_salary") -> tuple[Any, str]:
    """The outcome, and what the author was told last."""
    model = ScriptedModel([hands_in(fields) for fields in drafts])
    with Runtime.open(library.path, model=model) as runtime:
        outcome, _, _ = runtime.mutate_sync("Do it better.", parent, lambda _: None)
    return outcome, json.dumps(model.requests[-1]["messages"][-1], ensure_ascii=False)


def test_a_draft_that_changes_data_is_a_sibling_of_one_that_reads(library: Library, runtime: Runtime) -> None:
    submit(runtime)
    writing = {**raising(RAISE), "id": "get_salary"}
    outcome, told = mutate(library, writing, writing)
    assert "its effects are 'write' and were 'read'" in told
    assert isinstance(outcome, Mutated)
    assert (outcome.capability.id, outcome.capability.parent) == ("get_salary_2", "get_salary@1")
    assert "its effects" in outcome.sibling_of[0]
    assert (library.get("get_salary").version, library.get("get_salary").status) == (1, "candidate")


def test_a_better_version_replaces_and_the_old_one_is_one_rollback_away(library: Library, runtime: Runtime) -> None:
    submit(runtime)
    fields = draft(BETTER.replace('person["salary"]}', 'person["salary"] + input.get("plus", 0)}'))
    fields["input_schema"]["properties"]["plus"] = {"type": "integer"}
    fields["examples"].append({"input": {"name": "John", "plus": 5}, "output": {"salary": 85005}})
    outcome, _ = mutate(library, fields)
    assert isinstance(outcome, Mutated)
    assert (outcome.capability.name, outcome.sibling_of) == ("get_salary@2", ())
    assert runtime.call("get_salary", {"name": "Mary", "plus": 1}) == {"salary": 67001}
    assert runtime.lifecycle.roll_back("get_salary", 1, "Ada").name == "get_salary@3"
    with pytest.raises(RunFailed, match="plus"):
        runtime.call("get_salary", {"name": "Mary", "plus": 1})


WRONG_FOR_ADA = READ.replace('person["salary"]}', 'person["salary"] - (input["name"] == "Ada")}')


def test_a_replacement_has_to_do_what_its_parent_did_in_production(library: Library, runtime: Runtime) -> None:
    submit(runtime)
    runtime.call("get_salary", {"name": "Ada"})
    write_people(library, key="pay")  # what the parent saw counts, not what there is now
    live = draft(WRONG_FOR_ADA)
    nemo = {"hr/people.json": [{"name": "Nemo", "salary": 2}]}
    live["examples"] = [*live["examples"][1:], {"input": {"name": "Nemo"}, "output": {"salary": 2}, "fixtures": nemo}]
    outcome, told = mutate(library, live, {**live, "source": draft(BETTER)["source"]})
    assert "which get_salary@1 ran on: it returned" in told
    assert "98999" in told
    assert isinstance(outcome, Mutated)
    assert outcome.capability.name == "get_salary@2"


def test_what_an_earlier_version_did_in_production_counts_as_well(library: Library, runtime: Runtime) -> None:
    submit(runtime)
    runtime.call("get_salary", {"name": "Ada"})
    better, _ = mutate(library, draft(BETTER))
    assert isinstance(better, Mutated)
    worse, told = mutate(library, draft(WRONG_FOR_ADA), draft(WRONG_FOR_ADA))
    assert "which get_salary@1 ran on: it returned" in told
    assert isinstance(worse, Mutated)
    assert (better.capability.name, worse.capability.id) == ("get_salary@2", "get_salary_2")


def test_one_that_stays_worse_becomes_a_sibling_and_never_a_replacement(library: Library, runtime: Runtime) -> None:
    submit(runtime)
    runtime.call("get_salary", {"name": "Ada"})
    outcome, _ = mutate(library, draft(WRONG_FOR_ADA), draft(WRONG_FOR_ADA))
    assert isinstance(outcome, Mutated)
    assert outcome.capability.id == "get_salary_2"
    assert runtime.call("get_salary", {"name": "Ada"}) == {"salary": 99000}


def test_what_somebody_outside_hands_in_is_refused_with_the_reason(library: Library, runtime: Runtime) -> None:
    submit(runtime)
    runtime.call("get_salary", {"name": "Ada"})
    outcome = runtime.mutator().submit(draft(WRONG_FOR_ADA), library.load("get_salary"), "test:author")
    assert isinstance(outcome, NotMutated)
    assert "which get_salary@1 ran on" in outcome.findings[0]


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("json.dump(people, file)", 'json.dump(people[input["name"] == "Ada" :], file)', "leaves something else"),
        ("if True:", 'if input["name"] != "Ada":', "it wrote hr/people.json, and does not now"),
        ("json.dump(people, file)", "json.dump(people, file, indent=2)", None),
    ],
)
def test_a_replacement_leaves_behind_what_its_parent_left(
    library: Library, runtime: Runtime, line: str, instead: str, said: str | None
) -> None:
    fields = raising(RAISE)
    outcome = runtime.mutator().submit(fields, None, "test:author")
    assert isinstance(outcome, Mutated)
    runtime.call("raise_salary", {"name": "Ada"})
    before = (library.path / "data" / "people.json").read_bytes()
    again = runtime.mutator().submit(raising(RAISE.replace(line, instead)), library.load("raise_salary"), "test:author")
    if said is None:
        assert isinstance(again, Mutated), again
    else:
        assert isinstance(again, NotMutated)
        assert said in again.findings[0]
    assert (library.path / "data" / "people.json").read_bytes() == before


def test_an_input_that_was_failed_on_has_to_work_and_stays_as_an_example(library: Library, runtime: Runtime) -> None:
    submit(runtime, source=ODD)
    with pytest.raises(RunFailed):
        runtime.call("get_salary", {"name": "odd"})
    outcome, told = mutate(library, draft(ODD + "# no better\n"), draft(READ))
    assert "on which the parent failed (ValueError" in told
    assert isinstance(outcome, Mutated)
    assert outcome.capability.name == "get_salary@2"
    example = outcome.capability.examples[-1]
    assert (example.input, example.error and example.error.kind) == ({"name": "odd"}, "not_found")
    assert runtime.journal.evidence.failures() == []


def test_an_example_that_its_data_left_behind_is_not_held_against_a_replacement(
    library: Library, runtime: Runtime
) -> None:
    submit(runtime)
    people = json.loads((library.path / "data" / "people.json").read_text(encoding="utf-8"))
    people[0]["salary"] = 1
    (library.path / "data" / "people.json").write_text(json.dumps(people), encoding="utf-8")
    fields = draft(BETTER)
    fields["examples"][0] = {"input": {"name": "John"}, "output": {"salary": 1}}
    outcome, _ = mutate(library, fields)
    assert isinstance(outcome, Mutated)
    assert outcome.capability.name == "get_salary@2"
