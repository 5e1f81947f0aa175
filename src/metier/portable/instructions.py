"""Code with its functions and globals renumbered.

Everything between the instructions that name one is passed over by one regular expression, at the speed of C. What it
does not know is refused: an instruction that is taken for another would be rewritten wrongly.
Source: core specification, chapter 5.4, and the proposals that wasmtime turns on by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from metier.errors import InvalidModule
from metier.sandbox.binary import Reader, unsigned

END, CALL, RETURN_CALL, REF_FUNC = 0x0B, 0x10, 0x12, 0xD2
CALL_INDIRECT, RETURN_CALL_INDIRECT, BR_TABLE, TRY_TABLE = 0x11, 0x13, 0x0E, 0x1F
GLOBAL_GET, GLOBAL_SET = 0x23, 0x24

_N = rb"(?:[\x80-\xff]{0,9}+[\x00-\x7f])"
"""A number."""
_MEMARG = rb"(?:[\x00-\x3f]" + _N + rb")"
"""Alignment and offset, in the one memory that there is."""
_BLOCK = rb"(?:[\x40\x6f-\x7f]|(?![\x63\x64])" + _N + rb")"
_SIMD = (
    rb"(?:[\x00-\x0b\x5c\x5d]" + _MEMARG + rb"|[\x0c\x0d].{16}|[\x15-\x22].|[\x54-\x5b]" + _MEMARG + rb"."
    rb"|[\x0e-\x14\x23-\x53\x5e-\x7f]|[\x80-\xff][\x01\x02])"
)
_BULK = rb"(?:[\x00-\x07]|[\x08\x0a\x0c\x0e]" + _N + _N + rb"|[\x09\x0b\x0d\x0f-\x11]" + _N + rb"|[\x13\x14\x15\x16])"
_PLAIN: Final = (
    rb"[\x00\x01\x05\x0a\x0f\x19-\x1b\x45-\xc4\xd1]"
    rb"|[\x02-\x04\x06]" + _BLOCK + rb"|[\x07-\x09\x0c\x0d\x18\x20-\x22\x25\x26\xd0]" + _N + rb"|\x1c\x01[\x6f-\x7f]"
    rb"|[\x28-\x3e]" + _MEMARG + rb"|[\x3f\x40]\x00|[\x41\x42]" + _N + rb"|\x43.{4}|\x44.{8}"
    rb"|\xfc" + _BULK + rb"|\xfd" + _SIMD
)
_PASSED: Final = re.compile(rb"(?:" + _PLAIN + rb")*+", re.DOTALL)

Renumber = Callable[[int], int]


class Renumbering:
    """How the functions and globals of a module are called in another one."""

    def __init__(self, functions: Renumber, globals_: Renumber, *, alone: bool) -> None:
        """`alone`: the code brings no types and tables of its own, so it may not name any."""
        self.function = functions
        self._globals = globals_
        self._alone = alone

    def body(self, code: bytes) -> bytes:
        """A function's body: locals and instructions."""
        reader = Reader(code)
        for _ in range(reader.number()):
            reader.number()
            if not 0x6F <= reader.byte() <= 0x7F:
                raise InvalidModule("the module has locals of a kind that export does not know")
        return code[: reader.at] + self._instructions(reader, to_end=True)

    def expression(self, reader: Reader) -> bytes:
        """A constant expression with its end; the reader stands behind it then."""
        return self._instructions(reader, to_end=False)

    def _instructions(self, reader: Reader, *, to_end: bool) -> bytes:
        made: list[bytes] = []
        copied = reader.at
        while True:
            found = _PASSED.match(reader.data, reader.at, reader.end)
            reader.at = found.end() if found else reader.at
            if reader.is_done and to_end:
                return b"".join([*made, reader.data[copied : reader.at]])
            opcode = reader.byte()
            if opcode == END:
                if to_end:
                    continue
                return b"".join([*made, reader.data[copied : reader.at]])
            if opcode in (CALL, RETURN_CALL, REF_FUNC, GLOBAL_GET, GLOBAL_SET):
                renumber = self._globals if opcode in (GLOBAL_GET, GLOBAL_SET) else self.function
                made += [reader.data[copied : reader.at], unsigned(renumber(reader.number()))]
                copied = reader.at
            else:
                self._skip(opcode, reader)

    def _skip(self, opcode: int, reader: Reader) -> None:
        if opcode == BR_TABLE:
            reader.many(reader.number)
            reader.number()
        elif opcode in (CALL_INDIRECT, RETURN_CALL_INDIRECT) and not self._alone:
            reader.number()
            reader.number()
        elif opcode == TRY_TABLE:
            if not 0x40 <= reader.byte() <= 0x7F:
                raise InvalidModule("the module has a try_table of a kind that export does not know")
            for _ in range(reader.number()):
                if reader.byte() < 2:
                    reader.number()
                reader.number()
        else:
            raise InvalidModule(f"the module has an instruction that export does not know (0x{opcode:02x})")
