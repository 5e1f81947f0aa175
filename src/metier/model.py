"""The only door to chat and embedding providers: Metier's own words on this side, pydantic-ai behind it.

`Conversation` and `Tool` go in, `Reply` comes out, and every failure is one `ModelError`. Clients live as long as one
`ask`: they belong to the event loop that made them, and each `run_sync` has its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from metier.endpoints import Endpoint, ModelNames, endpoint, host_of, resolve_models, secrets_at, shown_as
from metier.errors import ModelError
from metier.model_clients import async_client, model_over, other_model
from metier.model_embeddings import provider_embed

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model

    from metier.config import ModelSettings
    from metier.model_failures import Failure

__all__ = [
    "ChatModel",
    "Conversation",
    "ModelNames",
    "Reply",
    "Tool",
    "ToolCall",
    "ToolResult",
    "chat_model",
    "preload",
    "provider_embed",
    "resolve_models",
]


@dataclass(frozen=True, slots=True)
class Tool:
    """What the model may call. `parameters` is the JSON Schema of one object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that the model wants made. Where `arguments` is None, `problem` says what the model has to mend."""

    id: str
    name: str
    arguments: dict[str, Any] | None
    raw: str
    """The arguments as the model wrote them."""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said. Neither text nor calls is possible, and for the caller to judge."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    tokens: int = 0
    """Prompt and completion together; 0 where the provider does not say."""
    model: str = ""
    cut_off: bool = False
    """The provider's length limit ended it."""
    native: Any = field(default=None, repr=False, compare=False)
    """The provider's own message, sent back as it came: signed reasoning has to be."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call came to, as text for the model."""

    call_id: str
    name: str
    content: str


class Conversation:
    """A system prompt and the messages since, in order: a `str` is the user's, a `Reply` the model's."""

    def __init__(self, system: str = "") -> None:
        self.system = system
        self._messages: list[str | Reply | ToolResult] = []

    @property
    def messages(self) -> tuple[str | Reply | ToolResult, ...]:
        return tuple(self._messages)

    @property
    def unanswered(self) -> dict[str, ToolCall]:
        """The calls that have no result yet, by id. Providers refuse a conversation that has any."""
        calls: dict[str, ToolCall] = {}
        for message in self._messages:
            if isinstance(message, Reply):
                calls = {call.id: call for call in message.calls}
            elif isinstance(message, ToolResult):
                calls.pop(message.call_id, None)
        return calls

    def user(self, text: str) -> None:
        self._messages.append(text)

    def reply(self, reply: Reply) -> None:
        """Keep what the model said. `ChatModel.ask` does this itself."""
        self._messages.append(reply)

    def tool_result(self, call_id: str, name: str, content: str) -> None:
        """Answer one call of the last reply.

        Raises:
            ValueError: no call with this id waits for a result.
        """
        if call_id not in self.unanswered:
            raise ValueError(f"no call {call_id!r} waits for a result")
        self._messages.append(ToolResult(call_id, name, content))


class ChatModel(Protocol):
    """Anything that answers a conversation; `metier.testing.ScriptedModel` is one without a network."""

    @property
    def name(self) -> str: ...

    async def ask(self, conversation: Conversation, tools: Sequence[Tool] = ()) -> Reply:
        """The next reply, which is also appended to `conversation`. A failure leaves the conversation as it was.

        Raises:
            ModelError: the endpoint failed or answered nonsense, in one line without secrets.
            SetupMissing: no key, no address, or a package is not installed.
            UsageError: the model's name or an address is malformed.
        """
        ...


def chat_model(name: str, settings: ModelSettings, *, environ: Mapping[str, str] | None = None) -> ChatModel:
    """The model called `name`; see `metier.endpoints` for names. Costs nothing: all is looked up when it is asked.

    `environ` stands in for the process's environment, except for providers that only pydantic-ai knows.
    """
    return _ProviderModel(name, settings, environ)


def preload() -> None:
    """Import the provider stack, which takes about 0.7 s; for a background thread while other things happen."""
    import pydantic_ai.direct
    import pydantic_ai.models.openai  # noqa: F401  # the import is the point


class _ProviderModel:
    def __init__(self, name: str, settings: ModelSettings, environ: Mapping[str, str] | None) -> None:
        self.name = name
        self.settings = settings
        self.environ = environ

    async def ask(self, conversation: Conversation, tools: Sequence[Tool] = ()) -> Reply:
        if waiting := conversation.unanswered:
            raise ValueError(f"calls without a result: {', '.join(waiting)}")
        environ = os.environ if self.environ is None else self.environ
        where = endpoint(self.name, environ)
        door = _Door(self.name, where, environ, self.settings)
        async with door.opened() as model:
            response = await self._answer(door, model, conversation, tools)
        reply = door.reply(response, turn=len(conversation.messages))
        conversation.reply(reply)
        return reply

    async def _answer(
        self, door: _Door, model: Model, conversation: Conversation, tools: Sequence[Tool]
    ) -> ModelResponse:
        from pydantic_ai.direct import model_request
        from pydantic_ai.models import ModelRequestParameters
        from pydantic_ai.settings import ModelSettings as RequestSettings
        from pydantic_ai.tools import ToolDefinition

        seconds = self.settings.timeout_seconds
        request = RequestSettings(request_timeout=seconds)  # the whole of one attempt, slow drips included
        if door.owns_client:
            request["max_retries"] = 0  # attempts are counted here, for all alike
        # Schemas go out as they are: OpenAI's strict mode would forbid the open objects that capabilities take.
        parameters = ModelRequestParameters(
            function_tools=[
                ToolDefinition(
                    name=tool.name,
                    description=tool.description,
                    parameters_json_schema=tool.parameters,
                    strict=False,
                )
                for tool in tools
            ]
        )
        messages = _native_messages(conversation)
        for attempt in range(1, self.settings.retries + 2):
            try:
                return await model_request(model, messages, model_settings=request, model_request_parameters=parameters)
            except Exception as error:
                if (failure := door.failure(error)) is None:
                    raise
                if not failure.worth_retrying or attempt > self.settings.retries:
                    raise door.error(failure, attempt) from None
            await asyncio.sleep(failure.pause(attempt))
        raise AssertionError("the last attempt returns or raises")


