"""How an endpoint is spoken to: the HTTP client for it, and pydantic-ai's model over that client."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from metier.endpoints import Endpoint
from metier.errors import SetupMissing, UsageError

if TYPE_CHECKING:
    import ssl

    import httpx2
    from pydantic_ai.models import Model
    from pydantic_ai.models.openai import OpenAIChatModel

    from metier.config import ModelSettings

CONNECT_SECONDS = 5.0


@functools.cache
def ssl_context() -> ssl.SSLContext:
    """One for all clients: loading the certificates takes some 15 ms."""
    import httpx2

    return httpx2.create_ssl_context()


def async_client(
    where: Endpoint, settings: ModelSettings, saw: Callable[[httpx2.Response], Awaitable[None]]
) -> httpx2.AsyncClient:
    """A client for one turn, which shows `saw` each response.

    Redirects are not followed: they would carry an `api-key` header to another host.
    """
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
    return httpx2.AsyncClient(timeout=timeout_of(settings), verify=ssl_context(), event_hooks=hooks)


def timeout_of(settings: ModelSettings) -> httpx2.Timeout:
    """The operator's, with a shorter one for the connection."""
    import httpx2

    seconds = settings.timeout_seconds
    return httpx2.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))


def model_over(where: Endpoint, client: httpx2.AsyncClient) -> Model:
    """pydantic-ai's model for an endpoint whose address and key are known here.

    Raises:
        SetupMissing: a package is not installed.
    """
    return _anthropic(where, client) if where.kind == "anthropic" else _openai(where, client)


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


def other_model(name: str) -> Model:
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
