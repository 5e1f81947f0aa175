"""One task in a model's hands: it sees the nearest capabilities and two tools, and works until it can answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from metier import events
from metier.capability import Capability
from metier.config import Settings
from metier.errors import ModelError
from metier.grounding import unexplained
from metier.library import Library
from metier.model import ChatModel, Conversation, Tool, ToolCall
from metier.outcomes import Exists, Failed, Mutation, NotMutated, Ran, Waits
from metier.prompts import fence, plain, render

MAX_MUTATIONS = 3
"""New capabilities that one task may bring about."""
MAX_EMPTY_REPLIES = 2
MAX_SAME_RUNS = 2
"""How often one task may run the same capability on the same input."""

DOUBT = (
    "No program returned these numbers of your answer: {}. Correct what you misread; have a capability compute what "
    "you computed yourself. If the answer is right as it stands, repeat it."
)
WITHHELD = (
    "this changes data, and programs have told you things since the user spoke, so the user has to allow it. Tell the "
    "user what would be changed; it is done when they repeat the task with --allow-writes."
)
"""A change may follow from the user's words alone. One that follows from what a program returned needs consent, or a
text in somebody's data could bring it about."""

TOOLS = (
    Tool(
        "run_capability",
        "Run a stored capability on an input and get its output.",
        {
            "type": "object",
            "properties": {
                "capability_id": {"type": "string", "description": "id of a listed or newly created capability"},
                "input": {
                    "type": "object",
                    "description": "matches the capability's input schema",
                    "additionalProperties": True,
                },
            },
            "required": ["capability_id", "input"],
            "additionalProperties": False,
        },
    ),
    Tool(
        "mutate_capability",
        "Have a new capability written, checked and stored. It can be run in the next step.",
        {
            "type": "object",
            "properties": {
                "task_description": {
                    "type": "string",
                    "description": "what it must do, in general terms: which inputs, which output",
                },
                "parent_capability_id": {
                    "type": "string",
                    "description": "the listed capability to start from; leave it out to start from nothing",
                },
            },
            "required": ["task_description"],
            "additionalProperties": False,
        },
    ),
)

Emit = Callable[[events.Event], None]


class Hands(Protocol):
    """What a model's calls are carried out with: the runtime."""

    @property
    def settings(self) -> Settings: ...

    @property
    def library(self) -> Library: ...

    @property
    def now(self) -> Callable[[], datetime]:
        """What time it is."""

    async def run_or_mend(
        self, capability: Capability, input: Any, run_id: str, emit: Emit
    ) -> tuple[Ran | Failed, int, int]:
        """A run, with the model calls and tokens that a repair took if one was needed."""

    async def mutate(self, task: str, parent: str | None, emit: Emit) -> tuple[Mutation, int, int]:
        """A new capability, with the model calls and tokens that it took."""


