"""What others take for the same: each function returns something to call that does the whole task once.

Extism, Monty and componentize-py are installed by pip into the folder of the tools when they are measured, and imported
from there; Metier does not depend on them.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import site
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import wasmtime
from programs import Absent, installed

Work = Callable[[], Any]
EXTISM, MONTY, COMPONENTIZE = "extism==1.1.1", "pydantic-monty==1.4.0", "componentize-py==0.25.1"


def process(*command: str) -> Work:
    return lambda: subprocess.run(command, check=True, capture_output=True)


def imported(tools: Path, requirement: str) -> Path:
    """Makes what `requirement` installs importable here. Returns the python it is installed for."""
    python = installed(tools, requirement)
    site.addsitedir(str(next((python.parents[1] / "lib").glob("python3*")) / "site-packages"))
    return python


def extism_fresh(tools: Path, wasm: bytes, input: Any) -> Work:
    """A plug-in compiled once, and an instance of it for each call."""
    imported(tools, EXTISM)
    import extism
    from extism.extism import CompiledPlugin

    compiled = CompiledPlugin(wasm, wasi=True)

    def call() -> Any:
        with extism.Plugin(compiled) as plugin:
            return json.loads(plugin.call("total", json.dumps(input)))

    return call


def extism_reused(tools: Path, wasm: bytes, input: Any) -> Work:
    """One instance for all calls, which keeps what a call leaves in its memory."""
    imported(tools, EXTISM)
    import extism

    plugin = extism.Plugin(wasm, wasi=True)
    return lambda: json.loads(plugin.call("total", json.dumps(input)))


def builtin_wasi(wasm: bytes, input: Any) -> Work:
    """wasmtime-py with its own WASI: compiled and linked once, an instance for each call, streams by way of files."""
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    prepared = linker.instantiate_pre(wasmtime.Module(engine, wasm))
    folder = tempfile.TemporaryDirectory()
    paths = [Path(folder.name) / name for name in ("in", "out", "err")]

    def call() -> Any:
        paths[0].write_text(json.dumps(input), encoding="utf-8")
        store = wasmtime.Store(engine)
        wasi = wasmtime.WasiConfig()
        wasi.stdin_file, wasi.stdout_file, wasi.stderr_file = map(str, paths)
        store.set_wasi(wasi)
        start = prepared.instantiate(store).exports(store)["_start"]
        with contextlib.suppress(wasmtime.ExitTrap):
            start(store)
        return json.loads(paths[1].read_text(encoding="utf-8"))

    call.folder = folder  # type: ignore[attr-defined]  # lives as long as the call
    return call


@contextlib.contextmanager
def monty(tools: Path, source: str, input: Any) -> Iterator[dict[str, Work]]:
    """Monty runs its own subset of Python, without CPython's library, in worker processes that it keeps."""
    os.environ.setdefault("MONTY_BIN", str(imported(tools, MONTY).with_name("monty")))
    from pydantic_monty import Monty

    with Monty() as pool:

        def fresh() -> Any:
            with pool.checkout() as session:
                return session.feed_run(f"{source}\nrun(input)", inputs={"input": input})

        with pool.checkout() as kept:
            kept.feed_run(source)
            yield {
                "pydantic-monty, a session for each call": fresh,
                "pydantic-monty, one session for all": lambda: kept.feed_run("run(input)", inputs={"input": input}),
            }


def component(tools: Path, source: str, input: Any) -> Work:
    """The same program as a component of its own with a CPython of its own, under wasmtime's built-in WASI."""
    from wasmtime.component import Component, Linker

    wasm = tools / "total-component.wasm"
    if not wasm.exists():
        _build_component(tools, source, wasm)
    engine = wasmtime.Engine()
    compiled = Component.from_file(engine, str(wasm))
    linker = Linker(engine)
    linker.add_wasip2()

    def call() -> Any:
        store = wasmtime.Store(engine)
        store.set_wasi(wasmtime.WasiConfig())
        run = linker.instantiate(store, compiled).get_func(store, "run")
        if run is None:
            raise Absent("the component exports no run")
        return json.loads(run(store, json.dumps(input)))

    return call


def _build_component(tools: Path, source: str, wasm: Path) -> None:
    builder = installed(tools, COMPONENTIZE).with_name("componentize-py")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "world.wit").write_text(
            "package bench:total;\nworld total { export run: func(input: string) -> string; }\n", encoding="utf-8"
        )
        Path(folder, "app.py").write_text(
            f"import json\nimport wit_world\n\n{source}\n\nclass WitWorld(wit_world.WitWorld):\n"
            "    def run(self, input):\n        return json.dumps(globals()['run'](json.loads(input)))\n",
            encoding="utf-8",
        )
        command = [builder, "-d", "world.wit", "-w", "total", "componentize", "app", "-o", str(wasm)]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


def spin(input: dict[str, int]) -> dict[str, int]:
    """What the capability of the batch does, as plain Python."""
    total = 0
    for i in range(input["n"]):
        total += i * i % 7
    return {"total": total}


def plain_processes(inputs: list[dict[str, int]], workers: int) -> Iterator[dict[str, int]]:
    """`multiprocessing` with plain Python: no sandbox, no journal, one process for all inputs of a worker."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(spin, inputs)


if __name__ == "__main__":
    sys.exit("this is what bench/speed.py compares with; run that")
