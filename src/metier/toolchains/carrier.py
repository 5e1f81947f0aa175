"""The module around code for an engine.

It is the same for every capability but for the code, so it is put together here byte by byte:

    (module
      (import "metier:ENGINE" "run" (func (param i32 i32)))
      (memory (export "memory") PAGES PAGES)
      (func (export "_start") (call 0 (i32.const 0) (i32.const LENGTH)))
      (data (i32.const 0) CODE))
"""

from __future__ import annotations

from metier.sandbox.binary import name, section, signed, unsigned

PAGE = 65536


def carrier(engine: str, code: bytes) -> bytes:
    """The module that hands `code` to an engine: "python" or "javascript"."""
    return _head(f"metier:{engine}", len(code)) + code


def _head(module: str, size: int) -> bytes:
    pages = unsigned(max(1, -(-size // PAGE)))
    body = b"\x00\x41\x00\x41" + signed(size) + b"\x10\x00\x0b"  # no locals; i32.const 0, i32.const size, call 0, end
    data = b"\x01\x00\x41\x00\x0b" + unsigned(size)  # one active segment at i32.const 0
    return (
        b"\0asm\x01\x00\x00\x00"
        + section(1, b"\x02\x60\x02\x7f\x7f\x00\x60\x00\x00")  # (i32, i32) -> (), () -> ()
        + section(2, b"\x01" + name(module) + name("run") + b"\x00\x00")
        + section(3, b"\x01\x01")
        + section(5, b"\x01\x01" + pages + pages)
        + section(7, b"\x02" + name("memory") + b"\x02\x00" + name("_start") + b"\x00\x01")
        + section(10, b"\x01" + unsigned(len(body)) + body)
        + b"\x0b"
        + unsigned(len(data) + size)
        + data
    )
