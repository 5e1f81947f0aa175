"""States of versions: earned by runs on different inputs, lost by broken contracts, never by bad inputs."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.batch import map_inputs
from metier.errors import LibraryError, RunFailed, SetupMissing
from metier.journal import Journal, new_run_id
from metier.library import Library
from metier.lifecycle import is_doubtful
from metier.outcomes import Effect, Failed, Mutated, Ran
from metier.testing import ScriptedModel

SETTINGS = """
[roots]
hr = "data"
[policy]
files = [{ root = "hr", path = "**", access = "write" }]
[policy.unasked]
files = [{ root = "hr", path = "**", access = "write" }]
[agent]
independence = "off"
mutation_rounds = 5
[lifecycle]
active_after = 2
trusted_after = 4
"""
SALARIES = {"John": 85000, "Mary": 67000, "Ada": 99000, "Bob": 41000, "Eve": 52000, "Zoe": 61000}

READ = """
import json
import host

def run(input):
    people = json.load(open("/hr/people.json"))
    for person in people:
        if person["name"] == input["name"]:
            return {"salary": person["salary"]}
    raise host.Error("no such person", kind="not_found")
"""

BETTER = READ.replace('open("/hr/people.json")', 'open("/hr/people.json", encoding="utf-8")')
"""Another source that does the same."""


def draft(source: str = READ, **changes: Any) -> dict[str, Any]:
    """A capability that reads a salary; its first example is on live data."""
    fixture = {"hr/people.json": [{"name": "Kim", "salary": 1}]}
    return {
        "id": "get_salary",
        "summary": "Returns the salary of a person.",
        "input_schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        },
        "output_schema": {
            "type": "object",
            "properties": {"salary": {"type": "integer"}},
            "required": ["salary"],
            "additionalProperties": False,
        },
        "effects": "read",
        "permissions": {"files": [{"root": "hr", "path": "people.json", "access": "read"}]},
        "examples": [
            {"task": "What does John earn?", "input": {"name": "John"}, "output": {"salary": 85000}},
            {"input": {"name": "Kim"}, "output": {"salary": 1}, "fixtures": fixture},
            {"input": {"name": "Nobody"}, "error": {"kind": "not_found"}, "fixtures": fixture},
        ],
        "source": textwrap.dedent(source).lstrip(),
        **changes,
    }


def write_people(library: Library, key: str = "salary") -> None:
    people = [{"name": name, key: salary} for name, salary in SALARIES.items()]
    (library.path / "data" / "people.json").write_text(json.dumps(people), encoding="utf-8")


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


def submit(runtime: Runtime, *, by_hand: bool = False, **changes: Any) -> None:
    fields = draft(**changes)
    known = [c.id for c in runtime.library.capabilities()]
    parent = runtime.library.load(fields["id"]) if fields["id"] in known else None
    outcome = runtime.mutator().submit(fields, parent, "test:author", by_hand=by_hand)
    assert isinstance(outcome, Mutated), outcome


def runs(name: str) -> dict[str, Any]:
    """A model's call of the capability."""
    arguments = {"capability_id": "get_salary", "input": {"name": name}}
    return {"tool_calls": [{"name": "run_capability", "arguments": arguments}]}


def states(runtime: Runtime) -> list[tuple[int, str]]:
    return [(c.version, c.status) for c in runtime.library.versions("get_salary")]


def reasons(runtime: Runtime) -> list[str]:
    moves = runtime.journal.evidence.transitions("get_salary")
    return [f"@{m.version} {m.was} → {m.became}: {m.reason}" for m in moves]


def test_what_a_model_wrote_is_a_candidate_and_serves_at_once(runtime: Runtime) -> None:
    submit(runtime)
    assert states(runtime) == [(1, "candidate")]
    assert runtime.call("get_salary", {"name": "Mary"}) == {"salary": 67000}


def test_what_a_person_wrote_is_active(runtime: Runtime) -> None:
    submit(runtime, by_hand=True)
    assert states(runtime) == [(1, "active")]


