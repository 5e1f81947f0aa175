"""The module around Python bytecode."""

from __future__ import annotations

import pytest
import wasmtime

from metier.errors import BuildError
from metier.sandbox.box import Box
from metier.toolchains import python

SIZES = [0, 1, 63, 64, 127, 128, 8191, 8192, 65535, 65536, 65537, 200_000, 3_000_000]


def test_a_capability_is_a_few_hundred_bytes(box: Box) -> None:
    wasm = python.build("def run(input):\n    return input\n", box)
    assert len(wasm) < 600
    assert wasm == python.build("def run(input):\n    return input\n", box)


def test_a_syntax_error_stops_the_build(box: Box) -> None:
    with pytest.raises(BuildError, match=r"line 2"):
        python.build("def run(input):\n    retrun 1\n", box)


@pytest.mark.parametrize("size", SIZES)
def test_the_module_hands_exactly_its_bytecode_to_the_engine(size: int) -> None:
    code = bytes(n % 251 for n in range(size))
    store = wasmtime.Store()
    module = wasmtime.Module(store.engine, python.wrap(code))
    handed: list[bytes] = []

    def run(caller: wasmtime.Caller, address: int, length: int) -> None:
        memory = caller["memory"]
        assert isinstance(memory, wasmtime.Memory)
        handed.append(bytes(memory.read(caller, address, address + length)))

    signature = wasmtime.FuncType([wasmtime.ValType.i32(), wasmtime.ValType.i32()], [])
    linker = wasmtime.Linker(store.engine)
    linker.define_func("metier:python", "run", signature, run, access_caller=True)
    exports = linker.instantiate(store, module).exports(store)
    start, memory = exports["_start"], exports["memory"]
    assert isinstance(start, wasmtime.Func) and isinstance(memory, wasmtime.Memory)
    start(store)
    assert handed == [code]
    assert memory.size(store) == max(1, -(-size // 65536))
    assert memory.type(store).limits.max == memory.size(store)
    assert [(i.module, i.name) for i in module.imports] == [("metier:python", "run")]
    assert {e.name for e in module.exports} == {"memory", "_start"}
