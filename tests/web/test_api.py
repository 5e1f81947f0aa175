"""The further endpoints of the API, and what slow, hanging and vanishing clients do to the others: nothing."""

from __future__ import annotations

import dataclasses
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from metier import Runtime
from metier.library import Library
from metier.lifecycle import republished
from metier.testing import ScriptedModel
from metier.web.connections import BoundedConnection
from tests.conftest import ECHO, says, wat
from tests.mutation.test_draft import DRAFT
from tests.test_mcp_exposed import WISH
from tests.test_mcp_server import CITY, publish
from tests.web.test_app import kind_of, run_echo, serving

PERMITS = '[roots]\nhr = "data"\n[policy]\nfiles = [{ root = "hr", path = "**", access = "read" }]\n'


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create(tmp_path / "capabilities")
    (library.path / "data").mkdir()
    (library.path / "data" / "a.txt").write_text("", encoding="utf-8")
    (library.path / "metier.toml").write_text(PERMITS, encoding="utf-8")
    publish(library, "echo_city", "Returns the city.", ECHO, input_schema=CITY, output_schema=CITY)
    publish(library, "complain", "Complains.", says(stderr='{"error": "no", "kind": "x"}', status=1))
    publish(library, "spin", "Never ends.", wat('(func (export "_start") (loop (br 0)))'))
    return library


@pytest.fixture
def runtime(library: Library) -> Iterator[Runtime]:
    with Runtime.open(library.path, model=ScriptedModel(run_echo)) as runtime:
        yield runtime


@pytest.fixture
def client(runtime: Runtime) -> Iterator[httpx2.Client]:
    with serving(runtime) as client:
        yield client


def good(response: httpx2.Response) -> Any:
    assert response.status_code == 200, response.text
    return response.json()


def test_a_capability_has_versions_sources_and_differences(client: httpx2.Client, runtime: Runtime) -> None:
    runtime.mutator().submit(DRAFT, None, "somebody")
    first = runtime.library.load("double")
    contract = first.capability.model_copy(update={"summary": "Doubles a whole number."})
    release = dataclasses.replace(republished(first, status="active"), contract=contract, parent="double@1")
    runtime.library.publish(release, expected_version=1)
    versions = good(client.get("/capabilities/double/versions"))["versions"]
    assert [(one["version"], one["status"]) for one in versions] == [(1, "superseded"), (2, "active")]
    assert list(good(client.get("/capabilities/double/source"))["files"].values()) == [DRAFT["source"]]
    diff = good(client.get("/capabilities/double/diff", params={"old": 1, "new": 2}))
    assert '+"Doubles a whole number."' in diff["changes"]["summary"]
    back = good(client.post("/capabilities/double/rollback", json={"version": 1}))
    assert (back["version"], runtime.library.get("double").summary) == (3, first.capability.summary)


def test_a_person_retires_restores_and_pins(client: httpx2.Client) -> None:
    assert good(client.post("/capabilities/echo_city/status", json={"status": "retired"}))["status"] == "retired"
    assert kind_of(client.post("/capabilities/echo_city/run", json={"city": "Oslo"})) == (409, "retired")
    assert good(client.post("/capabilities/echo_city/status", json={"status": "active"}))["status"] == "active"
    assert good(client.post("/capabilities/echo_city/pin", json={"pinned": True}))["pinned"] is True
    assert kind_of(client.post("/capabilities/echo_city/status", json={"status": "trusted"})) == (400, "usage")


def test_runs_are_listed_shown_and_replayed(client: httpx2.Client) -> None:
    first = client.post("/capabilities/echo_city/run", json={"city": "Ås"}).headers["metier-run-id"]
    assert kind_of(client.post("/capabilities/complain/run", json={})) == (422, "program")
    failed = good(client.get("/runs", params={"failed": "true"}))["runs"]
    assert [run["capability"] for run in failed] == ["complain"]
    assert [run["run_id"] for run in good(client.get("/runs", params={"capability": "echo_city"}))["runs"]] == [first]
    assert [run["run_id"] for run in good(client.get("/runs", params={"before": failed[0]["run_id"]}))["runs"]] == [
        first
    ]
    assert good(client.get(f"/runs/{first}"))["output"] == {"city": "Ås"}
    assert good(client.post(f"/runs/{first}/replay"))["identical"] is True
    assert kind_of(client.get("/runs/0123")) == (404, "unknown_run")
    assert kind_of(client.get("/runs", params=[("limit", "1"), ("limit", "2")])) == (400, "usage")


