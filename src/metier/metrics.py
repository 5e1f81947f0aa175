"""Counters and gauges of one running process, in the text format of Prometheus.

https://prometheus.io/docs/instrumenting/exposition_formats/. Nothing here names a capability, an input or a task.
"""

from __future__ import annotations

import bisect
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from metier import events
from metier.runtime import Runtime

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of a histogram, in seconds."""
PAGE_BYTES = 4096

Labels = tuple[tuple[str, str], ...]


class Histogram:
    """How many took how long."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect.bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


class Metrics:
    """What one process has done. It hears the events of a runtime, and what the server says of each request."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._seconds = Histogram()
        self._runs: Counter[str] = Counter()
        self._run_seconds = Histogram()
        self._tasks: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._published = 0
        self.under_way = 0
        runtime.watchers.append(lambda: self.hear)

    def request(self, method: str, path: str, status: int, seconds: float) -> None:
        """Counts a request. `path` is that of the endpoint, with its parameters unfilled."""
        with self._lock:
            self._requests[(method, path, str(status))] += 1
            self._seconds.add(seconds)

    def hear(self, event: events.Event) -> None:
        with self._lock:
            match event:
                case events.RunEnded(ok=ok, seconds=seconds):
                    self._runs["ok" if ok else "failed"] += 1
                    self._run_seconds.add(seconds)
                case events.Answered(route=route):
                    self._tasks[route] += 1
                case events.TaskFailed():
                    self._tasks["failed"] += 1
                case events.ModelAnswered(role=role, tokens=tokens):
                    self._asked[role] += 1
                    self._tokens[role] += tokens
                case events.Published():
                    self._published += 1
                case _:
                    pass

    def text(self) -> str:
        """All figures as of now."""
        return "\n".join([*self._lines(), ""])

    def _lines(self) -> Iterator[str]:
        with self._lock:
            requests = {_labels(method=m, path=p, status=s): n for (m, p, s), n in self._requests.items()}
            yield from _counter("metier_http_requests_total", "Requests over HTTP", requests)
            yield from _histogram("metier_http_request_seconds", "How long requests took", self._seconds)
            runs = {_labels(outcome=outcome): self._runs[outcome] for outcome in ("ok", "failed")}
            yield from _counter("metier_runs_total", "Runs of capabilities", runs)
            yield from _histogram("metier_run_seconds", "How long runs took", self._run_seconds)
            tasks = {_labels(route=route): self._tasks[route] for route in ("recall", "model", "failed")}
            yield from _counter("metier_tasks_total", "Tasks by how they were answered", tasks)
            roles = ("chat", "author", "tester")
            asked = {_labels(role=role): self._asked[role] for role in roles}
            yield from _counter("metier_model_calls_total", "Requests to models", asked)
            tokens = {_labels(role=role): self._tokens[role] for role in roles}
            yield from _counter("metier_model_tokens_total", "Tokens of prompts and replies", tokens)
            yield from _counter("metier_published_total", "Versions published", {(): self._published})
            yield from _gauge("metier_http_requests_under_way", "Requests under way", {(): self.under_way})
        states = Counter(capability.status for capability in self._runtime.library.capabilities())
        known = {_labels(status=status): count for status, count in sorted(states.items())}
        yield from _gauge("metier_capabilities", "Capabilities by state", known)
        waiting = len(self._runtime.pending().all())
        yield from _gauge("metier_approvals_waiting", "Drafts that wait for a person", {(): waiting})
        if self._runtime.workforce is not None:
            crew = self._runtime.workforce.crew
            yield from _gauge("metier_workers", "Worker processes", {(): len(crew.processes)})
            yield from _gauge("metier_worker_calls", "Runs that workers have or that wait", {(): crew.calls})
        resident = _resident_bytes()
        if resident is not None:
            yield from _gauge("process_resident_memory_bytes", "Memory of the server's process", {(): resident})


def _labels(**values: str) -> Labels:
    return tuple(values.items())


def _counter(name: str, told: str, values: Mapping[Labels, float]) -> Iterator[str]:
    yield from _samples(name, told, "counter", values)


def _gauge(name: str, told: str, values: Mapping[Labels, float]) -> Iterator[str]:
    yield from _samples(name, told, "gauge", values)


def _samples(name: str, told: str, kind: str, values: Mapping[Labels, float]) -> Iterator[str]:
    yield f"# HELP {name} {told}"
    yield f"# TYPE {name} {kind}"
    for labels, value in values.items():
        yield f"{name}{_braced(labels)} {value}"


def _histogram(name: str, told: str, histogram: Histogram) -> Iterator[str]:
    yield f"# HELP {name} {told}"
    yield f"# TYPE {name} histogram"
    reached = 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), histogram.counts, strict=True):
        reached += count
        yield f'{name}_bucket{{le="{bound}"}} {reached}'
    yield f"{name}_sum {histogram.total:.6f}"
    yield f"{name}_count {reached}"


def _braced(labels: Labels) -> str:
    inside = ",".join(f'{name}="{value}"' for name, value in labels)
    return f"{{{inside}}}" if inside else ""


def _resident_bytes() -> int | None:
    """What the process holds in memory; None where the system does not say."""
    if sys.platform != "linux":
        return None
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return None
