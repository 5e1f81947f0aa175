"""The module around code for an engine."""

from __future__ import annotations

import pytest
import wasmtime

from metier.toolchains.carrier import carrier

SIZES = [0, 1, 63, 64, 127, 128, 8191, 8192, 65535, 65536, 65537, 200_000, 3_000_000]


@pytest.mark.parametrize("engine", ["python", "javascript"])
@pytest.mark.parametrize("size", SIZES)
def test_the_module_hands_exactly_its_code_to_the_engine(engine: str, size: int) -> None:
    code = bytes(n % 251 for n in range(size))
    store = wasmtime.Store()
    module = wasmtime.Module(store.engine, carrier(engine, code))
    handed: list[bytes] = []

    def run(caller: wasmtime.Caller, address: int, length: int) -> None:
        memory = caller["memory"]
        assert isinstance(memory, wasmtime.Memory)
        handed.append(bytes(memory.read(caller, address, address + length)))

    signature = wasmtime.FuncType([wasmtime.ValType.i32(), wasmtime.ValType.i32()], [])
    linker = wasmtime.Linker(store.engine)
    linker.define_func(f"metier:{engine}", "run", signature, run, access_caller=True)
    exports = linker.instantiate(store, module).exports(store)
    start, memory = exports["_start"], exports["memory"]
    assert isinstance(start, wasmtime.Func) and isinstance(memory, wasmtime.Memory)
    start(store)
    assert handed == [code]
    assert memory.size(store) == max(1, -(-size // 65536))
    assert memory.type(store).limits.max == memory.size(store)
    assert [(i.module, i.name) for i in module.imports] == [(f"metier:{engine}", "run")]
    assert {e.name for e in module.exports} == {"memory", "_start"}
