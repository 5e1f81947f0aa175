"""wasmtime as it comes, with its own WASI and nothing of Metier's: what standalone files are for."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import wasmtime
from wasmtime.component import Component, Linker

from metier.sandbox.binary import Reader, name, section, sections, vector
from metier.sandbox.modules import COMPONENT_MAGIC

CORE_MODULE = 1


@dataclass(frozen=True)
class Ended:
    status: int
    stdout: bytes
    stderr: bytes


class Stock:
    """A host. Folders are opened under the names that programs know them by."""

    def __init__(self) -> None:
        self.engine = wasmtime.Engine()
        self.linker = wasmtime.Linker(self.engine)
        self.linker.define_wasi()
        self._compiled: dict[bytes, Component] = {}
        self._module: tuple[bytes, wasmtime.Module] | None = None

    def run(self, file: bytes, stdin: bytes, folders: Mapping[str, Path] | None = None) -> Ended:
        with tempfile.TemporaryDirectory() as scratch:
            store, streams = self._store(Path(scratch), stdin, folders or {})
            if file.startswith(COMPONENT_MAGIC):
                failed = self._run_component(store, file)
                status = int(failed)
            else:
                status = self._run_module(store, file)
            store.close()
            return Ended(status, *(stream.read_bytes() for stream in streams))

    def _store(self, scratch: Path, stdin: bytes, folders: Mapping[str, Path]) -> tuple[wasmtime.Store, list[Path]]:
        given = scratch / "stdin"
        given.write_bytes(stdin)
        streams = [scratch / "stdout", scratch / "stderr"]
        config = wasmtime.WasiConfig()
        config.stdin_file = str(given)
        config.stdout_file, config.stderr_file = map(str, streams)
        for guest, folder in folders.items():
            config.preopen_dir(str(folder), guest)
        store = wasmtime.Store(self.engine)
        store.set_wasi(config)
        return store, streams

    def _run_module(self, store: wasmtime.Store, file: bytes) -> int:
        if self._module is None or self._module[0] != file:
            self._module = file, wasmtime.Module(self.engine, file)
        start = self.linker.instantiate(store, self._module[1]).exports(store)["_start"]
        assert isinstance(start, wasmtime.Func)
        try:
            start(store)
        except wasmtime.ExitTrap as exited:
            return int(exited.code)
        return 0

    def _run_component(self, store: wasmtime.Store, file: bytes) -> bool:
        """Whether the program failed. Files of Python capabilities differ in one module alone, and ten seconds of
        compilation are for the rest: that is compiled once, and the module is given to it."""
        rest, program = taken_apart(file)
        component = self._compiled.get(rest)
        if component is None:
            component = self._compiled[rest] = Component(self.engine, rest)
        linker = Linker(self.engine)
        linker.add_wasip2()
        with linker.root() as root:
            root.add_module("program", wasmtime.Module(self.engine, program))
        return ran(store, linker, component)


def ran(store: wasmtime.Store, linker: Linker, component: Component) -> bool:
    """Runs what a component exports as a command; whether that failed."""
    instance = linker.instantiate(store, component)
    interface = next(name for name in component.type.exports(store.engine) if name.startswith("wasi:cli/run@"))
    index = component.get_export_index("run", component.get_export_index(interface))
    assert index is not None
    function = instance.get_func(store, index)
    assert function is not None
    return function(store).tag != "ok"


def taken_apart(component: bytes) -> tuple[bytes, bytes]:
    """The component with its last core module as an import instead, and that module."""
    found = [at for at in sections(component, len(COMPONENT_MAGIC)) if at[0] == CORE_MODULE]
    _, begins, start, end = found[-1]
    program = component[start:end]
    signature = b"\x50" + vector(
        [
            *(b"\x01" + type_ for type_ in of(program, 1)),
            *(b"\x00" + import_ for import_ in of(program, 2)),
            b"\x03" + name("run") + b"\x00" + b"\x01",
        ]
    )
    imported = section(3, b"\x01" + signature) + section(10, b"\x01\x00" + name("program") + b"\x00\x11\x00")
    return component[:begins] + imported + component[end:], program


def of(module: bytes, number: int) -> list[bytes]:
    """The types (1) or imports (2) of the module that Metier puts around Python's code, as they are encoded."""
    start, end = next((start, end) for n, _, start, end in sections(module, 8) if n == number)
    reader = Reader(module, start, end)
    return reader.many(lambda: _type(reader) if number == 1 else _import(reader))


def _type(reader: Reader) -> bytes:
    begins = reader.at
    reader.byte()
    for _ in range(2):
        reader.take(reader.number())
    return reader.since(begins)


def _import(reader: Reader) -> bytes:
    begins = reader.at
    reader.name(), reader.name()
    is_memory = reader.byte() == 2
    reader.take(2 if is_memory else 1)
    return reader.since(begins)
