"""Capabilities in worker processes: a run whose process is lost fails alone, and every run is kept exactly once."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx2
import pytest
import wasmtime

from metier import Runtime
from metier.config import Settings, load_settings
from metier.errors import UnknownCapability
from metier.library import Library
from metier.lifecycle import republished
from metier.outcomes import Failed, Ran
from metier.runs import Runs
from metier.sandbox.box import Box
from metier.sandbox.crew import Crew
from metier.workforce import Job, Workforce, at_work
from tests.conftest import ECHO, says
from tests.test_crashes import counting_in_sqlite
from tests.test_mcp_server import CITY, publish
from tests.web.test_app import kind_of, serving


class Office(ThreadingHTTPServer):
    """A server that programs ask. It says who has come, and answers when it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Desk)
        self.came: SimpleQueue[None] = SimpleQueue()
        self.opened = threading.Event()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Desk(BaseHTTPRequestHandler):
    server: Office

    def do_GET(self) -> None:
        self.server.came.put(None)
        self.server.opened.wait()
        self.send_response_only(204)  # without the date, in which two runs could differ
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def asking(origin: str) -> bytes:
    """A program that asks the office, and then writes its input out again."""
    request = json.dumps({"op": "http.request", "method": "GET", "url": f"{origin}/"})
    literal = request.replace('"', '\\"')
    return bytes(
        wasmtime.wat2wasm(f"""(module
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "metier" "call" (func $call (param i32 i32) (result i32)))
            (memory (export "memory") 2)
            (data (i32.const 1024) "{literal}")
            (func (export "_start")
              (drop (call $call (i32.const 1024) (i32.const {len(request)})))
              (i32.store (i32.const 0) (i32.const 4096)) (i32.store (i32.const 4) (i32.const 60000))
              (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
              (i32.store (i32.const 4) (i32.load (i32.const 8)))
              (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))""")
    )


@pytest.fixture
def office() -> Iterator[Office]:
    with Office() as office:
        thread = threading.Thread(target=office.serve_forever)
        thread.start()
        try:
            yield office
        finally:
            office.opened.set()
            office.shutdown()
            thread.join()


@pytest.fixture
def library(tmp_path: Path, office: Office) -> Library:
    library = Library.create(tmp_path / "capabilities")
    grant = f'http = [{{ origin = "{office.origin}", methods = ["GET"] }}]\n'
    (library.path / "metier.toml").write_text(
        f'[http]\nnetworks = ["127.0.0.0/8"]\n[policy]\n{grant}', encoding="utf-8"
    )
    publish(library, "echo_city", "Returns the city.", ECHO, input_schema=CITY, output_schema=CITY)
    publish(
        library,
        "ask_office",
        "Asks the office, and returns the city.",
        asking(office.origin),
        input_schema=CITY,
        output_schema=CITY,
        effects="read",
        permissions={"http": [{"origin": office.origin, "methods": ["GET"]}]},
    )
    return library


def execute(runtime: Runtime, id: str, city: str) -> Ran | Failed:
    return runtime.execute(runtime.library.get(id), {"city": city})


def processes(runtime: Runtime) -> list[int]:
    assert runtime.workforce is not None
    return runtime.workforce.crew.processes


def test_a_run_in_a_worker_is_the_run_that_it_is_in_process(library: Library, office: Office) -> None:
    office.opened.set()
    with Runtime.open(library.path) as here, Runtime.open(library.path, workers=2) as there:
        for id, input in (("echo_city", {"city": "Oslo"}), ("echo_city", {"town": 1}), ("ask_office", {"city": "Ås"})):
            capability = here.library.get(id)
            outcomes = [runtime.execute(capability, input) for runtime in (here, there)]
            seen = [
                (type(o), o.input, getattr(o, "output", None), getattr(o, "error", None), o.fuel, o.effects, o.grant)
                for o in outcomes
            ]
            assert seen[0] == seen[1]
        assert there.execute(capability, float("nan")) != there.execute(capability, {"city": float("nan")})
        rows = there.journal.recent()
        assert [row["kind"] for row in rows] == ["input", "input", None, None, "input", "input", None, None]
        # Those that were no JSON are kept as words about it.
        assert all(there.replay(row["run_id"]).identical for row in rows[2:])


