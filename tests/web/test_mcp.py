"""MCP over streamable HTTP, by the SDK's own client, behind the same guard as everything that is served."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from metier import Runtime
from metier.library import Library
from tests.conftest import ECHO
from tests.mutation.test_draft import DRAFT
from tests.test_mcp_server import CITY, publish
from tests.web.test_app import kind_of, serving

MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    library = Library.create(tmp_path / "capabilities")
    publish(library, "echo_city", "Returns the city.", ECHO, input_schema=CITY, output_schema=CITY)
    with Runtime.open(library.path) as runtime:
        yield runtime


@MODES
async def test_an_agent_finds_writes_and_runs(runtime: Runtime, mode: str) -> None:
    with serving(runtime) as server:
        async with Client(f"{server.base_url}/mcp", mode=mode) as client:
            found = await client.call_tool("find_capabilities", {"task": "which city is it?", "k": 1})
            assert found.structured_content["capabilities"][0]["id"] == "echo_city"
            written = await client.call_tool("mutate_capability", {"task_description": "Double", "draft": DRAFT})
            assert written.structured_content["capability_id"] == "double"
            run = await client.call_tool("run_capability", {"capability_id": "double", "input": {"n": 21}})
            assert run.structured_content["output"] == {"twice": 42}
        assert server.get("/runs").json()["runs"][0]["run_id"] == run.structured_content["run_id"]


async def test_the_token_is_needed_here_too(runtime: Runtime) -> None:
    with serving(runtime, token="t") as server:
        assert kind_of(server.post("/mcp", json={})) == (401, "token")
        assert kind_of(server.post("/mcp", json={}, headers={"host": "evil.example"})) == (403, "host")
        allowed = httpx2.AsyncClient(headers={"authorization": "Bearer t"}, trust_env=False)
        async with allowed, Client(streamable_http_client(f"{server.base_url}/mcp", http_client=allowed)) as client:
            assert len((await client.list_tools()).tools) == 3


@MODES
async def test_a_client_that_listens_does_not_hold_up_the_end(
    runtime: Runtime, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(runtime) as server:
        client = Client(f"{server.base_url}/mcp", mode=mode)
        await client.__aenter__()
        run = {"capability_id": "echo_city", "input": {"city": "Oslo"}}
        await client.call_tool("run_capability", run)
        if mode == "auto":  # a client of the handshake versions has a stream open from the beginning
            await client.listen(tools_list_changed=True).__aenter__()
    with contextlib.suppress(Exception):
        await client.__aexit__(None, None, None)
    assert "graceful shutdown exceeded" not in caplog.text
