"""One self-contained file of a capability, for hosts that have WASI and no Metier.

A program of a compiled language is such a file already, unless it imports Metier's effects: these become functions of
its own that say that there are none. JavaScript is merged with its engine, Python becomes a component around its.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
from dataclasses import dataclass
from typing import Final, Literal

import wasmtime

from metier.errors import InvalidModule, SetupMissing
from metier.library import Artifact
from metier.permissions import Permissions
from metier.portable.component import composed
from metier.portable.linking import DATA, Export, Module, add_start, merged, parsed
from metier.sandbox.binary import Reader, sections, unsigned
from metier.sandbox.modules import check_bytes, names_import
from metier.sandbox.shipped import JAVASCRIPT, PYTHON, Shipped
from metier.toolchains.carrier import carrier

EFFECTS: Final = "metier"
"""The module that a program imports its effects from."""
ENGINES: Final = {"metier:python": PYTHON, "metier:javascript": JAVASCRIPT}
REFUSAL: Final = {
    "error": "Metier's effects are not available: this program runs on its own, without Metier",
    "kind": "unavailable",
}

Kind = Literal["module", "component"]


@dataclass(frozen=True, slots=True)
class Standalone:
    """A file that a host with WASI runs: a core module for preview 1, or a component for 0.2."""

    kind: Kind
    wasm: bytes
    roots: tuple[str, ...]
    """Roots that the program expects, each as a folder that the host opens under that name."""
    unavailable: tuple[str, ...]
    """Effects that it asks for and that fail there: "http", "sql", "call"."""


def standalone(artifact: Artifact) -> Standalone:
    """The version as a file of its own. The same version gives the same bytes.

    Raises:
        SetupMissing: the engine or the door that is shipped with this package is damaged or absent.
        InvalidModule: it was built for another engine, or is a module that cannot be taken apart; one line says why.
    """
    capability, wasm = artifact.capability, artifact.wasm
    check_bytes(wasm, len(wasm))
    engine = next((engine for module, engine in ENGINES.items() if names_import(wasm, (module,))), None)
    kind: Kind = "module"
    if engine is not None:
        code = _code(wasm, engine, capability.name, capability.engine)
        if engine is PYTHON:
            kind, wasm = "component", _python(code)
        else:
            wasm = _javascript(code)
    elif names_import(wasm, (EFFECTS,)):
        wasm = _alone(wasm)
    if kind == "module":
        _check(wasm, capability.name)
    return Standalone(kind, wasm, _roots(capability.permissions), _unavailable(capability.permissions))


def _code(wasm: bytes, engine: Shipped, name: str, built_for: str | None) -> bytes:
    """The code that a module carries for an engine."""
    if built_for is not None and built_for != engine.pin:
        raise InvalidModule(
            f"{name} was built for the engine {built_for[:24]}…, and this Metier has {engine.pin[:24]}…; "
            f"build it again: metier add {name.partition('@')[0]}/src/{engine.source}"
        )
    for number, _, start, end in sections(wasm, 8):
        if number == DATA:
            reader = Reader(wasm, start, end)
            reader.take(5)  # one segment, at i32.const 0
            code = reader.take(reader.number())
            if carrier(engine.language.lower(), code) == wasm:
                return code
    raise InvalidModule(f"{name} is for the {engine.language} engine, and not as Metier builds such modules")


def _python(code: bytes) -> bytes:
    # The engine takes bytes as a text of one character each.
    text = code.decode("latin-1").encode("utf-8")
    return composed(PYTHON.wasm(), _door("arena"), _door("preview2"), text)


def _javascript(code: bytes) -> bytes:
    program = merged(parsed(JAVASCRIPT.wasm()), parsed(_door("preview1")), EFFECTS)
    add_start(program, "run", code)
    return program.encoded()


def _alone(wasm: bytes) -> bytes:
    return merged(parsed(wasm), _refusing(), EFFECTS).encoded()


def _refusing() -> Module:
    """`call` and `read` without memory of their own: the answer is the same each time, and lies in the code."""
    text = json.dumps(REFUSAL).encode()
    text += b" " * (-len(text) % 8)
    stores = [
        b"\x20\x00\x42" + _constant(text[at : at + 8]) + b"\x37\x00" + unsigned(at) for at in range(0, len(text), 8)
    ]
    return Module(
        types=[b"\x60\x02\x7f\x7f\x01\x7f", b"\x60\x01\x7f\x00"],
        functions=[0, 1],
        exports=[Export("call", 0, 0), Export("read", 0, 1)],
        bodies=[
            b"\x00\x41" + _constant(len(text).to_bytes(4, "little")) + b"\x0b",
            b"\x00" + b"".join(stores) + b"\x0b",
        ],
    )


def _constant(little_endian: bytes) -> bytes:
    """The operand of i32.const or i64.const: signed LEB128."""
    value = int.from_bytes(little_endian, "little", signed=True)
    encoded = bytearray()
    while not -64 <= value < 64:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value & 0x7F)
    return bytes(encoded)


def _check(wasm: bytes, name: str) -> None:
    try:
        wasmtime.Module.validate(wasmtime.Engine(), wasm)
    except wasmtime.WasmtimeError as error:
        raise InvalidModule(f"{name} cannot be exported: {' '.join(str(error).split())[:300]}") from None


def _door(name: str) -> bytes:
    """A module that is shipped beside the engines, checked against its recorded hash."""
    folder = importlib.resources.files("metier.engines")
    try:
        wasm = folder.joinpath(f"door-{name}.wasm").read_bytes()
        recorded = json.loads(folder.joinpath("door.json").read_text(encoding="utf-8"))["sha256"][name]
    except (OSError, ValueError, KeyError) as error:
        raise SetupMissing(f"door-{name}.wasm cannot be read: {error}. Reinstall metier") from None
    if hashlib.sha256(wasm).hexdigest() != recorded:
        raise SetupMissing(f"door-{name}.wasm is damaged: its hash differs from the recorded one. Reinstall metier")
    return wasm


def _roots(permissions: Permissions) -> tuple[str, ...]:
    return tuple(sorted({asked.root for asked in permissions.files}))


def _unavailable(permissions: Permissions) -> tuple[str, ...]:
    asked = {"http": permissions.http, "sql": permissions.sql, "call": permissions.call}
    return tuple(effect for effect, wanted in asked.items() if wanted)
