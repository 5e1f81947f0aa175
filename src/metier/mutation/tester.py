"""The tester: a second conversation, which sees the contract and never the source, and writes tests for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from metier import events, schemas
from metier.capability import Contract, Example, contract_json, first_problem
from metier.model import ChatModel, Conversation, Reply, Tool
from metier.mutation.data import describe_roots
from metier.mutation.draft import decoded, example_schema
from metier.mutation.suite import Suite, Verdict
from metier.permissions import Permissions
from metier.prompts import render

SUBMIT_TESTS: Final = "submit_tests"
LEAST: Final = 3
"""Tests in a suite."""

Emit = Callable[[events.Event], None]


class NoSuite(Exception):
    """The tester gave nothing that can be used."""


@dataclass
class Tester:
    """One tester of one contract, within so many requests."""

    model: ChatModel
    contract: Contract
    roots: Mapping[str, Path]
    requests: int
    emit: Emit = lambda _: None
    asked: int = 0
    tokens: int = 0
    suite: Suite | None = None
    """The last one that could be used."""
    _conversation: Conversation = field(init=False)
    _last: Reply | None = None

    def __post_init__(self) -> None:
        self._conversation = Conversation(render("tester"))
        shown = Permissions(files=self.contract.permissions.files)
        contract = json.dumps(contract_json(self.contract), ensure_ascii=False, indent=1)
        roots = describe_roots(self.roots, shown, Permissions())
        self._conversation.user(render("tests", contract=contract, roots=roots))

    @property
    def spent(self) -> bool:
        return self.asked >= self.requests

    async def write(self) -> Suite:
        """The first suite.

        Raises:
            NoSuite: no reply held one.
            ModelError: the endpoint fails.
        """
        while not self.spent:
            suite, problems = _read(await self._ask(), self.contract)
            if suite is not None:
                self.suite = suite
                return suite
            self._say(problems=problems)
        raise NoSuite

    async def again(self, verdict: Verdict) -> Suite:
        """A better suite, after the tester was told what became of the last one.

        Raises:
            NoSuite: no reply held one.
            ModelError: the endpoint fails.
        """
        self._say(disagreements=verdict.disagreements, survivors=verdict.survivors, passing=verdict.passing)
        return await self.write()

    async def _ask(self) -> Reply:
        self.emit(events.ModelAsked("tester", self.model.name))
        reply = await self.model.ask(self._conversation, (_tool(),))
        self.emit(events.ModelAnswered("tester", reply.tokens))
        self.asked, self.tokens, self._last = self.asked + 1, self.tokens + reply.tokens, reply
        return reply

    def _say(self, **told: Sequence[str]) -> None:
        nothing: dict[str, Sequence[str]] = {"problems": (), "disagreements": (), "survivors": (), "passing": ()}
        text = render("more_tests", **(nothing | told))
        calls = self._last.calls if self._last else ()
        for number, call in enumerate(calls):
            self._conversation.tool_result(call.id, call.name or SUBMIT_TESTS, text if number == 0 else "not looked at")
        if not calls:
            self._conversation.user(text)


def _tool() -> Tool:
    parameters = {
        "type": "object",
        "properties": {
            "examples": {"type": "array", "minItems": LEAST, "items": example_schema()},
            "properties": {"type": "string", "description": "a Python file with def check(input, output)"},
        },
        "required": ["examples"],
    }
    return Tool(SUBMIT_TESTS, "Hand in the tests.", parameters)


def _read(reply: Reply, contract: Contract) -> tuple[Suite | None, list[str]]:
    """The suite in a reply, or why there is none."""
    call = next((call for call in reply.calls if call.name == SUBMIT_TESTS), None)
    if call is None:
        return None, [f"there was no call of {SUBMIT_TESTS}"]
    if call.arguments is None:
        return None, [f"the arguments do not parse: {call.problem}"]
    try:
        examples = TypeAdapter(tuple[Example, ...]).validate_python(decoded(call.arguments.get("examples")))
    except ValidationError as error:
        return None, [f"examples: {first_problem(error)}"]
    properties = call.arguments.get("properties") or ""
    problems = [
        f"the input of example {number} does not match the input schema: {problem}"
        for number, example in enumerate(examples, start=1)
        if example.error is None and (problem := schemas.violation(contract.input_schema, example.input))
    ]
    if len({schemas.canonical([e.input, e.fixtures]) for e in examples}) < LEAST:
        problems.append(f"at least {LEAST} different examples are needed")
    if not isinstance(properties, str):
        problems.append("properties is the text of a Python file")
    return (None, problems) if problems else (Suite(examples, properties), [])
