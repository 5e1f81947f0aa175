"""Compilation happens in a bounded process: what does not compile within the limits is refused."""

from __future__ import annotations

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


def test_compiled_code_is_that_of_the_engine() -> None:
    module = wasmtime.Module.deserialize(new_engine(), compile_module(ECHO, Limits()))
    assert [export.name for export in module.exports] == ["memory", "_start"]


def test_a_module_that_does_not_validate_says_why() -> None:
    with pytest.raises(InvalidModule, match="does not load: "):
        compile_module(ECHO[:-20], Limits())


def test_a_compilation_that_takes_too_long_is_ended() -> None:
    with pytest.raises(InvalidModule, match="takes"):
        compile_module(bomb(3000), Limits(compile_seconds=1))


def test_a_compilation_that_takes_too_much_memory_is_ended() -> None:
    with pytest.raises(InvalidModule, match="takes more than 200 MiB"):
        compile_module(bomb(500), Limits(compile_memory_bytes=200 * 2**20))
