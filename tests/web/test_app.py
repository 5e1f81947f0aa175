"""The HTTP API over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from metier import Runtime
from metier.errors import UsageError
from metier.library import Library
from metier.testing import ScriptedModel
from metier.web.server import listen, make_server
from tests.conftest import ECHO, says, wat
from tests.test_mcp_server import CITY, publish

LIMIT = 8 * 2**20


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create(tmp_path / "capabilities")
    publish(library, "echo_city", "Returns the city.", ECHO, input_schema=CITY, output_schema=CITY)
    publish(
        library, "find_person", "Finds a person by name.", says(stderr='{"error": "no Zoe", "kind": "x"}', status=1)
    )
    publish(library, "abort", "Aborts.", wat('(func (export "_start") unreachable)'))
    publish(library, "speak", "Says <script>.", says('{"html": "<script>alert(1)</script>"}'))
    return library


@contextmanager
def serving(runtime: Runtime, *, host: str = "127.0.0.1", token: str | None = None) -> Iterator[httpx2.Client]:
    """A client of a server that runs in a thread."""
    with listen(host, 0, token=token) as listening:
        server = make_server(runtime, listening, token=token, names=(host,))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            with httpx2.Client(base_url=address, trust_env=False, timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def runtime(library: Library) -> Iterator[Runtime]:
    with Runtime.open(library.path) as runtime:
        yield runtime


@pytest.fixture
def client(runtime: Runtime) -> Iterator[httpx2.Client]:
    with serving(runtime) as client:
        yield client


def kind_of(response: httpx2.Response) -> tuple[int, str]:
    error = response.json()["error"]
    assert error["message"]
    assert "\n" not in error["message"]
    return response.status_code, error["kind"]


# Looking


def test_what_there_is_can_be_looked_at(client: httpx2.Client) -> None:
    assert "POST /tasks" in client.get("/").json()["endpoints"]
    health = client.get("/health").json()
    assert (health["status"], health["capabilities"], health["model"]) == ("ok", 4, None)
    listed = client.get("/capabilities").json()
    assert [c["id"] for c in listed["capabilities"]] == ["abort", "echo_city", "find_person", "speak"]
    one = client.get("/capabilities/echo_city").json()
    assert (one["id"], one["version"], one["input_schema"]) == ("echo_city", 1, CITY)
    found = client.get("/search", params={"task": "which city?", "k": 2}).json()
    assert [set(one) for one in found] == [{"id", "score", "summary"}] * 2
    assert found[0]["id"] == "echo_city"


def test_every_answer_forbids_what_a_browser_could_make_of_it(client: httpx2.Client) -> None:
    for response in (client.post("/capabilities/speak/run", content="{}"), client.get("/nowhere")):
        assert response.headers["content-type"].startswith("application/json")
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in response.headers["content-security-policy"]


# Running


def test_a_run_takes_the_input_and_gives_the_output(client: httpx2.Client) -> None:
    response = client.post("/capabilities/echo_city/run", json={"city": "Ås"})
    assert (response.status_code, response.json()) == (200, {"city": "Ås"})
    assert response.headers["metier-capability"] == "echo_city@1"
    runs = client.get("/runs", params={"limit": 5}).json()["runs"]
    assert [run["run_id"] for run in runs] == [response.headers["metier-run-id"]]


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/capabilities/echo_city/run", "{", (400, "json")),
        ("/capabilities/echo_city/run", "", (400, "json")),
        ("/capabilities/echo_city/run", '{"city": NaN}', (400, "json")),
        ("/capabilities/echo_city/run", b'{"city": "\xff"}', (400, "json")),
        ("/capabilities/echo_city/run", "[" * 100_000, (400, "json")),
        ("/capabilities/echo_city/run", '{"town": 1}', (422, "input")),
        ("/capabilities/find_person/run", "{}", (422, "program")),
        ("/capabilities/abort/run", "{}", (500, "trap")),
        ("/capabilities/nobody/run", "{}", (404, "unknown_capability")),
        ("/capabilities/..%2f..%2fetc/run", "{}", (404, "not_found")),
        ("/capabilities/echo_city/run?version=9", "{}", (404, "unknown_capability")),
        ("/capabilities/echo_city/run?version=x", "{}", (400, "usage")),
        ("/capabilities/echo_city/run", b"x" * (LIMIT + 1), (413, "too_large")),
        ("/tasks", "[]", (400, "usage")),
        ("/tasks", '{"task": 1}', (400, "usage")),
        ("/tasks", '{"task": "x", "extra": 1}', (400, "usage")),
        ("/tasks", '{"task": " "}', (400, "usage")),
        ("/tasks", '{"task": "Who is Zoe?"}', (503, "setup_missing")),
    ],
)
def test_a_wrong_request_gets_the_right_status(
    client: httpx2.Client, path: str, body: str | bytes, expected: tuple[int, str]
) -> None:
    response = client.post(path, content=body)
    if expected[1] == "setup_missing":
        assert (response.status_code, response.json()["error"]["kind"]) == expected
    else:
        assert kind_of(response) == expected


def test_what_has_no_place_is_an_error_in_json_too(client: httpx2.Client) -> None:
    assert kind_of(client.get("/nowhere")) == (404, "not_found")
    wrong = client.get("/tasks")
    assert kind_of(wrong) == (405, "method")
    assert wrong.headers["allow"] == "POST"
    assert kind_of(client.get("/capabilities/%00")) == (404, "unknown_capability")
    assert kind_of(client.get("/search")) == (400, "usage")
    assert kind_of(client.get("/search", params={"task": "x", "k": 65})) == (400, "usage")
    assert kind_of(client.get("/runs", params={"limit": 0})) == (400, "usage")


def test_a_body_without_a_length_is_bounded_too(client: httpx2.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(LIMIT // 2**20 + 2):
            yield b" " * 2**20

    with contextlib.suppress(httpx2.WriteError):  # the server may hang up before everything is sent
        assert kind_of(client.post("/capabilities/echo_city/run", content=chunks())) == (413, "too_large")
    assert client.get("/health").status_code == 200


def test_a_retired_capability_does_not_run(client: httpx2.Client, runtime: Runtime) -> None:
    runtime.library.set_status("echo_city", "retired")
    assert kind_of(client.post("/capabilities/echo_city/run", json={"city": "Oslo"})) == (409, "retired")


# Solving


def run_echo(body: dict[str, Any]) -> dict[str, Any]:
    """The model: runs echo_city, then answers."""
    if body["messages"][-1]["role"] == "tool":
        return {"content": "It is Oslo."}
    arguments = {"capability_id": "echo_city", "input": {"city": "Oslo"}}
    return {"tool_calls": [{"name": "run_capability", "arguments": arguments}]}


def test_a_task_is_solved_and_then_recalled(library: Library) -> None:
    with Runtime.open(library.path, model=ScriptedModel(run_echo)) as runtime, serving(runtime) as client:
        answer = client.post("/tasks", json={"task": "Which city is Oslo?"}).json()
        again = client.post("/tasks", json={"task": "Which city is Oslo?"}).json()
    assert (answer["answer"], answer["route"], answer["model_calls"]) == ("It is Oslo.", "model", 2)
    assert answer["used"][0]["output"] == {"city": "Oslo"}
    assert (again["answer"], again["route"], again["model_calls"]) == ("It is Oslo.", "recall", 0)


def events_of(response: httpx2.Response) -> list[tuple[str, Any]]:
    frames = [frame for frame in response.text.split("\n\n") if frame and not frame.startswith(":")]
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in (frame.split("\n") for frame in frames)
    ]


def test_a_task_is_told_event_by_event(library: Library) -> None:
    with Runtime.open(library.path, model=ScriptedModel(run_echo)) as runtime, serving(runtime) as client:
        stream = {"accept": "text/event-stream"}
        response = client.post("/tasks", json={"task": "Which city is Oslo?"}, headers=stream)
        assert kind_of(client.post("/tasks", json={"task": ""}, headers=stream)) == (400, "usage")
    assert response.headers["content-type"].startswith("text/event-stream")
    told = events_of(response)
    names = [name for name, _ in told]
    assert names[:2] == ["task_started", "nearest"]
    assert names[-3:] == ["model_asked", "model_answered", "answered"]
    assert "run_ended" in names
    assert told[-1][1]["answer"] == "It is Oslo."


def test_a_stream_ends_with_what_went_wrong(client: httpx2.Client) -> None:
    response = client.post("/tasks", json={"task": "Who is Zoe?"}, headers={"accept": "text/event-stream"})
    name, data = events_of(response)[-1]
    assert (response.status_code, name, data["error"]["kind"]) == (200, "error", "setup_missing")


def test_a_client_that_leaves_ends_its_task(library: Library) -> None:
    asked, left = threading.Event(), threading.Event()

    class Slow(ScriptedModel):
        async def ask(self, *arguments: Any) -> Any:
            asked.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                left.set()
                raise

    with Runtime.open(library.path, model=Slow([])) as runtime, serving(runtime) as client:
        stream = {"accept": "text/event-stream"}
        with client.stream("POST", "/tasks", json={"task": "Wait."}, headers=stream) as response:
            lines = response.iter_lines()
            assert next(lines) == "event: task_started"
            assert asked.wait(10)
        assert left.wait(10)


# Who may talk to it


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"host": "evil.example"}, (403, "host")),
        ({"host": "evil.example:8765"}, (403, "host")),
        ({"host": "127.0.0.1.evil.example"}, (403, "host")),
        ({"host": "localhost@evil.example"}, (403, "host")),
        ({"host": "192.168.0.1"}, (403, "host")),
        ({"host": "[::1"}, (403, "host")),
        ({"host": ""}, (403, "host")),
        ({"origin": "https://evil.example"}, (403, "origin")),
        ({"origin": "null"}, (403, "origin")),
        ({"origin": "http://localhost:3000"}, (403, "origin")),
        ({"sec-fetch-site": "cross-site"}, (403, "origin")),
    ],
)
def test_pages_of_other_sites_are_refused(
    client: httpx2.Client, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    assert kind_of(client.post("/capabilities/echo_city/run", json={"city": "Oslo"}, headers=headers)) == expected
    assert client.get("/runs").json() == {"runs": []}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8765", "127.0.0.1:1", "[::1]:8765"])
def test_loopback_has_several_names(client: httpx2.Client, host: str) -> None:
    assert client.get("/health", headers={"host": host}).status_code == 200
    assert client.get("/health", headers={"host": host, "origin": f"http://{host}"}).status_code == 200


def test_with_a_token_nothing_is_answered_without_it(runtime: Runtime) -> None:
    with serving(runtime, token="sésame") as client:
        for authorization in ("", "Bearer", "Bearer wrong", "Basic sésame", "sésame"):
            response = client.get("/health", headers={"authorization": authorization.encode()})
            assert kind_of(response) == (401, "token")
            assert response.headers["www-authenticate"] == "Bearer"
        assert kind_of(client.get("/health")) == (401, "token")
        assert client.get("/health", headers={"authorization": "Bearer sésame".encode()}).status_code == 200


def test_only_with_a_token_may_others_connect(runtime: Runtime) -> None:
    for host in ("0.0.0.0", "::"):
        with pytest.raises(UsageError, match="METIER_TOKEN"):
            listen(host, 0, token=None)
    with serving(runtime, host="0.0.0.0", token="t") as client:
        allowed = {"authorization": "Bearer t"}
        assert client.get("/health", headers={**allowed, "host": "192.168.7.7:8765"}).status_code == 200
        assert kind_of(client.get("/health", headers={**allowed, "host": "evil.example"})) == (403, "host")
        assert kind_of(client.get("/health")) == (401, "token")


def test_an_address_that_cannot_be_had_is_named() -> None:
    with listen("127.0.0.1", 0, token=None) as taken, pytest.raises(UsageError, match="choose another --port"):
        listen("127.0.0.1", taken.getsockname()[1], token=None)
    with pytest.raises(UsageError, match="is not an address"):
        listen("no.such.host.invalid", 0, token=None)


def test_two_hosts_are_none(client: httpx2.Client) -> None:
    port = client.base_url.port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert b" 40" in connection.recv(100).split(b"\r\n")[0]


# The command


def test_the_command_serves_until_it_is_told_to_stop(library: Library) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "metier", "serve", "--library", str(library.path), "--port", "0"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    with server:
        assert server.stderr is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", server.stderr.readline())
        assert found is not None
        with httpx2.Client(base_url=found.group(), trust_env=False, timeout=30) as client:
            assert client.get("/health").json()["capabilities"] == 4
        server.send_signal(signal.SIGTERM)
        output, errors = server.communicate(timeout=30)
    assert "Traceback" not in output + errors


def test_the_command_refuses_an_open_address_without_a_token(library: Library) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "metier", "serve", "--library", str(library.path), "--host", "0.0.0.0"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 2
    assert "METIER_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr
