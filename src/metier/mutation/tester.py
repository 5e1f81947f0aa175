"""The tester: a second conversation, which sees the contract and never the source, and writes tests for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from metier import events, schemas
from metier.capability import Contract, Example, first_problem
from metier.model import ChatModel, Conversation, Reply, Tool
from metier.mutation.data import describe_roots
from metier.mutation.draft import FREE, decoded, example_schema, with_shared
from metier.mutation.suite import Suite, Verdict
from metier.permissions import Permissions
from metier.prompts import contract_lines, render

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
    _shared: Any = None
    """Fixtures of tests that bring none, as last said."""
    _conversation: Conversation = field(init=False)
    _last: Reply | None = None

    def __post_init__(self) -> None:
        self._conversation = Conversation(render("tester"))
        shown = Permissions(files=self.contract.permissions.files)
        contract = contract_lines(self.contract)
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
            suite, problems = self._read(await self._ask())
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
        disagreements = [disagreement.for_tester for disagreement in verdict.disagreements]
        self._say(disagreements=disagreements, survivors=verdict.survivors, passing=verdict.passing)
        return await self.write()

    async def _ask(self) -> Reply:
        self.emit(events.ModelAsked("tester", self.model.name))
        reply = await self.model.ask(self._conversation, (_tool(),))
        self.emit(events.ModelAnswered("tester", reply.tokens))
        self.asked, self.tokens, self._last = self.asked + 1, self.tokens + reply.tokens, reply
        return reply

    def _read(self, reply: Reply) -> tuple[Suite | None, list[str]]:
        """The suite that a reply comes to, with what is kept of the last one, or why there is none."""
        call = next((call for call in reply.calls if call.name == SUBMIT_TESTS), None)
        if call is None:
            return None, [f"there was no call of {SUBMIT_TESTS}"]
        if call.arguments is None:
            return None, [f"the arguments do not parse: {call.problem}"]
        told = call.arguments
        self._shared = decoded(told.get("fixtures")) or self._shared
        try:
            given = with_shared(decoded(told.get("examples")), self._shared)
            examples = TypeAdapter(tuple[Example, ...]).validate_python(given)
        except ValidationError as error:
            return None, [f"examples: {first_problem(error)}"]
        properties = told.get("properties") or ""
        if told.get("keep_others") is True and self.suite is not None:
            examples = self._joined(examples, told.get("leave_out"))
            properties = properties or self.suite.properties
        problems = [
            f"the input of example {number} does not match the input schema: {problem}"
            for number, example in enumerate(examples, start=1)
            if example.error is None and (problem := schemas.violation(self.contract.input_schema, example.input))
        ]
        if len(set(map(_told_apart, examples))) < LEAST:
            problems.append(f"at least {LEAST} different examples are needed")
        if not isinstance(properties, str):
            problems.append("properties is the text of a Python file")
        return (None, problems) if problems else (Suite(examples, properties), [])

    def _joined(self, examples: Sequence[Example], leave_out: Any) -> tuple[Example, ...]:
        """The last suite without the tests that are left out, the new examples in their places or behind it."""
        assert self.suite is not None
        dropped = leave_out if isinstance(leave_out, list) else []
        kept = [e for number, e in enumerate(self.suite.examples, start=1) if number not in dropped]
        return tuple({_told_apart(e): e for e in (*kept, *examples)}.values())

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
            "fixtures": {**FREE, "description": "files of every example that does not bring them itself"},
            "examples": {"type": "array", "items": example_schema()},
            "keep_others": {
                "type": "boolean",
                "description": "when called again: keep the earlier tests beside these; a test with the same input and "
                "fixtures as an earlier one takes its place",
            },
            "leave_out": {
                "type": "array",
                "items": {"type": "integer"},
                "description": "with keep_others: numbers of earlier tests to drop, from 1",
            },
            "properties": {"type": "string", "description": "a Python file with def check(input, output)"},
        },
        "required": ["examples"],
    }
    return Tool(SUBMIT_TESTS, "Hand in the tests.", parameters)


def _told_apart(example: Example) -> str:
    return schemas.canonical([example.input, example.fixtures])
