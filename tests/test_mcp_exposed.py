"""The MCP server's further sides, by the SDK's own client: capabilities as tools, resources, progress, approvals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ToolsListChanged
from mcp.types import ElicitResult, TextResourceContents, ToolListChangedNotification

from metier import Runtime
from metier.library import Library
from metier.mcp_server import create_server
from metier.testing import ScriptedModel
from tests.conftest import ECHO, says
from tests.mutation.test_draft import DRAFT
from tests.test_mcp_server import CITY, lines, publish, refused

MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])
THREE = {"find_capabilities", "run_capability", "mutate_capability"}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create(tmp_path / "capabilities")
    publish(library, "echo_city", "Returns the city.", ECHO, input_schema=CITY, output_schema=CITY)
    publish(library, "say_much", "Returns a long text.", says(json.dumps({"text": "x" * 62_000})))
    publish(library, "take_list", "Takes a list.", ECHO, input_schema={"type": "array"})
    publish(library, "run_capability", "Has the name of another tool.", ECHO)
    return library


@pytest.fixture
def runtime(library: Library) -> Iterator[Runtime]:
    with Runtime.open(library.path) as runtime:
        yield runtime


async def names(client: Client) -> set[str]:
    return {tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools}


# Capabilities as tools


@MODES
async def test_each_live_capability_can_be_a_tool_of_its_own(runtime: Runtime, mode: str) -> None:
    async with Client(create_server(runtime, expose="all"), mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == THREE | {"echo_city", "say_much"}
        assert tools["echo_city"].input_schema == tools["echo_city"].output_schema == CITY
        assert tools["run_capability"].description != "Has the name of another tool."
        result = await client.call_tool("echo_city", {"city": "Ås"})
        assert (result.structured_content, lines(result)) == ({"city": "Ås"}, ['{"city":"Ås"}'])
        assert refused(await client.call_tool("echo_city", {"town": 1})).startswith("echo_city failed (input)")
        assert "returned 62012 characters" in refused(await client.call_tool("say_much", {}))
        runtime.library.set_status("echo_city", "retired")
        assert "Unknown tool" in refused(await client.call_tool("echo_city", {"city": "Ås"}))


async def test_what_a_search_found_becomes_a_tool(runtime: Runtime) -> None:
    async with Client(create_server(runtime, expose="nearest")) as client:
        assert await names(client) == THREE
        await client.call_tool("find_capabilities", {"task": "which city is it?", "k": 1})
        assert await names(client) == THREE | {"echo_city"}
        assert "Unknown tool" in refused(await client.call_tool("say_much", {}))


async def test_clients_hear_when_the_library_has_other_tools(runtime: Runtime) -> None:
    async with Client(create_server(runtime, expose="all")) as client:
        async with client.listen(tools_list_changed=True) as changes:
            publish(runtime.library, "echo_again", "Returns it again.", ECHO)
            with anyio.fail_after(20):
                async for change in changes:
                    assert isinstance(change, ToolsListChanged)
                    break
        assert "echo_again" in await names(client)


async def test_clients_of_the_handshake_hear_it_too(runtime: Runtime) -> None:
    told = anyio.Event()

    async def hear(message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            told.set()

    async with Client(create_server(runtime, expose="all"), mode="legacy", message_handler=hear) as client:
        assert client.server_capabilities.tools is not None
        assert client.server_capabilities.tools.list_changed
        runtime.library.set_status("echo_city", "retired")
        with anyio.fail_after(20):
            await told.wait()
        assert "echo_city" not in await names(client)


# Resources


async def read(client: Client, uri: str) -> Any:
    content = (await client.read_resource(uri)).contents[0]
    assert isinstance(content, TextResourceContents)
    return json.loads(content.text) if content.mime_type == "application/json" else content.text


async def test_contract_source_lineage_and_runs_can_be_read(runtime: Runtime) -> None:
    async with Client(create_server(runtime)) as client:
        await client.call_tool("mutate_capability", {"task_description": "Double a number", "draft": DRAFT})
        run = await client.call_tool("run_capability", {"capability_id": "double", "input": {"n": 2}})
        run_id = run.structured_content["run_id"]
        assert (await read(client, "metier://capabilities/double/contract"))["id"] == "double"
        assert (await read(client, "metier://capabilities/double/versions/1/contract"))["version"] == 1
        source = await read(client, "metier://capabilities/double/source")
        assert source == await read(client, "metier://capabilities/double/versions/1/source") == DRAFT["source"]
        lineage = await read(client, "metier://capabilities/double/lineage")
        assert [version["version"] for version in lineage] == [1]
        assert [row["run_id"] for row in await read(client, "metier://capabilities/double/runs")] == [run_id]
        assert "input" not in (await read(client, "metier://runs"))[0]
        assert (await read(client, f"metier://runs/{run_id}"))["output"] == {"twice": 4}
        assert "double" in [c["id"] for c in await read(client, "metier://capabilities")]
        templates = (await client.list_resource_templates()).resource_templates
    assert len(templates) == 7
    assert all(template.description for template in templates)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("metier://capabilities/nobody/contract", "no capability 'nobody'"),
        ("metier://capabilities/echo_city/versions/9/source", "echo_city"),
        ("metier://capabilities/echo_city/versions/x/source", "no number"),
        ("metier://runs/none", "no run 'none'"),
        ("metier://secrets", "metier://secrets"),
    ],
)
async def test_what_is_not_there_is_said(runtime: Runtime, uri: str, said: str) -> None:
    async with Client(create_server(runtime)) as client:
        with pytest.raises(MCPError, match=said):
            await client.read_resource(uri)


# Progress


@MODES
async def test_a_client_hears_what_happens_in_a_call(library: Library, mode: str) -> None:
    heard: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    model = ScriptedModel([{"tool_calls": [{"name": "submit_capability", "arguments": DRAFT}]}])
    with Runtime.open(library.path, model=model) as runtime:
        async with Client(create_server(runtime), mode=mode) as client:
            arguments = {"task_description": "Double a number"}
            await client.call_tool("mutate_capability", arguments, progress_callback=hear)
            run = {"capability_id": "double", "input": {"n": 2}}
            await client.call_tool("run_capability", run, progress_callback=hear)
    assert any("writing a capability" in message for message in heard)
    assert any("draft 1, double: passes the checks" in message for message in heard)
    assert any("published double@1" in message for message in heard)
    assert any('double → {"twice"' in message for message in heard)


# Approvals


READS = """\
def run(input: dict) -> dict:
    with open("/hr/a.txt") as file:
        return {"twice": 2 * input["n"] + len(file.read())}
