"""Many clients at once on `metier serve`, some of them bad: no error, no lost run, bounded memory.

    python bench/serve_load.py [--clients 100] [--minutes 5] [--agents 4] [--bad 10] [--workers 2]

Honest clients run the example's capabilities over HTTP and hold each output against the example; agents do so over MCP.
Beside them, as many slow clients as hanging and as vanishing ones: they send byte by byte, half a request and then
nothing, or a request and leave. At the end the server is told to stop, and the journal has to have every run that was
answered. Memory is the server's own, its slope from a quarter of the time on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp import Client
from serve_speed import EXAMPLE, Serving, serving

from metier import Runtime

BYTE_SECONDS = 0.02
PAUSE_SECONDS = 0.5
BUSY = b"HTTP/1.1 503 "


@dataclass
class Seen:
    """What happened."""

    runs: set[str] = field(default_factory=set)
    taken: list[float] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    busy: int = 0
    slow: int = 0
    hanging: int = 0
    vanished: int = 0
    agents: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--agents", type=int, default=4)
    parser.add_argument("--bad", type=int, default=10, help="of each kind")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "capabilities"
        shutil.copytree(EXAMPLE, library, ignore=shutil.ignore_patterns(".metier"))
        with Runtime.open(library) as runtime:
            live = [c for c in runtime.library.live() if c.effects != "write" and c.language in ("c", "rust")]
            cases = [(c.id, e.input, e.output) for c in live for e in c.examples if e.error is None and not e.fixtures]
        seen = Seen()
        with serving(library, options.workers) as server:
            asyncio.run(everybody(server, cases, seen, options))
            stopped = time.monotonic()
        print(f"the server stopped within {time.monotonic() - stopped:.1f} s")
        with Runtime.open(library) as runtime:
            count, problem = runtime.journal.verify()
            lost = seen.runs - {run["run_id"] for run in runtime.journal.recent(count)}
    report(seen, options, lost, count, problem)


def report(seen: Seen, options: argparse.Namespace, lost: set[str], count: int, problem: str | None) -> None:
    late, middle = sorted(seen.taken)[int(len(seen.taken) * 0.99)], statistics.median(seen.taken)
    print(f"{len(seen.taken)} calls of {options.clients} clients, {len(seen.taken) / (options.minutes * 60):.0f}/s")
    print(f"median {middle * 1e3:.0f} ms, 99th percentile {late * 1e3:.0f} ms")
    print(f"{seen.agents} calls over MCP; {seen.slow} slow clients answered")
    print(f"{seen.hanging} hanging ones let go, {seen.vanished} vanished")
    print(f"{len(seen.wrong)} wrong, {seen.busy} told to come back, {len(lost)} of {len(seen.runs)} answered runs lost")
    print(f"journal: {count} runs, {problem or 'unbroken'}")
    settled = [point for point in seen.memory if point[0] >= options.minutes * 15]
    slope = statistics.linear_regression(*zip(*settled, strict=True)).slope * 3600 if len(settled) > 2 else 0.0
    sizes = [size for _, size in seen.memory]
    print(f"memory: {min(sizes):.0f} to {max(sizes):.0f} MiB, {slope:+.0f} MiB an hour")
    for line in seen.wrong[:5]:
        print(" ", line)


async def everybody(server: Serving, cases: list[Any], seen: Seen, options: argparse.Namespace) -> None:
    begun = time.monotonic()
    end = begun + options.minutes * 60
    work = [honest(server.port, cases, seen, end, random.Random(n)) for n in range(options.clients)]
    work += [agent(server.port, cases, seen, end, random.Random(n)) for n in range(options.agents)]
    for n in range(options.bad):
        work += [bad(server.port, cases, seen, end, random.Random(n)) for bad in (slow, hanging, vanishing)]
    await asyncio.gather(*work, watch(server.port, seen, begun, end))


def request(id: str, value: Any) -> bytes:
    body = json.dumps(value).encode()
    head = f"POST /capabilities/{id}/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    assert length is not None
    return head, await reader.readexactly(int(length[1]))


def judge(seen: Seen, head: bytes, body: bytes, expected: Any) -> bool:
    """Notes what is wrong with an answer; whether it is one."""
    if head.startswith(BUSY):
        seen.busy += 1
        return False
    run_id = re.search(rb"metier-run-id: (\w+)", head)
    if not head.startswith(b"HTTP/1.1 200 ") or run_id is None or json.loads(body) != expected:
        seen.wrong.append((head[:40] + body[:200]).decode("utf-8", "replace"))
        return False
    seen.runs.add(run_id[1].decode())
    return True


async def honest(port: int, cases: list[Any], seen: Seen, end: float, chosen: random.Random) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < end:
        id, value, expected = chosen.choice(cases)
        begun = time.monotonic()
        writer.write(request(id, value))
        if judge(seen, *await answer(reader), expected):
            seen.taken.append(time.monotonic() - begun)
        else:
            await asyncio.sleep(1)
    writer.close()


async def agent(port: int, cases: list[Any], seen: Seen, end: float, chosen: random.Random) -> None:
    async with Client(f"http://127.0.0.1:{port}/mcp", mode=chosen.choice(["auto", "legacy"])) as client:
        while time.monotonic() < end:
            id, value, expected = chosen.choice(cases)
            result = await client.call_tool("run_capability", {"capability_id": id, "input": value})
            run = result.structured_content or {}
            if result.is_error or run["output"] != expected:
                seen.wrong.append(f"MCP: {result.content}")
            else:
                seen.runs.add(run["run_id"])
                seen.agents += 1


async def slow(port: int, cases: list[Any], seen: Seen, end: float, chosen: random.Random) -> None:
    while time.monotonic() < end:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        id, value, expected = chosen.choice(cases)
        for byte in request(id, value):
            writer.write(bytes([byte]))
            await asyncio.sleep(BYTE_SECONDS)
        seen.slow += judge(seen, *await answer(reader), expected)
        writer.close()


async def hanging(port: int, cases: list[Any], seen: Seen, end: float, chosen: random.Random) -> None:
    while time.monotonic() < end:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        id, value, _ = chosen.choice(cases)
        writer.write(request(id, value)[:30])
        said = await reader.read(100)
        seen.hanging += said == b""
        writer.close()


async def vanishing(port: int, cases: list[Any], seen: Seen, end: float, chosen: random.Random) -> None:
    while time.monotonic() < end:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        id, value, _ = chosen.choice(cases)
        writer.write(request(id, value))
        await writer.drain()
        writer.transport.abort()
        seen.vanished += 1
        await asyncio.sleep(PAUSE_SECONDS)


async def watch(port: int, seen: Seen, begun: float, end: float) -> None:
    """The server's memory, every so often."""
    while time.monotonic() < end:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        _, text = await answer(reader)
        resident = re.search(rb"process_resident_memory_bytes (\d+)", text)
        if resident is not None:
            seen.memory.append((time.monotonic() - begun, int(resident[1]) / 2**20))
        writer.close()
        await asyncio.sleep(2)


if __name__ == "__main__":
    main()
