"""Modules that start where another instance ended."""

from __future__ import annotations

import pytest
import wasmtime

from metier.errors import InvalidModule
from metier.sandbox.image import with_memory

COUNTER = """(module
  (memory (export "memory") 3)
  (data (i32.const 100) "before")
  (func (export "count") (result i32)
    (i32.store (i32.const 131072) (i32.add (i32.load (i32.const 131072)) (i32.const 1)))
    (i32.load (i32.const 131072)))
  (func (export "grow") (drop (memory.grow (i32.const 2))) (i32.store8 (i32.const 262144) (i32.const 7)))
  (func (export "other")))"""


def instance(wasm: bytes) -> tuple[wasmtime.Store, wasmtime.InstanceExports, wasmtime.Memory]:
    store = wasmtime.Store()
    exports = wasmtime.Instance(store, wasmtime.Module(store.engine, wasm), []).exports(store)
    memory = exports["memory"]
    assert isinstance(memory, wasmtime.Memory)
    return store, exports, memory


def call(store: wasmtime.Store, exports: wasmtime.InstanceExports, name: str) -> object:
    function = exports[name]
    assert isinstance(function, wasmtime.Func)
    return function(store)


def test_an_image_goes_on_where_the_instance_was() -> None:
    wasm = bytes(wasmtime.wat2wasm(COUNTER))
    store, exports, memory = instance(wasm)
    for _ in range(300):
        call(store, exports, "count")
    call(store, exports, "grow")
    kept = bytes(memory.read(store, 0, memory.data_len(store)))
    image = with_memory(wasm, kept, {"memory", "count"})
    store, exports, memory = instance(image)
    assert bytes(memory.read(store, 0, memory.data_len(store))) == kept
    assert len(kept) == 5 * 65536
    assert call(store, exports, "count") == 301
    assert set(exports) == {"memory", "count"}
    assert len(image) < 300


@pytest.mark.parametrize(
    "memory",
    [bytes(65536), b"\1" * 65536, b"\1" + bytes(65534) + b"\1", bytes(range(256)) * 256, (b"\1" + bytes(63)) * 1024],
)
def test_every_byte_of_the_memory_is_in_the_image(memory: bytes) -> None:
    image = with_memory(bytes(wasmtime.wat2wasm('(module (memory (export "memory") 1))')), memory, {"memory"})
    store, _, found = instance(image)
    assert bytes(found.read(store, 0, 65536)) == memory


def test_a_module_that_would_change_its_memory_at_the_start_has_no_image() -> None:
    wasm = bytes(wasmtime.wat2wasm('(module (memory (export "memory") 1) (func $f) (start $f))'))
    with pytest.raises(InvalidModule, match="start function"):
        with_memory(wasm, bytes(65536), {"memory"})
