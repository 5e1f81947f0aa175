"""JavaScript capabilities: source → bytecode, compiled inside the engine → a small module that carries it."""

from __future__ import annotations

from dataclasses import dataclass

from metier.capability import Language
from metier.sandbox.shipped import JAVASCRIPT as ENGINE
from metier.toolchains.carrier import carrier
from metier.toolchains.protocol import Built, Files, Found, Missing, Workshop, text_of


@dataclass(frozen=True, slots=True)
class JavaScript:
    """Needs no compiler: the engine that runs it also compiles it, within the sandbox."""

    language: Language = "javascript"
    file_name: str = ENGINE.source
    suffixes: tuple[str, ...] = (".js", ".mjs")

    def found(self) -> Found | Missing:
        return Found(ENGINE.name)

    def build(self, files: Files, workshop: Workshop) -> Built:
        code = workshop.box.compile_javascript(text_of(files, self.file_name))
        return Built(carrier("javascript", code), ENGINE.name, ENGINE.pin)


JAVASCRIPT = JavaScript()
