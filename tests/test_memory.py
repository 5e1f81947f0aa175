"""Task memory: what counts as the same task, what counts as solved, and answers that are never stale."""

from __future__ import annotations

import dataclasses
import json
import logging
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metier.capability import Capability
from metier.memory import FILE_NAME, Remembered, TaskMemory, answer_from, normalize_task, task_key

TASK = "What's John's salary?"
OUTPUT = {"employee_id": "EMP001", "name": "John Smith", "salary": 85000, "currency": "USD", "bonus": None}
ANSWER = "John Smith earns 85,000 USD."


def capability(id: str = "get_salary", **changes: Any) -> Capability:
    whole = {
        "id": id,
        "summary": "Look up a salary.",
        "binary": f"{id}.wasm",
        "version": 1,
        "sha256": "0" * 64,
        "language": "wasm",
        "input_schema": {},
        "output_schema": {},
        "effects": "read",
        "permissions": {},
        "examples": [],
        "status": "active",
    }
    return Capability.model_validate(whole | changes)


def library(*capabilities: Capability) -> dict[str, Capability]:
    return {c.id: c for c in capabilities}


def remember(memory: TaskMemory, task: str = TASK, answer: str = ANSWER, version: int = 1, **input: Any) -> bool:
    return memory.remember(task, "get_salary", version, input, json.dumps(OUTPUT), answer, "read")


# The same task


@pytest.mark.parametrize(
    "same",
    [
        "what's john's salary",
        "  What’s   John’s\n salary ?! ",
        "\"What's John's salary?\"",
        "“What's John's salary?”",
        "WHAT'S JOHN'S SALARY…",
        "Ｗhat's John's salary？",
        "«What's John's salary»?",
    ],
)
def test_case_spaces_quotes_and_final_punctuation_make_no_other_task(same: str) -> None:
    assert normalize_task(same) == normalize_task(TASK) == "what's john's salary"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("enable 2FA", "disable 2FA"),
        ("What's 5!", "What's 5?"),
        ("John's salary in 2.5", "John's salary in 25"),
        ("salary of John", "salary John of"),
        ('Tell Ann "thank you"', 'Tell Ann "THANK YOU"'),
        ('Tell Ann "thank you"', 'Tell Ann "thank you?"'),
        ('Tell Ann "thank you"', 'Tell Ann "thank  you"'),
        ("Delete the meeting 'Retro'", "Delete the meeting 'retro'"),
        ("sales of the US team", "sales of the us team"),
        ("Start in 10 minutes", "Start in 1⁰ minutes"),
        ("Price of A1", "Price of A¹"),
    ],
)
def test_other_words_are_another_task(one: str, other: str) -> None:
    assert normalize_task(one) != normalize_task(other)


@given(st.text())
def test_normalising_twice_changes_nothing(task: str) -> None:
    assert normalize_task(normalize_task(task)) == normalize_task(task)


def test_a_hostile_task_is_normalised_quickly() -> None:
    start = time.perf_counter()
    normalize_task("!" * 500_000 + "a" + " ?" * 250_000)
    assert time.perf_counter() - start < 1


# Remembering and recalling


def test_a_solved_task_is_recalled_in_the_next_process(tmp_path: Path) -> None:
    first = TaskMemory(tmp_path)
    assert remember(first, name="John")
    first.close()
    memory = TaskMemory(tmp_path)
    found = memory.recall("what’s john’s SALARY", library(capability()))
    assert found is not None
    assert dataclasses.replace(found, day=None) == Remembered(
        "get_salary", 1, {"name": "John"}, "{name} earns {salary:,} {currency}.", json.dumps(OUTPUT), ANSWER, "read"
    )
    assert memory.count() == 1
    assert memory.recall("What's Mary's salary?", library(capability())) is None


def test_the_latest_solution_wins_and_can_be_forgotten(tmp_path: Path) -> None:
    memory = TaskMemory(tmp_path)
    remember(memory, name="John")
    remember(memory, "what's john's salary", name="John Smith")
    found = memory.recall(TASK, library(capability()))
    assert found is not None
    assert found.input == {"name": "John Smith"}
    assert memory.count() == 1
    assert memory.forget(TASK)
    assert not memory.forget(TASK)
    assert memory.recall(TASK, library(capability())) is None
    assert memory.count() == 0


@pytest.mark.parametrize("change", [{"status": "retired"}, {"status": "quarantined"}])
def test_a_capability_that_is_not_live_solves_nothing(tmp_path: Path, change: dict[str, Any]) -> None:
    memory = TaskMemory(tmp_path)
    remember(memory, name="John")
    assert memory.recall(TASK, library(capability(**change))) is None
    assert memory.recall(TASK, {}) is None


