"""Numbers, names and sections of WebAssembly's binary format: core specification, chapter 5."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from metier.errors import InvalidModule

T = TypeVar("T")

MAX_LEB_BYTES = 10
"""Of a number of 64 bits."""


class Reader:
    """Reads from `at` on. What ends too early, or is too long, raises InvalidModule."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    @property
    def is_done(self) -> bool:
        return self.at >= self.end

    def byte(self) -> int:
        return self.take(1)[0]

    def take(self, size: int) -> bytes:
        if size > self.end - self.at:
            raise InvalidModule("the module ends in the middle of something")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self) -> int:
        """An unsigned LEB128 number."""
        value = 0
        for shift in range(0, 7 * MAX_LEB_BYTES, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise InvalidModule("a number in the module has too many bytes")

    def name(self) -> str:
        return self.take(self.number()).decode("utf-8", "replace")

    def many(self, read: Callable[[], T]) -> list[T]:
        return [read() for _ in range(self.number())]

    def since(self, start: int) -> bytes:
        """What was read from `start` on."""
        return self.data[start : self.at]


def sections(wasm: bytes, start: int) -> Iterable[tuple[int, int, int, int]]:
    """(number, where it begins, where its content begins, where it ends) of each section from `start` on."""
    reader = Reader(wasm, start)
    while not reader.is_done:
        begins = reader.at
        number, size = reader.byte(), reader.number()
        content = reader.at
        reader.take(size)
        yield number, begins, content, reader.at


def unsigned(value: int, last: int = 0x7F) -> bytes:
    """LEB128. `last` is the most that the final byte may hold."""
    encoded = bytearray()
    while value > last:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def signed(value: int) -> bytes:
    """Signed LEB128 of a number that is not negative: the final byte keeps a bit for the sign."""
    return unsigned(value, last=0x3F)


def name(text: str) -> bytes:
    encoded = text.encode("utf-8")
    return unsigned(len(encoded)) + encoded


def vector(items: Iterable[bytes]) -> bytes:
    every = list(items)
    return unsigned(len(every)) + b"".join(every)


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + unsigned(len(content)) + content
