"""C and C++ by the clang and the linker inside Zig, which pip installs whole.

`zig cc` would compile the C library into a cache that all builds share. Here that library is compiled once, without any
draft, and a draft is compiled and linked by clang and wasm-ld themselves against it, read-only.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from metier.capability import Language
from metier.errors import BuildError, SetupMissing
from metier.toolchains import lock
from metier.toolchains.building import PREPARING_SECONDS, refuse_strangers, succeed
from metier.toolchains.prepared import prepared, sdk
from metier.toolchains.protocol import Built, Files, Found, Missing, Workshop

INSTALL: Final = "pip install 'metier[zig]' (ziglang: C, C++ and Zig)"
STACK_BYTES: Final = 1024 * 1024

COMPILE: Final = (
    "--target=wasm32-wasip1 -mcpu=lime1 -c -Os -g0 -nostdinc -fno-gnu-inline-asm -fno-ident "
    "-ffunction-sections -fdata-sections -fvisibility=hidden -fno-exceptions -ferror-limit=10 "
    "-fno-color-diagnostics -Wall -Wno-unused-function -Werror=date-time"
).split()
"""No dates of the build. No inline assembly: its `.incbin` reads files and is on no listing."""
LINK: Final = (
    f"--export-memory --entry _start --stack-first -z stack-size={STACK_BYTES} "
    "--gc-sections --strip-all --build-id=none"
).split()


@functools.cache
def find_zig() -> Found | Missing:
    """Zig from pip, else the one on the path."""
    package = importlib.util.find_spec("ziglang")
    if package is not None and package.origin:
        try:
            return Found(f"zig {version('ziglang')}", Path(package.origin).parent / "zig")
        except PackageNotFoundError:
            pass
    if (program := shutil.which("zig")) is None:
        return Missing(INSTALL)
    done = subprocess.run([program, "version"], capture_output=True, text=True, check=False)
    return Found(f"zig {done.stdout.strip()}", Path(program).resolve()) if done.returncode == 0 else Missing(INSTALL)


def zig_places() -> tuple[str, dict[str, lock.Place]]:
    """Name and version of Zig, and what of it a compiler sees.

    Raises:
        SetupMissing: it is not installed.
    """
    found = find_zig()
    if isinstance(found, Missing) or found.path is None:
        raise SetupMissing(f"there is no zig, which compiles C, C++ and Zig: {INSTALL}")
    return found.name, {"zig": lock.Place(found.path.parent, ("zig", "lib"))}


@dataclass(frozen=True, slots=True)
class Clang:
    """C or C++."""

    language: Language
    file_name: str
    suffixes: tuple[str, ...]
    driver: str
    """What Zig calls its compiler for the language."""
    standard: str
    includes: tuple[str, ...]
    """Folders of headers in Zig's `lib`, one after the other."""

    def found(self) -> Found | Missing:
        return find_zig()

    def build(self, files: Files, workshop: Workshop) -> Built:
        name, zig = zig_places()
        if self.file_name not in files:
            raise BuildError(f"there is no {self.file_name}")
        library = prepared(workshop, self.language, [name], partial(self._prepare, zig, workshop))
        places = zig | {"sdk": lock.Place(sdk("c"), ("metier.h",)), "prepared": lock.Place(library)}
        how = json.loads((library / "how.json").read_text("utf-8"))
        with lock.room(files, places, unlocked=workshop.unlocked) as room:
            sources = sorted(file for file in files if file.endswith(self.suffixes))
            objects = [self._compiled(room, file, how["defines"]) for file in sources]
            parts = [objects if part is None else [room.at("prepared", part)] for part in how["link"]]
            command = [room.at("zig", "zig"), "wasm-ld", *LINK, "-o", room.out("capability.wasm")]
            succeed(room, [*command, *(path for part in parts for path in part)])
            return Built(room.read("capability.wasm"), name)

    def _compiled(self, room: lock.Room, file: str, defines: list[str]) -> str:
        """The object file of one source. Everything that it read must be its own, the SDK's or the compiler's."""
        target, listing = f"{file}.o", f"{file}.d"
        command = [room.at("zig", "zig"), "clang", f"-std={self.standard}", *COMPILE, *defines]
        for folder in self.includes:
            command += ["-isystem", room.at("zig", "lib", *folder.split("/"))]
        command += ["-isystem", room.at("sdk")]
        command += [f"-ffile-prefix-map={room.at(place)}/=" for place in ("zig", "sdk")]
        succeed(room, [*command, *("-MD", "-MF", room.out(listing), "-o", room.out(target), file)])
        if not room.wrote(listing):  # clang says nothing of a missing #embed, but then lists nothing either
            raise BuildError(f"{file}: a file that it embeds is not there")
        text = room.read(listing).decode("utf-8", "replace").replace("\\\n", " ")
        refuse_strangers(room, shlex.split(text.partition(": ")[2]))
        return room.out(target)

    def _prepare(self, zig: dict[str, lock.Place], workshop: Workshop, folder: Path) -> None:
        """Has `zig` build an empty program, and keeps what it defines for the compiler and links beside the program:
        the start code, the C library and so on, in their order; None stands for the program itself."""
        with lock.room({self.file_name: b"int main() { return 0; }\n"}, zig, unlocked=workshop.unlocked) as room:
            command = [room.at("zig", "zig"), self.driver, "-target", "wasm32-wasi", "-O2", "-v", self.file_name]
            command += ["-o", room.out("capability.wasm")]
            said = prepare_with_zig(room, command, workshop)
            compiling = next(line for line in said.splitlines() if '"-cc1"' in line or " -cc1 " in line)
            linking = next(line for line in said.splitlines() if line.startswith("wasm-ld "))
            link: list[str | None] = []
            for number, path in enumerate(re.findall(r"\S+\.(?:a|o)(?=\s|$)", linking)):
                if path.endswith("/capability.o"):
                    link.append(None)
                else:
                    link.append(f"{number}-{path.rpartition('/')[2]}")
                    shutil.copyfile(_on_this_machine(path, room, workshop), folder / str(link[-1]))
        defines = [f"-D{define}" for define in re.findall(r"-D (\S+)", compiling)]
        (folder / "how.json").write_text(json.dumps({"defines": defines, "link": link}), encoding="utf-8")


def prepare_with_zig(room: lock.Room, command: list[str], workshop: Workshop) -> str:
    """Runs Zig on a source of ours, with a cache for everything of this kind. No draft's compiler sees that cache."""
    cache = workshop.folder / "zig-cache"
    cache.mkdir(exist_ok=True, mode=0o700)
    inside = "/cache" if room.locked else str(cache)
    environment = {"ZIG_GLOBAL_CACHE_DIR": inside, "ZIG_LOCAL_CACHE_DIR": room.out("cache")}
    return succeed(room, command, environment, PREPARING_SECONDS, {"/cache": cache})


def zig_environment(room: lock.Room) -> dict[str, str]:
    """A cache of this room's own."""
    return {"ZIG_GLOBAL_CACHE_DIR": room.out("cache"), "ZIG_LOCAL_CACHE_DIR": room.out("cache")}


def _on_this_machine(path: str, room: lock.Room, workshop: Workshop) -> Path:
    """A file that Zig linked, where it lies in the cache."""
    if room.locked and path.startswith("/cache/"):
        return workshop.folder / "zig-cache" / path.removeprefix("/cache/")
    return room.host(path)
