"""Zig with `std` and the module `metier`.

Zig compiles its run-time library into a cache that all builds share. Here it is made once, without any draft; a draft's
cache is its room's own, and the linker is called by itself. Zig lists no files that it read, and needs none: it takes
`@import` and `@embedFile` from below the folder of a module only.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from metier.capability import Language
from metier.errors import BuildError
from metier.toolchains import lock
from metier.toolchains.building import PREPARING_SECONDS, succeed
from metier.toolchains.prepared import prepared, sdk
from metier.toolchains.protocol import Built, Files, Found, Missing, Workshop
from metier.toolchains.zigcc import LINK, find_zig, zig_environment, zig_places

COMPILE: Final = (
    "-target wasm32-wasi -mcpu=lime1 -O ReleaseSafe -fstrip -fsingle-threaded -fno-error-tracing --color off"
).split()
"""Safe: an overflow or an index out of bounds stops the program, where it would give a wrong answer else."""
RUNTIME: Final = "libcompiler_rt.a"


@dataclass(frozen=True, slots=True)
class Zig:
    language: Language = "zig"
    file_name: str = "capability.zig"
    suffixes: tuple[str, ...] = (".zig",)

    def found(self) -> Found | Missing:
        return find_zig()

    def build(self, files: Files, workshop: Workshop) -> Built:
        name, zig = zig_places()
        if self.file_name not in files:
            raise BuildError(f"there is no {self.file_name}")
        for file, content in files.items():
            _check_words(file, content.decode("utf-8", "replace"))
        runtime = prepared(workshop, "zig", [name, *COMPILE], partial(self._prepare, zig, workshop))
        places = zig | {"sdk": lock.Place(sdk("zig"), ("metier.zig",)), "prepared": lock.Place(runtime)}
        with lock.room(files, places, unlocked=workshop.unlocked) as room:
            modules = ["--dep", "metier", f"-Mcapability={self.file_name}", f"-Mmetier={room.at('sdk', 'metier.zig')}"]
            command = [room.at("zig", "zig"), "build-obj", *COMPILE, *modules, f"-femit-bin={room.out('capability.o')}"]
            succeed(room, command, zig_environment(room))
            link = [room.out("capability.o"), room.at("prepared", RUNTIME)]
            succeed(room, [room.at("zig", "zig"), "wasm-ld", *LINK, "-o", room.out("capability.wasm"), *link])
            return Built(room.read("capability.wasm"), name)

    def _prepare(self, zig: dict[str, lock.Place], workshop: Workshop, folder: Path) -> None:
        with lock.room({self.file_name: b"pub fn main() void {}\n"}, zig, unlocked=workshop.unlocked) as room:
            command = [room.at("zig", "zig"), "build-exe", *COMPILE, self.file_name]
            command += [f"-femit-bin={room.out('x.wasm')}"]
            succeed(room, command, zig_environment(room), PREPARING_SECONDS)
            shutil.copyfile(next((room.folder / "out" / "cache").rglob(RUNTIME)), folder / RUNTIME)


ZIG = Zig()

_SKIPPED: Final = re.compile(r'//[^\n]*|\\\\[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'')


def _check_words(file: str, text: str) -> None:
    """No inline assembly, whose `.incbin` reads files and is on no listing, and no C headers. Zig has no macros that
    could hide a word."""
    for number, line in enumerate(_SKIPPED.sub(" ", text).splitlines(), start=1):
        if re.search(r"\basm\b|@c(Import|Include|Define)\b", line):
            raise BuildError(f"{file}:{number}: a capability has neither inline assembly nor C headers")
