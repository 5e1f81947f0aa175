"""How long things take, each beside a named peer that is measured in the same run.

    python bench/speed.py              everything but the component
    python bench/speed.py --component  also a component per capability, built with componentize-py (installs it, slow)

Absolute times are this machine's, now; the ratios are what to quote.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wasmtime

from metier import Runtime
from metier.capability import Capability
from metier.permissions import Permissions
from metier.runner import Runner
from metier.sandbox.box import Box
from metier.sandbox.limits import Limits
from metier.toolchains import python

EXAMPLE = Path(__file__).parents[1] / "examples" / "hr"
SOURCE = 'def run(input: dict) -> dict:\n    return {"total": sum(x["price"] * x["count"] for x in input["items"])}\n'
INPUT = {"items": [{"price": n, "count": n % 7, "name": f"item number {n}"} for n in range(20)]}
"""About 1 KB of JSON."""


@dataclass(frozen=True)
class Row:
    what: str
    seconds: list[float]
    goal: str
    peers: dict[str, list[float]]

    def show(self) -> None:
        mine = statistics.median(self.seconds)
        print(f"{self.what:44} {_time(mine):>10}   goal {self.goal}")
        for name, seconds in self.peers.items():
            theirs = statistics.median(seconds)
            ratio = f"ours is {theirs / mine:.1f} × as fast" if theirs > mine else f"ours takes {mine / theirs:.1f} ×"
            print(f"    {name:40} {_time(theirs):>10}   {ratio}")


def measured(work: Callable[[], Any], count: int, warm_up: int = 3) -> list[float]:
    """Seconds of each call, after some that do not count."""
    for _ in range(warm_up):
        work()
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return seconds


def process(*command: str) -> Callable[[], Any]:
    return lambda: subprocess.run(command, check=True, capture_output=True)


def python_capability(box: Box, with_component: bool) -> Row:
    runner = Runner(box, roots={}, policy=Permissions(), limits=Limits())
    capability = Capability(id="total", summary="Adds up.", binary="total.wasm")
    loaded = runner.load(capability, python.build(SOURCE, box))
    script = f"import json, sys\n{SOURCE}\nprint(json.dumps(run(json.loads(sys.argv[1]))))"
    peers = {"python -c in a subprocess": measured(process(sys.executable, "-c", script, json.dumps(INPUT)), 20)}
    if with_component:
        with tempfile.TemporaryDirectory() as folder:
            peers["a component per capability, precompiled"] = measured(component(Path(folder)), 50)
    return Row("Python capability, fresh instance", measured(lambda: runner.run(loaded, INPUT), 300), "≤ 3 ms", peers)


def component(folder: Path) -> Callable[[], Any]:
    """The same program as a component of its own, under wasmtime's built-in WASI."""
    from wasmtime.component import Component, Linker

    venv.create(folder / "venv", with_pip=True)
    bin_ = folder / "venv" / "bin"
    subprocess.run([bin_ / "pip", "install", "-q", "componentize-py==0.25.1"], check=True)
    (folder / "world.wit").write_text(
        "package bench:total;\nworld total { export run: func(input: string) -> string; }\n", encoding="utf-8"
    )
    (folder / "app.py").write_text(
        f"import json\nimport wit_world\n\n{SOURCE}\n\nclass WitWorld(wit_world.WitWorld):\n"
        "    def run(self, input):\n        return json.dumps(globals()['run'](json.loads(input)))\n",
        encoding="utf-8",
    )
    subprocess.run(
        [bin_ / "componentize-py", "-d", "world.wit", "-w", "total", "componentize", "app", "-o", "total.wasm"],
        cwd=folder,
        check=True,
    )
    engine = wasmtime.Engine()
    compiled = Component.from_file(engine, str(folder / "total.wasm"))
    linker = Linker(engine)
    linker.add_wasip2()
    text = json.dumps(INPUT)

    def call() -> None:
        store = wasmtime.Store(engine)
        store.set_wasi(wasmtime.WasiConfig())
        run = linker.instantiate(store, compiled).get_func(store, "run")
        assert run is not None
        run(store, text)

    return call


def native_capability(box: Box) -> Row:
    wasm = (EXAMPLE / "get_car_details" / "get_car_details.wasm").read_bytes()
    runner = Runner(box, roots={}, policy=Permissions(), limits=Limits())
    loaded = runner.load(Capability(id="echo", summary="Echo.", binary="echo.wasm"), ECHO)
    text = json.dumps(INPUT).encode()

    def compiled_each_call() -> None:
        engine = wasmtime.Engine()
        with_builtin_wasi(engine, wasmtime.Module(engine, wasm), text)

    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, ECHO)
    return Row(
        "C-sized module, fresh instance",
        measured(lambda: runner.run(loaded, INPUT), 1000),
        "≤ 0.25 ms",
        {
            "wasmtime-py with its built-in WASI": measured(lambda: with_builtin_wasi(engine, module, text), 200),
            "compiling a C module at each call": measured(compiled_each_call, 20),
        },
    )


def with_builtin_wasi(engine: wasmtime.Engine, module: wasmtime.Module, text: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("in", "out", "err")]
        paths[0].write_bytes(text)
        store = wasmtime.Store(engine)
        wasi = wasmtime.WasiConfig()
        wasi.stdin_file, wasi.stdout_file, wasi.stderr_file = map(str, paths)
        store.set_wasi(wasi)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        start = linker.instantiate(store, module).exports(store)["_start"]
        with contextlib.suppress(wasmtime.ExitTrap):
            start(store)  # type: ignore[operator]  # it is a function


def rows(with_component: bool) -> Iterator[Row]:
    box = Box(announce=lambda line: print(line, file=sys.stderr))
    yield python_capability(box, with_component)
    yield native_capability(box)
    with tempfile.TemporaryDirectory() as folder:
        library = str(Path(folder) / "capabilities")
        metier = (sys.executable, "-m", "metier")
        subprocess.run([*metier, "init", "--example", "hr", library], check=True, capture_output=True)
        nothing = {"python -c pass": measured(process(sys.executable, "-c", "pass"), 20)}
        call = (*metier, "-L", library, "call", "get_salary_details", '{"name": "John"}')
        yield Row("metier call, whole process", measured(process(*call), 20), "≤ 400 ms", nothing)
        yield Row("metier --help, whole process", measured(process(*metier, "--help"), 20), "≤ 150 ms", nothing)
        with Runtime.open(library) as runtime:
            task = "What's John's salary?"
            yield Row(
                "recall of a solved task, in process",
                measured(lambda: runtime.run_sync(task), 100),
                "≤ 10 ms",
                {"the capability alone": measured(lambda: runtime.call("get_salary_details", {"name": "John"}), 100)},
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
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--component", action="store_true", help="also build and measure a component per capability")
    for row in rows(parser.parse_args().component):
        row.show()


if __name__ == "__main__":
    main()
