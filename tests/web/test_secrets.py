"""A secret that a capability uses is in no answer, page, log, trace, metric or error of the server's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from metier import Runtime
from metier.events import event_json
from metier.library import Library
from metier.sandbox.box import Box
from tests.test_replay import publish
from tests.web.test_app import serving

SECRET = "s3cr3t-Zarathustra-0815"
SOURCE = """\
import host

def run(input: dict) -> dict:
    answer = host.http_get("ORIGIN/" + input["path"], {"Authorization": "Bearer {{secret:KEY}}"})
    if answer["status"] != 200:
        raise host.Error("refused: " + answer["body"], kind="refused")
    return {"said": answer["body"]}
"""


class Echo(BaseHTTPRequestHandler):
    """Says back the credentials that it was given, which nobody should."""

    given: list[str]

    def do_GET(self) -> None:
        self.given.append(self.headers["authorization"])
        body = self.headers["authorization"].encode()
        self.send_response(200 if self.path == "/good" else 403)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def origin() -> Iterator[str]:
    Echo.given = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def test_a_secret_is_nowhere_to_be_seen(
    tmp_path: Path, box: Box, origin: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("API_KEY", SECRET)
    library = Library.create(tmp_path / "capabilities")
    allowed = f'[{{ origin = "{origin}", methods = ["GET"], secrets = ["KEY"] }}]'
    (library.path / "metier.toml").write_text(
        f'[secrets]\nKEY = "env:API_KEY"\n[http]\nnetworks = ["127.0.0.0/8"]\n[policy]\nhttp = {allowed}\n', "utf-8"
    )
    may = {"http": [{"origin": origin, "methods": ["GET"], "secrets": ["KEY"]}]}
    publish(library, box, "ask", SOURCE.replace("ORIGIN", origin), permissions=may, effects="read")
    told: list[str] = []
    with Runtime.open(library.path) as runtime:
        runtime.watchers.append(lambda: lambda event: told.append(json.dumps(event_json(event))))
        with serving(runtime) as client:
            good = client.post("/capabilities/ask/run", json={"path": "good"})
            bad = client.post("/capabilities/ask/run", json={"path": "bad"})
            assert (good.status_code, bad.status_code) == (200, 422)
            run_id = good.headers["metier-run-id"]
            paths = ["/runs", f"/runs/{run_id}", "/metrics", "/stats", "/capabilities/ask", "/capabilities/ask/source"]
            paths += ["/ui/library", "/ui/capabilities/ask", "/ui/runs", f"/ui/runs/{run_id}", "/ui/health"]
            answers = [good, bad, client.post(f"/runs/{run_id}/replay"), *(client.get(path) for path in paths)]
            assert answers[2].json()["identical"] is True
            assert all(answer.status_code == 200 for answer in answers[2:])
            told += [str(answer.headers) + answer.text for answer in answers]
            async with Client(f"{client.base_url}/mcp") as agent:
                for path in ("good", "bad"):
                    run = await agent.call_tool("run_capability", {"capability_id": "ask", "input": {"path": path}})
                    told.append(run.model_dump_json())
                read = await agent.read_resource(f"metier://runs/{run_id}")
                told.append(read.model_dump_json())
    assert Echo.given == [f"Bearer {SECRET}"] * 4  # the replay asked nobody
    assert not [text for text in (*told, caplog.text) if SECRET in text]
