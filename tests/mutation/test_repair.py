"""Repairs: what broke its contract in production is mended in one round, or serves nobody meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime, events
from metier.errors import LibraryError, RunFailed, UsageError
from metier.library import Library
from metier.outcomes import Mutated, NotMutated
from metier.testing import ScriptedModel
from tests.mutation.test_regression import hands_in
from tests.test_lifecycle import BETTER, READ, SETTINGS, draft, runs, states, submit, write_people

BOTH_FORMS = READ.replace('person["salary"]', 'person.get("salary", person.get("base_salary"))')
NEW_FORM = READ.replace('person["salary"]', 'person["base_salary"]')


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create(tmp_path / "capabilities")
    (library.path / "data").mkdir()
    write_people(library)
    (library.path / "metier.toml").write_text(SETTINGS, encoding="utf-8")
    return library


@pytest.fixture
def runtime(library: Library) -> Iterator[Runtime]:
    with Runtime.open(library.path) as runtime:
        yield runtime


def drifted(runtime: Runtime, library: Library) -> None:
    """A capability that ran well, over data of which a field has another name by now."""
    submit(runtime)
    runtime.call("get_salary", {"name": "Mary"})
    write_people(library, key="base_salary")


def repair(library: Library, *drafts: dict[str, Any]) -> tuple[Any, list[dict[str, Any]]]:
    model = ScriptedModel([hands_in(fields) for fields in drafts])
    with Runtime.open(library.path, model=model) as runtime:
        outcome, _, _ = runtime.repair_sync("get_salary", lambda _: None)
    return outcome, model.requests


def test_drift_is_repaired_in_one_round_and_no_wrong_answer_is_served_meanwhile(
    runtime: Runtime, library: Library
) -> None:
    drifted(runtime, library)
    with pytest.raises(RunFailed, match="metier repair get_salary"):
        runtime.call("get_salary", {"name": "Ada"})
    with pytest.raises(LibraryError, match="quarantined"):
        runtime.call("get_salary", {"name": "Mary"})
    outcome, requests = repair(library, draft(BOTH_FORMS))
    told = json.dumps(requests[0]["messages"], ensure_ascii=False)
    assert all(words in told for words in ("KeyError", "base_salary", "Ada"))
    assert isinstance(outcome, Mutated)
    assert (outcome.capability.name, outcome.rounds) == ("get_salary@2", 1)
    assert states(runtime) == [(1, "quarantined"), (2, "candidate")]
    assert runtime.call("get_salary", {"name": "Ada"}) == {"salary": 99000}
    example = outcome.capability.examples[-1]
    assert (example.input, example.output) == ({"name": "Ada"}, {"salary": 99000})
    assert "base_salary" in (example.fixtures or {})["hr/people.json"]
    assert runtime.journal.evidence.failures() == []


def test_a_repair_that_forgets_the_old_form_is_sent_back(runtime: Runtime, library: Library) -> None:
    drifted(runtime, library)
    with pytest.raises(RunFailed):
        runtime.call("get_salary", {"name": "Ada"})
    new_only = draft(NEW_FORM)
    fixture = {"hr/people.json": [{"name": "Kim", "base_salary": 1}]}
    for example in new_only["examples"][1:]:
        example["fixtures"] = fixture
    outcome, requests = repair(library, new_only, draft(BOTH_FORMS))
    said = json.dumps(requests[1]["messages"][-1], ensure_ascii=False)
    assert "frozen example of the parent" in said
    assert "which get_salary@1 ran on" in said
    assert isinstance(outcome, Mutated)
    assert outcome.rounds == 2


def test_a_repair_needs_only_the_source(runtime: Runtime, library: Library) -> None:
    drifted(runtime, library)
    with pytest.raises(RunFailed):
        runtime.call("get_salary", {"name": "Ada"})
    before = runtime.library.get("get_salary")
    outcome, requests = repair(library, {"source": BOTH_FORMS})
    assert isinstance(outcome, Mutated), outcome
    after = outcome.capability
    assert (after.name, after.summary, after.input_schema) == ("get_salary@2", before.summary, before.input_schema)
    assert after.examples[: len(before.examples)] == before.examples
    assert len(requests) == 1


def test_an_author_is_not_sent_back_for_what_a_person_did_meanwhile(runtime: Runtime, library: Library) -> None:
    drifted(runtime, library)
    with pytest.raises(RunFailed):
        runtime.call("get_salary", {"name": "Ada"})

    def pins_it_meanwhile(event: events.Event) -> None:
        if isinstance(event, events.ModelAnswered):
            library.pin("get_salary", pinned=True)

    model = ScriptedModel([hands_in({"source": BOTH_FORMS})])
    with Runtime.open(library.path, model=model) as asked:
        outcome, _, _ = asked.repair_sync("get_salary", pins_it_meanwhile)
    assert isinstance(outcome, NotMutated)
    assert "a person pinned get_salary" in str(outcome.findings)
    assert len(model.requests) == 1


def test_a_repair_keeps_its_id_and_never_becomes_a_sibling(runtime: Runtime, library: Library) -> None:
    (library.path / "metier.toml").write_text(
        SETTINGS.replace("mutation_rounds = 5", "mutation_rounds = 2"), encoding="utf-8"
    )
    drifted(runtime, library)
    with pytest.raises(RunFailed):
        runtime.call("get_salary", {"name": "Ada"})
    outcome, requests = repair(library, draft(BOTH_FORMS, id="get_pay"), draft(BETTER))
    assert "keep the id of the parent" in json.dumps(requests[1]["messages"][-1])
    assert isinstance(outcome, NotMutated)
    assert [c.id for c in library.capabilities()] == ["get_salary"]
    assert states(runtime) == [(1, "quarantined")]


def test_a_repair_takes_the_place_of_what_the_name_fell_back_to(runtime: Runtime, library: Library) -> None:
    submit(runtime)
    submit(
        runtime,
        source=READ.replace(
            'person["salary"]}', 'str(person["salary"]) if input["name"] == "Eve" else person["salary"]}'
        ),
    )
    assert runtime.call("get_salary", {"name": "Eve"}) == {"salary": 52000}
    outcome, _ = repair(library, draft(BETTER))
    assert isinstance(outcome, Mutated)
    assert (outcome.capability.name, outcome.capability.parent) == ("get_salary@4", "get_salary@2")
    assert [status for _, status in states(runtime)] == ["superseded", "quarantined", "superseded", "candidate"]


def test_where_the_operator_wants_it_the_task_itself_repairs_and_goes_on(runtime: Runtime, library: Library) -> None:
    drifted(runtime, library)
    (library.path / "metier.toml").write_text(SETTINGS + 'repair = "auto"\n', encoding="utf-8")
    model = ScriptedModel([runs("Ada"), hands_in(draft(BOTH_FORMS)), {"content": "Ada earns 99000."}])
    with Runtime.open(library.path, model=model) as asked:
        answer = asked.run_sync("What is Ada paid?")
        assert [(r.version, r.output) for r in answer.used] == [(2, {"salary": 99000})]
        assert answer.model_calls == 3
        assert asked.run_sync("What is Ada paid?").route == "recall"


def test_a_call_repairs_too_where_the_operator_wants_it(runtime: Runtime, library: Library) -> None:
    drifted(runtime, library)
    (library.path / "metier.toml").write_text(SETTINGS + 'repair = "auto"\n', encoding="utf-8")
    with Runtime.open(library.path, model=ScriptedModel([hands_in(draft(BOTH_FORMS))])) as calling:
        assert calling.call("get_salary", {"name": "Ada"}) == {"salary": 99000}


def test_there_is_nothing_to_repair_in_what_never_failed(runtime: Runtime, library: Library) -> None:
    submit(runtime)
    with pytest.raises(UsageError, match="has not failed"):
        repair(library)
