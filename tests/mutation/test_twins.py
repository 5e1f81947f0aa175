"""Near-duplicates: what a live capability does already is not published beside it."""

from __future__ import annotations

import json
from typing import Any

from metier import Runtime
from metier.library import Library
from metier.outcomes import Exists, Mutated, NotMutated
from tests.mutation.test_desk import call
from tests.mutation.test_draft import DRAFT
from tests.mutation.test_mutator import WRITING, Approving, library, mutate, source, submit, times

__all__ = ["library"]

TWIN = {
    "id": "two_times",
    "summary": "Computes the double of an integer.",
    "source": source('number = input["n"]\nreturn {"twice": number + number}'),
    "examples": [{"input": {"n": n}, "output": {"twice": 2 * n}} for n in (5, 6, 7)],
}


def test_a_draft_that_does_what_is_there_is_not_published_and_the_author_may_use_that(library: Library) -> None:
    mutate(library, submit())
    outcome, requests, _ = mutate(library, submit(**TWIN), call("use_existing", capability_id="double"))
    told = json.dumps(requests[1]["messages"][-1], ensure_ascii=False)
    assert "`double` already does this" in told
    assert "the same on all 3 examples" in told
    assert isinstance(outcome, Exists)
    assert [c.id for c in library.live()] == ["double"]


def test_the_parent_counts_too_and_serves_where_the_author_insists(library: Library) -> None:
    mutate(library, submit())
    outcome, requests, _ = mutate(library, *[submit(**TWIN)] * 5, parent="double")
    assert isinstance(outcome, Exists)
    assert (outcome.capability.id, len(requests)) == ("double", 5)
    assert [c.id for c in library.live()] == ["double"]


def test_one_example_that_differs_makes_it_another_capability(library: Library) -> None:
    mutate(library, submit())
    changes: dict[str, Any] = {
        "source": source('return {"twice": 2 * input["n"] if input["n"] > 0 else 0}'),
        "examples": [*DRAFT["examples"], {"input": {"n": -1}, "output": {"twice": 0}}],
    }
    outcome, _, _ = mutate(library, submit(**{**TWIN, **changes}))
    assert isinstance(outcome, Mutated)
    assert outcome.capability.id == "two_times"


def test_a_wider_contract_is_no_duplicate(library: Library) -> None:
    mutate(library, submit())
    wider = {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}
    output = {"type": "object", "properties": {"twice": {"type": "number"}}, "required": ["twice"]}
    outcome, _, _ = mutate(library, submit(**TWIN, input_schema=wider, output_schema=output))
    assert isinstance(outcome, Mutated)


def test_an_input_that_the_other_would_ignore_is_no_duplicate(library: Library) -> None:
    mutate(library, submit())
    properties = {"n": {"type": "integer"}, "factor": {"type": "integer"}}
    changes: dict[str, Any] = {
        "input_schema": {"type": "object", "properties": properties, "required": ["n", "factor"]},
        "source": source('return {"twice": input["factor"] * input["n"]}'),
        "examples": [{"input": {"n": n, "factor": 2}, "output": {"twice": 2 * n}} for n in (5, 6, 7)],
    }
    outcome, _, _ = mutate(library, submit(**{**TWIN, **changes}))
    assert isinstance(outcome, Mutated)


def test_one_that_leaves_something_else_in_a_file_is_no_duplicate(library: Library) -> None:
    sometimes = WRITING["source"].replace('write("{}")', 'write("{}" if input["n"] == 3 else "[]")')
    everything = Approving(True)
    mutate(library, submit(**{**WRITING, "id": "saved", "source": sometimes}), approver=everything)
    outcome, _, _ = mutate(library, submit(**{**WRITING, "id": "double_saved"}), approver=everything)
    assert isinstance(outcome, Mutated)
    again, _, _ = mutate(library, *[submit(**{**WRITING, "id": "double_kept"})] * 5, approver=everything)
    assert isinstance(again, Exists)
    assert again.capability.id == "double_saved"


def test_what_is_retired_is_no_reason_to_write_nothing(library: Library) -> None:
    mutate(library, submit())
    library.set_status("double", "retired")
    outcome, _, _ = mutate(library, submit(**TWIN), parent="double")
    assert isinstance(outcome, Mutated)


def test_a_connected_agent_is_told_and_a_person_is_free(library: Library) -> None:
    mutate(library, submit())
    mutate(library, submit(id="triple", **times(3)))
    with Runtime.open(library.path) as runtime:
        handed_in = runtime.mutator().submit({**DRAFT, **TWIN}, None, "mcp:agent")
        assert isinstance(handed_in, NotMutated)
        assert "`double` already does this" in handed_in.findings[0]
        by_hand = runtime.mutator().submit({**DRAFT, **TWIN}, None, "Ada", by_hand=True)
        assert isinstance(by_hand, Mutated)


def test_an_error_of_another_kind_makes_no_other_capability(library: Library) -> None:
    def root(kind: str) -> dict[str, Any]:
        body = f"""
            import host
            if input["n"] < 0:
                raise host.Error("no such root", kind="{kind}")
            return {{"twice": input["n"]}}"""
        negative = {"input": {"n": -1}, "error": {"kind": kind}}
        examples = [negative, *({"input": {"n": n}, "output": {"twice": n}} for n in (1, 2))]
        lines = "\n".join(line[12:] for line in body.splitlines()[1:])
        return {"source": source(lines), "examples": examples, "summary": "Returns a number that is not negative."}

    mutate(library, submit(id="natural", **root("negative")))
    outcome, _, _ = mutate(library, *[submit(id="natural_number", **root("below_zero"))] * 5)
    assert isinstance(outcome, Exists)
    assert outcome.capability.id == "natural"
