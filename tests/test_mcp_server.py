"""The MCP server, by the SDK's own client: in memory, and over the pipes of a real process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.types import CallToolResult, TextContent

from metier import Runtime
from metier.capability import Contract, Provenance
from metier.library import Library, Release
from metier.mcp_server import MAX_OUTPUT, create_server
from metier.testing import ScriptedModel
from tests.conftest import ECHO, says
from tests.mutation.test_draft import DRAFT

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def publish(library: Library, id: str, summary: str, wasm: bytes, **values: Any) -> None:
    contract = Contract.model_validate({"id": id, "summary": summary, "language": "wat", **values})
    release = Release(
        contract=contract,
        wasm=wasm,
        source={},
        engine=None,
        parent=None,
        provenance=Provenance(author="hand", created="2026-01-01T00:00:00+00:00"),
    )
    library.publish(release, expected_version=None)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create(tmp_path / "capabilities")
    shown = [{"input": {"city": "Oslo"}, "output": {"city": "Oslo"}}]
    publish(library, "echo_city", "Returns the city.", ECHO, input_schema=CITY, output_schema=CITY, examples=shown)
    publish(
        library,
        "find_person",
        "Finds a person by name.",
        says(stderr='{"error": "nobody\\nis \\u001b[31mcalled Zoe", "kind": "not_found"}', status=1),
        effects="read",
    )
    publish(library, "say_much", "Returns a long text.", says(json.dumps({"text": "x" * 62_000})))
    publish(library, "print_much", "Prints while it works.", says('{"ok": true}', stderr="debris\n{}\n"))
    return library


@pytest.fixture
def runtime(library: Library) -> Iterator[Runtime]:
    with Runtime.open(library.path) as runtime:
        yield runtime


def lines(result: CallToolResult) -> list[str]:
    return [content.text for content in result.content if isinstance(content, TextContent)]


def refused(result: CallToolResult) -> str:
    """The one line that says what was wrong."""
    assert result.is_error
    first = lines(result)[0]
    assert "\n" not in first
    assert "Traceback" not in "".join(lines(result))
    return first


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_tools_are_three_and_say_what_they_take_and_give(runtime: Runtime, mode: str) -> None:
    async with Client(create_server(runtime), mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert client.instructions and "find_capabilities" in client.instructions
    assert set(tools) == {"find_capabilities", "run_capability", "mutate_capability"}
    assert tools["run_capability"].input_schema["properties"]["input"]["type"] == "object"
    draft = tools["mutate_capability"].input_schema["properties"]["draft"]
    assert set(DRAFT) | {"fixtures", "language"} == set(draft["properties"])
    assert set(tools["mutate_capability"].input_schema["properties"]) == {
        "task_description",
        "parent_capability_id",
        "draft",
    }
    assert all(tool.output_schema and tool.description for tool in tools.values())


async def test_what_is_nearest_is_found_with_all_that_a_call_needs(runtime: Runtime) -> None:
    async with Client(create_server(runtime)) as client:
        result = await client.call_tool("find_capabilities", {"task": "which city is it?", "k": 2})
    found = result.structured_content["capabilities"]
    assert len(found) == 2
    assert found[0]["id"] == "echo_city"
    assert found[0]["input_schema"] == CITY
    assert found[0]["example"] == {"input": {"city": "Oslo"}, "output": {"city": "Oslo"}}


async def test_an_empty_library_has_nothing_to_find(tmp_path: Path) -> None:
    library = Library.create(tmp_path / "empty")
    with Runtime.open(library.path) as runtime:
        async with Client(create_server(runtime)) as client:
            result = await client.call_tool("find_capabilities", {"task": "anything"})
    assert not result.is_error
    assert result.structured_content == {"capabilities": []}


async def test_a_run_returns_the_output_and_is_in_the_journal(runtime: Runtime) -> None:
    async with Client(create_server(runtime)) as client:
        result = await client.call_tool("run_capability", {"capability_id": "echo_city", "input": {"city": "Ås ‮"}})
        as_text = await client.call_tool("run_capability", {"capability_id": "echo_city", "input": '{"city": "Ås ‮"}'})
    assert result.structured_content["output"] == as_text.structured_content["output"] == {"city": "Ås ‮"}
    assert result.structured_content["run_id"] in [run["run_id"] for run in runtime.journal.recent()]


async def test_a_long_output_is_cut_and_says_so(runtime: Runtime) -> None:
    async with Client(create_server(runtime)) as client:
        result = await client.call_tool("run_capability", {"capability_id": "say_much", "input": {}})
    run = result.structured_content
    assert run["output"] is None
    assert len(run["clipped"]) < MAX_OUTPUT + 100 < 62_000
    assert "characters left out" in run["clipped"]


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("run_capability", {"capability_id": "echo_citi", "input": {}}, "did you mean echo_city"),
        ("run_capability", {"capability_id": "../../etc", "input": {}}, "no capability"),
        ("run_capability", {"capability_id": "echo_city", "input": {"town": 1}}, "echo_city failed (input)"),
        ("run_capability", {"capability_id": "find_person", "input": {}}, "nobody is \\u001b[31mcalled Zoe"),
        ("run_capability", {"capability_id": "echo_city"}, "run_capability: input Field required"),
        ("run_capability", {"capability_id": 5, "input": {}}, "capability_id"),
        ("find_capabilities", {"task": "  "}, "task is empty"),
        ("find_capabilities", {"task": "x", "k": 0}, "greater than or equal to 1"),
        ("mutate_capability", {"task_description": ""}, "task_description is empty"),
        ("mutate_capability", {"task_description": "x", "parent_capability_id": "nobody"}, "no capability 'nobody'"),
        ("mutate_capability", {"task_description": "x", "draft": [1]}, "draft"),
        ("mutate_capability", {"task_description": "x"}, "there is no model to write capabilities"),
    ],
)
async def test_what_is_wrong_with_a_call_is_said_in_a_line(
    runtime: Runtime, tool: str, arguments: dict[str, Any], said: str
) -> None:
    async with Client(create_server(runtime)) as client:
        assert said in refused(await client.call_tool(tool, arguments))


async def test_an_input_against_the_contract_is_answered_with_the_contract(runtime: Runtime) -> None:
    async with Client(create_server(runtime)) as client:
        result = await client.call_tool("run_capability", {"capability_id": "echo_city", "input": {"town": 1}})
    assert json.dumps(CITY, separators=(",", ":")) in lines(result)[1]
    assert result.structured_content["kind"] == "input"


async def test_a_retired_capability_does_not_run(runtime: Runtime) -> None:
    runtime.library.set_status("echo_city", "retired")
    async with Client(create_server(runtime)) as client:
        result = await client.call_tool("run_capability", {"capability_id": "echo_city", "input": {"city": "Oslo"}})
    assert refused(result) == "echo_city is retired; it cannot be run"


# The connected agent as the author


async def test_a_connected_agent_writes_mends_and_runs(runtime: Runtime) -> None:
    async with Client(create_server(runtime)) as client:
        rules = await client.call_tool("mutate_capability", {"task_description": "Double a number"})
        assert "call mutate_capability again with `draft`" in refused(rules)
        assert "def run(input: dict) -> dict:" in lines(rules)[1]
        assert "Double a number" in lines(rules)[1]

        wrong = DRAFT | {"source": 'def run(input: dict) -> dict:\n    return {"twice": 3 * input["n"]}\n'}
        result = await client.call_tool("mutate_capability", {"task_description": "Double a number", "draft": wrong})
        assert "did not pass the checks" in refused(result)
        findings = result.structured_content["findings"]
        assert findings[0] == 'example 1, input {"n": 1}: expected output {"twice": 2}, but it returned {"twice": 3}'

        result = await client.call_tool("mutate_capability", {"task_description": "Double a number", "draft": DRAFT})
        assert not result.is_error
        assert (result.structured_content["capability_id"], result.structured_content["version"]) == ("double", 1)
        run = await client.call_tool("run_capability", {"capability_id": "double", "input": {"n": 21}})
        assert run.structured_content["output"] == {"twice": 42}
    provenance = runtime.library.get("double").provenance
    assert provenance is not None
    assert provenance.author.startswith("mcp:")
    assert provenance.prompt_sha256 is None


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"id": "echo_city"}, "the id 'echo_city' is taken"),
        ({"id": "Not An Id"}, "id: String should match pattern"),
        ({"examples": []}, "at least 3 are needed"),
        ({"source": "def run(:\n"}, "the source does not build"),
        ({"surprise": 1}, "surprise is not a field"),
        (
            {"permissions": {"files": [{"root": "hr", "path": "a.json", "access": "read"}]}, "effects": "read"},
            "no root",
        ),
        ({"examples": "[" * 5000}, "examples: Input should be a valid"),
    ],
)
async def test_the_gates_findings_come_back_precisely(runtime: Runtime, change: dict[str, Any], finding: str) -> None:
    before = runtime.library.capabilities()
    async with Client(create_server(runtime)) as client:
        result = await client.call_tool("mutate_capability", {"task_description": "x", "draft": DRAFT | change})
    refused(result)
    assert any(finding in found for found in result.structured_content["findings"])
    assert runtime.library.capabilities() == before


async def test_without_a_draft_the_configured_model_writes(library: Library) -> None:
    model = ScriptedModel([{"tool_calls": [{"name": "submit_capability", "arguments": DRAFT}]}])
    with Runtime.open(library.path, model=model) as runtime:
        async with Client(create_server(runtime)) as client:
            result = await client.call_tool("mutate_capability", {"task_description": "Double a number"})
            assert result.structured_content["capability_id"] == "double"
            failed = await client.call_tool("mutate_capability", {"task_description": "Something else"})
            assert "script" in refused(failed)


# A real process


async def test_over_pipes_only_the_protocol_is_heard(library: Library, tmp_path: Path) -> None:
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "metier", "mcp", "--library", str(library.path)]
    )
    heard = tmp_path / "stderr"
    with heard.open("w", encoding="utf-8") as errors:
        async with Client(stdio_client(parameters, errlog=errors)) as client:
            result = await client.call_tool("run_capability", {"capability_id": "print_much", "input": {}})
            assert result.structured_content["output"] == {"ok": True}
            wrong = {"capability_id": "echo_cit", "input": {}}
            assert "did you mean" in refused(await client.call_tool("run_capability", wrong))
    assert heard.read_text(encoding="utf-8") == ""


def start(library: Library) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "metier", "mcp", "--library", str(library.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}},
}


def test_an_interrupt_ends_it_at_once(library: Library) -> None:
    with start(library) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(HELLO) + "\n")
        server.stdin.flush()
        assert json.loads(server.stdout.readline())["id"] == 1
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=10) == -signal.SIGINT


def test_every_line_on_stdout_is_protocol_and_the_end_of_stdin_is_the_end(library: Library) -> None:
    call = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "run_capability", "arguments": {"capability_id": "print_much", "input": {}}},
    }
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    said = "".join(json.dumps(message) + "\n" for message in (HELLO, ready, call)) + "not json\n"
    with start(library) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(said)
        server.stdin.flush()
        answers: dict[Any, Any] = {}
        while 2 not in answers:
            answer = json.loads(server.stdout.readline())
            answers[answer.get("id")] = answer
        server.stdin.close()
        assert all(json.loads(line)["jsonrpc"] == "2.0" for line in server.stdout)
        assert server.wait(timeout=30) == 0
    assert answers[2]["result"]["structuredContent"]["output"] == {"ok": True}


@pytest.mark.parametrize("client", ["claude", "cursor", "vscode", "json"])
def test_the_printed_configuration_names_absolute_paths(tmp_path: Path, client: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "metier", "mcp", "--library", "my lib", "--print-config", client],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=tmp_path,
        check=True,
    )
    assert str(tmp_path / "my lib") in done.stdout
    assert "metier init" in done.stderr
    if client == "claude":
        assert done.stdout.startswith("claude mcp add metier -- /")
        return
    servers = json.loads(done.stdout)["servers" if client == "vscode" else "mcpServers"]
    assert Path(servers["metier"]["command"]).is_absolute()


def test_no_library_is_said_and_not_served(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "metier", "mcp", "--library", str(tmp_path / "absent")],
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "metier init" in done.stderr
    assert "Traceback" not in done.stderr