"""
WISH = {
    "source": READS,
    "permissions": {"files": [{"root": "hr", "path": "a.txt", "access": "read"}]},
    "effects": "read",
}


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Runtime]:
    """A runtime where reading a file needs a person's word."""
    library = Library.create(tmp_path / "strict")
    data = library.path / "data"
    data.mkdir()
    (data / "a.txt").write_text("", encoding="utf-8")
    permit = '[roots]\nhr = "data"\n[policy]\nfiles = [{ root = "hr", path = "**", access = "read" }]\n'
    (library.path / "metier.toml").write_text(permit, encoding="utf-8")
    with Runtime.open(library.path) as runtime:
        yield runtime


async def handed_in(runtime: Runtime, mode: str, answer: ElicitResult | None) -> tuple[Any, list[str]]:
    asked: list[str] = []

    async def decide(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        assert answer is not None
        return answer

    callback = decide if answer is not None else None
    async with Client(create_server(runtime), mode=mode, elicitation_callback=callback) as client:
        arguments = {"task_description": "Double a number", "draft": DRAFT | WISH}
        return await client.call_tool("mutate_capability", arguments), asked


@MODES
async def test_a_person_is_asked_through_the_client_and_says_yes(strict: Runtime, mode: str) -> None:
    result, asked = await handed_in(strict, mode, ElicitResult(action="accept", content={"approve": True}))
    assert result.structured_content["capability_id"] == "double"
    assert len(asked) == 1
    assert "a.txt" in asked[0]
    assert "def run" in asked[0]
    provenance = strict.library.get("double").provenance
    assert provenance is not None
    assert (provenance.approved_by or "").startswith("mcp:")
    assert strict.pending().all() == []


@MODES
@pytest.mark.parametrize(
    "answer", [ElicitResult(action="decline"), ElicitResult(action="accept", content={"approve": False})]
)
async def test_a_no_throws_the_draft_away(strict: Runtime, mode: str, answer: ElicitResult) -> None:
    result, _ = await handed_in(strict, mode, answer)
    assert "a person rejected double" in refused(result)
    assert strict.pending().all() == []
    assert strict.library.capabilities() == []


@MODES
@pytest.mark.parametrize("answer", [None, ElicitResult(action="cancel"), ElicitResult(action="accept", content={})])
async def test_without_an_answer_the_draft_waits_under_its_id(
    strict: Runtime, mode: str, answer: ElicitResult | None
) -> None:
    result, _ = await handed_in(strict, mode, answer)
    assert "double waits for a person to approve" in refused(result)
    assert [waiting.id for waiting in strict.pending().all()] == ["double"]
    assert strict.library.capabilities() == []


async def test_a_yes_counts_only_for_the_draft_that_was_shown(strict: Runtime) -> None:
    async def decide(context: Any, params: Any) -> ElicitResult:
        other = WISH | {"source": "# another one\n" + WISH["source"]}
        strict.mutator().submit(DRAFT | other, None, "somebody else")
        return ElicitResult(action="accept", content={"approve": True})

    for mode in ("auto", "legacy"):
        async with Client(create_server(strict), mode=mode, elicitation_callback=decide) as client:
            arguments = {"task_description": "Double a number", "draft": DRAFT | WISH}
            assert "waits for a person" in refused(await client.call_tool("mutate_capability", arguments))
    assert strict.library.capabilities() == []
