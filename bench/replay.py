"""Records many runs over all example capabilities, then replays each with nothing outside in reach.

    python bench/replay.py [--runs 10000]

Files, SQL and HTTP are real while recording. Then the library is moved, its data deleted and the server stopped, and
another process replays: on another day (`faketime`, where it is installed) and without a network (`unshare -n`, where
that is allowed). Prints how many are identical, and what a replay costs beside the run itself.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import http.server
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from metier import Runtime
from metier.outcomes import Ran

EXAMPLE = Path(__file__).parents[1] / "examples" / "hr"
ORIGIN = "http://127.0.0.1:8765"
"""What the example's call_api may ask."""


class Api(http.server.BaseHTTPRequestHandler):
    """Answers each request differently, so that a replay that asked again would show."""

    answered = itertools.count()

    def do_GET(self) -> None:
        body = json.dumps({"path": self.path, "count": next(self.answered), "at": time.time()}).encode()
        self.send_response(200 if self.path.startswith("/capabilities") else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextlib.contextmanager
def serving() -> Iterator[None]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(ORIGIN.rpartition(":")[2])), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--replay", type=Path, metavar="LIBRARY", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.replay:
        print(json.dumps(dataclasses.asdict(replay(options.replay, options.runs))))
        return
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "capabilities"
        shutil.copytree(EXAMPLE, library, ignore=shutil.ignore_patterns(".metier"))
        with serving():
            ran, effects, seconds = record(library, options.runs)
        moved = Path(folder) / "elsewhere"
        library.rename(moved)
        shutil.rmtree(moved / "data")
        prefix, how = elsewhere()
        command = [*prefix, sys.executable, __file__, "--runs", str(options.runs), "--replay", str(moved)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(f"the replaying process ended with status {done.returncode}")
    replayed = Replayed(**json.loads(done.stdout))
    asked = ", ".join(f"{count} {kind}" for kind, count in sorted(effects.items()))
    print(f"{options.runs} runs recorded ({ran} ended well), having looked outside: {asked}")
    print(f"{replayed.identical} replay identically, in another folder, without data and server, {how}")
    for difference in replayed.differences[:10]:
        print(f"  {difference}")
    theirs = statistics.median(seconds)
    mine = replayed.median_seconds
    print(f"a replay takes {mine * 1e3:.2f} ms, the run took {theirs * 1e3:.2f} ms: {mine / theirs:.2f} ×")
    print(f"the clock of the replaying process said {replayed.day}")
    if replayed.identical != options.runs:
        sys.exit(1)


def elsewhere() -> tuple[list[str], str]:
    """A command that starts another one on another day and without a network, as far as this machine can; and how."""
    prefix: list[str] = []
    said = []
    for tool, command, works in (
        ("no network", ["unshare", "--net"], "without a network"),
        ("another day", ["faketime", "2031-05-04 03:02:01"], "on another day"),
    ):
        possible = (
            shutil.which(command[0])
            and not subprocess.run([*command, "true"], capture_output=True, check=False).returncode
        )
        if possible:
            prefix += command
        said.append(works if possible else f"{tool} could not be had ({command[0]} does not work here)")
    return prefix, " and ".join(said)


def record(library: Path, count: int) -> tuple[int, dict[str, int], list[float]]:
    """How many of the runs ended well, what kinds of effects they had, and the seconds of each."""
    ran, effects, seconds = 0, dict[str, int](), []
    with Runtime.open(library) as runtime:
        cases = [(c, e.input) for c in runtime.library.live() for e in c.examples]
        for capability, value in itertools.islice(itertools.cycle(cases), count):
            began = time.perf_counter()
            outcome = runtime.execute(capability, value)
            seconds.append(time.perf_counter() - began)
            ran += isinstance(outcome, Ran)
            for effect in outcome.effects:
                kind = _kind(json.loads(effect.request))
                effects[kind] = effects.get(kind, 0) + 1
    return ran, effects, seconds


def _kind(request: object) -> str:
    """What an observation was of: a request through the door, or a look at files, clock or random numbers."""
    if isinstance(request, dict):
        return str(request.get("op"))
    return str(request[0]) if isinstance(request, list) and request else "other"


@dataclasses.dataclass(frozen=True)
class Replayed:
    """How many runs replay identically, and how the others differ."""

    identical: int
    differences: list[str]
    median_seconds: float
    day: str


def replay(library: Path, count: int) -> Replayed:
    identical, differences, seconds = 0, [], []
    with Runtime.open(library) as runtime:
        for row in runtime.journal.recent(count):
            began = time.perf_counter()
            comparison = runtime.replay(row["run_id"])
            seconds.append(time.perf_counter() - began)
            identical += comparison.identical
            if comparison.difference:
                differences.append(f"{comparison.run_id} {comparison.capability}: {comparison.difference}")
    return Replayed(identical, differences, statistics.median(seconds), time.strftime("%Y-%m-%d"))


if __name__ == "__main__":
    main()
