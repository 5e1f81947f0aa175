"""The public doubles, spoken to by plain HTTP and through Metier's own door."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from metier.config import ModelSettings
from metier.errors import ModelError
from metier.model import ChatModel, Conversation, Tool, chat_model, resolve_models
from metier.testing import DIMENSIONS, KEY, ScriptedModel, ScriptedProvider

TOOL = Tool("f", "Does it.", {"type": "object"})


def post(provider: ScriptedProvider, path: str, body: Any) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(provider.address).netloc, timeout=10)
    try:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", path, raw, {"Authorization": f"Bearer {provider.key}"})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def chat(text: str = "hi") -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


class TestScriptedProvider:
    def test_gives_the_replies_of_its_script_in_order_and_keeps_what_it_was_asked(self) -> None:
        with ScriptedProvider([{"content": "one"}, {"content": "two"}]) as provider:
            for expected in ("one", "two"):
                status, _, raw = post(provider, "/v1/chat/completions?x=1", chat(expected))
                assert status == 200
                assert json.loads(raw)["choices"][0]["message"] == {"role": "assistant", "content": expected}
            request = provider.requests[1]
            assert (request.path, request.query) == ("/v1/chat/completions", {"x": "1"})
            assert request.headers["authorization"] == f"Bearer {KEY}"
            assert request.body == chat("two")
            assert provider.left == 0

    def test_one_request_too_many_is_an_error_that_says_so(self) -> None:
        with ScriptedProvider([]) as provider:
            status, _, raw = post(provider, "/v1/chat/completions", chat())
            assert status == 400
            assert json.loads(raw)["error"]["message"] == "the script has 0 replies and this is one request more"

    def test_a_function_decides_by_the_request(self) -> None:
        with ScriptedProvider(lambda body: {"content": body["messages"][0]["content"].upper()}) as provider:
            assert b"HELLO" in post(provider, "/v1/chat/completions", chat("hello"))[2]

    def test_a_function_that_raises_is_heard_of(self) -> None:
        with ScriptedProvider(lambda body: {"content": body["nonesuch"]}) as provider:
            status, _, raw = post(provider, "/v1/chat/completions", chat())
            assert status == 400
            assert "KeyError" in json.loads(raw)["error"]["message"]

    def test_calls_are_text_and_have_ids(self) -> None:
        calls = [{"name": "f", "arguments": {"x": 1}}, {"name": "g", "arguments": "{bad", "id": "mine"}]
        with ScriptedProvider([{"tool_calls": calls}]) as provider:
            choice = json.loads(post(provider, "/v1/chat/completions", chat())[2])["choices"][0]
            assert choice["finish_reason"] == "tool_calls"
            assert choice["message"]["tool_calls"] == [
                {"id": "call_1_0", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                {"id": "mine", "type": "function", "function": {"name": "g", "arguments": "{bad"}},
            ]

    def test_errors_raw_bytes_and_closed_lines_are_replies_too(self) -> None:
        script: list[dict[str, Any]] = [
            {"error": {"status": 429, "message": "slow down", "retry_after": 3}},
            {"raw": b"<html>", "content_type": "text/html", "status": 502},
            {"close": True},
        ]
        with ScriptedProvider(script) as provider:
            status, headers, raw = post(provider, "/v1/chat/completions", chat())
            assert (status, headers["retry-after"]) == (429, "3")
            assert json.loads(raw)["error"]["message"] == "slow down"
            status, headers, raw = post(provider, "/v1/chat/completions", chat())
            assert (status, headers["content-type"], raw) == (502, "text/html", b"<html>")
            with pytest.raises(ConnectionError):
                post(provider, "/v1/chat/completions", chat())

    def test_usage_can_be_left_out(self) -> None:
        with ScriptedProvider([{"content": "x"}, {"content": "x", "usage": None}]) as provider:
            assert "usage" in json.loads(post(provider, "/v1/chat/completions", chat())[2])
            assert "usage" not in json.loads(post(provider, "/v1/chat/completions", chat())[2])

    def test_streams_where_it_is_asked_to(self) -> None:
        calls = [{"name": "f", "arguments": {"x": 1}}]
        with ScriptedProvider(lambda body: {"content": "hi", "tool_calls": calls}) as provider:
            _, headers, raw = post(provider, "/v1/chat/completions", chat() | {"stream": True})
            assert headers["content-type"] == "text/event-stream"
            events = [line[6:] for line in raw.decode().splitlines() if line]
            delta = json.loads(events[0])["choices"][0]["delta"]
            assert (delta["content"], delta["tool_calls"][0]["index"]) == ("hi", 0)
            assert events[-1] == "[DONE]"
            raw = post(provider, "/v1/messages", chat() | {"stream": True})[2]
            kinds = [line[7:] for line in raw.decode().splitlines() if line.startswith("event: ")]
            block = ["content_block_start", "content_block_delta", "content_block_stop"]
            assert kinds == ["message_start", *block, *block, "message_delta", "message_stop"]

    def test_speaks_anthropic(self) -> None:
        with ScriptedProvider([{"content": "hi", "tool_calls": [{"name": "f", "arguments": {"x": 1}}]}]) as provider:
            message = json.loads(post(provider, "/v1/messages", chat())[2])
            assert message["stop_reason"] == "tool_use"
            assert message["content"] == [
                {"type": "text", "text": "hi"},
                {"type": "tool_use", "id": "toolu_1_0", "name": "f", "input": {"x": 1}},
            ]

    def test_unknown_paths_and_bodies_that_are_no_json_are_refused(self) -> None:
        with ScriptedProvider([]) as provider:
            assert post(provider, "/v1/responses", chat())[0] == 404
            assert post(provider, "/v1/chat/completions", b"{")[0] == 400
            assert provider.requests == []

    def test_embeds_deterministically_and_close_for_common_words(self) -> None:
        texts = ["John's salary", "the salary of John", "weather tomorrow"]
        with ScriptedProvider() as one, ScriptedProvider() as other:
            answers = [json.loads(post(p, "/v1/embeddings", {"input": texts})[2])["data"] for p in (one, other)]
            assert answers[0] == answers[1]
            assert len(one.embedding_requests) == 1
        salary, also_salary, weather = (row["embedding"] for row in answers[0])
        assert len(salary) == DIMENSIONS
        assert _dot(salary, salary) == pytest.approx(1)
        assert _dot(salary, also_salary) > 0.4 > abs(_dot(salary, weather))

    def test_leaving_ends_a_reply_that_hangs(self) -> None:
        caught: list[BaseException] = []

        def ask(provider: ScriptedProvider) -> None:
            try:
                post(provider, "/v1/chat/completions", chat())
            except (ConnectionError, http.client.HTTPException) as error:
                caught.append(error)

        arrived = threading.Event()

        def hang(body: dict[str, Any]) -> dict[str, Any]:
            arrived.set()
            return {"hang": 60}

        started = time.monotonic()
        with ScriptedProvider(hang) as provider:
            thread = threading.Thread(target=ask, args=(provider,))
            thread.start()
            assert arrived.wait(10)
        thread.join()
        assert caught
        assert time.monotonic() - started < 10

    @pytest.mark.parametrize(
        ("kind", "model"),
        [
            ("openai", "openai:scripted"),
            ("azure", "azure:scripted"),
            ("foundry", "foundry:scripted"),
            ("foundry-v1", "foundry:scripted"),
            ("anthropic", "anthropic:claude-sonnet-5-5"),
            ("ollama", "ollama:scripted"),
        ],
    )
    async def test_its_environment_is_all_that_metier_needs(self, kind: Any, model: str) -> None:
        if kind == "anthropic":
            pytest.importorskip("anthropic", reason="needs the extra [anthropic]")
        with ScriptedProvider([{"content": "42"}]) as provider:
            environ = provider.environ(kind)
            settings = ModelSettings(timeout_seconds=10, retries=0)
            chosen = resolve_models(settings, None, environ).chat
            assert chosen == model
            talk = Conversation()
            talk.user("What is six times seven?")
            assert (await chat_model(chosen, settings, environ=environ).ask(talk)).text == "42"


def _dot(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


class TestScriptedModel:
    async def test_answers_as_the_server_does_with_the_same_script(self) -> None:
        def script(body: dict[str, Any]) -> dict[str, Any]:
            if body["messages"][-1]["role"] == "tool":
                return {"content": "it is " + body["messages"][-1]["content"]}
            return {"tool_calls": [{"name": body["tools"][0]["function"]["name"], "arguments": {"x": 1}}]}

        with ScriptedProvider(script) as provider:
            served = chat_model("openai:m", ModelSettings(), environ=provider.environ())
            models: list[ChatModel] = [served, ScriptedModel(script)]
            for model in models:
                talk = Conversation("Be brief.")
                talk.user("hi")
                (call,) = (await model.ask(talk, [TOOL])).calls
                assert (call.name, call.arguments) == ("f", {"x": 1})
                talk.tool_result(call.id, call.name, "so")
                assert (await model.ask(talk, [TOOL])).text == "it is so"
                assert len(talk.messages) == 4

    async def test_keeps_what_it_was_asked(self) -> None:
        model = ScriptedModel([{"content": "x"}], name="double")
        talk = Conversation("Be brief.")
        talk.user("hi")
        reply = await model.ask(talk, [TOOL])
        assert (reply.model, model.name) == ("double", "double")
        assert reply.tokens > 0
        assert [message["role"] for message in model.requests[0]["messages"]] == ["system", "user"]
        assert model.requests[0]["tools"][0]["function"]["name"] == "f"

    async def test_malformed_arguments_are_a_problem_for_the_model_to_mend(self) -> None:
        calls = [{"name": "f", "arguments": "{bad"}, {"name": "f", "arguments": "[]"}, {"name": "f", "arguments": ""}]
        reply = await ScriptedModel([{"tool_calls": calls}]).ask(Conversation())
        assert [call.arguments for call in reply.calls] == [None, None, {}]
        assert [bool(call.problem) for call in reply.calls] == [True, True, False]
        assert len({call.id for call in reply.calls}) == 3

    @pytest.mark.parametrize(
        ("script", "words"),
        [
            ([{"error": {"message": "slow down"}}], "slow down"),
            ([], "the script has 0 replies"),
            ([{"hang": 1}], "hang"),
        ],
    )
    async def test_an_error_and_the_end_of_the_script_raise(self, script: list[dict[str, Any]], words: str) -> None:
        talk = Conversation()
        with pytest.raises(ModelError, match=words):
            await ScriptedModel(script).ask(talk)
        assert talk.messages == ()
