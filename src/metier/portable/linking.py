"""Core modules taken apart, merged and put together again.

A program that imports `metier.call` and `metier.read` is merged with a module that has them: what were imports are
functions of its own then. Both share the program's memory, where the other's data lie behind the program's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Final

from metier.errors import InvalidModule
from metier.portable.instructions import Renumbering
from metier.sandbox.binary import Reader, name, section, sections, signed, unsigned, vector

MAGIC: Final = b"\0asm\x01\0\0\0"
PAGE: Final = 65536
TYPES, IMPORTS, FUNCTIONS, TABLES, MEMORIES, GLOBALS, EXPORTS, START, ELEMENTS, CODE, DATA, DATA_COUNT, TAGS = range(
    1, 14
)
"""Numbers of sections."""
ORDER: Final = (TYPES, IMPORTS, FUNCTIONS, TABLES, MEMORIES, TAGS, GLOBALS, EXPORTS, START, ELEMENTS, DATA_COUNT, CODE)
FUNCTION_TYPE: Final = 0x60


@dataclass(frozen=True)
class Import:
    """A function that comes from outside. `type` is a number among the types of its module."""

    module: str
    name: str
    type: int

    def encoded(self) -> bytes:
        return name(self.module) + name(self.name) + b"\0" + unsigned(self.type)


@dataclass(frozen=True)
class Export:
    name: str
    kind: int
    """0 is a function."""
    index: int

    def encoded(self) -> bytes:
        return name(self.name) + bytes([self.kind]) + unsigned(self.index)


@dataclass
class Module:
    """A core module, as far as its functions are concerned; what needs no renumbering is kept as it is."""

    types: list[bytes] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    functions: list[int] = field(default_factory=list)
    """The types of its own functions."""
    memory: tuple[int, int | None] | None = None
    """Pages at the start and at most."""
    globals_: list[bytes] = field(default_factory=list)
    exports: list[Export] = field(default_factory=list)
    start: int | None = None
    elements: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    counts_data: bool = False
    kept: dict[int, bytes] = field(default_factory=dict)
    """Sections that name no function."""

    def encoded(self) -> bytes:
        made = {
            TYPES: vector(self.types),
            IMPORTS: vector(i.encoded() for i in self.imports),
            FUNCTIONS: vector(map(unsigned, self.functions)),
            GLOBALS: vector(self.globals_),
            EXPORTS: vector(e.encoded() for e in self.exports),
            ELEMENTS: vector(self.elements),
            CODE: vector(unsigned(len(body)) + body for body in self.bodies),
            **self.kept,
        }
        if self.memory is not None:
            first, most = self.memory
            limits = b"\0" + unsigned(first) if most is None else b"\1" + unsigned(first) + unsigned(most)
            made[MEMORIES] = b"\1" + limits
        if self.start is not None:
            made[START] = unsigned(self.start)
        if self.counts_data:
            made[DATA_COUNT] = unsigned(len(self.data))
        body = b"".join(section(number, made[number]) for number in ORDER if made.get(number, b"\0") != b"\0")
        return MAGIC + body + section(DATA, vector(self.data))

    def exported_function(self, named: str) -> int:
        for export in self.exports:
            if (export.name, export.kind) == (named, 0):
                return export.index
        raise InvalidModule(f"there is no function {named} to take the place of an import")

    def renumbered(self, renumbering: Renumbering) -> tuple[list[bytes], list[bytes], list[bytes]]:
        """Its globals, elements and bodies, as another module has them."""
        return (
            [_global(raw, renumbering) for raw in self.globals_],
            [_element(Reader(raw), renumbering) for raw in self.elements],
            [renumbering.body(body) for body in self.bodies],
        )


def parsed(wasm: bytes) -> Module:
    """The module that the bytes are; custom sections, among them names, are left out.

    Raises:
        InvalidModule: it has something that merging does not know.
    """
    if not wasm.startswith(MAGIC):
        raise InvalidModule("this is not a core module")
    module = Module()
    for number, _, start, end in sections(wasm, len(MAGIC)):
        reader = Reader(wasm, start, end)
        if number == TYPES:
            module.types = reader.many(partial(_type, reader))
        elif number == IMPORTS:
            module.imports = reader.many(partial(_import, reader))
        elif number == FUNCTIONS:
            module.functions = reader.many(reader.number)
        elif number == MEMORIES:
            module.memory = _memory(reader)
        elif number == GLOBALS:
            module.globals_ = reader.many(partial(_raw_global, reader))
        elif number == EXPORTS:
            module.exports = reader.many(partial(_export, reader))
        elif number == START:
            module.start = reader.number()
        elif number == ELEMENTS:
            module.elements = reader.many(partial(_raw_element, reader))
        elif number == CODE:
            module.bodies = reader.many(partial(_sized, reader))
        elif number == DATA:
            module.data = reader.many(partial(_raw_data, reader))
        elif number == DATA_COUNT:
            module.counts_data = True
        elif number in (TABLES, TAGS):
            module.kept[number] = wasm[start:end]
        elif number != 0:
            raise InvalidModule(f"the module has a section that export does not know ({number})")
    return module


def merged(program: Module, provider: Module, module: str) -> Module:
    """The program with what it imports from `module` as functions of its own, which are those of the provider.

    Raises:
        InvalidModule: the provider lacks one, or has them with another signature, or wants what it may not have here:
            tables, a start function, or memory that is the program's.
    """
    if provider.elements or provider.start is not None or provider.counts_data:
        raise InvalidModule("what takes the place of imports has elements, passive data or a start function")
    outer = [i for i in program.imports if i.module != module]
    shift = len(program.types)
    known = {(i.module, i.name): at for at, i in enumerate(outer)}
    for wanted in provider.imports:
        if (wanted.module, wanted.name) not in known:
            known[wanted.module, wanted.name] = len(outer)
            outer.append(Import(wanted.module, wanted.name, wanted.type + shift))
    own = len(outer)
    theirs = own + len(program.functions)

    def of_provider(index: int) -> int:
        if index < len(provider.imports):
            wanted = provider.imports[index]
            return known[wanted.module, wanted.name]
        return theirs + index - len(provider.imports)

    def of_program(index: int) -> int:
        if index >= len(program.imports):
            return own + index - len(program.imports)
        wanted = program.imports[index]
        if wanted.module != module:
            return known[wanted.module, wanted.name]
        return of_provider(provider.exported_function(wanted.name))

    _check_types(program, provider, module)
    shared = len(program.globals_)
    globals_, elements, bodies = program.renumbered(Renumbering(of_program, lambda g: g, alone=False))
    more_globals, _, more_bodies = provider.renumbered(Renumbering(of_provider, lambda g: g + shared, alone=True))
    return Module(
        types=program.types + provider.types,
        imports=outer,
        functions=program.functions + [t + shift for t in provider.functions],
        memory=_shared_memory(program, provider),
        globals_=globals_ + more_globals,
        exports=[Export(e.name, e.kind, of_program(e.index) if e.kind == 0 else e.index) for e in program.exports],
        start=None if program.start is None else of_program(program.start),
        elements=elements,
        bodies=bodies + more_bodies,
        data=program.data + provider.data,
        counts_data=program.counts_data,
        kept=program.kept,
    )


def add_start(program: Module, function: str, code: bytes) -> None:
    """A `_start` that calls the exported `function(address, size)` with `code`, which lies behind all other data.

    Of what is exported, only that and the memory stay.
    """
    if program.memory is None:
        raise InvalidModule("the engine has no memory")
    pages, most = program.memory
    address, target = pages * PAGE, program.exported_function(function)
    pages += -(-len(code) // PAGE)
    program.memory = pages, most if most is None else max(most, pages)
    program.types.append(b"\x60\x00\x00")
    program.functions.append(len(program.types) - 1)
    program.bodies.append(
        b"\x00\x41" + signed(address) + b"\x41" + signed(len(code)) + b"\x10" + unsigned(target) + b"\x0b"
    )
    program.data.append(b"\x00\x41" + signed(address) + b"\x0b" + unsigned(len(code)) + code)
    started = len(program.imports) + len(program.functions) - 1
    program.exports = [e for e in program.exports if e.name == "memory"] + [Export("_start", 0, started)]


def _check_types(program: Module, provider: Module, module: str) -> None:
    """That both mean the same functions by the same names."""
    theirs = {(i.module, i.name): provider.types[i.type] for i in provider.imports}
    for wanted in program.imports:
        has = theirs.get((wanted.module, wanted.name))
        if wanted.module == module:
            index = provider.exported_function(wanted.name) - len(provider.imports)
            has = provider.types[provider.functions[index]]
        if has is not None and has != program.types[wanted.type]:
            raise InvalidModule(f"the module imports {wanted.module}.{wanted.name} with another signature")


def _shared_memory(program: Module, provider: Module) -> tuple[int, int | None] | None:
    if program.memory is None or provider.memory is None:
        return program.memory
    pages, most = program.memory
    lowest = min((_address(segment) for segment in provider.data), default=pages * PAGE)
    if lowest < pages * PAGE:
        raise InvalidModule("the memory of the program reaches into that of what takes the place of imports")
    pages = max(pages, provider.memory[0])
    return pages, most if most is None else max(most, pages)


def _address(segment: bytes) -> int:
    reader = Reader(segment)
    if reader.take(2) != b"\x00\x41":
        raise InvalidModule("what takes the place of imports has data without a fixed address")
    return reader.number()


def _type(reader: Reader) -> bytes:
    start = reader.at
    if reader.byte() != FUNCTION_TYPE:
        raise InvalidModule("the module has types that are not plain functions, which export does not know")
    for _ in range(2):
        reader.take(reader.number())
    return reader.since(start)


def _import(reader: Reader) -> Import:
    module, named, kind = reader.name(), reader.name(), reader.byte()
    if kind != 0:
        raise InvalidModule(f"the module imports {module}.{named}, which is no function")
    return Import(module, named, reader.number())


def _export(reader: Reader) -> Export:
    return Export(reader.name(), reader.byte(), reader.number())


def _sized(reader: Reader) -> bytes:
    return reader.take(reader.number())


def _memory(reader: Reader) -> tuple[int, int | None]:
    if reader.number() != 1 or (flags := reader.byte()) > 1:
        raise InvalidModule("the module has more than one plain memory")
    return reader.number(), reader.number() if flags else None


_UNCHANGED = Renumbering(lambda index: index, lambda index: index, alone=False)


def _raw_global(reader: Reader) -> bytes:
    return reader.take(2) + _UNCHANGED.expression(reader)


def _global(raw: bytes, renumbering: Renumbering) -> bytes:
    return raw[:2] + renumbering.expression(Reader(raw, 2))


def _raw_data(reader: Reader) -> bytes:
    start, flags = reader.at, reader.number()
    if flags not in (0, 1):
        raise InvalidModule("the module has data for another memory")
    if flags == 0:
        _UNCHANGED.expression(reader)
    reader.take(reader.number())
    return reader.since(start)


def _raw_element(reader: Reader) -> bytes:
    start = reader.at
    _element(reader, _UNCHANGED)
    return reader.since(start)


def _element(reader: Reader, renumbering: Renumbering) -> bytes:
    """An element segment with its functions renumbered. Core specification, 5.5.12: bit 0 passive or declared, bit 1 a
    table's number (or declared), bit 2 expressions instead of function numbers."""
    flags = reader.number()
    if flags > 7:
        raise InvalidModule("the module has elements of a kind that export does not know")
    made = unsigned(flags)
    if flags & 1 == 0:
        if flags & 2:
            made += unsigned(reader.number())
        made += renumbering.expression(reader)
    if flags & 3:
        made += reader.take(1)
    count = reader.number()
    made += unsigned(count)
    if flags & 4:
        return made + b"".join(renumbering.expression(reader) for _ in range(count))
    return made + b"".join(unsigned(renumbering.function(reader.number())) for _ in range(count))
