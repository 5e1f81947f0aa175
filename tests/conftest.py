"""What all tests share: one sandbox for the session, small modules written as text, and an environment without keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from metier.capability import Capability
from metier.permissions import Permissions
from metier.runner import Runner
from metier.sandbox.box import Box
from metier.sandbox.limits import Limits

MODEL_VARIABLES = ("OPENAI_", "AZURE_OPENAI_", "FOUNDRY_", "ANTHROPIC_", "OLLAMA_", "METIER_")


@pytest.fixture(autouse=True)
def no_models_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests say which models there are; the machine's own keys play no part."""
    for name in list(os.environ):
        if name.startswith(MODEL_VARIABLES) and name != "METIER_CACHE_DIR":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def box() -> Iterator[Box]:
    yield Box()


def wat(body: str, *, pages: int = 1) -> bytes:
    """A command module: `body` inside a module that exports a memory and imports the WASI functions tests use."""
    return bytes(
        wasmtime.wat2wasm(f"""(module
            (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") {pages})
            {body})""")
    )


ECHO = wat("""
    (func (export "_start")
      (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 60000))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (i32.store (i32.const 4) (i32.load (i32.const 8)))
      (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))""")
"""Writes its input out again."""


def says(stdout: str = "", stderr: str = "", status: int = 0) -> bytes:
    """A module that writes these texts and ends with this status."""

    def literal(text: str) -> str:
        return "".join(f"\\{byte:02x}" for byte in text.encode("utf-8", "surrogateescape"))

    out, err = stdout.encode("utf-8", "surrogateescape"), stderr.encode()
    return wat(f"""
        (data (i32.const 64) "{literal(stdout)}")
        (data (i32.const {64 + len(out)}) "{literal(stderr)}")
        (func (export "_start")
          (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const {len(out)}))
          (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
          (i32.store (i32.const 0) (i32.const {64 + len(out)})) (i32.store (i32.const 4) (i32.const {len(err)}))
          (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
          (call $exit (i32.const {status})))""")


def capability(**values: Any) -> Capability:
    """A capability for a run in a test: anything in, anything out, unless said otherwise."""
    return Capability.model_construct(
        **{**Capability(id="under_test", summary="A test.", binary="x.wasm").__dict__, **values}
    )


def runner(
    box: Box,
    *,
    limits: Limits | None = None,
    roots: dict[str, Path] | None = None,
    state: Path | None = None,
    **policy: Any,
) -> Runner:
    """A runner with a policy given as JSON-like values. To keep more than one file it needs a `state` folder."""
    allowed = Permissions.model_validate(policy)
    if state is not None:
        state.mkdir(exist_ok=True)
    return Runner(box, roots=roots or {}, policy=allowed, limits=limits or Limits(), state=state)
