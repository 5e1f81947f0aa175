"""Python capabilities: source → bytecode, compiled inside the engine → a small module that carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from metier.capability import Language
from metier.sandbox import shipped
from metier.toolchains.carrier import carrier
from metier.toolchains.protocol import Built, Files, Found, Missing, Workshop, text_of

FILE_NAME = "capability.py"
"""What tracebacks call the source, and the name under which it is kept."""


class Compiler(Protocol):
    def compile_python(self, source: str) -> bytes:
        """Marshalled bytecode of the shipped engine. Raises BuildError."""


@dataclass(frozen=True, slots=True)
class Python:
    """Needs no compiler: the engine that runs it also compiles it, within the sandbox."""

    language: Language = "python"
    file_name: str = FILE_NAME
    suffixes: tuple[str, ...] = (".py",)

    def found(self) -> Found | Missing:
        return Found(shipped.PYTHON.name)

    def build(self, files: Files, workshop: Workshop) -> Built:
        wasm = build(text_of(files, self.file_name), workshop.box)
        return Built(wasm, shipped.PYTHON.name, shipped.PYTHON.pin)


PYTHON = Python()


def build(source: str, compiler: Compiler) -> bytes:
    """The capability as a module. The same source gives the same bytes.

    Raises:
        BuildError: a syntax error, or no `def run(input)`; the message has the line.
    """
    return carrier("python", compiler.compile_python(source))
