"""Which wasm the sandbox admits: a command module that imports only what Metier offers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

import wasmtime

from metier.errors import InvalidModule
from metier.printable import visible

MAGIC = b"\0asm\x01\0\0\0"
COMPONENT_MAGIC = b"\0asm\x0d\0\1\0"

TYPES, IMPORTS, EXPORTS, DATA = 1, 2, 7, 11
"""Numbers of sections in the binary format."""
MOST: Final = {TYPES: 10_000, IMPORTS: 1_000, EXPORTS: 10_000}
"""Entries of a section that this process makes objects of; compilers of real programs stay far below."""
SMALL_BYTES: Final = 512
"""What a module has beside its data at most to be compiled without a process of its own."""
ENGINE_MEMORY_PAGES: Final = 128
"""Memory of a module that only hands its data to an engine, which has a memory of its own beside it."""


def check_bytes(wasm: bytes, max_bytes: int) -> None:
    """What can be said of a module before it is compiled.

    Raises:
        InvalidModule: empty, too large, not a core module at all, or with more types, imports or exports than any.
    """
    if not wasm:
        raise InvalidModule("the wasm file is empty")
    if len(wasm) > max_bytes:
        raise InvalidModule(f"the module has {len(wasm)} bytes, more than the limit of {max_bytes}")
    if wasm.startswith(COMPONENT_MAGIC):
        raise InvalidModule("this is a component; a capability is a core module (wasm32-wasip1 command)")
    if not wasm.startswith(MAGIC):
        raise InvalidModule("this is not a WebAssembly module")
    for number, start, end in _sections(wasm):
        count, _ = _unsigned(wasm, start, end)
        if count > MOST.get(number, count):
            what = {TYPES: "types", IMPORTS: "imports", EXPORTS: "exports"}[number]
            raise InvalidModule(f"the module has {count} {what}, more than the limit of {MOST[number]}")


def is_small(wasm: bytes) -> bool:
    """Whether it is mostly data, with so little beside it that compiling it cannot take long."""
    beside = len(wasm) - sum(end - start for number, start, end in _sections(wasm) if number == DATA)
    return beside <= SMALL_BYTES


def names_import(wasm: bytes, names: Collection[str]) -> bool:
    """Whether one of these modules stands among the names of the imports; one that is imported from has it there."""
    imports = [wasm[start:end] for number, start, end in _sections(wasm) if number == IMPORTS]
    return any(name.encode() in section for section in imports for name in names)


def check_shape(
    module: wasmtime.Module, offered: Collection[tuple[str, str]], engines: Collection[tuple[str, str]]
) -> None:
    """That a compiled module is a command and wants nothing beyond `offered`; one that wants an engine, no memory to
    speak of. Signatures are checked when it is linked.

    Raises:
        InvalidModule: with the first thing that is missing or not offered.
    """
    wanted = [(wanted.module, wanted.name or "") for wanted in module.imports]
    for name in wanted:
        if name not in offered:
            raise InvalidModule(f"the module imports {_shown('.'.join(name))}, which Metier does not offer")
    exports = {export.name: export.type for export in module.exports}
    start = exports.get("_start")
    if not isinstance(start, wasmtime.FuncType) or start.params or start.results:
        raise InvalidModule("the module exports no function _start without parameters and results")
    memory = exports.get("memory")
    if not isinstance(memory, wasmtime.MemoryType):
        raise InvalidModule("the module exports no memory named memory")
    if any(name in engines for name in wanted) and (memory.limits.max or 2**16) > ENGINE_MEMORY_PAGES:
        raise InvalidModule(
            f"the module is for an engine, and its memory is not limited to {ENGINE_MEMORY_PAGES // 16} MiB"
        )


def _sections(wasm: bytes) -> Iterator[tuple[int, int, int]]:
    """(number, start, end) of each section, as far as the bytes make sense; what does not, the compiler refuses."""
    at = len(MAGIC)
    while at < len(wasm):
        number = wasm[at]
        size, start = _unsigned(wasm, at + 1, len(wasm))
        at = min(start + size, len(wasm))
        yield number, start, at


def _unsigned(wasm: bytes, at: int, end: int) -> tuple[int, int]:
    """The LEB128 number of at most 32 bits at `at`, and where it ends."""
    value = 0
    for shift in range(0, 35, 7):
        if at >= end:
            break
        byte = wasm[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    return value, at


def _shown(name: str) -> str:
    """A name that somebody else chose, fit for one line."""
    return visible(name) if len(name) <= 200 else f"{visible(name[:200])}…"
