"""The only door to chat and embedding providers: Metier's own words on this side, pydantic-ai behind it.

`Conversation` and `Tool` go in, `Reply` comes out, and every failure is one `ModelError`. Clients live as long as one
`ask`: they belong to the event loop that made them, and each `run_sync` has its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import json
import os
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from metier.endpoints import NO_KEY, Endpoint, ModelNames, endpoint, host_of, resolve_models, secrets_in
from metier.errors import ModelError, SetupMissing, UsageError

if TYPE_CHECKING:
    import ssl

    import httpx2
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model
    from pydantic_ai.models.openai import OpenAIChatModel

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

CONNECT_SECONDS = 5.0
EMBED_BATCH = 96
"""Texts in one embedding request; the smallest of the limits that providers publish."""


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
        self._secrets = _secrets(where, environ)
        self._content_type: str | None = None

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Model]:
        """The model of pydantic-ai, over a client that is closed on leaving."""
        if not self.owns_client:
            async with _other_model(self.where.model) as model:
                self.host = _host_of_model(model)
                yield model
            return
        async with _client(self.where, self._settings, self._saw) as client:
            yield _anthropic(self.where, client) if self.where.kind == "anthropic" else _openai(self.where, client)

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

        who = _who(self.where, self._name, self.host)
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


def _who(where: Endpoint, name: str, host: str) -> str:
    shown = f"openai-compatible:{where.model}" if where.kind == "compatible" else name
    shown = shown if ":" in shown else f"{shown}:{where.model}"
    return f"{shown} at {host}" if host else shown


def _secrets(where: Endpoint, environ: Mapping[str, str]) -> list[str]:
    """What no message may hold: the key in use, a password in the address, what the environment calls secret."""
    from urllib.parse import unquote, urlsplit

    password = urlsplit(where.base_url).password or ""
    used = {value for value in (where.key, password, unquote(password)) if len(value) > 3}
    return sorted(used - {NO_KEY} | set(secrets_in(environ)), key=len, reverse=True)


@functools.cache
def _ssl_context() -> ssl.SSLContext:
    """One for all clients: loading the certificates takes some 15 ms."""
    import httpx2

    return httpx2.create_ssl_context()


def _client(where: Endpoint, settings: ModelSettings, saw: Any) -> httpx2.AsyncClient:
    """A client for one turn. Redirects are not followed: they would carry an `api-key` header to another host."""
    import httpx2

    async def prepare(request: httpx2.Request) -> None:
        if not where.bearer:
            request.headers.pop("authorization", None)
        if where.api_key_header:
            request.headers["api-key"] = where.key
        if where.kind != "openai":  # the client of openai takes these from OPENAI_ORG_ID and OPENAI_PROJECT_ID
            request.headers.pop("openai-organization", None)
            request.headers.pop("openai-project", None)

    hooks: dict[str, list[Any]] = {"request": [prepare], "response": [saw]}
    return httpx2.AsyncClient(timeout=_timeout(settings), verify=_ssl_context(), event_hooks=hooks)


def _timeout(settings: ModelSettings) -> httpx2.Timeout:
    import httpx2

    seconds = settings.timeout_seconds
    return httpx2.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))


def _openai(where: Endpoint, client: httpx2.AsyncClient) -> Model:
    """Chat completions, never the Responses API: it is what every compatible address speaks."""
    import openai
    from pydantic_ai.providers.azure import AzureProvider
    from pydantic_ai.providers.ollama import OllamaProvider
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    sdk = openai.AsyncOpenAI(
        api_key=where.key,
        base_url=where.base_url,
        default_query=dict(where.query),
        http_client=client,
        timeout=client.timeout,
    )
    if where.kind == "azure":
        azure = AzureProvider(openai_client=sdk)  # type: ignore[call-overload]  # it reads base_url and api_key alone
        return _lenient_chat()(where.model, provider=azure)
    if where.kind == "ollama":
        return _lenient_chat()(where.model, provider=OllamaProvider(openai_client=sdk))
    if where.kind == "compatible":
        return _lenient_chat()(where.model, provider=OpenAICompatibleProvider("compatible", openai_client=sdk))
    return _lenient_chat()(where.model, provider=OpenAIProvider(openai_client=sdk))


def _anthropic(where: Endpoint, client: httpx2.AsyncClient) -> Model:
    try:
        import anthropic
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider
    except ImportError:
        raise SetupMissing('anthropic models need one more package: pip install "metier[anthropic]"') from None
    sdk = anthropic.AsyncAnthropic(
        api_key=where.key, base_url=where.base_url, http_client=client, timeout=client.timeout
    )
    return AnthropicModel(where.model, provider=AnthropicProvider(anthropic_client=sdk))


def _other_model(name: str) -> Model:
    """Whatever else pydantic-ai knows, with the keys and addresses that it reads itself."""
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.models import infer_model

    provider = name.partition(":")[0]
    try:
        return infer_model(name)
    except ImportError:
        package = f"pydantic-ai-slim[{provider}]"
        raise SetupMissing(f'{provider} models need one more package: pip install "{package}"') from None
    except UserError as error:
        line = re.split(r" or pass it via| To try Pydantic AI", str(error))[0]
        if line.startswith("Unknown model"):
            raise UsageError(f"{line}; write provider:name, as in openai:gpt-5 or ollama:qwen3") from None
        raise SetupMissing(f"{provider}: {line}") from None


def _host_of_model(model: Model) -> str:
    return host_of(str(model.base_url or ""))


@functools.cache
def _lenient_chat() -> type[OpenAIChatModel]:
    """pydantic-ai's chat-completions model, for servers that speak an older or a looser dialect."""
    from openai.types.chat import ChatCompletion
    from pydantic_ai.models.openai import OpenAIChatModel

    class LenientChat(OpenAIChatModel):
        def _validate_completion(self, response: ChatCompletion) -> Any:  # the hook that pydantic-ai documents
            body = _mended(response.model_dump(warnings=False), self.model_name)
            return super()._validate_completion(ChatCompletion.model_construct(**body))

    return LenientChat


