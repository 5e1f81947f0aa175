"""A mutation from task to published capability, with a scripted author and everything else real."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.approval import Decision, Request
from metier.errors import ModelError
from metier.library import Library
from metier.outcomes import Mutated, NotMutated, Waits
from metier.testing import ScriptedModel
from tests.mutation.test_draft import DRAFT

TASK = "What is twice 21?"


def submit(**changes: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": "submit_capability", "arguments": {**DRAFT, **changes}}]}


def source(body: str) -> str:
    return f"def run(input: dict) -> dict:\n{textwrap.indent(body, '    ')}\n"


def times(factor: int) -> dict[str, Any]:
    """What makes the draft one that multiplies by another number."""
    return {
        "summary": f"Returns {factor} times a number.",
        "source": source(f'return {{"twice": {factor} * input["n"]}}'),
        "examples": [{"input": {"n": n}, "output": {"twice": factor * n}} for n in (1, 2, 3)],
    }


def snapshot(folder: Path) -> dict[str, str]:
    """Every file of the library with its hash; what is derived does not count."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".metier" not in path.parts
    }


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create(tmp_path / "capabilities")
    data = library.path / "data"
    data.mkdir()
    (data / "rates.json").write_text('{"GBP": 0.79}', encoding="utf-8")
    (library.path / "metier.toml").write_text(
        '[roots]\nhr = "data"\n'
        '[policy]\nfiles = [{ root = "hr", path = "**", access = "write" }]\n'
        '[policy.unasked]\nfiles = [{ root = "hr", path = "**", access = "read" }]\n'
        '[agent]\nindependence = "off"\n',
        encoding="utf-8",
    )
    return library


def mutate(library: Library, *replies: Any, parent: str | None = None, approver: Any = None) -> Any:
    """(outcome, the author's requests, what was emitted)."""
    model, seen = ScriptedModel(list(replies)), []
    with Runtime.open(library.path, model=model, approver=approver) as runtime:
        outcome, _, _ = runtime.mutate_sync(TASK, parent, seen.append)
    return outcome, model.requests, seen


def test_a_draft_that_passes_is_published_and_runs(library: Library) -> None:
    outcome, _, _ = mutate(library, submit())
    assert isinstance(outcome, Mutated)
    assert (outcome.capability.name, outcome.rounds) == ("double@1", 1)
    assert outcome.capability.provenance is not None
    assert outcome.capability.provenance.approved_by == "policy"
    with Runtime.open(library.path) as runtime:
        assert runtime.call("double", {"n": 21}) == {"twice": 42}
    assert library.load("double").source["capability.py"].decode() == DRAFT["source"]