def test_a_killed_worker_fails_one_run_of_many_and_each_is_kept_once(library: Library, office: Office) -> None:
    with Runtime.open(library.path, workers=4) as runtime, ThreadPoolExecutor(16) as threads:
        calls = [threads.submit(execute, runtime, "ask_office", f"city {n}") for n in range(16)]
        for _ in range(4):
            office.came.get()  # all workers are in the middle of a run
        os.kill(processes(runtime)[0], signal.SIGKILL)
        office.opened.set()
        outcomes = [call.result() for call in calls]
        (lost,) = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
        assert (lost.kind, lost.consequence) == ("lost", "")
        assert lost.error == "the run was lost: its process ended (SIGKILL)"
        for number, outcome in enumerate(outcomes):
            assert outcome is lost or (isinstance(outcome, Ran) and outcome.output == {"city": f"city {number}"})
        rows = runtime.journal.recent(100)
        assert sorted(row["run_id"] for row in rows) == sorted(outcome.run_id for outcome in outcomes)
        assert [row["input"] for row in rows if row["kind"] == "lost"] == [lost.input]
        assert runtime.journal.verify() == (16, None)
        assert all(runtime.replay(row["run_id"]).identical for row in rows if row["kind"] is None)
        assert str(runtime.replay(lost.run_id).difference).startswith("record: the run was lost")
        assert runtime.library.get("ask_office").live
        assert len(set(processes(runtime))) == 4


def test_a_version_that_loses_its_process_twice_on_one_input_is_quarantined(library: Library, office: Office) -> None:
    with Runtime.open(library.path, workers=1) as runtime, ThreadPoolExecutor(1) as threads:
        outcomes = []
        for city in ("Oslo", "Ås", "Oslo"):
            call = threads.submit(execute, runtime, "ask_office", city)
            office.came.get()
            os.kill(processes(runtime)[0], signal.SIGKILL)
            outcomes.append(call.result())
        follows = [outcome.consequence for outcome in outcomes if isinstance(outcome, Failed)]
        assert follows[:2] == ["", ""]
        assert "ask_office@1 broke its contract and is quarantined" in follows[2]
        assert runtime.journal.evidence.failures() == []  # nobody is to try that input again
        assert not runtime.library.get("ask_office").live
        assert isinstance(execute(runtime, "echo_city", "Oslo"), Ran)


