"""What a call costs over MCP and HTTP beyond the direct call, and how many calls a second `metier serve` answers.

    python bench/serve_speed.py [--calls 300] [--seconds 5] [--connections 32] [--workers 2]

Client and server share the machine's cores; the load comes from one process that only sends bytes and counts answers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mcp import Client, StdioServerParameters, stdio_client

from metier import Runtime

EXAMPLE = Path(__file__).parents[1] / "examples" / "hr"
WARM = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--capability", default="get_car_details", help="a C capability of the example")
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "capabilities"
        shutil.copytree(EXAMPLE, library, ignore=shutil.ignore_patterns(".metier"))
        with Runtime.open(library) as runtime:
            capability = runtime.library.get(options.capability)
            value = next(example.input for example in capability.examples if example.error is None)
            direct = timed(lambda: runtime.call(capability.id, value), options.calls)
        print(f"{capability.id} ({capability.language}), {options.calls} calls each; medians, and the 99th percentile")
        report("direct", direct, direct)
        over_mcp = asyncio.run(mcp(library, capability.id, value, options.calls, options.workers))
        report("MCP over stdio", over_mcp, direct)
        with serving(library, options.workers) as server:
            report("HTTP", over_http(server.port, capability.id, value, options.calls), direct)
            before, own = server.cpu_seconds(), time.process_time()
            calls = asyncio.run(load(server.port, capability.id, value, options.connections, options.seconds))
            spent, own = server.cpu_seconds() - before, time.process_time() - own
        rate = calls / options.seconds
        print(f"{'load':16} {rate:8.0f} calls/s on {options.connections} connections")
        print(f"{'of the CPU':16} {spent / calls * 1e3:8.2f} ms a call in the server, {own / calls * 1e3:.2f} here")


def timed(call: Callable[[], object], calls: int) -> list[float]:
    """Seconds of each call, after some that do not count."""
    for _ in range(WARM):
        call()
    taken = []
    for _ in range(calls):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return taken


def report(name: str, taken: list[float], direct: list[float]) -> None:
    middle, over = statistics.median(taken), statistics.median(taken) - statistics.median(direct)
    late = sorted(taken)[int(len(taken) * 0.99)]
    print(f"{name:16} {middle * 1e3:8.2f} ms   p99 {late * 1e3:8.2f} ms   {over * 1e3:+8.2f} ms over direct")


async def mcp(library: Path, id: str, value: object, calls: int, workers: int) -> list[float]:
    arguments = ["-m", "metier", "mcp", "--library", str(library), "--workers", str(workers)]
    parameters = StdioServerParameters(command=sys.executable, args=arguments)
    taken = []
    async with Client(stdio_client(parameters)) as client:
        for number in range(WARM + calls):
            begun = time.perf_counter()
            result = await client.call_tool("run_capability", {"capability_id": id, "input": value})
            if number >= WARM:
                taken.append(time.perf_counter() - begun)
            assert not result.is_error, result
    return taken


@dataclass(frozen=True)
class Serving:
    """A server in a process of its own."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """What the process and those below it have used of the processors."""
        parents, used = {}, {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                fields = path.read_text("utf-8", "replace").rpartition(")")[2].split()
                pid = int(path.parent.name)
                parents[pid], used[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        ours = {self.pid}
        while found := {pid for pid, parent in parents.items() if parent in ours} - ours:
            ours |= found
        return sum(used.get(pid, 0.0) for pid in ours)


@contextmanager
def serving(library: Path, workers: int) -> Iterator[Serving]:
    command = [sys.executable, "-m", "metier", "serve", "--library", str(library), "--port", "0", "-w", str(workers)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, encoding="utf-8") as server:
        assert server.stderr is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", server.stderr.readline())
        assert found is not None
        try:
            yield Serving(server.pid, int(found[1]))
        finally:
            server.terminate()


def over_http(port: int, id: str, value: object, calls: int) -> list[float]:
    connection, body = http.client.HTTPConnection("127.0.0.1", port), json.dumps(value)

    def call() -> None:
        connection.request("POST", f"/capabilities/{id}/run", body)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()

    return timed(call, calls)


async def load(port: int, id: str, value: object, connections: int, seconds: float) -> int:
    """How many calls were answered, each with status 200."""
    body = json.dumps(value).encode()
    head = f"POST /capabilities/{id}/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    request, end = head.encode() + body, time.monotonic() + seconds

    async def caller() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answered = 0
        while time.monotonic() < end:
            writer.write(request)
            told = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", told)
            assert length is not None
            assert told.startswith(b"HTTP/1.1 200 "), told
            await reader.readexactly(int(length[1]))
            answered += 1
        writer.close()
        return answered

    return sum(await asyncio.gather(*(caller() for _ in range(connections))))


if __name__ == "__main__":
    main()
