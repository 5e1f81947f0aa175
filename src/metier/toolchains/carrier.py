"""The module around code for an engine.

It is the same for every capability but for the code, so it is put together here byte by byte:

    (module
      (import "metier:ENGINE" "run" (func (param i32 i32)))
      (memory (export "memory") PAGES PAGES)
      (func (export "_start") (call 0 (i32.const 0) (i32.const LENGTH)))
      (data (i32.const 0) CODE))
"""

from __future__ import annotations

PAGE = 65536


def carrier(engine: str, code: bytes) -> bytes:
    """The module that hands `code` to an engine: "python" or "javascript"."""
    return _head(f"metier:{engine}", len(code)) + code


def _head(module: str, size: int) -> bytes:
    pages = _unsigned(max(1, -(-size // PAGE)))
    body = b"\x00\x41\x00\x41" + _signed(size) + b"\x10\x00\x0b"  # no locals; i32.const 0, i32.const size, call 0, end
    data = b"\x01\x00\x41\x00\x0b" + _unsigned(size)  # one active segment at i32.const 0
    return (
        b"\0asm\x01\x00\x00\x00"
        + _section(1, b"\x02\x60\x02\x7f\x7f\x00\x60\x00\x00")  # (i32, i32) -> (), () -> ()
        + _section(2, b"\x01" + _name(module) + _name("run") + b"\x00\x00")
        + _section(3, b"\x01\x01")
        + _section(5, b"\x01\x01" + pages + pages)
        + _section(7, b"\x02" + _name("memory") + b"\x02\x00" + _name("_start") + b"\x00\x01")
        + _section(10, b"\x01" + _unsigned(len(body)) + body)
        + b"\x0b"
        + _unsigned(len(data) + size)
        + data
    )


def _section(number: int, content: bytes) -> bytes:
    return bytes([number]) + _unsigned(len(content)) + content


def _name(text: str) -> bytes:
    return _unsigned(len(text)) + text.encode()


def _unsigned(value: int, last: int = 0x7F) -> bytes:
    """LEB128, as the binary format has it. `last` is the most that the final byte may hold."""
    encoded = bytearray()
    while value > last:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _signed(value: int) -> bytes:
    """Signed LEB128 of a number that is not negative: the final byte keeps a bit for the sign."""
    return _unsigned(value, last=0x3F)
