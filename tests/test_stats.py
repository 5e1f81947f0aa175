"""The figures of a library, from what really ran in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.errors import MetierError, RunFailed
from metier.library import Library
from metier.stats import frozen_examples, stats
from metier.testing import ScriptedModel
from tests.mutation.test_draft import DRAFT
from tests.test_aliases import add
from tests.tidy.test_tidying import SETTINGS, SUM, times

BROKEN_FOR_7 = 'def run(input: dict) -> dict:\n    return {"twice": 14 if input["n"] != 7 else "x"}\n'
TODAY = datetime.now(UTC).date().isoformat()


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create(tmp_path / "capabilities")
    (library.path / "metier.toml").write_text(SETTINGS, encoding="utf-8")
    return library


@pytest.fixture
def runtime(library: Library) -> Iterator[Runtime]:
    with Runtime.open(library.path) as runtime:
        yield runtime


def solve(library: Library, task: str, *replies: dict[str, Any]) -> int:
    """Has a model solve a task; how many tokens that took."""
    with Runtime.open(library.path, model=ScriptedModel(replies)) as runtime:
        return runtime.run_sync(task).tokens


def calls(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": tool, "arguments": arguments}]}


def runs(n: int) -> dict[str, Any]:
    return calls("run_capability", capability_id="double", input={"n": n})


def test_an_empty_library_has_figures_too(runtime: Runtime) -> None:
    found = stats(runtime)
    assert found["tasks"]["asked"] == 0
    assert (found["tasks"]["recall_share"], found["library"]["redundancy"]) == (None, None)
    assert found["models"]["tokens_saved"] == 0
    assert found["capabilities"] == []


def test_shares_of_recall_and_reuse_and_what_recall_saved(library: Library, runtime: Runtime) -> None:
    written = [
        calls("mutate_capability", task_description="twice a number"),
        calls("submit_capability", **DRAFT),
        runs(21),
        {"content": "It is 42."},
    ]
    spent = solve(library, "What is 21 doubled?", *written)
    spent += solve(library, "What is 8 doubled?", runs(8), {"content": "It is 16."})
    for _ in range(3):
        assert runtime.run_sync("What is 21 doubled?").route == "recall"
    with pytest.raises(MetierError):
        runtime.run_sync("What is 9 halved?")
    found = stats(runtime)
    tasks, models = found["tasks"], found["models"]
    assert (tasks["asked"], tasks["answered"], tasks["by_recall"], tasks["by_model"]) == (6, 5, 3, 2)
    assert (tasks["recall_share"], tasks["creating"]) == (0.6, 1)
    assert (tasks["reusing"], tasks["reuse_share"]) == (4, 0.8)
    assert (models["calls"], models["tokens"]) == (6, spent)
    assert (models["calls_a_task"], models["tokens_a_task"]) == (3.0, round(spent / 2))
    assert (models["calls_saved"], models["tokens_saved"]) == (9, round(3 * spent / 2))
    [row] = found["capabilities"]
    assert (row["id"], row["runs"], row["failed"], row["solved_tasks"]) == ("double", 5, 0, 2)


def test_growth_counts_capabilities_by_the_day_of_their_first_version(library: Library, runtime: Runtime) -> None:
    add(runtime)
    add(runtime, **times(3, "triple"))
    runtime.mutator().submit({**DRAFT, "source": SUM}, library.load("double"), "Ada", by_hand=True)
    found = stats(runtime)["library"]
    assert found["live"] == 2
    assert found["growth"] == [{"day": TODAY, "added": 2, "total": 2}]


def test_redundancy_is_the_share_that_another_could_answer_for(runtime: Runtime) -> None:
    add(runtime)
    add(runtime, id="two_times", source=SUM)
    other = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
    length = {"type": "object", "properties": {"length": {"type": "integer"}}, "required": ["length"]}
    source = 'def run(input: dict) -> dict:\n    return {"length": len(input["word"])}\n'
    example = {"input": {"word": "word"}, "output": {"length": 4}}
    contract = {"input_schema": other, "output_schema": length, "examples": [example], "source": source}
    add(runtime, id="length_of_word", summary="Returns how many letters a word has.", **contract)
    found = stats(runtime)["library"]
    assert (found["alike"], found["redundancy"]) == (2, 0.6667)


def test_broken_contracts_and_quarantines_are_regressions_and_wrong_inputs_are_not(runtime: Runtime) -> None:
    add(runtime, source=BROKEN_FOR_7, examples=[{"input": {"n": 1}, "output": {"twice": 14}}])
    for wrong in ({"n": "one"}, {"n": 7}):
        with pytest.raises(RunFailed):
            runtime.call("double", wrong)
    found = stats(runtime)
    regression, [row] = found["regression"], found["capabilities"]
    assert (regression["contract_failures"], regression["quarantines"], regression["unmended"]) == (1, 1, 1)
    assert regression["by_day"] == [{"day": TODAY, "runs": 2, "contract_failures": 1, "quarantines": 1}]
    assert (row["failed"], row["wrong_inputs"], row["contract_failures"], row["status"]) == (2, 1, 1, "quarantined")


def test_frozen_examples_that_fail_by_now_are_counted(library: Library, runtime: Runtime) -> None:
    add(runtime)
    data = library.path / "data"
    data.mkdir()
    (data / "n.json").write_text("5", encoding="utf-8")
    files = '[{ root = "hr", path = "**", access = "read" }]'
    toml = f'[roots]\nhr = "data"\n[policy]\nfiles = {files}\n[policy.unasked]\nfiles = {files}\n'
    (library.path / "metier.toml").write_text(SETTINGS + toml, encoding="utf-8")
    source = 'import json\n\ndef run(input: dict) -> dict:\n    return {"twice": json.load(open("/hr/n.json"))}\n'
    reads = {"effects": "read", "permissions": {"files": [{"root": "hr", "path": "n.json", "access": "read"}]}}
    with Runtime.open(library.path) as again:
        add(again, id="reads", source=source, examples=[{"input": {"n": 1}, "output": {"twice": 5}}], **reads)
        assert frozen_examples(again) == {"passed": 4, "failed": 0, "of": []}
        (data / "n.json").write_text("6", encoding="utf-8")
        assert frozen_examples(again) == {"passed": 3, "failed": 1, "of": ["reads"]}


def test_only_what_ran_since_then_counts_but_the_cost_of_a_task_is_that_of_all(
    library: Library, runtime: Runtime
) -> None:
    add(runtime)
    spent = solve(library, "What is 21 doubled?", runs(21), {"content": "It is 42."})
    begin = time.time()
    runtime.run_sync("What is 21 doubled?")
    found = stats(runtime, begin)
    assert (found["tasks"]["asked"], found["tasks"]["recall_share"]) == (1, 1.0)
    assert (found["models"]["tokens"], found["models"]["tokens_saved"]) == (0, spent)
    assert found["capabilities"][0]["runs"] == 1
    assert stats(runtime, begin + 1000)["tasks"]["asked"] == 0
