"""Doubles for what costs money, public so that your own tests can use them.

`ScriptedProvider` is a real HTTP server on 127.0.0.1 that speaks the protocols of OpenAI, Azure, Ollama and Anthropic,
and answers from a script. `ScriptedModel` is the same script without HTTP, for tests in one process.

A script is a list of replies, or a function that gets the request's body and returns a reply. A reply is one of:

    {"content": "final text"}                                          a plain answer; the keys below may be added
    {"tool_calls": [{"name": "…", "arguments": {…}}]}                  calls; text arguments go out as they are
    {"error": {"status": 429, "message": "…", "retry_after": 0}}       an API error
    {"raw": b"<html>", "content_type": "text/html", "status": 200}     any bytes
    {"hang": 3.0}                                                      silence for so many seconds, then a closed line
    {"close": True}                                                    a closed line at once

Beside `content` and `tool_calls`: `finish_reason` ("length", "content_filter") and `usage` (an object, or None to leave
it out); beside a call's `name`: its `id`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from metier.errors import ModelError
from metier.model import Conversation, Reply, Tool, ToolCall, ToolResult

ScriptReply = Mapping[str, Any]
Script = Sequence[ScriptReply] | Callable[[dict[str, Any]], ScriptReply]

MODEL = "scripted"
"""The model's, deployment's and provider's name wherever one is needed."""
KEY = "scripted-key-0123456789"
DIMENSIONS = 64
"""Of the embeddings."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request that arrived. Header names are in lower case."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any]


class ScriptedModel:
    """A `metier.model.ChatModel` that answers from a script, in the same process.

    `requests` holds what it was asked, each in the form of an OpenAI request (`messages`, `tools`), so that one script
    function serves here and in `ScriptedProvider`. An `error` reply raises `ModelError`.
    """

    def __init__(self, script: Script, *, name: str = MODEL) -> None:
        self.requests: list[dict[str, Any]] = []
        self._name = name
        self._script = _Script(script)

    @property
    def name(self) -> str:
        return self._name

    async def ask(self, conversation: Conversation, tools: Sequence[Tool] = ()) -> Reply:
        """The script's next reply, appended to `conversation`.

        Raises:
            ModelError: the script says so, or has no reply left.
        """
        request = {"model": self._name, "messages": _messages(conversation), "tools": [_tool(tool) for tool in tools]}
        self.requests.append(request)
        answer = self._script.next(request)
        if "content" not in answer and "tool_calls" not in answer:
            raise ModelError(f"{self._name}: {answer.get('error', {}).get('message', dict(answer))}")
        turn, finish = len(conversation.messages), answer.get("finish_reason")
        calls = tuple(_call(call, turn, index) for index, call in enumerate(answer.get("tool_calls") or ()))
        tokens = _usage(request, answer)["total_tokens"]
        reply = Reply(answer.get("content") or "", calls, tokens, self._name, finish == "length")
        conversation.reply(reply)
        return reply


class ScriptedProvider:
    """A model provider on 127.0.0.1 that answers from a script; a context manager.

        with ScriptedProvider([{"content": "42"}]) as provider:
            ...  # a program with provider.environ() in its environment
        assert provider.requests[0].body["messages"][-1]["content"] == "What is six times seven?"

    `requests` holds everything that arrived under chat paths, `embedding_requests` under `/embeddings`. Embeddings need
    no script: texts with common words get close vectors, equal ones everywhere and every time; `embeddings`, a function
    of the body, may return a reply (an error, say) instead, or None for the usual vectors.
    """

    def __init__(
        self, script: Script = (), *, embeddings: Callable[[dict[str, Any]], ScriptReply | None] | None = None
    ) -> None:
        self.requests: list[Request] = []
        self.embedding_requests: list[Request] = []
        self.key = KEY
        self._script = _Script(script)
        self._embeddings = embeddings
        self._closing = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`, where Azure and Anthropic clients start from."""
        assert self._server is not None, "use it as a context manager: with ScriptedProvider(…) as provider"
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT/v1`, where OpenAI clients start from."""
        return f"{self.address}/v1"

    @property
    def left(self) -> int:
        """Replies of a list script that nobody asked for yet."""
        return self._script.left

    def environ(
        self, kind: Literal["openai", "azure", "foundry", "foundry-v1", "anthropic", "ollama"] = "openai"
    ) -> dict[str, str]:
        """The environment variables that make Metier, and most other clients, use this provider.

        Merge them over an environment without other providers' variables. `foundry` configures embeddings as well.
        """
        here = {"NO_PROXY": "127.0.0.1"}
        if kind == "openai":
            return here | {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": self.key, "OPENAI_MODEL": MODEL}
        if kind == "azure":
            resource = {"AZURE_OPENAI_ENDPOINT": self.address, "AZURE_OPENAI_API_KEY": self.key}
            return here | resource | {"AZURE_OPENAI_DEPLOYMENT": MODEL, "OPENAI_API_VERSION": "2024-10-21"}
        if kind == "anthropic":
            return here | {"ANTHROPIC_BASE_URL": self.address, "ANTHROPIC_API_KEY": self.key}
        if kind == "ollama":
            return here | {"OLLAMA_BASE_URL": self.base_url, "METIER_MODEL": f"ollama:{MODEL}"}
        endpoint = self.address if kind == "foundry" else f"{self.address}/openai/v1"
        deployments = {"FOUNDRY_CHAT_DEPLOYMENT": MODEL, "FOUNDRY_EMBED_DEPLOYMENT": f"{MODEL}-embedding"}
        return here | deployments | {"FOUNDRY_ENDPOINT": endpoint, "FOUNDRY_API_KEY": self.key}

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = False  # leaving waits for every request, so nothing outlives a test
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="scripted-provider")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None and self._thread is not None
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, request: Request) -> ScriptReply:
        """The reply to one POST, with `body` where it is a well-formed answer of the protocol asked for."""
        if request.path.endswith("/embeddings"):
            self.embedding_requests.append(request)
            instead = self._embeddings(request.body) if self._embeddings is not None else None
            return instead or {"body": _embeddings(request.body)}
        is_anthropic = request.path.endswith("/v1/messages")
        if not is_anthropic and not request.path.endswith("/chat/completions"):
            return {"error": {"status": 404, "message": f"no endpoint {request.path}"}}
        self.requests.append(request)
        number, answer = len(self.requests), self._script.next(request.body)
        if "content" not in answer and "tool_calls" not in answer:
            return answer
        done = (_anthropic_message if is_anthropic else _completion)(answer, request.body, number)
        if request.body.get("stream"):
            events = _anthropic_events(done) if is_anthropic else _chunks(done)
            return {"raw": "".join(events).encode(), "content_type": "text/event-stream"}
        return {"body": done}


class _Script:
    """Hands out replies; more requests than replies is an error that says so."""

    def __init__(self, script: Script) -> None:
        self._function = script if callable(script) else None
        self._replies = [] if callable(script) else list(script)
        self._next = 0
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        return len(self._replies) - self._next

    def next(self, body: dict[str, Any]) -> ScriptReply:
        if self._function is not None:
            try:
                return self._function(body)
            except Exception as error:
                return {"error": {"status": 400, "message": f"the script function raised {error!r}"}}
        with self._lock:
            if not self.left:
                message = f"the script has {len(self._replies)} replies and this is one request more"
                return {"error": {"status": 400, "message": message}}
            self._next += 1
            return self._replies[self._next - 1]


def _handler(provider: ScriptedProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # HTTP/1.0: one request a connection, so that no idle connection holds up the end of a test.

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._send(200, {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "you"}]})

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                body = json.loads(raw or b"{}")
            except ValueError:
                self._send(400, {"error": {"message": "the request is not JSON"}})
                return
            reply = provider._answer(Request(parts.path, dict(parse_qsl(parts.query)), headers, body))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._reply(reply)  # a client that gave up first is what tests of time-outs want

        def _reply(self, reply: ScriptReply) -> None:
            if "hang" in reply or reply.get("close"):
                provider._closing.wait(float(reply.get("hang", 0)))
                self.connection.shutdown(socket.SHUT_RDWR)
            elif "raw" in reply:
                content_type = str(reply.get("content_type", "application/json"))
                self._send(int(reply.get("status", 200)), reply["raw"], content_type=content_type)
            elif "error" in reply:
                error = reply["error"]
                told = {"message": error.get("message", ""), "type": error.get("type"), "code": error.get("code")}
                retry_after = error.get("retry_after")
                self._send(int(error.get("status", 500)), {"type": "error", "error": told}, retry_after=retry_after)
            else:
                self._send(200, reply["body"])

        def _send(
            self,
            status: int,
            body: Any,
            *,
            content_type: str = "application/json",
            retry_after: float | None = None,
        ) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(data)))
            if retry_after is not None:
                self.send_header("Retry-After", str(retry_after))
            self.end_headers()
            self.wfile.write(data)

    return Handler


def _completion(answer: ScriptReply, body: dict[str, Any], number: int) -> dict[str, Any]:
    """A chat.completion object, as https://platform.openai.com/docs/api-reference/chat/object has it."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.get("content")}
    calls = answer.get("tool_calls") or []
    if calls:
        message["tool_calls"] = [
            {
                "id": call.get("id", f"call_{number}_{index}"),
                "type": "function",
                "function": {"name": call["name"], "arguments": _text(call.get("arguments", {}))},
            }
            for index, call in enumerate(calls)
        ]
    finish = answer.get("finish_reason") or ("tool_calls" if calls else "stop")
    done = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": body.get("model", MODEL),
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }
    usage = answer.get("usage", _usage(body, answer))
    return done if usage is None else {**done, "usage": usage}


def _anthropic_message(answer: ScriptReply, body: dict[str, Any], number: int) -> dict[str, Any]:
    """A message object, as https://docs.anthropic.com/en/api/messages has it."""
    content: list[dict[str, Any]] = [{"type": "text", "text": answer["content"]}] if answer.get("content") else []
    for index, call in enumerate(answer.get("tool_calls") or ()):
        arguments = call.get("arguments", {})
        given = call.get("id", f"toolu_{number}_{index}")
        content.append({"type": "tool_use", "id": given, "name": call["name"], "input": arguments})
    reasons = {"length": "max_tokens", "content_filter": "refusal"}
    stop = reasons.get(answer.get("finish_reason", ""), "tool_use" if answer.get("tool_calls") else "end_turn")
    usage = _usage(body, answer)
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model", MODEL),
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]},
    }


def _chunks(done: dict[str, Any]) -> Iterator[str]:
    """A chat.completion as the server-sent events of a streamed one."""
    message = done["choices"][0]["message"]
    calls = [{"index": index, **call} for index, call in enumerate(message.get("tool_calls") or ())]
    delta = {**message, "tool_calls": calls} if calls else message
    base = {**done, "object": "chat.completion.chunk"}
    yield f"data: {json.dumps({**base, 'choices': [{'index': 0, 'delta': delta, 'finish_reason': None}]})}\n\n"
    end = {"index": 0, "delta": {}, "finish_reason": done["choices"][0]["finish_reason"]}
    yield f"data: {json.dumps({**base, 'choices': [end]})}\n\ndata: [DONE]\n\n"


def _anthropic_events(done: dict[str, Any]) -> Iterator[str]:
    """A message as the server-sent events of a streamed one."""
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {**done, "content": [], "stop_reason": None}}]
    for index, block in enumerate(done["content"]):
        if block["type"] == "text":
            empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty, delta = {**block, "input": {}}, {"type": "input_json_delta", "partial_json": _text(block["input"])}
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": done["stop_reason"], "stop_sequence": None}
    events.append({"type": "message_delta", "delta": stop, "usage": done["usage"]})
    events.append({"type": "message_stop"})
    return (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def _usage(body: dict[str, Any], answer: ScriptReply) -> dict[str, int]:
    """An estimate that is the same every time: a token for four characters."""
    prompt = len(json.dumps([body.get("messages"), body.get("tools")])) // 4
    completion = len(json.dumps([answer.get("content"), answer.get("tool_calls")])) // 4
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _embeddings(body: dict[str, Any]) -> dict[str, Any]:
    texts = body.get("input", [])
    texts = [texts] if isinstance(texts, str) else texts
    data = [{"object": "embedding", "index": i, "embedding": _vector(text)} for i, text in enumerate(texts)]
    return {"object": "list", "data": data, "model": body.get("model", MODEL), "usage": {"total_tokens": len(texts)}}


def _vector(text: str) -> list[float]:
    """Unit length, DIMENSIONS numbers: the sum of one hashed direction a word."""
    total = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()) or [""]:
        digest = hashlib.shake_256(word.encode()).digest(DIMENSIONS)
        total = [old + (byte - 127.5) for old, byte in zip(total, digest, strict=True)]
    length = math.sqrt(sum(number * number for number in total)) or 1.0
    return [number / length for number in total]


def _messages(conversation: Conversation) -> list[dict[str, Any]]:
    """The conversation in the form of an OpenAI request."""
    messages: list[dict[str, Any]] = []
    if conversation.system:
        messages.append({"role": "system", "content": conversation.system})
    for message in conversation.messages:
        if isinstance(message, ToolResult):
            messages.append({"role": "tool", "tool_call_id": message.call_id, "content": message.content})
        elif isinstance(message, str):
            messages.append({"role": "user", "content": message})
        else:
            messages.append({"role": "assistant", "content": message.text or None, **_calls(message)})
    return messages


def _calls(reply: Reply) -> dict[str, Any]:
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.raw}}
        for call in reply.calls
    ]
    return {"tool_calls": calls} if calls else {}


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _call(call: Mapping[str, Any], turn: int, index: int) -> ToolCall:
    raw = _text(call.get("arguments", {}))
    try:
        arguments, problem = json.loads(raw or "{}"), None
    except ValueError as error:
        arguments, problem = None, f"the arguments are not JSON: {error}"
    if problem is None and not isinstance(arguments, dict):
        arguments, problem = None, "the arguments must be one JSON object"
    return ToolCall(call.get("id", f"call_{turn}_{index}"), call["name"], arguments, raw, problem)


def _text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)
