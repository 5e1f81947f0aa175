"""A contract as models are shown it: short, and nothing twice."""

from __future__ import annotations

from metier.capability import Contract, Example
from metier.prompts import contract_lines

FILES = {"hr/people.json": [{"name": "Ada"}]}


def shown(*examples: Example) -> list[str]:
    contract = Contract(id="greet", summary="Greets.", language="python", examples=examples)
    return contract_lines(contract).partition("examples: ")[2].strip().splitlines()


def test_files_that_examples_share_are_shown_once() -> None:
    lines = shown(
        Example(input={"name": "Ada"}, output={"text": "Hi"}, fixtures=FILES),
        Example(input={"name": "Eve"}, error={"kind": "not_found"}, fixtures=FILES),
        Example(input={}, error={}),
    )
    assert lines[0] == (
        '1. {"input": {"name": "Ada"}, "output": {"text": "Hi"}, "fixtures": {"hr/people.json": [{"name": "Ada"}]}}'
    )
    assert lines[1].endswith('"error": {"kind": "not_found"}, "fixtures": "as in 1"}')
    assert "fixtures" not in lines[2]


def test_of_large_files_the_size_is_told() -> None:
    (line,) = shown(Example(input={}, output={}, fixtures={"hr/people.json": "x" * 5_000}))
    assert line == '1. {"input": {}, "output": {}, "fixtures": {"hr/people.json": "5002 characters"}}'
