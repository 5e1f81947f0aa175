"""C17 with `metier.h`."""

from __future__ import annotations

from typing import Final

from metier.toolchains.zigcc import Clang

C_INCLUDES: Final = ("include", "libc/include/wasm-wasi-musl", "libc/include/generic-musl")

C = Clang("c", "capability.c", (".c",), driver="cc", standard="gnu17", includes=C_INCLUDES)