def test_a_draft_that_waits_is_seen_and_decided_on(client: httpx2.Client, runtime: Runtime) -> None:
    runtime.mutator().submit(DRAFT | WISH, None, "somebody")
    waiting = good(client.get("/approvals"))["approvals"]
    assert [draft["id"] for draft in waiting] == ["double"]
    draft = good(client.get("/approvals/double"))
    assert "def run" in "".join(draft["source"].values())
    other = client.post("/approvals/double", json={"approve": True, "seen": "another"})
    assert kind_of(other) == (409, "another_draft")
    done = good(client.post("/approvals/double", json={"approve": True, "seen": draft["fingerprint"]}))
    assert done == {"id": "double", "decision": "published", "version": 1}
    assert kind_of(client.get("/approvals/double")) == (404, "unknown_draft")
    runtime.mutator().submit(DRAFT | WISH | {"id": "twice"}, None, "somebody")
    seen = good(client.get("/approvals/twice"))["fingerprint"]
    rejected = good(client.post("/approvals/twice", json={"approve": False, "seen": seen}))
    assert rejected["decision"] == "rejected"
    assert good(client.get("/approvals")) == {"approvals": []}


def test_figures_for_people_and_for_prometheus(client: httpx2.Client) -> None:
    good(client.post("/tasks", json={"task": "Which city is Oslo?"}))
    good(client.post("/capabilities/echo_city/run", json={"city": "Oslo"}))
    client.post("/capabilities/complain/run", json={})
    assert good(client.get("/stats"))["tasks"]["asked"] == 1
    assert good(client.get("/stats", params={"since": "2100-01-01T00:00:00Z"}))["tasks"]["asked"] == 0
    lines = client.get("/metrics").text.splitlines()
    figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert figures['metier_runs_total{outcome="ok"}'] == "2"
    assert figures['metier_runs_total{outcome="failed"}'] == "1"
    assert figures['metier_tasks_total{route="model"}'] == "1"
    assert figures['metier_model_calls_total{role="chat"}'] == "2"
    path = "/capabilities/{id}/run"
    assert figures[f'metier_http_requests_total{{method="POST",path="{path}",status="422"}}'] == "1"
    assert float(figures["metier_run_seconds_count"]) == 3
    assert not any("Oslo" in line or "echo_city" in line for line in lines)


# Clients that behave badly


def test_a_client_that_says_nothing_or_half_a_request_is_let_go(
    client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedConnection, "head_seconds", 0.2)
    address = (str(client.base_url.host), client.base_url.port or 0)
    for said in (b"", b"GET /health HTT", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Half"):
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(said)
            assert connection.recv(100) == b""
    assert good(client.get("/health"))["status"] == "ok"


def test_a_client_that_vanishes_loses_no_run(client: httpx2.Client, runtime: Runtime) -> None:
    body = b'{"city": "Oslo"}'
    head = f"POST /capabilities/echo_city/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    for _ in range(8):
        with socket.create_connection((str(client.base_url.host), client.base_url.port or 0)) as connection:
            connection.sendall(head.encode() + body)
            connection.recv(1)
    with socket.create_connection((str(client.base_url.host), client.base_url.port or 0)) as connection:
        connection.sendall(head.encode() + body[:4])
    assert good(client.get("/health"))["status"] == "ok"
    assert len(runtime.journal.recent(100)) == 8


def test_a_stop_waits_for_runs_that_are_under_way(library: Library) -> None:
    text = (library.path / "metier.toml").read_text("utf-8")
    (library.path / "metier.toml").write_text(f"{text}[limits]\nfuel = 1_000_000_000_000\nseconds = 1.0\n", "utf-8")
    answers: list[httpx2.Response] = []
    with Runtime.open(library.path, workers=1) as runtime:
        with serving(runtime) as client:

            def spin() -> None:
                with httpx2.Client(base_url=client.base_url, trust_env=False, timeout=60) as own:
                    answers.append(own.post("/capabilities/spin/run", json={}))

            thread = threading.Thread(target=spin)
            thread.start()
            while good(client.get("/health")) and not _busy(client):
                pass
        thread.join()
        assert [kind_of(answer) for answer in answers] == [(500, "time")]
        assert [run["kind"] for run in runtime.journal.recent()] == ["time"]


def _busy(client: httpx2.Client) -> bool:
    return "metier_worker_calls 1" in client.get("/metrics").text