def test_different_good_inputs_make_it_active_and_then_trusted(runtime: Runtime) -> None:
    submit(runtime)
    seen = []
    for name in ("John", "Mary", "Mary", "Ada", "Bob", "Eve", "Zoe"):
        runtime.call("get_salary", {"name": name})
        seen.append(runtime.library.get("get_salary").status)
    # John is an example and Mary counts once
    assert seen == ["candidate", "candidate", "candidate", "active", "active", "trusted", "trusted"]
    assert reasons(runtime) == [
        "@1 candidate → active: ran well on 2 different inputs beyond its examples",
        "@1 active → trusted: ran well on 4 different inputs beyond its examples",
    ]
    assert runtime.library.check() == []


def test_evidence_adds_up_over_processes_and_concurrent_runs(library: Library) -> None:
    with Runtime.open(library.path) as runtime:
        submit(runtime)
    names = ["Mary", "Ada", "Bob", "Eve"]
    opened = [Runtime.open(library.path) for _ in names]
    threads = [
        threading.Thread(target=r.call, args=("get_salary", {"name": n})) for r, n in zip(opened, names, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for runtime in opened:
        runtime.close()
    with Runtime.open(library.path) as runtime:
        assert states(runtime) == [(1, "trusted")]


def test_bad_inputs_and_errors_of_its_own_never_count(runtime: Runtime) -> None:
    submit(runtime)
    for input in ({"name": 1}, {}, {"name": "Xavier"}, {"name": "Nobody"}) * 3:
        with pytest.raises(RunFailed):
            runtime.call("get_salary", input)
    assert states(runtime) == [(1, "candidate")]
    assert runtime.journal.evidence.failures() == []


ODD = READ.replace("    people =", '    int(input["name"] == "odd" and "x" or "1")\n    people =')


@pytest.mark.parametrize(
    ("request_made", "doubted"),
    [
        ('["files.read","hr","people.json"]', True),
        ('{"op":"http.request","url":"http://x"}', True),
        ('["call","b"]', False),
    ],
)
def test_an_uncaught_error_is_doubtful_after_any_effect_but_a_call(
    runtime: Runtime, request_made: str, doubted: bool
) -> None:
    submit(runtime)
    capability = runtime.library.get("get_salary")
    effects = (Effect(request_made, '{"ok":1}'),)
    ended = Failed("get_salary", 1, {"name": "John"}, "program", "KeyError: 0", "KeyError", effects=effects)
    assert is_doubtful(capability, ended) is doubted
    runtime.journal.evidence.failed(ended)
    assert [f.error for f in runtime.journal.evidence.failures()] == ["KeyError: 0"]


def test_an_exception_on_one_odd_input_is_kept_and_quarantines_nothing(runtime: Runtime) -> None:
    submit(runtime, source=ODD)
    runtime.call("get_salary", {"name": "Mary"})
    with pytest.raises(RunFailed, match="invalid literal"):
        runtime.call("get_salary", {"name": "odd"})
    assert states(runtime) == [(1, "candidate")]
    assert [(f.input, f.kind) for f in runtime.journal.evidence.failures()] == [({"name": "odd"}, "ValueError")]


def test_data_that_changed_under_it_quarantines_the_version_before_it_can_answer_wrongly(
    runtime: Runtime, library: Library
) -> None:
    submit(runtime)
    runtime.call("get_salary", {"name": "Mary"})
    write_people(library, key="base_salary")
    with pytest.raises(RunFailed, match="get_salary@1 broke its contract and is quarantined"):
        runtime.call("get_salary", {"name": "Ada"})
    assert states(runtime) == [(1, "quarantined")]
    assert runtime.library.live() == []
    assert runtime.nearest("What does John earn?") == []
    with pytest.raises(LibraryError, match="is quarantined"):
        runtime.call("get_salary", {"name": "Mary"})
    with pytest.raises(SetupMissing):
        runtime.run_sync("What does John earn?")
    (failure,) = runtime.journal.evidence.failures("get_salary")
    assert (failure.input, failure.kind) == ({"name": "Ada"}, "KeyError")
    assert "base_salary" in (failure.fixtures or {})["hr/people.json"]


def test_a_network_or_file_that_is_away_is_not_held_against_it(runtime: Runtime, library: Library) -> None:
    submit(runtime)
    (library.path / "data" / "people.json").unlink()
    with pytest.raises(RunFailed, match=r"FileNotFoundError|No such file"):
        runtime.call("get_salary", {"name": "Mary"})
    assert states(runtime) == [(1, "candidate")]


WRONG_FOR_EVE = READ.replace(
    'person["salary"]}', 'str(person["salary"]) if input["name"] == "Eve" else person["salary"]}'
)


def test_the_name_falls_back_to_the_last_good_version_by_itself(runtime: Runtime) -> None:
    submit(runtime)
    for name in ("Mary", "Ada", "Bob", "Zoe"):
        runtime.call("get_salary", {"name": name})
    submit(runtime, source=WRONG_FOR_EVE)
    assert states(runtime) == [(1, "superseded"), (2, "candidate")]
    assert runtime.call("get_salary", {"name": "Eve"}) == {"salary": 52000}
    assert states(runtime) == [(1, "superseded"), (2, "quarantined"), (3, "trusted")]
    assert runtime.library.get("get_salary").sha256 == runtime.library.get("get_salary", 1).sha256
    assert reasons(runtime)[-2:] == [
        "@2 candidate → quarantined: contract: output at /salary: \"52000\" is not of type 'integer'",
        "@3 superseded → trusted: in place of get_salary@2",
    ]
    assert runtime.library.check() == []


def test_a_version_that_fails_in_the_same_way_is_no_fallback(runtime: Runtime, library: Library) -> None:
    submit(runtime)
    submit(runtime, source=BETTER)
    runtime.call("get_salary", {"name": "Mary"})
    write_people(library, key="base_salary")
    with pytest.raises(RunFailed):
        runtime.call("get_salary", {"name": "Ada"})
    assert states(runtime) == [(1, "superseded"), (2, "quarantined")]


def test_a_solved_task_is_answered_by_what_serves_in_place_of_a_quarantined_version(
    runtime: Runtime, library: Library
) -> None:
    submit(runtime)
    submit(runtime, source=WRONG_FOR_EVE)
    model = ScriptedModel(
        [
            runs("Mary"),
            {"content": "Mary earns 67000."},
        ]
    )
    with Runtime.open(library.path, model=model) as asked:
        assert asked.run_sync("How much is Mary paid?").used[0].version == 2
    runtime.call("get_salary", {"name": "Eve"})
    answer = runtime.run_sync("How much is Mary paid?")
    assert (answer.text, answer.used[0].version) == ("Mary earns 67000.", 3)


def test_a_task_goes_on_with_what_serves_in_place_of_a_quarantined_version(runtime: Runtime, library: Library) -> None:
    submit(runtime)
    submit(runtime, source=WRONG_FOR_EVE)
    model = ScriptedModel([runs("Eve"), {"content": "Eve earns 52000."}])
    with Runtime.open(library.path, model=model) as asked:
        answer = asked.run_sync("What is Eve paid?")
    assert [r.version for r in answer.used] == [3]


def test_the_model_is_told_that_nothing_serves_any_more(runtime: Runtime, library: Library) -> None:
    submit(runtime)
    runtime.call("get_salary", {"name": "Mary"})
    write_people(library, key="pay")
    model = ScriptedModel([runs("Eve"), runs("Eve"), {"content": "I cannot tell."}])
    with Runtime.open(library.path, model=model) as asked:
        assert asked.run_sync("What is Eve paid?").used == ()
    assert "cannot be run any more" in json.dumps(model.requests[1]["messages"][-1])
    assert "there is no capability 'get_salary' here" in json.dumps(model.requests[2]["messages"][-1])


def test_a_batch_goes_on_with_what_serves_in_place_of_a_quarantined_version(runtime: Runtime, library: Library) -> None:
    submit(runtime)
    submit(runtime, source=WRONG_FOR_EVE)
    names = ["Mary", "Eve", "Ada", "Eve"]
    results = list(map_inputs(library.path, "get_salary", None, [{"name": name} for name in names], 2))
    assert [r.get("output") for r in results] == [{"salary": SALARIES[name]} for name in names]
    assert [status for _, status in states(runtime)][:2] == ["superseded", "quarantined"]


def test_an_earlier_version_that_breaks_its_contract_is_quarantined_where_it_lies(runtime: Runtime) -> None:
    submit(runtime, source=WRONG_FOR_EVE)
    submit(runtime, source=READ)
    with pytest.raises(RunFailed):
        runtime.call("get_salary", {"name": "Eve"}, version=1)
    assert states(runtime) == [(1, "quarantined"), (2, "candidate")]
    assert runtime.library.check() == []


def test_restoring_lifts_a_quarantine_and_trust_is_earned_anew(runtime: Runtime, library: Library) -> None:
    submit(runtime)
    for name in ("Mary", "Ada", "Bob", "Zoe"):
        runtime.call("get_salary", {"name": name})
    write_people(library, key="pay")
    with pytest.raises(RunFailed):
        runtime.call("get_salary", {"name": "Mary"})
    write_people(library)
    assert runtime.lifecycle.set_status("get_salary", "active", "by Ada").status == "active"
    runtime.call("get_salary", {"name": "Mary"})
    assert states(runtime) == [(1, "active")]
    assert reasons(runtime)[-1] == "@1 quarantined → active: by Ada"


def test_a_run_under_a_narrower_grant_is_not_held_against_the_version(runtime: Runtime) -> None:
    submit(runtime, source=WRONG_FOR_EVE)
    capability = runtime.library.get("get_salary")
    runtime.execute(capability, {"name": "Eve"}, grant=capability.permissions)
    assert states(runtime) == [(1, "candidate")]


def test_a_replay_with_another_output_quarantines(runtime: Runtime) -> None:
    submit(runtime)
    capability = runtime.library.get("get_salary")
    ran = runtime.execute(capability, {"name": "Mary"})
    assert isinstance(ran, Ran)
    assert runtime.replay(ran.run_id).identical
    other = dataclasses.replace(ran, run_id=new_run_id(), output_text='{"salary": 1}')
    runtime.journal.run(other, capability, task_run_id=None)
    assert not runtime.replay(other.run_id).identical
    assert states(runtime) == [(1, "quarantined")]
    assert "not deterministic: output" in reasons(runtime)[-1]


def test_a_library_that_cannot_be_written_still_answers(library: Library) -> None:
    with Runtime.open(library.path) as runtime:
        submit(runtime)
        (library.state / "lock").unlink()
        (library.state / "lock").mkdir()  # no publish can begin
        for name in ("Mary", "Ada", "Bob", "Zoe", "Eve"):
            assert runtime.call("get_salary", {"name": name})["salary"] == SALARIES[name]
        assert states(runtime) == [(1, "candidate")]


def test_a_journal_of_the_layout_before_is_taken_over(tmp_path: Path) -> None:
    from metier.journal import TABLES

    with sqlite3.connect(tmp_path / "journal.sqlite") as old:
        old.executescript(TABLES)
        old.execute("PRAGMA user_version = 2")
        old.execute("INSERT INTO tasks VALUES ('r', 1.0, 'kept', NULL, NULL, NULL, '[]', 0, 0)")
    old.close()
    journal = Journal(tmp_path, keep_runs=10)
    assert journal.evidence.transitions("x") == []
    journal.close()
    with sqlite3.connect(tmp_path / "journal.sqlite") as now:
        assert now.execute("SELECT task FROM tasks").fetchall() == [("kept",)]
    now.close()
    assert [path.name for path in tmp_path.glob("*.broken")] == []
