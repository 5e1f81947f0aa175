"""Which wasm the sandbox admits: a command module that imports only what Metier offers."""

from __future__ import annotations

from collections.abc import Collection

import wasmtime

from metier.errors import InvalidModule

MAGIC = b"\0asm\x01\0\0\0"
COMPONENT_MAGIC = b"\0asm\x0d\0\1\0"


def check_bytes(wasm: bytes, max_bytes: int) -> None:
    """What can be said of a module before it is compiled.

    Raises:
        InvalidModule: empty, too large, or not a core module at all.
    """
    if not wasm:
        raise InvalidModule("the wasm file is empty")
    if len(wasm) > max_bytes:
        raise InvalidModule(f"the module has {len(wasm)} bytes, more than the limit of {max_bytes}")
    if wasm.startswith(COMPONENT_MAGIC):
        raise InvalidModule("this is a component; a capability is a core module (wasm32-wasip1 command)")
    if not wasm.startswith(MAGIC):
        raise InvalidModule("this is not a WebAssembly module")


def check_shape(module: wasmtime.Module, offered: Collection[tuple[str, str]]) -> None:
    """That a compiled module is a command and wants nothing beyond `offered`. Signatures are checked when it is linked.

    Raises:
        InvalidModule: with the first thing that is missing or not offered.
    """
    for wanted in module.imports:
        if (wanted.module, wanted.name or "") not in offered:
            raise InvalidModule(f"the module imports {wanted.module}.{wanted.name}, which Metier does not offer")
    exports = {export.name: export.type for export in module.exports}
    start = exports.get("_start")
    if not isinstance(start, wasmtime.FuncType) or start.params or start.results:
        raise InvalidModule("the module exports no function _start without parameters and results")
    if not isinstance(exports.get("memory"), wasmtime.MemoryType):
        raise InvalidModule("the module exports no memory named memory")