_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_UNUSED = ("annotations", "audio", "function_call")
"""Of a message: read by nobody here, so an odd value in them may not spoil the rest."""


def _mended(body: dict[str, Any], model: str) -> dict[str, Any]:
    """A completion as the specification wants it, from one that leaves things out or writes calls as objects.

    Raises:
        Nonsense: there is no message in it.
    """
    from metier.model_failures import Nonsense, provider_words

    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if choice is None or not isinstance(message, dict):
        raise Nonsense(provider_words(body.get("error")) or "a chat completion without a message")
    calls = [_mended_call(call) for call in message.get("tool_calls") or () if isinstance(call, dict)]
    if not calls and isinstance(legacy := message.get("function_call"), dict):  # what tool_calls was before 2023-11
        calls = [_mended_call({"function": legacy})]
    kept = {key: value for key, value in message.items() if key not in _UNUSED}
    usage = body.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    counts = {key: n if isinstance(n := counted.get(key), int) else 0 for key in _COUNTS}
    return {
        **body,
        "id": str(body.get("id") or ""),
        "object": "chat.completion",
        "created": body.get("created") or 0,
        "model": str(body.get("model") or model),
        "choices": [
            {
                "index": 0,
                "finish_reason": str(choice.get("finish_reason") or "stop"),
                "message": {**kept, "role": "assistant", "tool_calls": calls or None},
            }
        ],
        "usage": counts if any(counts.values()) else None,
    }


def _mended_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    function = function if isinstance(function, dict) else call
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else "" if arguments is None else json.dumps(arguments)
    named = {"name": str(function.get("name") or ""), "arguments": text}
    return {"id": str(call.get("id") or ""), "type": "function", "function": named}


def provider_embed(
    name: str, texts: Sequence[str], settings: ModelSettings, *, environ: Mapping[str, str] | None = None
) -> list[list[float]]:
    """One vector a text, in order, from an address that speaks OpenAI's embeddings protocol.

    Blocks; from async code, call it in a thread. Needs nothing of pydantic-ai, so that a search starts quickly.

    Raises:
        ModelError: the endpoint failed or answered nonsense.
        SetupMissing: no key or no address.
        UsageError: the name is malformed, or its provider has no such protocol.
    """
    environ = os.environ if environ is None else environ
    where = endpoint(name, environ, "embedding")
    if where.kind in ("anthropic", "other"):
        raise UsageError(f"{name} gives no embeddings; use openai:, azure:, foundry:, ollama: or openai-compatible:")
    secrets = _secrets(where, environ)
    vectors: list[list[float]] = []
    with _embedding_client(where, settings) as client:
        for start in range(0, len(texts), EMBED_BATCH):
            batch = [text or " " for text in texts[start : start + EMBED_BATCH]]  # providers refuse an empty text
            vectors += _embed_batch(client, name, where, batch, settings, secrets)
    return vectors


def _embedding_client(where: Endpoint, settings: ModelSettings) -> httpx2.Client:
    import httpx2

    headers = {"Authorization": f"Bearer {where.key}"} if where.bearer else {}
    if where.api_key_header:
        headers["api-key"] = where.key
    query, timeout = dict(where.query), _timeout(settings)
    return httpx2.Client(headers=headers, params=query, timeout=timeout, verify=_ssl_context())


def _embed_batch(
    client: httpx2.Client,
    name: str,
    where: Endpoint,
    batch: list[str],
    settings: ModelSettings,
    secrets: list[str],
) -> list[list[float]]:
    from metier.model_failures import sentence

    for attempt in range(1, settings.retries + 2):
        answer = _embed_once(client, where, batch, settings)
        if isinstance(answer, list):
            return answer
        if not answer.worth_retrying or attempt > settings.retries:
            raise ModelError(sentence(_who(where, name, where.host), answer, secrets=secrets, attempts=attempt))
        time.sleep(answer.pause(attempt))
    raise AssertionError("the last attempt returns or raises")


def _embed_once(
    client: httpx2.Client, where: Endpoint, batch: list[str], settings: ModelSettings
) -> list[list[float]] | Failure:
    import httpx2

    from metier import model_failures

    try:
        response = client.post(f"{where.base_url}/embeddings", json={"model": where.model, "input": batch})
    except httpx2.HTTPError as error:
        failure = model_failures.failed_connection(error, settings.timeout_seconds)
        return failure or model_failures.Failure("could not be asked")
    try:
        body: Any = response.json()
    except ValueError:
        body = response.text
    if not response.is_success:
        failure = model_failures.failed_status(
            response.status_code, body, key_name=where.key_name, address_name=where.address_name
        )
        return dataclasses.replace(failure, retry_after=_retry_after(response.headers.get("retry-after", "")))
    vectors = _vectors(body, len(batch))
    content_type = response.headers.get("content-type", "")
    return vectors or model_failures.not_wanted(content_type, where.address_name, "a list of embeddings")


def _vectors(body: Any, count: int) -> list[list[float]] | None:
    """The vectors in the order of their texts; None unless there is one for each and all have one length."""
    try:
        rows = sorted(body["data"], key=lambda row: row.get("index", 0))
        vectors = [[float(number) for number in row["embedding"]] for row in rows]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    if len(vectors) != count or len({len(vector) for vector in vectors}) != 1 or not vectors[0]:
        return None
    return vectors


def _retry_after(header: str) -> float | None:
    """Seconds; the other form, a date, is left to the back-off."""
    return float(header) if header.strip().isdigit() else None
