"""Traces, as the SDK's own exporter gets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.errors import RunFailed, SetupMissing
from metier.library import Library
from metier.telemetry import spans
from metier.testing import ScriptedModel
from tests.conftest import ECHO, says
from tests.mutation.test_draft import DRAFT
from tests.test_mcp_server import CITY, publish
from tests.web.test_app import run_echo

pytest.importorskip("opentelemetry.sdk", reason="pip install 'metier[dev]'")

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

EXPORTER = InMemorySpanExporter()
SECRET = "Zarathustra"


@pytest.fixture(scope="module", autouse=True)
def provider() -> None:
    """A process has one provider, once and for all."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(EXPORTER))
    trace.set_tracer_provider(provider)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    EXPORTER.clear()
    library = Library.create(tmp_path / "capabilities")
    publish(library, "echo_city", "Returns the city.", ECHO, input_schema=CITY, output_schema=CITY)
    publish(library, "complain", "Complains.", says(stderr=f'{{"error": "no {SECRET}", "kind": "x"}}', status=1))
    yield library


def traced(library: Library, *, contents: bool = False) -> Library:
    settings = f"[telemetry]\ntraces = true\ncontents = {str(contents).lower()}\n"
    (library.path / "metier.toml").write_text(settings, encoding="utf-8")
    return library


def finished() -> dict[str, ReadableSpan]:
    return {span.name: span for span in EXPORTER.get_finished_spans() if span.name[:3] != "MCP"}


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def below(span: ReadableSpan, parent: ReadableSpan) -> bool:
    return span.parent is not None and span.parent.span_id == parent.get_span_context().span_id


def test_a_task_is_a_trace_of_agent_chat_and_tool(library: Library) -> None:
    with Runtime.open(traced(library).path, model=ScriptedModel(run_echo)) as runtime:
        answer = runtime.run_sync(f"Which city is Oslo, {SECRET}?")
    found = finished()
    agent, tool = found["invoke_agent metier"], found["execute_tool echo_city"]
    chat = next(span for name, span in found.items() if name.startswith("chat "))
    assert below(tool, agent)
    assert below(chat, agent)
    assert attributes(agent)["metier.run.id"] == answer.run_id
    assert attributes(agent)["metier.route"] == "model"
    assert attributes(agent)["metier.used"] == ("echo_city@1",)
    assert attributes(tool)["gen_ai.operation.name"] == "execute_tool"
    assert attributes(tool)["metier.capability.version"] == 1
    assert chat.kind is trace.SpanKind.CLIENT
    told = "".join(span.to_json() for span in EXPORTER.get_finished_spans())
    assert SECRET not in told
    assert "Oslo" not in told


def test_contents_are_told_where_that_is_wanted(library: Library) -> None:
    with Runtime.open(traced(library, contents=True).path, model=ScriptedModel(run_echo)) as runtime:
        runtime.run_sync("Which city is Oslo?")
    found = finished()
    assert attributes(found["invoke_agent metier"])["metier.task"] == "Which city is Oslo?"
    assert attributes(found["execute_tool echo_city"])["gen_ai.tool.call.arguments"] == '{"city":"Oslo"}'
    assert attributes(found["execute_tool echo_city"])["gen_ai.tool.call.result"] == '{"city":"Oslo"}'


def test_what_fails_is_marked_without_its_words(library: Library) -> None:
    with Runtime.open(traced(library).path) as runtime:
        with pytest.raises(RunFailed):
            runtime.call("complain", {})
        with pytest.raises(SetupMissing):
            runtime.run_sync(f"Who is {SECRET}?")
    found = finished()
    tool, agent = found["execute_tool complain"], found["invoke_agent metier"]
    assert tool.parent is None
    assert not tool.status.is_ok
    assert attributes(agent)["error.type"] == "SetupMissing"
    assert SECRET not in tool.to_json() + agent.to_json()


def test_a_mutation_is_a_span_with_its_drafts(library: Library) -> None:
    wrong = DRAFT | {"source": 'def run(input: dict) -> dict:\n    return {"twice": 3 * input["n"]}\n'}
    drafts = [{"tool_calls": [{"name": "submit_capability", "arguments": draft}]} for draft in (wrong, DRAFT)]
    with Runtime.open(traced(library).path, model=ScriptedModel(drafts)) as runtime:
        runtime.mutate_sync("Double a number", None, lambda _: None)
    mutation = finished()["execute_tool mutate_capability"]
    assert attributes(mutation)["metier.outcome"] == "published"
    checked = [(event.attributes or {})["metier.findings"] for event in mutation.events]
    assert [bool(findings) for findings in checked] == [True, False]
    chats = [span for span in EXPORTER.get_finished_spans() if span.name.startswith("chat ")]
    assert chats
    assert all(below(chat, mutation) for chat in chats)


def test_without_the_setting_there_are_no_spans(library: Library) -> None:
    with Runtime.open(library.path) as runtime:
        runtime.call("echo_city", {"city": "Oslo"})
    assert finished() == {}
    assert callable(spans(contents=False)())
