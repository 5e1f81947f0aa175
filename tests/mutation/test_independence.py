"""Tests by somebody who sees the contract only: scripted author and tester, everything else real."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metier import Runtime
from metier.library import Library
from metier.mutation.mutants import mutants
from metier.outcomes import Mutated, NotMutated
from metier.testing import ScriptedModel
from tests.mutation.test_desk import add_settings, told
from tests.mutation.test_draft import DRAFT
from tests.mutation.test_mutator import library, source

__all__ = ["library"]

TASK = "What is the fee for 120?"
SOURCE = source(
    'amount = input["amount"]\n'
    "if amount <= 0:\n"
    '    return {"fee": 0}\n'
    "if amount < 100:\n"
    '    return {"fee": 5}\n'
    'return {"fee": 5 + (amount - 100) // 10}'
)
FEE: dict[str, Any] = {
    **DRAFT,
    "id": "get_fee",
    "summary": "Returns the fee: 5, plus 1 for each whole 10 above 100; 0 for amounts that are not positive.",
    "input_schema": {"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]},
    "output_schema": {"type": "object", "properties": {"fee": {"type": "integer"}}, "required": ["fee"]},
    "examples": [{"input": {"amount": a}, "output": {"fee": f}} for a, f in ((120, 7), (50, 5), (130, 8))],
    "source": SOURCE,
}
STRONG = [(-5, 0), (0, 0), (1, 5), (99, 5), (100, 5), (109, 5), (110, 6), (125, 7), (200, 15)]


def draft(**changes: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": "submit_capability", "arguments": {**FEE, **changes}}]}


def suite(*expected: tuple[int, int], **more: Any) -> dict[str, Any]:
    examples = [{"input": {"amount": amount}, "output": {"fee": fee}} for amount, fee in expected]
    return {"tool_calls": [{"name": "submit_tests", "arguments": {"examples": examples, **more}}]}


def mutate(library: Library, mode: str, *replies: dict[str, Any]) -> tuple[Any, list[dict[str, Any]]]:
    """(outcome, all requests). Replies are given to author and tester in the order in which they are asked."""
    path = library.path / "metier.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"off"', f'"{mode}"'), encoding="utf-8")
    model = ScriptedModel(list(replies))
    with Runtime.open(library.path, model=model) as runtime:
        outcome, _, _ = runtime.mutate_sync(TASK, None, lambda _: None)
    return outcome, model.requests


def said(request: dict[str, Any]) -> str:
    return json.dumps(request["messages"], ensure_ascii=False)


def test_a_strong_suite_is_frozen_with_the_program(library: Library) -> None:
    outcome, _ = mutate(library, "required", draft(), suite(*STRONG))
    assert isinstance(outcome, Mutated), outcome
    assert len(outcome.capability.examples) == 3 + len(STRONG)
    provenance = outcome.capability.provenance
    assert provenance is not None
    found, _, faulty, *_ = provenance.gates["independence"].split()
    assert int(found) >= 0.8 * int(faulty) > 0


def test_the_tester_sees_the_contract_and_never_the_source(library: Library) -> None:
    _, requests = mutate(library, "required", draft(), suite(*STRONG))
    assert "1 for each whole 10 above 100" in said(requests[1])
    assert "// 10" not in said(requests[1])
    assert [tool["function"]["name"] for tool in requests[1]["tools"]] == ["submit_tests"]


def test_a_fault_that_the_author_shares_with_its_examples_is_found_by_the_tester(library: Library) -> None:
    wrong = SOURCE.replace("amount < 100", "amount <= 110")
    outcome, requests = mutate(library, "wanted", draft(source=wrong), suite(*STRONG), suite(*STRONG), draft())
    assert isinstance(outcome, Mutated)
    assert outcome.rounds == 2
    assert len(requests) == 4, "the tests of the first round are used again"
    assert "Work each out once more" in told(requests, 2)
    assert "independent tester" in told(requests, 3)
    assert 'input {"amount":110}: expected output {"fee": 6}, but it returned {"fee": 5}' in told(requests, 3)


def test_a_tester_that_was_wrong_corrects_itself(library: Library) -> None:
    mistaken = [*STRONG[:-1], (200, 14)]
    outcome, requests = mutate(library, "required", draft(), suite(*mistaken), suite(*STRONG))
    assert isinstance(outcome, Mutated)
    assert outcome.rounds == 1
    assert 'test 9, input {"amount":200}: the output that you expect differs at fee' in told(requests, 2)
    assert "returned" not in told(requests, 2), "the program's value would tempt a tester to adopt it"


def test_a_tester_corrects_one_test_and_keeps_the_others(library: Library) -> None:
    mistaken = [*STRONG[:-2], (125, 99), (200, 14)]
    corrected = suite((200, 15), keep_others=True, leave_out=[8])
    outcome, _ = mutate(library, "required", draft(), suite(*mistaken), corrected)
    assert isinstance(outcome, Mutated), outcome
    fees = {e.input["amount"]: e.output["fee"] for e in outcome.capability.examples[3:]}
    assert fees == dict([*STRONG[:-2], (200, 15)])


def test_a_tester_that_keeps_all_its_tests_says_so_in_a_word(library: Library) -> None:
    wrong = SOURCE.replace("amount < 100", "amount <= 110")
    outcome, requests = mutate(library, "wanted", draft(source=wrong), suite(*STRONG), suite(keep_others=True), draft())
    assert isinstance(outcome, Mutated)
    assert len(outcome.capability.examples) == 3 + len(STRONG)
    assert "independent tester" in told(requests, 3)


def test_tests_share_files_that_they_do_not_bring_themselves(library: Library) -> None:
    read = {
        "source": source('import json\nreturn {"fee": json.load(open("/hr/rates.json"))["rate"] * input["amount"]}'),
        "permissions": {"files": [{"root": "hr", "path": "rates.json", "access": "read"}]},
        "effects": "read",
        "fixtures": {"hr/rates.json": {"rate": 2}},
    }
    examples = [{"input": {"amount": a}, "output": {"fee": 2 * a}} for a in (1, 2)]
    first = {"input": {"amount": 1}, "output": {"fee": 7}, "fixtures": {"hr/rates.json": {"rate": 7}}}
    tests = [{"input": {"amount": a}, "output": {"fee": 3 * a}} for a in (1, 2, 4)]
    own = {"input": {"amount": 5}, "output": {"fee": 50}, "fixtures": {"hr/rates.json": {"rate": 10}}}
    reply = suite(fixtures={"hr/rates.json": {"rate": 3}})
    reply["tool_calls"][0]["arguments"]["examples"] = [*tests, own]
    outcome, _ = mutate(library, "required", draft(**read, examples=[first, *examples]), reply)
    assert isinstance(outcome, Mutated), outcome
    rates = [e.fixtures["hr/rates.json"]["rate"] for e in outcome.capability.examples]
    assert rates == [7, 2, 2, 3, 3, 3, 10]


def test_what_they_disagree_on_to_the_end_is_not_published(library: Library) -> None:
    add_settings(library, "mutation_rounds = 2\n")
    mistaken = suite(*STRONG[:-1], (200, 14))
    outcome, _ = mutate(library, "wanted", draft(), mistaken, mistaken, draft(), mistaken)
    assert isinstance(outcome, NotMutated)
    assert library.capabilities() == []


def test_a_suite_that_faulty_programs_pass_is_strengthened(library: Library) -> None:
    outcome, requests = mutate(library, "required", draft(), suite((120, 7), (130, 8), (140, 9)), suite(*STRONG))
    assert isinstance(outcome, Mutated)
    assert "Programs with a fault pass your tests" in said(requests[2])
    assert "the contract's example 2, input" in told(requests, 2)
    outcomes = [line for line in told(requests, 2).splitlines() if line.startswith("- {")]
    assert outcomes
    assert told(requests, 2).count("the contract's example 2, input") == 1


@pytest.mark.parametrize(("mode", "published"), [("wanted", True), ("required", False)])
def test_without_a_strong_suite_it_depends_on_the_operator(library: Library, mode: str, published: bool) -> None:
    add_settings(library, "tester_requests = 1\nmutation_rounds = 1\n")
    outcome, _ = mutate(library, mode, draft(), suite((120, 7), (130, 8), (140, 9)))
    assert isinstance(outcome, Mutated) is published
    if published:
        assert outcome.capability.provenance.gates["independence"].startswith("weak")


@pytest.mark.parametrize(
    "reply",
    [
        {"content": "Looks good to me."},
        suite((1, 5)),
        {"tool_calls": [{"name": "submit_tests", "arguments": "{"}]},
        {"tool_calls": [{"name": "submit_tests", "arguments": {"examples": [{"input": 3}]}}]},
        suite(*STRONG, properties=7),
    ],
    ids=["words", "too few", "not JSON", "no outcome", "properties are no text"],
)
def test_what_is_no_suite_is_sent_back(library: Library, reply: dict[str, Any]) -> None:
    outcome, requests = mutate(library, "required", draft(), reply, suite(*STRONG))
    assert isinstance(outcome, Mutated)
    assert "cannot be used" in said(requests[2])


def test_properties_hold_for_every_output(library: Library) -> None:
    wrong = SOURCE.replace("(amount - 100) // 10", "(100 - amount) // 10")
    never = "def check(input, output):\n    assert output['fee'] >= 0, 'a fee is never negative'\n"
    examples = [{"input": {"amount": a}, "output": {"fee": f}} for a, f in ((120, 3), (50, 5), (160, -1))]
    checked = suite(*STRONG[:5], properties=never)
    outcome, requests = mutate(
        library, "wanted", draft(source=wrong, examples=examples), checked, checked, draft(), suite(*STRONG)
    )
    assert isinstance(outcome, Mutated)
    assert "a fee is never negative" in said(requests[3])


def test_an_endpoint_that_fails_the_tester_stops_only_a_library_that_requires_it(library: Library) -> None:
    outcome, _ = mutate(library, "wanted", draft(), {"error": {"status": 500, "message": "down"}})
    assert isinstance(outcome, Mutated)


def test_mutants_are_the_same_every_time_and_none_is_the_source() -> None:
    first, second = mutants(SOURCE, "python", 50), mutants(SOURCE, "python", 50)
    assert first == second
    assert len(first) == len(set(first)) > 10
    assert SOURCE not in first


@pytest.mark.parametrize("language", ["c", "rust", "go", "zig", "javascript"])
def test_mutants_of_other_languages_leave_texts_and_comments_alone(language: Any) -> None:
    text = 'a = b + c; // 1 + 2\nputs("3 + 4 == 5");\n'
    made = mutants(text, language, 50)
    assert made
    assert all('// 1 + 2\nputs("3 + 4 == 5");' in mutant for mutant in made)
