"""Compilation happens in a bounded process: what does not compile within the limits is refused."""

from __future__ import annotations

import tempfile

import pytest
import wasmtime

from metier.errors import InvalidModule
from metier.sandbox.compiler import compile_module
from metier.sandbox.limits import Limits
from metier.sandbox.native import new_engine
from tests.conftest import ECHO


def bomb(functions: int) -> bytes:
    """A module that is small for what it costs to compile."""
    body = "(local.set 0 (i64.mul (local.get 0) (i64.add (local.get 1) (i64.const 3))))" * 400
    many = "".join(f"(func (param i64 i64) (result i64) {body} (local.get 0))" for _ in range(functions))
    return bytes(wasmtime.wat2wasm(f'(module (memory (export "memory") 1) (func (export "_start")) {many})'))


def compiled(wasm: bytes, limits: Limits) -> bytes:
    with tempfile.TemporaryFile() as file:
        compile_module(wasm, limits, file)
        file.seek(0)
        return file.read()


def test_compiled_code_is_that_of_the_engine() -> None:
    module = wasmtime.Module.deserialize(new_engine(), compiled(ECHO, Limits()))
    assert [export.name for export in module.exports] == ["memory", "_start"]


def test_a_module_that_does_not_validate_says_why() -> None:
    with pytest.raises(InvalidModule, match="does not load: "):
        compiled(ECHO[:-20], Limits())


def test_a_compilation_that_takes_too_long_is_ended() -> None:
    with pytest.raises(InvalidModule, match="takes"):
        compiled(bomb(3000), Limits(compile_seconds=1))


def test_a_compilation_that_takes_too_much_memory_is_ended() -> None:
    with pytest.raises(InvalidModule, match="takes more than 200 MiB"):
        compiled(bomb(500), Limits(compile_memory_bytes=200 * 2**20))


def test_code_that_is_many_times_its_module_is_refused() -> None:
    calls = f"(func {'(call 0)' * 1000})" * 60
    wasm = bytes(wasmtime.wat2wasm(f'(module (func) (memory (export "memory") 1) (func (export "_start")) {calls})'))
    with pytest.raises(InvalidModule, match="native code has more than"):
        compiled(wasm, Limits(compiled_bytes=8 * len(wasm)))
