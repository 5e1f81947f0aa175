"""Python capabilities as components: the engine, and around it what it imports and what runs it.

    (component
      imports of wasi:…                                    those of the engine, word for word
      arena, door: core modules                            memory, and the functions that the engine imports
      (component engine …)                                 the shipped one, byte for byte
      program: a core module                               the code; gives it to the engine, with the input
      (export "wasi:cli/run@…"))

Source of the format: the component model's Binary.md, with the numbers that wasmtime 50 reads.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from metier.errors import InvalidModule
from metier.portable.linking import DATA_COUNT, MAGIC
from metier.sandbox.binary import Reader, name, section, sections, signed, unsigned, vector
from metier.sandbox.modules import COMPONENT_MAGIC

CORE_MODULE, CORE_INSTANCE, COMPONENT, INSTANCE, ALIAS, TYPE, CANON, IMPORT, EXPORT = 1, 2, 4, 5, 6, 7, 8, 10, 11
"""Numbers of sections."""
OF_INSTANCE, OF_FUNCTION = 5, 1
"""Sorts of things that components import and export."""
FUNC, MEMORY = b"\x00", b"\x02"
"""Sorts of things that core instances export."""
STRING, U64 = b"\x73", b"\x77"
DROP: Final = "[resource-drop]"
NO_PARAMETERS: Final = b"\x40\x00"
HOST_CALL = b"\x40" + vector([name("request") + STRING]) + b"\x00" + STRING
WRITE_STDERR = b"\x40" + vector([name("text") + STRING]) + b"\x01\x00"
SLEEP = b"\x40" + vector([name("nanoseconds") + U64]) + b"\x01\x00"
PLAIN_RESULT = b"\x6a\x00\x00"
"""`result` without values."""


class Composition:
    """A component under construction: sections so far, and how many of each sort there are."""

    def __init__(self) -> None:
        self._made = bytearray(COMPONENT_MAGIC)
        self._count: dict[str, int] = defaultdict(int)
        self.imported: dict[str, int] = {}
        """Instances by their full names."""

    def encoded(self) -> bytes:
        return bytes(self._made)

    def imports_of(self, component: bytes) -> None:
        """Imports what the component imports as instances; functions that it imports come last and stay out."""
        taken = len(COMPONENT_MAGIC)
        for number, _, start, end in sections(component, len(COMPONENT_MAGIC)):
            reader = Reader(component, start, end)
            count = reader.number()
            if number == IMPORT:
                reader.byte()
                named, sort = reader.name(), reader.byte()
                if count != 1 or sort != OF_INSTANCE:
                    break
                self._made += component[taken:end]
                taken = end
                self.imported[named] = self._next("instance")
            elif number not in (TYPE, ALIAS):
                break
        types = 0
        for number, _, start, end in sections(component[:taken], len(COMPONENT_MAGIC)):
            if number in (TYPE, ALIAS):
                types += Reader(component, start, end).number()
        self._count["type"] = types

    def core_module(self, wasm: bytes) -> int:
        return self._add(CORE_MODULE, wasm, "core module")

    def component(self, wasm: bytes) -> int:
        return self._add(COMPONENT, wasm, "component")

    def core_instance(self, module: int, arguments: dict[str, int]) -> int:
        given = vector(name(key) + b"\x12" + unsigned(index) for key, index in arguments.items())
        return self._one(CORE_INSTANCE, b"\x00" + unsigned(module) + given, "core instance")

    def core_exports(self, exports: dict[str, tuple[bytes, int]]) -> int:
        """A core instance that is nothing but these exports."""
        listed = vector(name(key) + sort + unsigned(index) for key, (sort, index) in exports.items())
        return self._one(CORE_INSTANCE, b"\x01" + listed, "core instance")

    def core_alias(self, sort: bytes, instance: int, named: str) -> int:
        target = b"\x00" + sort + b"\x01" + unsigned(instance) + name(named)
        return self._one(ALIAS, target, "core func" if sort == FUNC else "core memory")

    def alias(self, instance: int, named: str, *, is_type: bool = False) -> int:
        target = (b"\x03" if is_type else b"\x01") + b"\x00" + unsigned(instance) + name(named)
        return self._one(ALIAS, target, "type" if is_type else "func")

    def type(self, encoded: bytes) -> int:
        return self._one(TYPE, encoded, "type")

    def lower(self, function: int, memory: int, realloc: int) -> int:
        return self._one(CANON, b"\x01\x00" + unsigned(function) + _options(memory, realloc), "core func")

    def lift(self, function: int, type_: int, memory: int, realloc: int, done: int | None = None) -> int:
        options = _options(memory, realloc, done)
        return self._one(CANON, b"\x00\x00" + unsigned(function) + options + unsigned(type_), "func")

    def drop(self, type_: int) -> int:
        return self._one(CANON, b"\x03" + unsigned(type_), "core func")

    def instance(self, component: int, arguments: dict[str, tuple[int, int]]) -> int:
        given = vector(name(key) + bytes([sort]) + unsigned(index) for key, (sort, index) in arguments.items())
        return self._one(INSTANCE, b"\x00" + unsigned(component) + given, "instance")

    def export(self, named: str, functions: dict[str, int]) -> None:
        """Exports an instance with these functions."""
        listed = vector(b"\x00" + name(key) + b"\x01" + unsigned(index) for key, index in functions.items())
        instance = self._one(INSTANCE, b"\x01" + listed, "instance")
        self._one(EXPORT, b"\x00" + name(named) + b"\x05" + unsigned(instance) + b"\x00", "instance")

    def _one(self, number: int, content: bytes, sort: str) -> int:
        return self._add(number, b"\x01" + content, sort)

    def _add(self, number: int, content: bytes, sort: str) -> int:
        self._made += section(number, content)
        return self._next(sort)

    def _next(self, sort: str) -> int:
        self._count[sort] += 1
        return self._count[sort] - 1


def composed(engine: bytes, arena: bytes, door: bytes, code: bytes) -> bytes:
    """The component that runs `code` on `engine`, with the door and the memory behind it."""
    made = Composition()
    made.imports_of(engine)
    base = made.core_instance(made.core_module(arena), {})
    memory, realloc = made.core_alias(MEMORY, base, "memory"), made.core_alias(FUNC, base, "realloc")
    offered = {"arena": base, "env": made.core_exports({"memory": (MEMORY, memory)})}
    offered |= _lowered(made, door, memory, realloc, without=set(offered))
    own = made.core_instance(made.core_module(door), offered)

    def lifted(named: str, type_: bytes, done: str | None = None) -> tuple[int, int]:
        after = None if done is None else made.core_alias(FUNC, own, done)
        function = made.core_alias(FUNC, own, named)
        return OF_FUNCTION, made.lift(function, made.type(type_), memory, realloc, after)

    arguments = {named: (OF_INSTANCE, index) for named, index in made.imported.items()}
    arguments["host-call"] = lifted("host-call", HOST_CALL, "host-call-done")
    arguments["write-stderr"] = lifted("write-stderr", WRITE_STDERR)
    arguments["sleep"] = lifted("sleep", SLEEP)
    python = made.instance(made.component(engine), arguments)
    run = made.lower(made.alias(python, "run"), memory, realloc)
    offered = {"arena": base, "env": offered["env"], "door": own, "engine": made.core_exports({"run": (FUNC, run)})}
    program = made.core_instance(made.core_module(_program(code)), offered)
    result = made.type(PLAIN_RESULT)
    main = made.lift(
        made.core_alias(FUNC, program, "run"), made.type(NO_PARAMETERS + b"\x00" + signed(result)), memory, realloc
    )
    version = next(named.partition("@")[2] for named in made.imported if named.startswith("wasi:cli/"))
    made.export(f"wasi:cli/run@{version}", {"run": main})
    return made.encoded()


def _options(memory: int, realloc: int, done: int | None = None) -> bytes:
    """Texts in UTF-8, and the memory that they lie in."""
    options = [b"\x00", b"\x03" + unsigned(memory), b"\x04" + unsigned(realloc)]
    return vector(options if done is None else [*options, b"\x05" + unsigned(done)])


def _lowered(made: Composition, door: bytes, memory: int, realloc: int, *, without: set[str]) -> dict[str, int]:
    """What the door imports of the host, as core instances by their names."""
    by_interface = {named.partition("@")[0]: index for named, index in made.imported.items()}
    functions: dict[str, dict[str, tuple[bytes, int]]] = defaultdict(dict)
    for wanted in _imports(door):
        if wanted[0] in without:
            continue
        interface, named = wanted
        if interface not in by_interface:
            raise InvalidModule(f"the engine does not import {interface}, which the door needs")
        instance = by_interface[interface]
        if named.startswith(DROP):
            core = made.drop(made.alias(instance, named.removeprefix(DROP), is_type=True))
        else:
            core = made.lower(made.alias(instance, named), memory, realloc)
        functions[interface][named] = (FUNC, core)
    return {interface: made.core_exports(exports) for interface, exports in functions.items()}


def _imports(wasm: bytes) -> list[tuple[str, str]]:
    """(module, name) of the functions that a core module imports. Its memory is imported as well."""
    found = []
    for number, _, start, end in sections(wasm, len(MAGIC)):
        if number == 2:
            reader = Reader(wasm, start, end)
            for _ in range(reader.number()):
                module, named, kind = reader.name(), reader.name(), reader.byte()
                if kind == 0:
                    reader.number()
                    found.append((module, named))
                else:
                    flags = reader.number()
                    reader.number()
                    if flags & 1:
                        reader.number()
    return found


def _program(code: bytes) -> bytes:
    """The core module whose `run` gives the code and the input to the engine, and its output to the door:

    (func (export "run") (result i32) (local $exchange i32) (local $code i32)
      (if (i32.eqz (local.tee $exchange (call $input))) (then (return (i32.const 1))))
      (local.set $code (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.const SIZE)))
      (memory.init 0 (local.get $code) (i32.const 0) (i32.const SIZE))
      (call $engine (local.get $code) (i32.const SIZE)
        (i32.load (local.get $exchange)) (i32.load offset=4 (local.get $exchange))
        (i32.add (local.get $exchange) (i32.const 8)))
      (call $output))
    """
    i32 = b"\x7f"
    size = b"\x41" + signed(len(code))
    zero = b"\x41\x00"
    body = (
        b"\x01\x02\x7f"
        + b"\x10\x01\x22\x00\x45\x04\x40\x41\x01\x0f\x0b"
        + (zero + zero + b"\x41\x01" + size + b"\x10\x00\x21\x01")
        + (b"\x20\x01" + zero + size + b"\xfc\x08\x00\x00")
        + (b"\x20\x01" + size + b"\x20\x00\x28\x02\x00\x20\x00\x28\x02\x04\x20\x00\x41\x08\x6a\x10\x03")
        + b"\x10\x02\x0b"
    )
    types = vector(
        b"\x60" + vector([i32] * parameters) + vector([i32] * results)
        for parameters, results in ((4, 1), (0, 1), (0, 1), (5, 0))
    )
    imports = vector(
        [
            name("arena") + name("realloc") + b"\x00\x00",
            name("door") + name("input") + b"\x00\x01",
            name("door") + name("output") + b"\x00\x02",
            name("engine") + name("run") + b"\x00\x03",
            name("env") + name("memory") + b"\x02\x00\x01",
        ]
    )
    return (
        MAGIC
        + section(1, types)
        + section(2, imports)
        + section(3, b"\x01\x01")
        + section(7, vector([name("run") + b"\x00\x04"]))
        + section(DATA_COUNT, b"\x01")
        + section(10, vector([unsigned(len(body)) + body]))
        + section(11, vector([b"\x01" + unsigned(len(code)) + code]))
    )
