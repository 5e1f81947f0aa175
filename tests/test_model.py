"""The door to providers, against a real server on loopback: what goes out, what comes back, what fails and how."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from metier.config import ModelSettings
from metier.errors import MetierError, ModelError, SetupMissing, UsageError
from metier.model import Conversation, Reply, Tool, chat_model, provider_embed, resolve_models
from metier.testing import DIMENSIONS, KEY, ScriptedProvider

SETTINGS = ModelSettings(timeout_seconds=10, retries=0)
RUN = Tool(
    "run_capability",
    "Runs one capability.",
    {
        "type": "object",
        "properties": {"capability_id": {"type": "string"}, "input": {"type": "object"}},
        "required": ["capability_id", "input"],
    },
)
PROVIDERS = [
    ("openai:gpt-5", "openai", "/v1/chat/completions"),
    ("azure:my-gpt", "azure", "/openai/deployments/my-gpt/chat/completions"),
    ("foundry:my-gpt", "foundry", "/openai/deployments/my-gpt/chat/completions"),
    ("foundry:my-gpt", "foundry-v1", "/openai/v1/chat/completions"),
    ("ollama:qwen3", "ollama", "/v1/chat/completions"),
    ("anthropic:claude-sonnet-5-5", "anthropic", "/v1/messages"),
]


def conversation(text: str = "What's John's salary?") -> Conversation:
    talk = Conversation("You are careful.")
    talk.user(text)
    return talk


async def ask(
    provider: ScriptedProvider,
    name: str = "openai:gpt-5",
    kind: Any = "openai",
    *,
    settings: ModelSettings = SETTINGS,
    tools: Sequence[Tool] = (RUN,),
) -> Reply:
    return await chat_model(name, settings, environ=provider.environ(kind)).ask(conversation(), tools)


async def reply_to(raw: Mapping[str, Any]) -> Reply:
    """The reply that comes of a body as an odd server sends it."""
    with ScriptedProvider([{"raw": json.dumps(raw).encode()}]) as provider:
        return await ask(provider)


async def failure(reply: Mapping[str, Any], *, settings: ModelSettings = SETTINGS, **how: Any) -> tuple[str, int]:
    """The message of the ModelError that `reply` leads to, and how many requests were made."""
    with ScriptedProvider(lambda body: reply) as provider:
        with pytest.raises(ModelError) as caught:
            await ask(provider, settings=settings, **how)
        message = str(caught.value)
        assert f" at 127.0.0.1:{provider.base_url.split(':')[2][:-3]} " in message
        assert "\n" not in message
        assert KEY not in message
        return message, len(provider.requests)


class TestEveryProvider:
    @pytest.mark.parametrize(("name", "kind", "path"), PROVIDERS)
    async def test_answers_with_text_tokens_and_the_model_that_did(self, name: str, kind: Any, path: str) -> None:
        if kind == "anthropic":
            pytest.importorskip("anthropic", reason="needs the extra [anthropic]")
        with ScriptedProvider([{"content": "100,000 dollars"}]) as provider:
            reply = await ask(provider, name, kind)
            assert reply.text == "100,000 dollars"
            assert reply.calls == ()
            assert reply.tokens > 0
            assert reply.model == name.partition(":")[2]
            assert provider.requests[0].path == path
            assert "You are careful." in json.dumps(provider.requests[0].body)

    @pytest.mark.parametrize(("name", "kind", "path"), PROVIDERS)
    async def test_gets_the_results_of_parallel_calls_back_under_their_ids(
        self, name: str, kind: Any, path: str
    ) -> None:
        if kind == "anthropic":
            pytest.importorskip("anthropic", reason="needs the extra [anthropic]")
        calls = [
            {"id": "first", "name": "run_capability", "arguments": {"capability_id": "a", "input": {"name": "John"}}},
            {"id": "second", "name": "run_capability", "arguments": {"capability_id": "b", "input": {}}},
        ]
        with ScriptedProvider([{"content": "Let me see.", "tool_calls": calls}, {"content": "done"}]) as provider:
            model = chat_model(name, SETTINGS, environ=provider.environ(kind))
            talk = conversation()
            reply = await model.ask(talk, [RUN])
            assert [(call.id, call.arguments, call.problem) for call in reply.calls] == [
                ("first", {"capability_id": "a", "input": {"name": "John"}}, None),
                ("second", {"capability_id": "b", "input": {}}, None),
            ]
            talk.tool_result("second", "run_capability", "result of b")
            talk.tool_result("first", "run_capability", "result of a")
            assert (await model.ask(talk, [RUN])).text == "done"
            results = _results(provider.requests[1].body)
            assert results == {"first": "result of a", "second": "result of b"}

    async def test_azure_gets_its_key_as_api_key_and_its_version_in_the_query(self) -> None:
        with ScriptedProvider([{"content": "x"}]) as provider:
            await ask(provider, "azure", "azure")
            request = provider.requests[0]
            assert request.path == "/openai/deployments/scripted/chat/completions"
            assert request.query == {"api-version": "2024-10-21"}
            assert request.headers["api-key"] == KEY
            assert "authorization" not in request.headers

    async def test_an_undated_foundry_address_gets_both_headers_and_no_version(self) -> None:
        with ScriptedProvider([{"content": "x"}]) as provider:
            await ask(provider, "foundry", "foundry-v1")
            request = provider.requests[0]
            assert request.query == {}
            assert (request.headers["api-key"], request.headers["authorization"]) == (KEY, f"Bearer {KEY}")
            assert request.body["model"] == "scripted"

    @pytest.mark.parametrize(
        ("suffix", "path"),
        [
            ("/", "/openai/deployments/d/chat/completions"),
            ("/openai", "/openai/deployments/d/chat/completions"),
            ("/openai/deployments/other/chat/completions?api-version=7", "/openai/deployments/d/chat/completions"),
            ("/api/projects/p/openai/v1/", "/api/projects/p/openai/v1/chat/completions"),
            ("/v1/chat/completions", "/v1/chat/completions"),
            ("/models", "/models/chat/completions"),
        ],
    )
    async def test_foundry_addresses_are_taken_as_its_pages_show_them(self, suffix: str, path: str) -> None:
        with ScriptedProvider([{"content": "x"}]) as provider:
            environ = provider.environ("foundry") | {"FOUNDRY_ENDPOINT": provider.address + suffix}
            await chat_model("foundry:d", SETTINGS, environ=environ).ask(conversation())
            assert provider.requests[0].path == path
            assert provider.requests[0].query.get("api-version") == {
                "/openai/deployments/other/chat/completions?api-version=7": "7",
                "/models": "2024-05-01-preview",
                "/": "2024-10-21",
                "/openai": "2024-10-21",
            }.get(suffix)

    async def test_an_address_in_the_name_does_not_get_the_openai_key(self) -> None:
        with ScriptedProvider([{"content": "x"}]) as provider:
            name = f"openai-compatible:org/qwen@{provider.base_url}"
            environ = {"OPENAI_API_KEY": "sk-private-key"}
            assert (await chat_model(name, SETTINGS, environ=environ).ask(conversation())).text == "x"
            assert "sk-private-key" not in json.dumps(provider.requests[0].headers)
            assert provider.requests[0].body["model"] == "org/qwen"

    async def test_schemas_go_out_open_and_without_strict_mode(self) -> None:
        with ScriptedProvider([{"content": "x"}]) as provider:
            await ask(provider)
            (tool,) = provider.requests[0].body["tools"]
            assert "strict" not in tool["function"]
            assert "additionalProperties" not in json.dumps(tool)

    def test_works_again_and_again_each_time_on_a_new_event_loop(self) -> None:
        with ScriptedProvider(lambda body: {"content": "again"}) as provider:
            model = chat_model("openai:gpt-5", SETTINGS, environ=provider.environ())
            for _ in range(3):
                assert asyncio.run(model.ask(conversation())).text == "again"

    async def test_serves_several_conversations_at_once(self) -> None:
        with ScriptedProvider(lambda body: {"content": body["messages"][-1]["content"]}) as provider:
            model = chat_model("openai:gpt-5", SETTINGS, environ=provider.environ())
            replies = await asyncio.gather(*(model.ask(conversation(str(n))) for n in range(8)))
            assert [reply.text for reply in replies] == [str(n) for n in range(8)]

    async def test_reads_the_process_environment_when_it_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = chat_model("openai:gpt-5", SETTINGS)
        with ScriptedProvider([{"content": "x"}]) as provider:
            for name, value in provider.environ().items():
                monkeypatch.setenv(name, value)
            assert (await model.ask(conversation())).text == "x"

    async def test_another_provider_of_pydantic_ai_is_reached_by_its_name(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with ScriptedProvider([{"content": "x"}, {"error": {"status": 401, "message": f"no {KEY}"}}]) as provider:
            monkeypatch.setenv("VLLM_API_KEY", KEY)
            monkeypatch.setenv("VLLM_BASE_URL", provider.base_url)
            model = chat_model("vllm:qwen3", SETTINGS)
            assert (await model.ask(conversation())).text == "x"
            with pytest.raises(ModelError, match=r"vllm:qwen3 at 127\.0\.0\.1:\d+ answered HTTP 401: no \[key\]"):
                await model.ask(conversation())


def _results(body: dict[str, Any]) -> dict[str, str]:
    """Tool results in a request of either protocol, by id."""
    found = {m["tool_call_id"]: m["content"] for m in body["messages"] if m["role"] == "tool"}
    for message in body["messages"]:
        for block in message["content"] if isinstance(message.get("content"), list) else ():
            if block["type"] == "tool_result":
                content = block["content"]
                found[block["tool_use_id"]] = content if isinstance(content, str) else content[0]["text"]
    return found


class TestConversation:
    async def test_keeps_the_reply_and_refuses_to_go_on_before_its_calls_have_results(self) -> None:
        with ScriptedProvider([{"tool_calls": [{"id": "a", "name": "f"}]}]) as provider:
            model = chat_model("openai:gpt-5", SETTINGS, environ=provider.environ())
            talk = conversation()
            reply = await model.ask(talk)
            assert talk.messages[-1] is reply
            with pytest.raises(ValueError, match="calls without a result: a"):
                await model.ask(talk)
            with pytest.raises(ValueError, match="no call 'b' waits"):
                talk.tool_result("b", "f", "")

    async def test_is_as_it_was_after_a_failure(self) -> None:
        with ScriptedProvider([{"error": {"status": 400, "message": "no"}}, {"content": "yes"}]) as provider:
            model = chat_model("openai:gpt-5", SETTINGS, environ=provider.environ())
            talk = conversation()
            with pytest.raises(ModelError):
                await model.ask(talk)
            assert len(talk.messages) == 1
            assert (await model.ask(talk)).text == "yes"

    async def test_may_hold_replies_that_another_model_gave(self) -> None:
        from metier.testing import ScriptedModel

        talk = conversation()
        await ScriptedModel([{"tool_calls": [{"id": "a", "name": "f", "arguments": {"x": 1}}]}]).ask(talk)
        talk.tool_result("a", "f", "1")
        with ScriptedProvider([{"content": "ok"}]) as provider:
            await chat_model("openai:gpt-5", SETTINGS, environ=provider.environ()).ask(talk)
            assistant = provider.requests[0].body["messages"][2]
            assert assistant["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"x":1}'}
            assert _results(provider.requests[0].body) == {"a": "1"}


class TestCalls:
    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ('{"a": ', "not JSON"),
            ("[1]", r"must be one JSON object, not \[1\]"),
            ('{"a": 1} {"b": 2}', "something after the JSON value"),
            ('{"a": 1, "a": 2}', "stands twice"),
            ('{"a": NaN}', "NaN"),
        ],
    )
    async def test_malformed_arguments_come_with_what_to_mend(self, arguments: str, problem: str) -> None:
        with ScriptedProvider([{"tool_calls": [{"name": "f", "arguments": arguments}]}]) as provider:
            (call,) = (await ask(provider)).calls
            assert call.arguments is None
            assert call.raw == arguments
            assert re.search(problem, call.problem or "")

    async def test_arguments_cut_off_at_the_length_limit_say_so(self) -> None:
        cut = {"tool_calls": [{"name": "f", "arguments": '{"code": "def'}], "finish_reason": "length"}
        with ScriptedProvider([cut]) as provider:
            reply = await ask(provider)
            assert reply.cut_off
            assert reply.calls[0].problem == "the arguments were cut off at the length limit; send less"

    async def test_no_arguments_at_all_are_an_empty_object(self) -> None:
        with ScriptedProvider([{"tool_calls": [{"name": "f", "arguments": ""}]}]) as provider:
            (call,) = (await ask(provider)).calls
            assert (call.arguments, call.problem) == ({}, None)

    async def test_malformed_arguments_do_not_stop_the_conversation(self) -> None:
        bad = {"id": "a", "name": "f", "arguments": "{bad"}
        script: list[dict[str, Any]] = [{"tool_calls": [bad]}, {"content": "mended"}]
        with ScriptedProvider(script) as provider:
            model = chat_model("openai:gpt-5", SETTINGS, environ=provider.environ())
            talk = conversation()
            (call,) = (await model.ask(talk)).calls
            talk.tool_result(call.id, call.name, call.problem or "")
            assert (await model.ask(talk)).text == "mended"
            sent = provider.requests[1].body["messages"][2]["tool_calls"][0]["function"]["arguments"]
            assert "{bad" in json.loads(sent).popitem()[1]


class TestOddServers:
    async def test_arguments_may_be_an_object_and_ids_and_types_missing(self) -> None:
        calls = [{"function": {"name": "f", "arguments": {"x": 1}}}, {"function": {"name": "g", "arguments": None}}]
        for _ in range(2):
            reply = await reply_to({"choices": [{"message": {"content": None, "tool_calls": calls}}]})
            assert [(c.id, c.name, c.arguments) for c in reply.calls] == [
                ("call_1_0", "f", {"x": 1}),
                ("call_1_1", "g", {}),
            ]

    async def test_an_id_given_twice_is_made_two(self) -> None:
        calls = [{"id": 7, "function": {"name": "f", "arguments": "{}"}}] * 2
        reply = await reply_to({"choices": [{"message": {"tool_calls": calls}}]})
        assert [call.id for call in reply.calls] == ["7", "call_1_1"]

    async def test_the_old_function_call_is_a_tool_call(self) -> None:
        message = {"content": None, "function_call": {"name": "f", "arguments": '{"x": 1}'}}
        reply = await reply_to({"choices": [{"message": message, "finish_reason": "function_call"}]})
        assert [(call.name, call.arguments) for call in reply.calls] == [("f", {"x": 1})]

    @pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"completion_tokens": "many"}, "none"])
    async def test_usage_may_be_missing_or_odd(self, usage: Any) -> None:
        reply = await reply_to({"choices": [{"message": {"content": "x"}}], "usage": usage})
        assert (reply.text, reply.tokens, reply.model) == ("x", 0, "gpt-5")

    async def test_content_may_be_a_list_of_parts(self) -> None:
        parts = [{"type": "text", "text": "a"}, {"type": "reference", "id": 1}, {"type": "text", "text": "b"}]
        assert (await reply_to({"choices": [{"message": {"content": parts}}]})).text == "ab"

    @pytest.mark.parametrize("message", [{"content": None}, {"content": ""}, {"role": "assistant"}])
    async def test_an_empty_message_is_a_reply_without_text(self, message: dict[str, Any]) -> None:
        reply = await reply_to({"choices": [{"message": message, "finish_reason": "stop"}]})
        assert (reply.text, reply.calls) == ("", ())

    async def test_a_refusal_is_what_the_model_says(self) -> None:
        message = {"content": None, "refusal": "I will not."}
        assert (await reply_to({"choices": [{"message": message}]})).text == "I will not."


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "advice"),
        [
            (400, "no good"),
            (401, "no good; check OPENAI_API_KEY"),
            (403, "no good; check OPENAI_API_KEY"),
            (404, "no good; check the model's name and OPENAI_BASE_URL"),
            (429, "no good; wait a while"),
            (500, "no good; the provider has a problem"),
        ],
    )
    async def test_an_http_error_says_its_status_the_providers_words_and_what_to_do(
        self, status: int, advice: str
    ) -> None:
        message, _ = await failure({"error": {"status": status, "message": "no good"}})
        assert f"answered HTTP {status}: {advice}" in message

    async def test_a_key_in_the_providers_words_is_redacted_even_where_they_are_shortened(self) -> None:
        message, _ = await failure({"error": {"status": 401, "message": "x" * 290 + KEY + "y" * 300}})
        assert KEY[:8] not in message
        assert len(message) < 450
        message, _ = await failure({"error": {"status": 401, "message": f"Incorrect API key: {KEY}.\x1b[31m\nBye"}})
        assert "Incorrect API key: [key]. [31m Bye; check" in message

    async def test_a_password_in_the_address_is_never_shown(self) -> None:
        with ScriptedProvider([{"error": {"status": 401, "message": "user:hunter2hunter2 is unknown"}}]) as provider:
            address = provider.base_url.replace("http://", "http://user:hunter2hunter2@") + "?token=hush"
            environ = provider.environ() | {"OPENAI_BASE_URL": address}
            with pytest.raises(ModelError) as caught:
                await chat_model("openai:gpt-5", SETTINGS, environ=environ).ask(conversation())
            assert "hunter2" not in str(caught.value)
            assert "hush" not in str(caught.value)

    @pytest.mark.parametrize("status", [429, 500, 503, 529])
    async def test_what_may_pass_is_tried_again_as_often_as_the_settings_say(self, status: int) -> None:
        settings = ModelSettings(timeout_seconds=10, retries=2)
        reply = {"error": {"status": status, "message": "busy", "retry_after": 0}}
        message, requests = await failure(reply, settings=settings)
        assert requests == 3
        assert "(3 attempts)" in message

    async def test_a_retry_that_succeeds_is_an_answer(self) -> None:
        busy = {"status": 429, "message": "busy", "retry_after": 0}
        script: list[dict[str, Any]] = [{"error": busy}, {"content": "now"}]
        with ScriptedProvider(script) as provider:
            assert (await ask(provider, settings=ModelSettings(retries=1))).text == "now"

    @pytest.mark.parametrize(
        "error",
        [
            {"status": 400, "message": "no"},
            {"status": 401, "message": "no"},
            {"status": 429, "message": "no", "retry_after": 3600},
            {"status": 429, "message": "no", "code": "insufficient_quota", "type": "insufficient_quota"},
        ],
    )
    async def test_what_will_not_pass_is_not_tried_again(self, error: dict[str, Any]) -> None:
        _, requests = await failure({"error": error}, settings=ModelSettings(retries=3))
        assert requests == 1

    async def test_a_long_pause_is_named_instead_of_waited_for(self) -> None:
        message, _ = await failure({"error": {"status": 429, "message": "busy", "retry_after": 3600}})
        assert "it asks to wait 3600 s" in message

    @pytest.mark.parametrize(("name", "kind", "path"), PROVIDERS)
    async def test_silence_ends_after_the_time_in_the_settings_and_is_not_repeated(
        self, name: str, kind: Any, path: str
    ) -> None:
        if kind == "anthropic":
            pytest.importorskip("anthropic", reason="needs the extra [anthropic]")
        settings = ModelSettings(timeout_seconds=0.2, retries=3)
        message, requests = await failure({"hang": 30}, settings=settings, name=name, kind=kind)
        assert "timed out after 0.2 s; raise [model] timeout_seconds" in message
        assert requests == 1

    async def test_a_closed_connection_says_so(self) -> None:
        message, _ = await failure({"close": True})
        assert "closed the connection without an answer" in message

    async def test_nobody_at_the_address_is_a_refused_connection(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        environ = {"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"}
        with pytest.raises(ModelError, match=f"gpt-5 at 127.0.0.1:{port} refused the connection; is the server run"):
            await chat_model("openai:gpt-5", SETTINGS, environ=environ).ask(conversation())

    async def test_a_host_without_an_address_is_named(self) -> None:
        environ = {"OPENAI_BASE_URL": "http://nowhere.invalid/v1"}
        with pytest.raises(ModelError, match=r"at nowhere\.invalid (has a host name|could not be reached)"):
            await chat_model("openai:gpt-5", SETTINGS, environ=environ).ask(conversation())

    async def test_html_is_recognised(self) -> None:
        page = {"raw": b"<html><title>Sign in</title></html>", "content_type": "text/html; charset=utf-8"}
        message, _ = await failure(page)
        assert "answered with an HTML page instead of JSON; does OPENAI_BASE_URL lack /v1?" in message
        message, _ = await failure({**page, "status": 502})
        assert "answered HTTP 502: an HTML page: Sign in" in message

    @pytest.mark.parametrize(
        "raw",
        [
            b"", b"[]", b"null", b'"x"', b"{}", b'{"choices"', b"\xff\xfe", b'{"choices": []}', b'{"choices": null}',
            b'{"choices": [null]}', b'{"choices": [{}]}', b'{"choices": {"a": 1}}', b'{"choices": [{"message": 7}]}',
            b'{"choices": [{"message": {"content": {"a": 1}}}]}',
        ],
    )  # fmt: skip
    @pytest.mark.parametrize(("name", "kind"), [("openai:gpt-5", "openai"), ("azure:d", "azure")])
    async def test_a_body_that_is_no_completion_is_one_clear_error(self, raw: bytes, name: str, kind: str) -> None:
        message, requests = await failure({"raw": raw}, name=name, kind=kind)
        assert "answered with" in message
        assert requests == 1

    async def test_an_error_inside_a_success_is_an_error(self) -> None:
        message, _ = await failure({"raw": b'{"error": {"message": "upstream is down", "code": 502}}'})
        assert "upstream is down" in message

    async def test_a_content_filter_and_an_empty_cut_off_reply_are_errors(self) -> None:
        message, _ = await failure({"content": None, "finish_reason": "content_filter"})
        assert "content filter" in message
        message, _ = await failure({"content": None, "finish_reason": "length"})
        assert "reached its length limit before it said anything" in message

    async def test_azures_content_filter_is_recognised(self) -> None:
        error = {"status": 400, "message": "filtered", "code": "content_filter"}
        message, _ = await failure({"error": error}, name="azure:d", kind="azure")
        assert "stopped at the provider's content filter" in message

    async def test_text_that_was_cut_off_is_marked(self) -> None:
        with ScriptedProvider([{"content": "half an", "finish_reason": "length"}]) as provider:
            reply = await ask(provider)
            assert (reply.text, reply.cut_off) == ("half an", True)

    async def test_redirects_are_not_followed(self) -> None:
        message, requests = await failure({"raw": b"", "status": 307})
        assert "answered HTTP 307" in message
        assert requests == 1


class TestSetUp:
    @pytest.mark.parametrize(
        ("name", "environ", "error", "words"),
        [
            ("openai:gpt-5", {}, SetupMissing, "set OPENAI_API_KEY"),
            ("azure:d", {}, SetupMissing, "set AZURE_OPENAI_ENDPOINT"),
            ("azure", {"AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com"}, SetupMissing, "name the deployment"),
            ("azure:d", {"AZURE_OPENAI_ENDPOINT": "https://x.y"}, SetupMissing, "set AZURE_OPENAI_API_KEY"),
            ("foundry:d", {"FOUNDRY_ENDPOINT": "https://x.y"}, SetupMissing, "set FOUNDRY_API_KEY"),
            ("anthropic:c", {}, SetupMissing, "set ANTHROPIC_API_KEY"),
            ("openai:gpt-5", {"OPENAI_BASE_URL": "localhost:1"}, UsageError, "OPENAI_BASE_URL must be an address"),
            ("openai:gpt-5", {"OPENAI_API_KEY": "schlüssel"}, SetupMissing, "characters that no key has"),
            ("openai-compatible:qwen", {}, UsageError, "write openai-compatible:MODEL@http"),
            ("openai-compatible:qwen@http://u:p@h/v1", {}, UsageError, "a key goes into"),
            ("gpt-5", {}, UsageError, "write provider:name"),
            ("nonesuch:gpt-5", {}, UsageError, "Unknown model"),
            ("deepseek:chat", {}, SetupMissing, "DEEPSEEK_API_KEY"),
        ],
    )
    async def test_what_is_missing_is_named(
        self, name: str, environ: dict[str, str], error: type[MetierError], words: str
    ) -> None:
        with pytest.raises(error, match=words):
            await chat_model(name, SETTINGS, environ=environ).ask(conversation())

    async def test_a_package_that_is_not_installed_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "anthropic", None)
        with pytest.raises(SetupMissing, match=r'pip install "metier\[anthropic\]"'):
            await chat_model("anthropic:c", SETTINGS, environ={"ANTHROPIC_API_KEY": KEY}).ask(conversation())

    def test_importing_the_door_does_not_import_what_is_behind_it(self) -> None:
        program = (
            "import sys, metier.model; print([m for m in ('pydantic_ai', 'openai', 'httpx2') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


FOUNDRY = {"FOUNDRY_ENDPOINT": "https://f.example", "FOUNDRY_CHAT_DEPLOYMENT": "fc"}
MORE = {"FOUNDRY_MUTATION_DEPLOYMENT": "fm", "FOUNDRY_EMBED_DEPLOYMENT": "fe"}
OPENAI = {"OPENAI_API_KEY": "k", "OPENAI_MODEL": "o"}
AZURE = {"AZURE_OPENAI_ENDPOINT": "https://a.example", "AZURE_OPENAI_DEPLOYMENT": "ac"}
METIER = {"METIER_MODEL": "ollama:m", "METIER_MUTATION_MODEL": "ollama:w", "METIER_EMBEDDING": "ollama:e"}


class TestWhoDecides:
    @pytest.mark.parametrize(
        ("settings", "override", "environ", "expected"),
        [
            ({}, None, {}, (None, None, "wordllama")),
            ({}, None, {"ANTHROPIC_API_KEY": "k"}, ("anthropic:claude-sonnet-5-5",) * 2 + ("wordllama",)),
            ({}, None, {"OPENAI_API_KEY": "k"}, ("openai:gpt-5", "openai:gpt-5", "wordllama")),
            ({}, None, OPENAI | {"ANTHROPIC_API_KEY": "k"}, ("openai:o", "openai:o", "wordllama")),
            ({}, None, AZURE | {"OPENAI_API_KEY": "k"}, ("azure:ac", "azure:ac", "wordllama")),
            ({}, None, FOUNDRY | AZURE, ("foundry:fc", "foundry:fc", "wordllama")),
            ({}, None, FOUNDRY | MORE, ("foundry:fc", "foundry:fm", "foundry:fe")),
            ({"embedding": "wordllama"}, None, FOUNDRY | MORE, ("foundry:fc", "foundry:fm", "wordllama")),
            ({}, None, FOUNDRY | METIER, ("ollama:m", "ollama:w", "ollama:e")),
            ({"chat": "openai:c"}, None, METIER, ("openai:c", "ollama:w", "ollama:e")),
            ({"chat": "openai:c", "mutation": "openai:w"}, None, METIER, ("openai:c", "openai:w", "ollama:e")),
            ({"chat": "openai:c", "mutation": "openai:w"}, "openai:x", METIER, ("openai:x", "openai:x", "ollama:e")),
            ({"chat": "openai:c"}, None, FOUNDRY | MORE, ("openai:c", "openai:c", "foundry:fe")),
        ],
    )  # fmt: skip
    def test_the_argument_then_the_file_then_the_environment(
        self,
        settings: dict[str, Any],
        override: str | None,
        environ: dict[str, str],
        expected: tuple[str | None, str | None, str],
    ) -> None:
        names = resolve_models(ModelSettings(**settings), override, environ)
        assert (names.chat, names.mutation, names.embedding) == expected


class TestEmbedding:
    @pytest.mark.parametrize(
        ("name", "kind", "path", "model"),
        [
            ("openai", "openai", "/v1/embeddings", "text-embedding-3-small"),
            ("openai:text-embedding-3-large", "openai", "/v1/embeddings", "text-embedding-3-large"),
            ("azure:e", "azure", "/openai/deployments/e/embeddings", "e"),
            ("foundry", "foundry", "/openai/deployments/scripted-embedding/embeddings", "scripted-embedding"),
            ("foundry", "foundry-v1", "/openai/v1/embeddings", "scripted-embedding"),
            ("ollama:nomic", "ollama", "/v1/embeddings", "nomic"),
        ],
    )
    def test_gives_a_vector_for_each_text_in_order(self, name: str, kind: Any, path: str, model: str) -> None:
        texts = ["salary of John", "weather in Paris", ""] * 50
        with ScriptedProvider() as provider:
            vectors = provider_embed(name, texts, SETTINGS, environ=provider.environ(kind))
            assert [len(vector) for vector in vectors] == [DIMENSIONS] * 150
            assert vectors[:3] == vectors[147:]
            assert [len(request.body["input"]) for request in provider.embedding_requests] == [96, 54]
            request = provider.embedding_requests[0]
            assert (request.path, request.body["model"]) == (path, model)
            assert KEY in json.dumps(request.headers) or kind == "ollama"

    def test_no_texts_are_no_request(self) -> None:
        with ScriptedProvider() as provider:
            assert provider_embed("openai", [], SETTINGS, environ=provider.environ()) == []
            assert provider.embedding_requests == []

    def test_puts_the_vectors_in_the_order_of_their_texts(self) -> None:
        rows = [{"index": 1, "embedding": [1, 1]}, {"index": 0, "embedding": [0, 0]}]
        with ScriptedProvider(embeddings=lambda body: {"body": {"data": rows}}) as provider:
            assert provider_embed("openai", ["a", "b"], SETTINGS, environ=provider.environ()) == [[0, 0], [1, 1]]

    @pytest.mark.parametrize(
        ("reply", "words"),
        [
            ({"error": {"status": 401, "message": f"bad {KEY}"}}, r"answered HTTP 401: bad \[key\]; check OPENAI_API"),
            ({"raw": b"<html>", "content_type": "text/html"}, "answered with an HTML page"),
            ({"body": {"data": []}}, "not a list of embeddings"),
            ({"body": {"data": [{"embedding": "AAAA"}]}}, "not a list of embeddings"),
            ({"body": []}, "not a list of embeddings"),
            ({"close": True}, "closed the connection"),
            ({"hang": 30}, "timed out after 0.2 s"),
        ],
    )
    def test_fails_in_one_clear_line(self, reply: dict[str, Any], words: str) -> None:
        settings = ModelSettings(timeout_seconds=0.2, retries=0)
        with ScriptedProvider(embeddings=lambda body: reply) as provider, pytest.raises(ModelError, match=words):
            provider_embed("openai", ["a"], settings, environ=provider.environ())

    def test_tries_again_what_may_pass(self) -> None:
        busy = {"error": {"status": 429, "message": "busy", "retry_after": 0}}
        with ScriptedProvider(embeddings=lambda body: busy) as provider:
            with pytest.raises(ModelError, match=r"\(3 attempts\)"):
                provider_embed("openai", ["a"], ModelSettings(retries=2), environ=provider.environ())
            assert len(provider.embedding_requests) == 3

    @pytest.mark.parametrize("name", ["anthropic:claude", "groq:x"])
    def test_a_provider_without_the_protocol_is_refused(self, name: str) -> None:
        with pytest.raises(UsageError, match="gives no embeddings"):
            provider_embed(name, ["a"], SETTINGS, environ={"ANTHROPIC_API_KEY": KEY})