@dataclass(slots=True)
class Attempt:
    """One task in the model's hands: the conversation, and what was run and created in its course."""

    hands: Hands
    model: ChatModel
    task: str
    run_id: str
    known: list[Capability]
    """What the model may run: the candidates, and what was created since."""
    emit: Emit
    allow_writes: bool
    unfit: bool = False
    """Whether probably none of the candidates does the task."""
    ran: list[Ran] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """The runs that the model called for, so that it is told when it repeats itself."""
    told: list[Any] = field(default_factory=list)
    """What programs returned, and the messages of those that failed."""
    heard: bool = False
    """Whether the model has been told anything by a program, which may be more than data."""
    model_calls: int = 0
    tokens: int = 0

    async def work(self) -> str:
        """Steps until the model answers in words."""
        conversation = Conversation(render("solve"))
        now = _spoken(self.hands.now())
        conversation.user(render("task", task=self.task, candidates=self.known, unfit=self.unfit, now=now))
        empty, doubted = 0, False
        for _ in range(self.hands.settings.agent.steps):
            self.emit(events.ModelAsked("chat", self.model.name))
            reply = await self.model.ask(conversation, TOOLS)
            self.model_calls, self.tokens = self.model_calls + 1, self.tokens + reply.tokens
            self.emit(events.ModelAnswered("chat", reply.tokens))
            if reply.calls:
                await self._answer_calls(conversation, reply.calls)
            elif text := reply.text.strip():
                numbers = unexplained(text, self.told, f"{self.task}\n{now}") if self.told and not doubted else []
                if not numbers:
                    return text
                doubted = True
                conversation.user(DOUBT.format(", ".join(numbers[:8])))
            elif (empty := empty + 1) >= MAX_EMPTY_REPLIES:
                raise ModelError(f"{self.model.name} answers with empty messages; try another model")
            else:
                conversation.user("Your message was empty. Call a tool, or answer the task in a sentence.")
        steps = self.hands.settings.agent.steps
        raise ModelError(f"{self.model.name} came to no answer within {steps} steps; [agent] steps in metier.toml")

    async def _answer_calls(self, conversation: Conversation, calls: tuple[ToolCall, ...]) -> None:
        """Carries out the calls of one step: runs side by side, mutations one after the other; results in order."""
        runs = {c.id: asyncio.create_task(self._answer(c)) for c in calls if c.name != "mutate_capability"}
        try:
            for call in calls:
                content = await (runs[call.id] if call.id in runs else self._answer(call))
                conversation.tool_result(call.id, call.name, content)
        finally:
            for run in runs.values():
                run.cancel()

    async def _answer(self, call: ToolCall) -> str:
        """What the model is told about one call. Whatever is wrong with it, it is told so that it can mend it."""
        arguments = call.arguments
        if arguments is None:
            return self._refuse(call, f"the arguments do not parse: {call.problem}. Send one JSON object.")
        if call.name == "run_capability":
            return await self._run_capability(call, arguments)
        if call.name == "mutate_capability":
            return await self._mutate_capability(call, arguments)
        return self._refuse(call, "there are two tools: run_capability and mutate_capability.")

    async def _run_capability(self, call: ToolCall, arguments: dict[str, Any]) -> str:
        id, value = arguments.get("capability_id"), _decoded(arguments.get("input"))
        capability = next((c for c in self.known if c.id == id), None)
        if capability is None:
            return self._refuse(call, f"there is no capability {id!r} here. There are: {self._ids()}.")
        if not isinstance(value, dict):
            return self._refuse(call, "input must be a JSON object.")
        wish = (capability.id, json.dumps(value, sort_keys=True))
        if self.asked.count(wish) >= MAX_SAME_RUNS:
            return self._refuse(call, "you have the result of this very run already; answer, or do something else.")
        self.asked.append(wish)
        if capability.effects == "write" and self.heard and not self.allow_writes:
            self.withheld.append(capability.id)
            return self._refuse(call, WITHHELD)
        outcome, asked, tokens = await self.hands.run_or_mend(capability, value, self.run_id, self.emit)
        self.heard, self.model_calls, self.tokens = True, self.model_calls + asked, self.tokens + tokens
        if isinstance(outcome, Ran):
            self.ran.append(outcome)
            self.told.append(outcome.output)
            return f"{capability.id} returned:\n{fence(outcome.output_text)}"
        self.told.append(outcome.error)
        hint = ""
        if outcome.kind == "input":
            hint = f"\nIts input schema:\n{fence(plain(capability.input_schema))}"
        if outcome.consequence:
            hint = f"\n{self._follow(capability, outcome)}"
        return f"{capability.id} failed ({outcome.code or outcome.kind}):\n{fence(outcome.error)}{hint}"

    def _follow(self, capability: Capability, outcome: Failed) -> str:
        """What the model is told after a version was quarantined; from here on it has what serves instead."""
        current = self.hands.library.get(capability.id)
        others = [c for c in self.known if c.id != capability.id]
        self.known = [*others, current] if current.live else others
        way = "Run it again." if current.live else "It cannot be run any more; do without it, or have another written."
        return f"{outcome.consequence}. {way}"

    async def _mutate_capability(self, call: ToolCall, arguments: dict[str, Any]) -> str:
        task, parent = arguments.get("task_description"), arguments.get("parent_capability_id") or None
        if not isinstance(task, str) or not task.strip():
            return self._refuse(call, "task_description must say what the new capability does.")
        if parent is not None and parent not in [c.id for c in self.known]:
            return self._refuse(
                call, f"there is no capability {parent!r} here to start from. There are: {self._ids()}."
            )
        if len(self.created) >= MAX_MUTATIONS:
            return self._refuse(call, f"{MAX_MUTATIONS} capabilities were created for this task; finish with them.")
        wanted = f"{task.strip()}\n\nThe user's task: {self.task}" if task.strip() != self.task else task
        outcome, asked, tokens = await self.hands.mutate(wanted, parent, self.emit)
        self.model_calls, self.tokens = self.model_calls + asked, self.tokens + tokens
        if isinstance(outcome, Waits):
            self.waiting.append(outcome.capability)
            asks = ", ".join(outcome.beyond)
            return f"`{outcome.capability}` is written, and waits for a person to approve: {asks}. Tell the user so."
        if isinstance(outcome, NotMutated):
            findings = "\n".join(outcome.findings)
            return f"No capability was created: {outcome.reason}. What was wrong last:\n{fence(findings, 3000)}"
        capability = outcome.capability
        self.known = [c for c in self.known if c.id != capability.id] + [capability]
        if isinstance(outcome, Exists):
            text = f"{capability.summary}\ninput schema: {plain(capability.input_schema)}"
            return f"Nothing had to be written: `{capability.id}` does it; run it with run_capability.\n{fence(text)}"
        self.created.append(capability.id)
        text = f"{capability.summary}\ninput schema: {plain(capability.input_schema)}"
        if outcome.sibling_of:
            text += f"\nIt stands beside its parent and does not replace it: {outcome.sibling_of[0]}"
        return f"Created `{capability.id}`; run it now with run_capability.\n{fence(text)}"

    def _refuse(self, call: ToolCall, reason: str) -> str:
        self.emit(events.ToolRefused(call.name, reason))
        return f"Not done: {reason}"

    def _ids(self) -> str:
        return ", ".join(c.id for c in self.known) or "none yet"


def _spoken(moment: datetime) -> str:
    return f"{moment:%A}, {moment:%Y-%m-%d %H:%M}"


def _decoded(value: Any) -> Any:
    """Some models send the object as JSON text."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