class _Door:
    """One conversation turn's way to one endpoint: its client, its errors, its reply."""

    def __init__(self, name: str, where: Endpoint, environ: Mapping[str, str], settings: ModelSettings) -> None:
        self.where = where
        self.owns_client = where.kind != "other"
        self.host = where.host
        self._name = name
        self._settings = settings
        self._secrets = secrets_at(where, environ)
        self._content_type: str | None = None

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Model]:
        """The model of pydantic-ai, over a client that is closed on leaving."""
        if not self.owns_client:
            async with other_model(self.where.model) as model:
                self.host = host_of(str(model.base_url or ""))
                yield model
            return
        async with async_client(self.where, self._settings, self._saw) as client:
            yield model_over(self.where, client)

    def failure(self, error: Exception) -> Failure | None:
        """What `error` says about the endpoint; None when it arose on this side of the wire."""
        from metier import model_failures

        return model_failures.failed_ask(
            error,
            key_name=self.where.key_name,
            address_name=self.where.address_name,
            seconds=self._settings.timeout_seconds,
            content_type=self._content_type if self.owns_client else "",
        )

    def error(self, failure: Failure, attempts: int = 1) -> ModelError:
        from metier import model_failures

        who = shown_as(self.where, self._name, self.host)
        return ModelError(model_failures.sentence(who, failure, secrets=self._secrets, attempts=attempts))

    def reply(self, response: ModelResponse, *, turn: int) -> Reply:
        """The answer in Metier's words. `turn` makes the ids of calls that came without one, the same every time."""
        from pydantic_ai.messages import TextPart, ToolCallPart

        from metier.model_failures import Failure

        response = _with_call_ids(response, turn)
        cut_off, refused = response.finish_reason == "length", response.finish_reason == "content_filter"
        text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
        text = text or str((response.provider_details or {}).get("refusal") or "")
        calls = tuple(_call(part, cut_off) for part in response.parts if isinstance(part, ToolCallPart))
        if refused and not (response.provider_details or {}).get("refusal"):
            raise self.error(Failure("stopped at the provider's content filter", "word the task differently"))
        if cut_off and not text and not calls:
            raise self.error(Failure("reached its length limit before it said anything", "ask for less at once"))
        usage = response.usage
        tokens = usage.input_tokens + usage.output_tokens
        return Reply(text, calls, tokens, response.model_name or self.where.model, cut_off, response)

    async def _saw(self, response: httpx2.Response) -> None:
        self._content_type = response.headers.get("content-type", "")


def _native_messages(conversation: Conversation) -> list[ModelMessage]:
    """The conversation as pydantic-ai's messages: everything between two replies is one request."""
    from pydantic_ai import messages as native

    requests: list[ModelMessage] = []
    parts: list[native.ModelRequestPart] = []
    if conversation.system:
        parts.append(native.SystemPromptPart(conversation.system))
    for message in conversation.messages:
        if isinstance(message, Reply):
            if parts:
                requests.append(native.ModelRequest(parts))
            requests.append(_native_reply(message))
            parts = []
        elif isinstance(message, ToolResult):
            parts.append(native.ToolReturnPart(message.name, message.content, message.call_id))
        else:
            parts.append(native.UserPromptPart(message))
    if parts:
        requests.append(native.ModelRequest(parts))
    return requests


def _native_reply(reply: Reply) -> ModelResponse:
    from pydantic_ai import messages as native

    if isinstance(reply.native, native.ModelResponse):
        return reply.native
    parts: list[native.ModelResponsePart] = [native.TextPart(reply.text)] if reply.text else []
    parts += [native.ToolCallPart(call.name, call.raw, call.id) for call in reply.calls]
    return native.ModelResponse(parts)


def _with_call_ids(response: ModelResponse, turn: int) -> ModelResponse:
    """`response` with an id for each call: the provider's, or `call_TURN_INDEX` where it gave none or one twice."""
    from pydantic_ai.messages import ModelResponsePart, ToolCallPart

    parts: list[ModelResponsePart] = []
    seen: set[str] = set()
    for index, part in enumerate(response.parts):
        if isinstance(part, ToolCallPart):
            given = part.tool_call_id
            if not given or given.startswith("pyd_ai_") or given in seen:  # pydantic-ai's own are random
                part = dataclasses.replace(part, tool_call_id=f"call_{turn}_{index}")
            seen.add(part.tool_call_id)
        parts.append(part)
    return dataclasses.replace(response, parts=parts)


def _call(part: Any, cut_off: bool) -> ToolCall:
    from metier import schemas

    raw = part.args if isinstance(part.args, str) else json.dumps(part.args or {}, ensure_ascii=False)
    problem = None
    arguments: Any = {}  # models write nothing at all for a call without arguments
    if raw.strip():
        try:
            arguments = schemas.parse(raw, what="the argument text")
        except schemas.InvalidJson as error:
            problem = "the arguments were cut off at the length limit; send less" if cut_off else str(error)
    if problem is None and not isinstance(arguments, dict):
        problem = f"the arguments must be one JSON object, not {schemas.compact(arguments)[:80]}"
    if not part.tool_name:
        problem = "the call names no tool"
    return ToolCall(part.tool_call_id, part.tool_name, arguments if problem is None else None, raw, problem)