def test_a_version_that_was_taken_back_solves_nothing_and_an_earlier_one_still_does(tmp_path: Path) -> None:
    memory = TaskMemory(tmp_path)
    remember(memory, version=2, name="John")
    assert memory.recall(TASK, library(capability(version=1))) is None
    found = memory.recall(TASK, library(capability(version=3)))
    assert found is not None
    assert found.version == 2


def example(task: str = TASK, **changes: Any) -> dict[str, Any]:
    return {"task": task, "input": {"name": "John"}, "output": OUTPUT, "answer": "{name}: {salary}"} | changes


def test_the_example_of_a_live_capability_counts_as_solved() -> None:
    memory = TaskMemory(None)
    found = memory.recall(TASK.upper(), library(capability(version=3, examples=[example()])))
    assert found == Remembered("get_salary", 3, {"name": "John"}, "{name}: {salary}", None, None, "read")
    assert memory.recall(TASK, library(capability(status="retired", examples=[example()]))) is None


def test_what_was_solved_goes_before_an_example(tmp_path: Path) -> None:
    memory = TaskMemory(tmp_path)
    remember(memory, name="Johnny")
    found = memory.recall(TASK, library(capability(examples=[example()])))
    assert found is not None
    assert found.input == {"name": "Johnny"}


def test_an_example_that_must_fail_solves_nothing() -> None:
    failing = {"task": TASK, "input": {}, "error": {"kind": "not_found"}}
    assert TaskMemory(None).recall(TASK, library(capability(examples=[failing]))) is None


def test_two_capabilities_with_one_example_task_make_memory_abstain() -> None:
    memory, one, two = (
        TaskMemory(None),
        capability("one", examples=[example()]),
        capability("two", examples=[example()]),
    )
    assert memory.recall(TASK, library(one, two)) is None
    found = memory.recall(TASK, library(two))
    assert found is not None
    assert found.capability == "two"


def test_one_task_with_two_inputs_makes_memory_abstain() -> None:
    twice = [example(), example(input={"name": "Johanna"})]
    assert TaskMemory(None).recall(TASK, library(capability(examples=twice))) is None
    same = [example(), example(answer="{salary}")]
    assert TaskMemory(None).recall(TASK, library(capability(examples=same))) is not None


def test_examples_that_change_with_a_version_are_noticed() -> None:
    memory = TaskMemory(None)
    assert memory.recall(TASK, library(capability(examples=[example()]))) is not None
    newer = capability(version=2, sha256="1" * 64, examples=[example("What does John earn?")])
    assert memory.recall(TASK, library(newer)) is None
    assert memory.recall("what does john earn", library(newer)) is not None


def test_recall_reads_the_examples_of_a_large_library_only_once() -> None:
    memory = TaskMemory(None)
    many = library(
        *(capability(f"tool_{n}", examples=[example(f"Task {n} of {m}") for m in range(5)]) for n in range(2000))
    )
    memory.recall(TASK, many)
    start = time.perf_counter()
    assert memory.recall("task 1999 of 4", many) is not None
    assert time.perf_counter() - start < 0.05


# Files that are not as they should be