WRONG = {
    "syntax error": ({"source": "def run(input: dict) -> dict:\n    return {"}, "SyntaxError"),
    "no run function": ({"source": "def main():\n    pass\n"}, "run"),
    "import of what is not there": ({"source": "import numpy\n" + DRAFT["source"]}, "numpy"),
    "failing example": ({"source": source('return {"twice": 3 * input["n"]}')}, "expected output"),
    "wrong schema": (
        {"output_schema": {"type": "object", "properties": {"twice": {"type": "string"}}}},
        "output_schema",
    ),
    "error with status 0": ({"source": source('return {"error": "no"}')}, "error object"),
    "exception": ({"source": source('raise RuntimeError("boom")')}, "boom"),
    "endless loop": ({"source": source("while True:\n    pass")}, "fuel"),
    "not JSON-able": ({"source": source('return {"twice": {1, 2}}')}, "JSON"),
    "permission that is not allowed": (
        {"effects": "read", "permissions": {"http": [{"origin": "https://x.example", "methods": ["GET"]}]}},
        "not allowed",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_draft_is_mended_by_the_findings(library: Library, name: str) -> None:
    (library.path / "metier.toml").write_text(
        (library.path / "metier.toml").read_text(encoding="utf-8") + "[limits]\nfuel = 300_000_000\n", encoding="utf-8"
    )
    changes, said = WRONG[name]
    outcome, requests, _ = mutate(library, submit(**changes), submit())
    assert isinstance(outcome, Mutated), outcome
    assert outcome.rounds == 2
    assert said in json.dumps(requests[1]["messages"][-1], ensure_ascii=False)


def test_the_first_example_may_leave_its_output_to_the_run(library: Library) -> None:
    first = {"task": TASK, "input": {"n": 21}, "answer": "It is {twice}."}
    outcome, _, _ = mutate(library, submit(examples=[first, *DRAFT["examples"][1:]]))
    assert isinstance(outcome, Mutated)
    assert outcome.capability.examples[0].output == {"twice": 42}
    with Runtime.open(library.path) as runtime:
        assert runtime.run_sync(TASK).text == "It is 42."


def test_all_findings_come_at_once(library: Library) -> None:
    wrong = {"output_schema": {"type": "object"}, "source": source('return {"twice": 3 * input["n"]}')}
    _, requests, _ = mutate(library, submit(**wrong), submit())
    told = json.dumps(requests[1]["messages"][-1])
    assert "output_schema must name" in told
    assert "expected output" in told


def test_the_right_to_change_things_is_not_handed_down_by_a_parent(library: Library) -> None:
    mutate(library, submit(**WRITING), approver=Approving(True))
    other = {**WRITING, "source": WRITING["source"].replace('"{}"', '"[]"')}
    other["examples"] = [*DRAFT["examples"][:2], {**WRITING["examples"][2], "after": {"hr/rates.json": []}}]
    outcome, _, _ = mutate(library, submit(**other, id="child"), parent="double")
    assert outcome == Waits("child", ("write hr/rates.json",))


def test_five_wrong_drafts_leave_the_library_as_it_was(library: Library) -> None:
    before = snapshot(library.path)
    wrong = submit(source="def run(input):\n    return {}\n")
    outcome, requests, _ = mutate(library, *[wrong] * 5)
    assert isinstance(outcome, NotMutated)
    assert (outcome.rounds, len(requests)) == (5, 5)
    assert outcome.findings
    assert snapshot(library.path) == before


def test_an_endpoint_that_fails_leaves_the_library_as_it_was(library: Library) -> None:
    before = snapshot(library.path)
    with pytest.raises(ModelError):
        mutate(library, submit(source="x"), {"error": {"status": 401, "message": "no"}})
    assert snapshot(library.path) == before


def test_a_child_has_its_parents_source_before_it_and_its_name_in_its_lineage(library: Library) -> None:
    mutate(library, submit())
    quadruple = submit(
        id="quadruple",
        summary="Returns four times a number.",
        source=source('return {"twice": 4 * input["n"]}'),
        examples=[{"input": {"n": n}, "output": {"twice": 4 * n}} for n in (1, 2, 3)],
    )
    outcome, requests, _ = mutate(library, quadruple, parent="double")
    assert isinstance(outcome, Mutated)
    assert outcome.capability.parent == "double@1"
    assert "2 * input" in json.dumps(requests[0]["messages"])
    assert library.get("double").version == 1


def test_a_new_version_must_pass_its_parents_examples(library: Library) -> None:
    mutate(library, submit())
    worse = submit(
        source=source('return {"twice": 2 * input["n"] if input["n"] > 5 else 0}'),
        examples=[{"input": {"n": n}, "output": {"twice": 2 * n}} for n in (6, 7, 8)],
    )
    better = submit(
        source=source('return {"twice": input["n"] + input["n"]}'),
        examples=[{"input": {"n": n}, "output": {"twice": 2 * n}} for n in (6, 7, 8)],
    )
    outcome, requests, _ = mutate(library, worse, better, parent="double")
    assert isinstance(outcome, Mutated)
    assert outcome.capability.name == "double@2"
    assert len(outcome.capability.examples) == 6
    assert "expected output" in json.dumps(requests[1]["messages"][-1])
    assert library.load("double", 1).source["capability.py"].decode() == DRAFT["source"]


def test_a_draft_cannot_take_the_id_of_another(library: Library) -> None:
    mutate(library, submit())
    outcome, requests, _ = mutate(library, submit(), submit(id="triple", **times(3)))
    assert isinstance(outcome, Mutated)
    assert outcome.capability.id == "triple"
    assert "is taken" in json.dumps(requests[1]["messages"][-1])


WRITING = {
    "effects": "write",
    "permissions": {"files": [{"root": "hr", "path": "rates.json", "access": "write"}]},
    "source": source('open("/hr/rates.json", "w").write("{}")\nreturn {"twice": 2 * input["n"]}'),
    "examples": [
        *DRAFT["examples"][:2],
        {**DRAFT["examples"][2], "fixtures": {"hr/rates.json": {"GBP": 1}}, "after": {"hr/rates.json": {}}},
    ],
}


class Approving:
    """Answers every request the same way, and keeps them."""

    def __init__(self, approved: bool) -> None:
        self.approved = approved
        self.requests: list[Request] = []

    def decide(self, request: Request) -> Decision:
        self.requests.append(request)
        return Decision(self.approved, "a test", "no")


def test_more_than_what_is_given_unasked_needs_a_person(library: Library) -> None:
    refusing, approving = Approving(False), Approving(True)
    outcome, requests, _ = mutate(library, submit(**WRITING), submit(), approver=refusing)
    assert isinstance(outcome, Mutated)
    assert outcome.rounds == 2
    assert "not approved: write hr/rates.json" in json.dumps(requests[1]["messages"][-1])
    outcome, _, _ = mutate(library, submit(**WRITING, id="overwrite"), approver=approving)
    assert isinstance(outcome, Mutated)
    assert outcome.capability.provenance.approved_by == "a test"  # type: ignore[union-attr]
    assert approving.requests[0].beyond == ("write hr/rates.json",)


def test_with_nobody_to_ask_the_draft_waits_and_is_nobodys_capability(library: Library) -> None:
    outcome, requests, _ = mutate(library, submit(**WRITING))
    assert outcome == Waits("double", ("write hr/rates.json",))
    assert len(requests) == 1
    assert library.capabilities() == []
    with Runtime.open(library.path) as runtime:
        assert [w.id for w in runtime.pending().all()] == ["double"]
        approved = runtime.mutator().approve("double", "Ada")
        assert isinstance(approved, Mutated)
        assert approved.capability.provenance.approved_by == "Ada"  # type: ignore[union-attr]
        assert runtime.pending().all() == []
        assert runtime.call("double", {"n": 4}) == {"twice": 8}
    assert (library.path / "data" / "rates.json").read_text(encoding="utf-8") == "{}"


def test_a_draft_that_does_not_hold_any_more_is_not_approved(library: Library) -> None:
    reading = {
        **WRITING,
        "source": "import json\n\n\n"
        + source(
            'rate = json.load(open("/hr/rates.json"))["GBP"]\nopen("/hr/rates.json", "w").write("{}")\n'
            'return {"twice": 2 * input["n"] if rate in (0.79, 1) else 0}'
        ),
    }
    mutate(library, submit(**reading))
    (library.path / "data" / "rates.json").write_text('{"GBP": 0.8}', encoding="utf-8")
    with Runtime.open(library.path) as runtime:
        assert isinstance(runtime.mutator().approve("double", "Ada"), NotMutated)
        assert [w.id for w in runtime.pending().all()] == ["double"]


UNSAVED = {
    "saves nothing": ('return {"twice": 2 * input["n"]}', "afterwards, but it was not changed"),
    "saves something else": (
        'open("/hr/rates.json", "w").write("[]")\nreturn {"twice": 2 * input["n"]}',
        "afterwards, but it holds []",
    ),
    "takes the file away": (
        'import os\nos.remove("/hr/rates.json")\nreturn {"twice": 2 * input["n"]}',
        "afterwards, but it holds null",
    ),
}


@pytest.mark.parametrize("name", UNSAVED)
def test_the_host_reads_what_a_program_says_that_it_saved(library: Library, name: str) -> None:
    body, said = UNSAVED[name]
    outcome, requests, _ = mutate(
        library, submit(**{**WRITING, "source": source(body)}), submit(**WRITING), approver=Approving(True)
    )
    assert isinstance(outcome, Mutated)
    assert said in requests[1]["messages"][-1]["content"]


def test_a_program_that_writes_has_to_show_what_it_leaves(library: Library) -> None:
    outcome, requests, _ = mutate(library, submit(**{**WRITING, "examples": DRAFT["examples"]}), submit(**WRITING))
    assert isinstance(outcome, Waits)
    assert "`after`" in requests[1]["messages"][-1]["content"]


@pytest.mark.parametrize(("mode", "rounds"), [("auto", 1), ("deny", 2)])
def test_the_operator_may_decide_beforehand(library: Library, mode: str, rounds: int) -> None:
    settings = library.path / "metier.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + f'[approval]\nmode = "{mode}"\n', encoding="utf-8")
    outcome, _, _ = mutate(library, submit(**WRITING), submit())
    assert isinstance(outcome, Mutated)
    assert outcome.rounds == rounds


def test_no_mutation_touches_live_data(library: Library) -> None:
    outcome, _, _ = mutate(library, submit(**WRITING), approver=Approving(True))
    assert isinstance(outcome, Mutated)
    assert (library.path / "data" / "rates.json").read_text(encoding="utf-8") == '{"GBP": 0.79}'


def test_the_author_sees_the_files_that_can_be_granted_and_no_others(library: Library) -> None:
    (library.path / "secret.txt").write_text("hunter2", encoding="utf-8")
    _, requests, _ = mutate(library, submit())
    prompt = json.dumps(requests[0]["messages"])
    assert "rates.json" in prompt
    assert "hunter2" not in prompt
    assert str(library.path) not in prompt


KILLED = """
import sys
from metier import Runtime
from metier.testing import ScriptedModel
import json
replies = json.loads(sys.argv[2])
with Runtime.open(sys.argv[1], model=ScriptedModel(replies)) as runtime:
    print("ready", flush=True)
    runtime.mutate_sync("What is twice 21?", None, lambda event: print(event, flush=True))
"""


def test_a_kill_at_any_moment_leaves_the_library_whole(library: Library) -> None:
    replies = json.dumps([submit(source="x"), submit()])
    pauses = random.Random(7)  # a fixed sequence of moments
    for attempt in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(library.path), replies], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(pauses.uniform(0, 0.4))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        after = Library.open(library.path)
        assert after.broken() == [], attempt
        assert after.check() == [], attempt
        if after.capabilities():
            break
    outcome, _, _ = mutate(library, submit(id="double_too"))
    assert isinstance(outcome, Mutated)


def publish_many(path: str, prefix: str) -> None:
    for number in range(5):
        different = times(number + 10 * ord(prefix))
        outcome, _, _ = mutate(Library.open(path), submit(id=f"{prefix}_{number}", **different))
        assert isinstance(outcome, Mutated)


def test_two_processes_mutating_at_once_lose_nothing(library: Library) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=publish_many, args=(str(library.path), name)) for name in ("a", "b")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert [c.id for c in library.capabilities()] == [f"{p}_{n}" for p in "ab" for n in range(5)]
    assert library.check() == []
