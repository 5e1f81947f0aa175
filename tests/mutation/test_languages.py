"""Which language an author is told of, offered, and has its draft built in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.capability import Capability
from metier.library import Library
from metier.mutation.author import other_languages
from metier.outcomes import Mutated
from metier.testing import ScriptedModel
from metier.toolchains import TOOLCHAINS, template, toolchain
from tests.mutation.test_draft import DRAFT
from tests.toolchains.compilers import need

TASKS = {
    "What is twice 21? Write it in Rust.": ["rust"],
    "sum the column, using C++": ["cpp"],
    "convert that with plain C": ["c"],
    "add them up in C code": ["c"],
    "how much is left to go?": [],
    "what is 20 degrees in C for John": [],
    "count primes in Go": ["go"],
    "count primes in golang, or as Zig": ["go", "zig"],
    "hash it in WAT": ["wat"],
    "What's John's salary?": [],
    "go through the list and see who is in Go-to-market": [],
    "What temperature is it in C#?": [],
    "in case of rust, replace the car": [],
}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_asks_for_a_language_by_its_name(task: str) -> None:
    assert [t.language for t in other_languages(task, None)] == TASKS[task]


def test_a_child_may_be_written_in_its_parents_language() -> None:
    parent = Capability.model_construct(language="zig")
    assert [t.language for t in other_languages("the same for cars", parent)] == ["zig"]


def mutate(library: Library, task: str, *replies: Any, parent: str | None = None) -> tuple[Any, list[Any]]:
    model = ScriptedModel(list(replies))
    with Runtime.open(library.path, model=model) as runtime:
        outcome, _, _ = runtime.mutate_sync(task, parent, lambda _: None)
    return outcome, model.requests


def submit(**changes: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": "submit_capability", "arguments": {**DRAFT, **changes}}]}


IN_C = """
#include "metier.h"
int main(void) {
    metier_json *output = metier_object();
    int64_t n = metier_as_integer(metier_get(metier_input(), "n"), 0);
    metier_set(output, "twice", metier_integer(2 * n));
    metier_output(output);
}
"""


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create(tmp_path / "capabilities")


@pytest.mark.compilers
def test_an_author_writes_in_the_language_that_was_asked_for(library: Library) -> None:
    need("c")
    wrong = IN_C.replace("2 * n", "2 * m")
    outcome, requests = mutate(
        library, "What is twice 21? In C.", submit(language="c", source=wrong), submit(language="c", source=IN_C)
    )
    assert isinstance(outcome, Mutated), outcome
    assert outcome.capability.language == "c"
    assert outcome.capability.engine is None
    assert outcome.capability.provenance is not None
    assert str(outcome.capability.provenance.toolchain).startswith("zig ")
    assert list(library.load("double").source) == ["capability.c"]
    assert template(toolchain("c")).splitlines()[0] in str(requests[0])
    assert "undeclared identifier" in str(requests[1])
    with Runtime.open(library.path) as runtime:
        assert runtime.call("double", {"n": 21}) == {"twice": 42}


def test_a_fence_names_the_language_of_a_draft_in_a_text(library: Library) -> None:
    import json

    fields = {key: value for key, value in DRAFT.items() if key != "source"}
    text = f"```json\n{json.dumps(fields)}\n```\n```wat\n(module)\n```"
    _, requests = mutate(library, "What is twice 21?", {"content": text}, submit())
    assert "exports no function _start" in str(requests[1]) or "no memory" in str(requests[1])


def test_a_language_that_there_is_not_is_a_finding(library: Library) -> None:
    _, requests = mutate(library, "What is twice 21?", submit(language="cobol"), submit())
    assert "language must be one of" in str(requests[1])
    assert all(language in str(requests[1]) for language in TOOLCHAINS)
