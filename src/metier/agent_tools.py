"""The library as tools of other agent frameworks, in their own types. A framework is imported when its tools are made.

What a tool answers is text for the model: outputs of programs are fenced, and whatever is wrong with a call is said in
a line, so that the model can mend it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from metier import events, schemas
from metier.capability import Capability
from metier.errors import LibraryError, MetierError, RunFailed, SetupMissing, UsageError
from metier.library import Library
from metier.mutation.draft import submit_tool
from metier.outcomes import Mutation, NotMutated, Waits
from metier.prompts import fence

if TYPE_CHECKING:
    from metier.mutation import Mutator

Framework = Literal["functions", "pydantic-ai", "openai-agents", "langchain"]
EXTRAS: Mapping[str, str] = {
    "pydantic-ai": "pydantic-ai-slim",
    "openai-agents": "openai-agents",
    "langchain": "langchain-core",
}
MAX_FOUND = 20
MAX_SHOWN = 20_000
"""Characters of an output that a model gets."""

TASK = {"type": "string", "description": "the task, in the user's words"}
COUNT = {
    "type": "integer",
    "minimum": 1,
    "maximum": MAX_FOUND,
    "description": "how many at most; 4 if absent",
}
ID = {"type": "string", "description": "an id that find_capabilities or mutate_capability gave"}
INPUT = {"type": "object", "description": "matches the capability's input schema", "additionalProperties": True}
WISH = {"type": "string", "description": "what it must do, in general terms: the inputs, the output, where the data is"}
PARENT = {"type": "string", "description": "a capability to start from; leave it out to start from nothing"}


class Skills(Protocol):
    """What the tools are over: the runtime."""

    @property
    def library(self) -> Library: ...

    def nearest(self, task: str, k: int) -> list[tuple[Capability, float]]: ...

    def call(self, capability: str, input: Any) -> Any: ...

    def mutator(self) -> Mutator: ...

    async def mutate(
        self, task: str, parent: str | None, emit: Callable[[events.Event], None]
    ) -> tuple[Mutation, int, int]: ...


@dataclass(frozen=True, slots=True)
class AgentTool:
    """One tool. `call` takes the arguments that `parameters`, a JSON Schema, describes, and gives text."""

    name: str
    description: str
    parameters: dict[str, Any]
    call: Callable[[dict[str, Any]], Awaitable[str]]


def as_tools(runtime: Skills, framework: Framework, capabilities: Sequence[str]) -> list[Any]:
    """Tools to find, run and write capabilities, and one for each of `capabilities`, as a framework takes them.

    Raises:
        UsageError: a capability takes no object, or the framework is not one of those.
        LibraryError: there is no such capability, or it is not in use.
        SetupMissing: the framework is not installed.
    """
    tools = [*_Three(runtime).tools(), *(_own_tool(runtime, id) for id in capabilities)]
    makers: dict[str, Callable[[AgentTool], Any]] = {
        "functions": _function,
        "pydantic-ai": _for_pydantic_ai,
        "openai-agents": _for_openai_agents,
        "langchain": _for_langchain,
    }
    if framework not in makers:
        raise UsageError(f"{framework!r} is no framework that tools can be made for; there are {', '.join(makers)}")
    try:
        return [makers[framework](tool) for tool in tools]
    except ModuleNotFoundError as missing:
        raise SetupMissing(f"{missing.name} is not installed: pip install {EXTRAS[framework]}") from None


class _Three:
    """The tools over one runtime."""

    def __init__(self, runtime: Skills) -> None:
        self._runtime = runtime

    def tools(self) -> tuple[AgentTool, ...]:
        draft = submit_tool().parameters | {
            "description": "the capability that you wrote; leave it out to get the rules"
        }
        return (
            AgentTool(
                "find_capabilities",
                "Find stored capabilities that may solve a task, nearest first, with their input and output schemas.",
                _object({"task": TASK, "k": COUNT}, "task"),
                self._find,
            ),
            AgentTool(
                "run_capability",
                "Run a stored capability on an input and get its output. The same input gives the same output.",
                _object({"capability_id": ID, "input": INPUT}, "capability_id", "input"),
                self._run,
            ),
            AgentTool(
                "mutate_capability",
                "Have a new capability written, checked in the sandbox and stored for good. With `draft` you are the "
                "author, and get what the checks found; without, the library's own model writes.",
                _object({"task_description": WISH, "parent_capability_id": PARENT, "draft": draft}, "task_description"),
                self._mutate,
            ),
        )

    async def _find(self, arguments: dict[str, Any]) -> str:
        task, k = _text(arguments, "task"), arguments.get("k") or 4
        if not isinstance(k, int) or not 1 <= k <= MAX_FOUND:
            raise UsageError(f"k is a number from 1 to {MAX_FOUND}")
        nearest = await asyncio.to_thread(self._runtime.nearest, task, k)
        return fence(json.dumps([_shown(*found) for found in nearest], ensure_ascii=False), MAX_SHOWN)

    async def _run(self, arguments: dict[str, Any]) -> str:
        return await _ran(self._runtime, _text(arguments, "capability_id"), arguments.get("input"))

    async def _mutate(self, arguments: dict[str, Any]) -> str:
        task, parent = _text(arguments, "task_description"), arguments.get("parent_capability_id") or None
        draft = arguments.get("draft")
        if draft is not None:
            return _said(await asyncio.to_thread(self._submit, draft, parent))
        try:
            outcome, _, _ = await self._runtime.mutate(task, parent, lambda _: None)
        except SetupMissing as missing:
            rules = await asyncio.to_thread(self._brief, task, parent)
            return f"{missing}. Or be the author: call mutate_capability again with `draft`. The rules:\n{rules}"
        return _said(outcome)

    def _submit(self, fields: Any, parent: str | None) -> Mutation:
        if not isinstance(fields, dict):
            raise UsageError("draft is an object")
        artifact = self._runtime.library.load(parent) if parent else None
        return self._runtime.mutator().submit(fields, artifact, "agent")

    def _brief(self, task: str, parent: str | None) -> str:
        artifact = self._runtime.library.load(parent) if parent else None
        return self._runtime.mutator().brief(task, artifact, hand_in="`mutate_capability` with `draft`")


def _own_tool(runtime: Skills, id: str) -> AgentTool:
    """A capability as a tool of its own."""
    capability = runtime.library.get(id)
    if not capability.live:
        raise LibraryError(f"{id} is {capability.status}; it cannot be a tool")
    if capability.input_schema.get("type", "object") != "object":
        raise UsageError(f"{id} takes no object, so it cannot be a tool of its own; run_capability runs it")

    async def call(arguments: dict[str, Any]) -> str:
        return await _ran(runtime, id, arguments)

    return AgentTool(id, capability.summary, {**capability.input_schema, "type": "object"}, call)


async def _ran(runtime: Skills, id: str, input: Any) -> str:
    try:
        output = await asyncio.to_thread(runtime.call, id, input)
    except RunFailed as failed:
        kind = failed.outcome.code or failed.outcome.kind
        hint = ""
        if failed.outcome.kind == "input":
            hint = f"\nIts input schema: {schemas.compact(runtime.library.get(failed.outcome.capability).input_schema)}"
        return f"{id} failed ({kind}):\n{fence(failed.outcome.error)}{hint}"
    return fence(schemas.compact(output), MAX_SHOWN)


def _said(outcome: Mutation) -> str:
    if isinstance(outcome, NotMutated):
        findings = "\n".join(f"{number}. {finding}" for number, finding in enumerate(outcome.findings, start=1))
        return f"Nothing was published: {outcome.reason}\n{fence(findings, MAX_SHOWN)}"
    if isinstance(outcome, Waits):
        return f"{outcome.capability} waits for a person to approve: {', '.join(outcome.beyond)} (metier approve)"
    capability = outcome.capability
    schema = fence(schemas.compact(capability.input_schema))
    return f"{capability.id} can be run with run_capability. Its input schema:\n{schema}"


def _shown(capability: Capability, score: float) -> dict[str, Any]:
    keys = {"id", "summary", "effects", "input_schema", "output_schema"}
    return capability.model_dump(mode="json", include=keys) | {"score": round(score, 4)}


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{name} is a text that must not be empty")
    return value


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


async def _answer(tool: AgentTool, arguments: dict[str, Any]) -> str:
    """What the model is told, also where the call is wrong."""
    try:
        return await tool.call(arguments)
    except MetierError as error:
        return f"Not done: {error}"


# In the frameworks' types


def _function(tool: AgentTool) -> Callable[..., Awaitable[str]]:
    async def call(**arguments: Any) -> str:
        return await _answer(tool, arguments)

    call.__name__ = call.__qualname__ = tool.name
    call.__doc__ = tool.description
    return call


def _for_pydantic_ai(tool: AgentTool) -> Any:
    from pydantic_ai import Tool

    return Tool.from_schema(_function(tool), tool.name, tool.description, tool.parameters)


def _for_openai_agents(tool: AgentTool) -> Any:
    from agents import FunctionTool

    async def invoke(context: Any, arguments: str) -> str:
        try:
            given = json.loads(arguments or "{}")
        except ValueError as error:
            return f"Not done: the arguments do not parse: {error}"
        return await _answer(tool, given if isinstance(given, dict) else {})

    # Schemas of capabilities are anybody's, so they are not held to OpenAI's strict subset.
    return FunctionTool(tool.name, tool.description, tool.parameters, invoke, strict_json_schema=False)


def _for_langchain(tool: AgentTool) -> Any:
    from langchain_core.tools import StructuredTool

    def call(**arguments: Any) -> str:
        return asyncio.run(_answer(tool, arguments))

    return StructuredTool(
        name=tool.name,
        description=tool.description,
        args_schema=tool.parameters,
        func=call,
        coroutine=_function(tool),
    )