def dying_at(step: str, library: Path, settings: Settings) -> Callable[[Job], Ran | Failed]:
    """What a worker does that is killed at a step of a run's commit."""
    runs = Runs(Library(library), settings, Box())

    def reach(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    runs.runner._commits._checkpoint = reach

    def work(job: Job) -> Ran | Failed:
        outcome = runs.execute(runs.library.get(job.capability, job.version), json.loads(job.input), run_id=job.run_id)
        reach("answered")
        return outcome

    return work


def test_a_run_that_was_committed_when_its_worker_died_is_given_from_the_journal(tmp_path: Path) -> None:
    library = counting_in_sqlite(tmp_path)
    settings = load_settings(library.path)
    count = 0
    for step, kept in (("files staged", False), ("store committed", True), ("recorded", True), ("answered", True)):
        with Runtime.open(library.path) as runtime:
            crew: Crew[Job, Ran | Failed] = Crew(partial(dying_at, step, library.path, settings), 1, seconds=60)
            runtime.workforce = Workforce(runtime._runs, crew)
            outcome = runtime.execute(runtime.library.get("count_up"), {})
            count += kept
            if kept:
                assert isinstance(outcome, Ran)
                assert outcome.output == {"n": count}
            else:
                assert isinstance(outcome, Failed)
                assert outcome.kind == "lost"
            assert (library.path / "data" / "a.txt").read_text(encoding="utf-8").strip("0") in ("", str(count))
            ids = [row["run_id"] for row in runtime.journal.recent(100)]
            assert ids.count(outcome.run_id) == 1
            assert runtime.journal.verify()[1] is None
            assert runtime.runner.recover() == []


def test_a_worker_that_hangs_is_given_up(library: Library, office: Office) -> None:
    make = partial(at_work, library.path, load_settings(library.path))
    with Runtime.open(library.path) as runtime:
        runtime.workforce = Workforce(runtime._runs, Crew(make, 1, seconds=0.5))
        outcome = execute(runtime, "ask_office", "Oslo")
        assert isinstance(outcome, Failed)
        assert (outcome.kind, outcome.error) == ("lost", "the run was lost: it took longer than 0.5 s")
        assert isinstance(execute(runtime, "echo_city", "Oslo"), Ran)


def test_workers_see_what_is_published_and_retired(library: Library) -> None:
    with Runtime.open(library.path, workers=2) as runtime:
        publish(library, "say", "Says.", says('"one"'))
        assert [runtime.call("say", {}) for _ in range(4)] == ["one"] * 4
        first = runtime.library.load("say")
        publish_next(library, says('"two"'))
        assert [runtime.call("say", {}) for _ in range(4)] == ["two"] * 4
        assert runtime.call("say", {}, version=1) == "one"
        runtime.lifecycle.set_status("say", "retired", "a test")
        outcome = runtime.execute(first.capability, {})
        assert isinstance(outcome, Ran)
        (library.path / "say").rename(library.path / ".gone")
        with pytest.raises(UnknownCapability, match="no capability 'say'"):
            runtime.execute(first.capability, {})


def publish_next(library: Library, wasm: bytes) -> None:
    artifact = library.load("say")
    release = republished(artifact, status="active")
    library.publish(dataclasses.replace(release, wasm=wasm), expected_version=1)


def test_a_server_with_too_many_runs_says_when_to_come_again(library: Library, office: Office) -> None:
    make = partial(at_work, library.path, load_settings(library.path))
    with Runtime.open(library.path) as runtime:
        runtime.workforce = Workforce(runtime._runs, Crew(make, 1, seconds=60, waiting=0))
        with serving(runtime) as client, ThreadPoolExecutor(1) as threads:
            first = threads.submit(client.post, "/capabilities/ask_office/run", json={"city": "Oslo"})
            office.came.get()
            refused = client.post("/capabilities/echo_city/run", json={"city": "Oslo"})
            office.opened.set()
            assert kind_of(refused) == (503, "overloaded")
            assert refused.headers["retry-after"] == "1"
            assert first.result().json() == {"city": "Oslo"}
            assert client.get("/health").json()["workers"] == 1


def started(library: Library, *arguments: str) -> tuple[subprocess.Popen[str], str]:
    """`metier serve`, and where it listens."""
    command = [sys.executable, "-m", "metier", "serve", "--library", str(library.path), "--port", "0", *arguments]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    assert server.stderr is not None
    found = re.search(r"http://127\.0\.0\.1:\d+", server.stderr.readline())
    assert found is not None
    return server, found.group()


def children(parent: int) -> dict[int, str]:
    """The processes that a process started, with their command lines."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            started_by = int((path / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
            if started_by == parent:
                found[int(path.name)] = (path / "cmdline").read_text(encoding="utf-8")
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in Linux's way")
def test_the_served_library_outlives_its_workers_and_they_do_not_outlive_it(library: Library, office: Office) -> None:
    server, address = started(library, "--workers", "2")
    with (
        server,
        httpx2.Client(base_url=address, trust_env=False, timeout=60) as client,
        ThreadPoolExecutor(2) as threads,
    ):
        calls = [
            threads.submit(client.post, "/capabilities/ask_office/run", json={"city": city}) for city in ("Oslo", "Ås")
        ]
        for _ in calls:
            office.came.get()
        workers = [pid for pid, command in children(server.pid).items() if "resource_tracker" not in command]
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        office.opened.set()
        statuses = sorted(call.result().status_code for call in calls)
        assert statuses == [200, 500]
        (lost,) = [call.result() for call in calls if call.result().status_code == 500]
        assert kind_of(lost) == (500, "lost")
        assert [
            row["kind"] for row in client.get("/runs").json()["runs"] if row["run_id"] == lost.json()["error"]["run_id"]
        ] == ["lost"]
        for city in ("Oslo", "Ås"):
            assert client.post("/capabilities/ask_office/run", json={"city": city}).json() == {"city": city}
        watched = [os.pidfd_open(pid) for pid in children(server.pid)]
        server.kill()
        server.wait()
        for descriptor in watched:
            assert select.select([descriptor], [], [], 30)[0]
            os.close(descriptor)


def test_a_server_that_is_told_to_stop_finishes_its_runs(library: Library, office: Office) -> None:
    server, address = started(library, "--workers", "2")
    with (
        server,
        httpx2.Client(base_url=address, trust_env=False, timeout=60) as client,
        ThreadPoolExecutor(3) as threads,
    ):
        calls = [
            threads.submit(client.post, "/capabilities/ask_office/run", json={"city": f"city {n}"}) for n in range(3)
        ]
        for _ in range(2):
            office.came.get()
        server.send_signal(signal.SIGTERM)
        office.opened.set()
        done = [call.exception() or call.result().status_code for call in calls]
        output, errors = server.communicate(timeout=60)
        assert "Traceback" not in output + errors
    served = done.count(200)
    assert served >= 2  # the third may have come too late
    with Runtime.open(library.path) as runtime:
        assert [row["kind"] for row in runtime.journal.recent()] == [None] * served
