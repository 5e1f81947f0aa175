"""A module that starts as another instance of it ended: its data replaced by a memory, as it was at some moment.

What a runtime does before its first program (allocate, build its globals, compile its library) then happens once, while
it is built. Holds for modules whose other state is as at the start: tables, and globals that can change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from metier.errors import InvalidModule
from metier.sandbox.binary import section, signed, unsigned

MAGIC = b"\0asm\x01\0\0\0"
PAGE = 65536
GAP = 64
"""Zeros in a row from which on a new segment is shorter than they are."""
MEMORIES, EXPORTS, START, DATA, DATA_COUNT = 5, 7, 8, 11, 12
"""Numbers of sections in the binary format."""


def with_memory(wasm: bytes, memory: bytes, exports: Collection[str]) -> bytes:
    """The module with `memory` as what its memory starts with, and of its exports only those named.

    Raises:
        InvalidModule: it has passive data or a start function, which would come after.
    """
    made = bytearray(MAGIC)
    for number, content in _sections(wasm):
        if number == START:
            raise InvalidModule("a module with a start function cannot be made an image of")
        if number == MEMORIES:
            content = _memories(content, len(memory) // PAGE)
        elif number == EXPORTS:
            content = _exports(content, exports)
        elif number in (DATA, DATA_COUNT):
            continue
        made += section(number, content)
    segments = [_segment(start, memory[start:end]) for start, end in _stretches(memory)]
    return bytes(made + section(DATA, unsigned(len(segments)) + b"".join(segments)))


def _sections(wasm: bytes) -> Iterator[tuple[int, bytes]]:
    """Sections in their order, without custom ones, whose place and meaning the data may be part of."""
    at = len(MAGIC)
    while at < len(wasm):
        number = wasm[at]
        size, start = _read(wasm, at + 1)
        at = start + size
        if number != 0:
            yield number, wasm[start:at]


def _memories(content: bytes, pages: int) -> bytes:
    count, at = _read(content, 0)
    flags = content[at]
    if count != 1 or flags > 1:
        raise InvalidModule("an image is of a module with one plain memory")
    _, after = _read(content, at + 1)
    return unsigned(1) + bytes([flags]) + unsigned(pages) + content[after:]


def _exports(content: bytes, wanted: Collection[str]) -> bytes:
    count, at = _read(content, 0)
    kept = []
    for _ in range(count):
        size, name = _read(content, at)
        kind = name + size
        _, end = _read(content, kind + 1)
        if content[name:kind].decode() in wanted:
            kept.append(content[at:end])
        at = end
    return unsigned(len(kept)) + b"".join(kept)


def _stretches(memory: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of what is not zero, with short runs of zeros in it."""
    at, size = 0, len(memory)
    zeros = bytes(GAP)
    while at < size:
        page = memory[at : at + PAGE]
        rest = page.lstrip(b"\0")
        if not rest:
            at += PAGE - at % PAGE
            continue
        start = at + len(page) - len(rest)
        end = memory.find(zeros, start)
        end = size if end < 0 else end
        yield start, end
        at = end


def _segment(address: int, data: bytes) -> bytes:
    return b"\x00\x41" + signed(address) + b"\x0b" + unsigned(len(data)) + data


def _read(wasm: bytes, at: int) -> tuple[int, int]:
    """The LEB128 number at `at`, and where it ends."""
    value = shift = 0
    while True:
        byte = wasm[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
