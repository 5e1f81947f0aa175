"""How long things take, each beside a named peer that is measured in the same run.

    python bench/speed.py                      all rows; peers and compilers are installed into the cache folder
    python bench/speed.py --only Python map    rows whose name contains one of these words
    python bench/speed.py --component          also a component per capability, built with componentize-py (slow)

Everything in a row is measured in turns, in several rounds; of the rounds' medians the lowest is shown, and of their
p99 likewise. Absolute times are this machine's, now; the ratios are what to quote.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peers
import wasmtime
from peers import Work, process
from programs import Absent, built

from metier import Library, Runtime
from metier.batch import map_inputs
from metier.capability import Capability, Contract, Provenance
from metier.library import Release
from metier.outcomes import Ran
from metier.permissions import Permissions
from metier.runner import Loaded, Runner
from metier.sandbox.box import Box
from metier.sandbox.cache import default_cache_folder
from metier.sandbox.limits import Limits
from metier.sandbox.shipped import PYTHON
from metier.toolchains import Workshop, python, toolchain

SOURCE = 'def run(input: dict) -> dict:\n    return {"total": sum(x["price"] * x["count"] for x in input["items"])}\n'
JAVASCRIPT = "function run({ items }) { return { total: items.reduce((sum, x) => sum + x.price * x.count, 0) } }\n"
INPUT = {"items": [{"price": n, "count": n % 7, "name": f"item number {n}"} for n in range(20)]}
"""About 1 KB of JSON."""
SPIN = (
    'def run(input: dict) -> dict:\n    total = 0\n    for i in range(input["n"]):\n        total += i * i % 7\n'
    '    return {"total": total}\n'
)
READ = (
    'def run(input: dict) -> dict:\n    total = 0\n    for n in range(input["n"]):\n'
    '        with open(f"/data/{n}.txt") as file:\n            total += len(file.read())\n    return {"total": total}\n'
)
EFFECTS = 20
"""Effects of one run, where the time of one is measured."""
ROUNDS = 20
SIDE_BY_SIDE = 320
"""Runs by many threads at once, where the time of one is measured."""


@dataclass(frozen=True)
class Figure:
    """Seconds. Without a p99 it is the mean of a batch."""

    median: float
    p99: float | None


@dataclass(frozen=True)
class Row:
    """`checks` are what is said of the goals: the words, and whether they are met."""

    what: str
    figures: Mapping[str, Figure]
    checks: Sequence[tuple[str, bool]] = ()
    notes: Sequence[str] = field(default=())

    def show(self) -> None:
        print(f"\n{self.what}")
        mine = next(iter(self.figures.values()), Figure(1, None))
        for name, figure in self.figures.items():
            ratio = "" if figure is mine else f"{figure.median / mine.median:8.2f} × ours"
            shown = f"mean   {_time(figure.median):>9}" + " " * 16
            if figure.p99 is not None:
                shown = f"median {_time(figure.median):>9}   p99 {_time(figure.p99):>9}"
            print(f"    {name:60} {shown} {ratio}")
        for words, met in self.checks:
            print(f"    goal {words}: {'met' if met else 'NOT MET'}")
        for note in self.notes:
            print(f"    {note}")


def compared(works: Mapping[str, tuple[Work, int]], rounds: int = ROUNDS) -> dict[str, Figure]:
    """Each work called `count` times a round, the works in turns; of each the lowest median and the lowest p99."""
    best: dict[str, tuple[float, float]] = {}
    for _, (name, (work, count)) in itertools.product(range(rounds), works.items()):
        for _ in range(max(1, count // 10)):
            work()
        seconds = sorted(_timed(work) for _ in range(count))
        median, p99 = statistics.median(seconds), seconds[min(count - 1, count * 99 // 100)]
        best[name] = min(best.get(name, (median, p99))[0], median), min(best.get(name, (median, p99))[1], p99)
    return {name: Figure(*best[name]) for name in works}


def _timed(work: Work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class Bench:
    """What the rows share: a box, a folder for tools that are kept, and a temporary one."""

    def __init__(self, tools: Path, scratch: Path, with_component: bool) -> None:
        self.tools = tools
        self.scratch = scratch
        self.with_component = with_component
        self.box = Box(announce=lambda line: print(line, file=sys.stderr))

    # Fresh instances

    def fresh_c(self) -> Row:
        return self._native("C", "c", 100, 100e-6, 300e-6)

    def fresh_rust(self) -> Row:
        return self._native("Rust", "rust", 100, 100e-6, 300e-6)

    def fresh_go(self) -> Row:
        return self._native("Go", "go", 20, 1.5e-3, None)

    def _native(self, name: str, language: str, count: int, goal: float, p99: float | None) -> Row:
        wasm = built(language, self.tools)
        run = self._running(wasm)
        works = {"Metier": (run, count), "wasmtime-py, built-in WASI, fresh": (peers.builtin_wasi(wasm, INPUT), count)}
        notes = ["Extism: no fuel, no virtual clock, files or randomness; input and output as bytes, no schemas."]
        try:
            plugin = built(language, self.tools, extism=True)
            works |= {
                "Extism's Python SDK, fresh": (peers.extism_fresh(self.tools, plugin, INPUT), count),
                "Extism's Python SDK, one instance for all calls": (
                    peers.extism_reused(self.tools, plugin, INPUT),
                    count,
                ),
            }
        except Absent as absent:
            notes = [f"not beside Extism: {absent}"]
        figures = compared(works)
        mine = figures["Metier"]
        checks = [(f"median ≤ {_time(goal)}", mine.median <= goal)]
        if p99 is not None:
            checks.append((f"p99 ≤ {_time(p99)}", mine.p99 is not None and mine.p99 <= p99))
        return Row(f"{name}, fresh instance, 1 KB of JSON", figures, checks, notes)

    def fresh_python(self) -> Row:
        script = f"import json, sys\n{SOURCE}\nprint(json.dumps(run(json.loads(sys.argv[1]))))"
        works: dict[str, tuple[Work, int]] = {
            "Metier": (self._running(python.build(SOURCE, self.box)), 20),
            "python -c in a subprocess": (process(sys.executable, "-c", script, json.dumps(INPUT)), 3),
        }
        notes = [
            "Monty: a subset of Python in a process that is kept; no CPython library, no fuel, no record of a run."
        ]
        if self.with_component:
            works["a component per capability, precompiled"] = (peers.component(self.tools, SOURCE, INPUT), 20)
        try:
            with peers.monty(self.tools, SOURCE, INPUT) as sessions:
                figures = compared(works | {name: (work, 20) for name, work in sessions.items()})
        except Absent as absent:
            figures, notes = compared(works), [f"not beside Monty: {absent}"]
        met = figures["Metier"].median <= 2e-3
        return Row("Python capability, fresh instance, 1 KB of JSON", figures, [("median ≤ 2.00 ms", met)], notes)

    def fresh_javascript(self) -> Row:
        wasm = toolchain("javascript").build({"capability.js": JAVASCRIPT.encode()}, Workshop(self.box)).wasm
        works: dict[str, tuple[Work, int]] = {"Metier": (self._running(wasm), 500)}
        notes = []
        if shutil.which("node"):
            script = f"{JAVASCRIPT}console.log(JSON.stringify(run(JSON.parse(process.argv[1]))))"
            works["node -e in a subprocess"] = (process("node", "-e", script, json.dumps(INPUT)), 10)
        else:
            notes = ["not beside Node.js: it is not installed"]
        figures = compared(works)
        met = figures["Metier"].median <= 2e-3
        return Row("JavaScript capability, fresh instance, 1 KB of JSON", figures, [("median ≤ 2.00 ms", met)], notes)

    def _running(self, wasm: bytes) -> Work:
        """A run of the program on INPUT by the whole sandbox: schemas, grant, door, fresh instance, contract."""
        runner = Runner(self.box, roots={}, policy=Permissions(), limits=Limits())
        loaded = runner.load(_contract("total"), wasm)
        _must(runner.run(loaded, INPUT))
        return lambda: runner.run(loaded, INPUT)

    # Journal, replay, batches

    def journal(self) -> Row:
        programs = {"Python": python.build(SOURCE, self.box)}
        try:
            programs["C"] = built("c", self.tools)
        except Absent as absent:
            print(absent, file=sys.stderr)
        works: dict[str, tuple[Work, int]] = {}
        for keeps in (True, False):
            library = self._library(f"journal-{keeps}", programs, "" if keeps else "[journal]\nruns = 0\n")
            runtime = Runtime.open(library)
            for language in programs:
                capability = runtime.library.get(language.lower())
                work = _executing(runtime, capability, INPUT)
                works[f"{language}, journal {'on' if keeps else 'off'}"] = (work, 20)
        figures = compared(works)
        ratios = {p: figures[f"{p}, journal on"].median / figures[f"{p}, journal off"].median for p in programs}
        return Row(
            "Journal on against off",
            figures,
            [("≤ 1.2 × at Python's call length", ratios["Python"] <= 1.2)],
            [f"{name}: {ratio:.2f} × with the journal" for name, ratio in ratios.items()],
        )

    def replay(self) -> Row:
        library = self._library(
            "replay",
            {"files": python.build(READ, self.box)},
            '[roots]\ndata = "data"\n[policy]\nfiles = [{ root = "data", path = "**", access = "read" }]\n',
            Permissions.model_validate({"files": [{"root": "data", "path": "**", "access": "read"}]}),
        )
        _files(library / "data")
        runtime = Runtime.open(library)
        capability = runtime.library.get("files")
        outcome = runtime.execute(capability, {"n": 10})
        _must(outcome)
        figures = compared(
            {
                "replay of a run that reads ten files": (lambda: runtime.replay(outcome.run_id), 20),
                "the run itself": (_executing(runtime, capability, {"n": 10}), 20),
            }
        )
        mine, its_own = (figure.median for figure in figures.values())
        return Row("Replay", figures, [("≤ 1.2 × its own compute", mine <= 1.2 * its_own)])

    def batch(self) -> Row:
        library = self._library("map", {"spin": python.build(SPIN, self.box)})
        figures: dict[str, Figure] = {}
        checks, notes = [], []
        for name, n, count in (("some 50 ms", 250_000, 60), ("some 2 ms", 2_500, 1000)):
            ours, theirs = {}, {}
            for _, workers in itertools.product(range(3), (1, 2)):
                inputs = [{"n": n}] * count
                _keep_least(ours, workers, _pace(map_inputs(library, "spin", None, inputs, workers), count))
                _keep_least(theirs, workers, _pace(peers.plain_processes([{"n": 3 * n}] * count, workers), count))
            for workers in (1, 2):
                for who, paces in (("metier map", ours), ("multiprocessing, plain Python", theirs)):
                    figures[f"{who}, {name} an item, workers: {workers}"] = Figure(paces[workers], None)
            ratio, plain = ours[1] / ours[2], theirs[1] / theirs[2]
            checks.append((f"{name} an item: two workers ≥ 1.8 × one", ratio >= 1.8))
            notes.append(f"{name} an item: two workers are {ratio:.2f} × one; multiprocessing: {plain:.2f} ×")
        notes.append("Per item, once all workers run. A machine that does something else on one core shows in both.")
        return Row("metier map on two cores", figures, checks, notes)

    def workers(self) -> Iterator[Row]:
        library = self._library("workers", {"C": built("c", self.tools), "Python": python.build(SOURCE, self.box)})
        with Runtime.open(library) as here, Runtime.open(library, workers=2) as there:
            for name in ("C", "Python"):
                capability = here.library.get(name.lower())
                inside, outside = (_executing(runtime, capability, INPUT) for runtime in (here, there))
                figures = compared({"in a worker process": (outside, 50), "in process": (inside, 50)})
                ours, own = (figure.median for figure in figures.values())
                check = ("≤ 1.00 ms beyond a run in process", ours - own <= 1e-3)
                note = f"{_time(ours - own)} beyond a run in process"
                yield Row(f"A run in a worker process, {name}, journal on", figures, [check], [note])
                paces = {
                    "two worker processes": (functools.partial(_in_threads, outside), 3),
                    "in process": (functools.partial(_in_threads, inside), 3),
                }
                whole = compared(paces, rounds=5)
                each = {who: Figure(figure.median / SIDE_BY_SIDE, None) for who, figure in whole.items()}
                yield Row(f"Runs of 16 threads, {name}, time a run", each)

    # Effects

    def effect_files(self) -> Row:
        folder = _files(self.scratch / "files")
        grant = Permissions.model_validate({"files": [{"root": "data", "path": "**", "access": "read"}]})
        runner = Runner(self.box, roots={"data": folder}, policy=grant, limits=Limits())
        ask = [f'{{"op":"files.read","path":"/data/{n}.txt"}}' for n in range(EFFECTS)]
        run, idle = (_asking(runner, requests, "read", grant) for requests in (ask, []))

        def natively() -> None:
            for n in range(EFFECTS):
                (folder / f"{n}.txt").read_text(encoding="utf-8")

        return self._round_trip("Effect round trip: reading a file", run, idle, natively)

    def effect_call(self) -> Row:
        grant = Permissions.model_validate({"call": ["echo"]})
        inner = Runner(self.box, roots={}, policy=grant, limits=Limits())
        echo = inner.load(_contract("echo"), ECHO)
        runner = Runner(self.box, roots={}, policy=grant, limits=Limits(), resolve=lambda name, version: echo)
        ask = ['{"op":"call","capability":"echo","input":{"a":1}}'] * EFFECTS
        run, idle = (_asking(runner, requests, "read", grant) for requests in (ask, []))

        def natively() -> None:
            for _ in range(EFFECTS):
                inner.run(echo, {"a": 1})

        return self._round_trip("Effect round trip: calling a capability", run, idle, natively)

    def _round_trip(self, what: str, run: Work, idle: Work, natively: Work) -> Row:
        works = {"a run with effects": (run, 20), "a run without": (idle, 20), "their own work": (natively, 20)}
        figures = compared(works)
        whole, nothing, own = (figure.median for figure in figures.values())
        beyond = (whole - nothing - own) / EFFECTS
        return Row(
            f"{what}, {EFFECTS} in a run",
            figures,
            [("≤ 50 µs beyond its own work", beyond <= 50e-6)],
            [f"{_time(beyond)} an effect beyond its own work of {_time(own / EFFECTS)}"],
        )

    # Whole processes

    def command_line(self) -> Iterator[Row]:
        library = str(self.scratch / "hr")
        metier = (sys.executable, "-m", "metier")
        subprocess.run([*metier, "init", "--example", "hr", library], check=True, capture_output=True)
        call = (*metier, "-L", library, "call", "get_salary_details", '{"name": "John"}')
        for what, command, goal in (
            ("metier call, whole process", call, 0.4),
            ("metier --help, whole process", (*metier, "--help"), 0.15),
        ):
            works = {"Metier": (process(*command), 8), "python -c pass": (process(sys.executable, "-c", "pass"), 8)}
            figures = compared(works, rounds=3)
            yield Row(what, figures, [(f"≤ {_time(goal)}", figures["Metier"].median <= goal)])
        with Runtime.open(library) as runtime:
            task = "What's John's salary?"
            figures = compared(
                {
                    "recall of a solved task, in process": (lambda: runtime.run_sync(task), 40),
                    "the capability alone": (lambda: runtime.call("get_salary_details", {"name": "John"}), 40),
                }
            )
            recall, _ = figures.values()
            yield Row("Recall", figures, [("≤ 10.00 ms", recall.median <= 10e-3)])

    def _library(
        self, name: str, programs: Mapping[str, bytes], settings: str = "", permissions: Permissions | None = None
    ) -> Path:
        """A library with these programs, published as they are, under their names in lower case."""
        library = Library.create(self.scratch / name)
        if settings:
            (library.path / "metier.toml").write_text(settings, encoding="utf-8")
        for program, wasm in programs.items():
            effects: Any = "read" if permissions else "pure"
            contract = Contract(
                id=program.lower(), summary="Measured.", effects=effects, permissions=permissions or Permissions()
            )
            engine = PYTHON.pin if b"metier:python" in wasm[:200] else None
            made = Provenance(author="hand", created="2026-01-01T00:00:00+00:00")
            library.publish(Release(contract, wasm, {}, engine, None, made), expected_version=None)
        return library.path


def _contract(name: str) -> Capability:
    return Capability(id=name, summary="Measured.", binary=f"{name}.wasm")


def _executing(runtime: Runtime, capability: Capability, input: Any) -> Work:
    _must(runtime.execute(capability, input))
    return lambda: runtime.execute(capability, input)


def _in_threads(work: Work) -> None:
    """The work many times over, by 16 threads at once."""
    with ThreadPoolExecutor(16) as threads:
        for done in [threads.submit(work) for _ in range(SIDE_BY_SIDE)]:
            done.result()


def _must(outcome: Any) -> None:
    if not isinstance(outcome, Ran):
        sys.exit(f"{outcome.capability} does not run: {outcome.error}")


def _files(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(EFFECTS):
        (folder / f"{n}.txt").write_text(f"line {n}\n" * 100, encoding="utf-8")
    return folder


def _pace(results: Iterator[Any], count: int) -> float:
    """Seconds an item, from when every worker has had some."""
    for _ in range(count // 4):
        next(results)
    began = time.perf_counter()
    rest = sum(1 for _ in results)
    return (time.perf_counter() - began) / rest


def _keep_least(kept: dict[int, float], key: int, value: float) -> None:
    kept[key] = min(value, kept.get(key, value))


def _asking(runner: Runner, requests: Sequence[str], effects: Any, grant: Permissions) -> Work:
    """A run of a program that makes these requests, one after the other, and takes each answer."""
    asking = _contract("asking").model_copy(update={"effects": effects, "permissions": grant})
    loaded: Loaded = runner.load(asking, _asking_wasm(requests))
    _must(runner.run(loaded, {}))
    return lambda: runner.run(loaded, {})


def _asking_wasm(requests: Sequence[str]) -> bytes:
    data, calls, at = [], [], 1024
    for request in requests:
        data.append(f'(data (i32.const {at}) "{request.replace(chr(34), chr(92) + chr(34))}")')
        calls.append(f"(drop (call $call (i32.const {at}) (i32.const {len(request)}))) (call $read (i32.const 65536))")
        at += len(request)
    if at > 65536:
        raise ValueError("too many requests for one page")
    return bytes(
        wasmtime.wat2wasm(f"""(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "metier" "call" (func $call (param i32 i32) (result i32)))
            (import "metier" "read" (func $read (param i32)))
            (memory (export "memory") 3)
            (data (i32.const 16) "{{}}")
            {"".join(data)}
            (func (export "_start")
              {"".join(calls)}
              (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 2))
              (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))""")
    )


ECHO = bytes(
    wasmtime.wat2wasm("""(module
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 2)
        (func (export "_start")
          (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 100000))
          (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
          (i32.store (i32.const 4) (i32.load (i32.const 8)))
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))""")
)


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs" if abs(seconds) < 1e-3 else f"{seconds * 1e3:.2f} ms"


def rows(bench: Bench, only: Sequence[str]) -> Iterator[Row]:
    every: dict[str, Callable[[], Row | Iterator[Row]]] = {
        "C": bench.fresh_c,
        "Rust": bench.fresh_rust,
        "Go": bench.fresh_go,
        "Python": bench.fresh_python,
        "JavaScript": bench.fresh_javascript,
        "journal": bench.journal,
        "files": bench.effect_files,
        "call": bench.effect_call,
        "map": bench.batch,
        "workers": bench.workers,
        "replay": bench.replay,
        "cli": bench.command_line,
    }
    for name, make in every.items():
        if only and name not in only:
            continue
        try:
            made = make()
            yield from [made] if isinstance(made, Row) else made
        except Absent as absent:
            yield Row(f"{name}: not measured: {absent}", {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--component", action="store_true", help="also build and measure a component per capability")
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="ROW", help="C Rust Python JavaScript journal files call …"
    )
    parser.add_argument(
        "--tools", type=Path, default=default_cache_folder() / "bench", help="where peers are installed"
    )
    options = parser.parse_args()
    options.tools.mkdir(parents=True, exist_ok=True)
    missed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for row in rows(Bench(options.tools, Path(scratch), options.component), options.only):
            row.show()
            missed += sum(not met for _, met in row.checks)
    print(f"\n{missed} goals not met" if missed else "\nall goals met")


if __name__ == "__main__":
    main()