@pytest.mark.parametrize("content", [b"not a database " * 500, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_corrupt_file_is_moved_aside_with_one_line(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    memory = TaskMemory(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert memory.recall(TASK, library(capability())) is None
        assert remember(memory, name="John")
    assert len(caplog.records) == 1
    assert "\n" not in caplog.text.strip()
    assert (tmp_path / f"{FILE_NAME}.broken").read_bytes() == content
    assert memory.recall(TASK, library(capability())) is not None


def test_a_row_that_is_damaged_is_not_recalled(tmp_path: Path) -> None:
    memory = TaskMemory(tmp_path)
    remember(memory, name="John")
    memory.close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("UPDATE solved SET input = '{'")
    connection.commit()
    connection.close()
    assert memory.recall(TASK, library(capability())) is None


def test_a_library_that_cannot_be_written_has_no_memory_and_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    for state in (tmp_path / "file", tmp_path / "file" / "state", None):
        memory = TaskMemory(state)
        assert not remember(memory, name="John")
        assert memory.recall(TASK, library(capability())) is None
        assert (memory.count(), memory.forget(TASK)) == (0, False)
    assert caplog.text == ""


def test_looking_into_an_empty_memory_makes_no_file(tmp_path: Path) -> None:
    memory = TaskMemory(tmp_path)
    assert memory.recall(TASK, library(capability())) is None
    assert memory.count() == 0
    assert list(tmp_path.iterdir()) == []


def test_lone_surrogates_are_kept_out_of_the_file(tmp_path: Path) -> None:
    memory = TaskMemory(tmp_path)
    assert memory.remember("say \ud800", "get_salary", 1, {"x": "y"}, '"\ud800"', "\ud800", "pure")
    assert memory.recall("say \ud800", library(capability())) is not None


WRITER = """
import sys
from pathlib import Path
from metier.memory import TaskMemory
memory = TaskMemory(Path(sys.argv[1]))
for n in range(100):
    assert memory.remember(f"task {n} of {sys.argv[2]}", "get_salary", 1, {"n": n}, str(n), f"It is {n}.", "read")
"""


@pytest.mark.parametrize("found", [None, b"not a database " * 500])
def test_two_processes_that_remember_at_once_lose_nothing(tmp_path: Path, found: bytes | None) -> None:
    if found is not None:
        (tmp_path / FILE_NAME).write_bytes(found)
        TaskMemory(tmp_path).count()
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in ("ann", "bob")]
    assert [(writer.communicate(timeout=120)[1], writer.returncode) for writer in writers] == [("", 0), ("", 0)]
    assert TaskMemory(tmp_path).count() == 200


# Wording


def recalled(answer: str, output: Any, task: str = TASK) -> Remembered:
    memory_free = TaskMemory(None)
    assert memory_free.count() == 0
    from metier.wording import learn_template

    template = learn_template(answer, output, task)
    return Remembered("get_salary", 1, {}, template, json.dumps(output), answer, "read")


def test_the_same_output_gets_the_same_answer_byte_for_byte() -> None:
    odd = recalled("He earns eighty-five thousand.", OUTPUT)
    assert answer_from(odd, json.dumps(OUTPUT), OUTPUT) == "He earns eighty-five thousand."


def test_a_new_value_goes_where_the_old_one_stood() -> None:
    new = OUTPUT | {"salary": 91500}
    assert answer_from(recalled(ANSWER, OUTPUT), json.dumps(new), new) == "John Smith earns 91,500 USD."


@pytest.mark.parametrize(
    "change", [{"bonus": 10}, {"employee_id": "EMP002"}, {"salary": -5}, {"salary": None}, {"salary": "none"}, {"x": 1}]
)
def test_a_change_that_the_wording_does_not_show_is_answered_with_the_output(change: dict[str, Any]) -> None:
    new = OUTPUT | change
    told = answer_from(recalled(ANSWER, OUTPUT), json.dumps(new), new)
    assert told.startswith("employee_id: EMP0")
    assert f"salary: {json.dumps(new['salary']).strip(chr(34))}" in told


def test_a_truth_value_behind_the_words_is_never_served_stale() -> None:
    away = {"name": "John", "on_leave": True}
    here = {"name": "John", "on_leave": False}
    assert answer_from(recalled("John is on leave.", away), json.dumps(here), here) == "name: John\non_leave: false"


def test_an_authors_template_is_filled_with_any_output() -> None:
    solved = Remembered("get_salary", 1, {}, "{name} earns {salary:,}.", None, None, "read")
    assert answer_from(solved, json.dumps(OUTPUT), OUTPUT) == "John Smith earns 85,000."
    assert answer_from(solved, '{"nothing": 1}', {"nothing": 1}) == "nothing: 1"


def test_solved_tasks_are_told_by_capability_and_anew_after_a_change(tmp_path: Path) -> None:
    memory = TaskMemory(tmp_path)
    assert memory.solved() == {}
    memory.remember("What is A?", "get_a", 1, {}, "1", "It is 1.", "read")
    memory.remember("What is A again?", "get_a", 1, {}, "1", "It is 1.", "read")
    assert memory.solved() == {"get_a": ("what is a", "what is a again")}
    memory.forget("What is A?")
    assert memory.solved() == {"get_a": ("what is a again",)}
    memory.close()


def test_what_differed_between_tasks_that_were_worded_alike_may_differ_again(tmp_path: Path) -> None:
    memory = TaskMemory(tmp_path)
    people = {"Ann": (1, 20, True), "Bo": (2, 5, True)}
    for name, (number, leave, here) in people.items():
        output = {"id": number, "name": name, "pay": 100 * number, "leave": leave, "here": here}
        text = json.dumps(output)
        assert memory.remember(
            f"Pay of {name}?", "pay", 1, {"name": name}, text, f"{name} earns {output['pay']}.", "read"
        )
    first, second = (task_key(f"Pay of {name}?") for name in people)

    def told(alike: tuple[bytes, ...], **changed: Any) -> str:
        wording = memory.wording(second, "Pay of Cy?", {"name": "Cy"}, alike)
        assert wording is not None
        output = {"id": 3, "name": "Cy", "pay": 7, "leave": 9, "here": True, **changed}
        return answer_from(wording, json.dumps(output), output)

    assert told((first, second)) == "Cy earns 7."
    assert told(()).startswith("id: 3\n")  # one task alone says nothing of the rest
    assert told((first, second), here=False).startswith("id: 3\n")
    assert told((first, second), leave=-1).startswith("id: 3\n")
    assert told((first, second), leave=None).startswith("id: 3\n")
