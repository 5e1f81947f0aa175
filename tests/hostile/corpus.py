"""The hostile programs: one small file each, whose first lines say what it tries and how that has to end.

    # Reads a file outside through "..".          what it tries
    # ends: ran                                   a kind of Failed, or "refused", "unbuilt", "ran"; `|` is or
    # says: []                                    a pattern that the error has; the whole output, as JSON, of what "ran"
    # limits: seconds=0.2 fuel=10**15             beside LIMITS
    # grant: read                                 one of GRANTS
    # leaves: out/a.txt=text                      what it commits; everything else has to stay as it was

WAT is a Jinja template, with the functions of `_Wat` at its disposal.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pytest
import wasmtime

from metier.permissions import Permissions
from metier.sandbox.box import Box
from metier.sandbox.limits import MIB, Limits
from metier.sandbox.wasi import SIGNATURES
from metier.toolchains import python

PROGRAMS = Path(__file__).parent / "programs"
COMMENT = {".wat": ";;", ".py": "#", ".c": "//", ".rs": "//"}
KEYS = ("ends", "says", "limits", "grant", "leaves")

LIMITS: dict[str, Any] = {
    "fuel": 10**9,
    "seconds": 10,
    "memory_bytes": 64 * MIB,
    "module_bytes": 8 * MIB,
    "compile_seconds": 20,
    "compile_memory_bytes": 1024 * MIB,
    "stdout_bytes": 64 * 1024,
    "stderr_bytes": 64 * 1024,
    "effects": 300,
    "effect_bytes": MIB,
    "overlay_bytes": MIB,
    "open_files": 16,
}
GRANTS: dict[str, dict[str, Any]] = {
    "none": {},
    "read": {"files": [{"root": "docs", "path": "**", "access": "read"}]},
    "write": {"files": [{"root": "docs", "path": "**", "access": "write"}]},
    "narrow": {
        "files": [
            {"root": "docs", "path": "out/*.txt", "access": "write"},
            {"root": "docs", "path": "a.txt", "access": "read"},
        ]
    },
}


@dataclass(frozen=True, slots=True)
class Hostile:
    path: Path
    tries: str
    ends: tuple[str, ...]
    says: str
    limits: Limits
    permissions: Permissions
    leaves: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"

    def wasm(self, box: Box, folder: Path) -> bytes:
        """Raises BuildError, or skips where its compiler is missing."""
        text = self.path.read_text(encoding="utf-8")
        if self.path.suffix == ".py":
            return python.build(text, box)
        if self.path.suffix == ".wat":
            return bytes(wasmtime.wat2wasm(_templates(box).from_string(text).render()))
        return _compiled(self.path, folder)


def programs() -> list[Hostile]:
    return [_read(path) for path in sorted(PROGRAMS.rglob("*.*")) if path.suffix in COMMENT]


def _read(path: Path) -> Hostile:
    tries, *rest = _head(path)
    about = dict.fromkeys(KEYS, "")
    for line in rest:
        key, _, value = line.partition(": ")
        assert key in KEYS, f"{path}: {line}"
        about[key] = value
    changed = {name: eval(value) for name, value in (pair.split("=") for pair in about["limits"].split())}
    return Hostile(
        path=path,
        tries=tries,
        ends=tuple(about["ends"].split("|")),
        says=about["says"],
        limits=Limits.model_validate({**LIMITS, **changed}),
        permissions=Permissions.model_validate(GRANTS[about["grant"] or "none"]),
        leaves=dict(pair.split("=", 1) for pair in about["leaves"].split()),
    )


def _head(path: Path) -> Iterator[str]:
    mark = COMMENT[path.suffix]
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith(mark):
            return
        yield line.removeprefix(mark).strip()


TYPES = {"i": "i32", "I": "i64"}


class _Wat:
    """What a WAT template may call. Nothing here keeps a program from doing anything that bytes can do."""

    def __init__(self, box: Box) -> None:
        self._box = box

    def wasi(self, *names: str) -> str:
        """Imports by name, or all of them; `$name` in the text."""
        return " ".join(
            f'(import "wasi_snapshot_preview1" "{name}" (func ${name} {self._signature(SIGNATURES[name])}))'
            for name in names or SIGNATURES
        )

    def metier(self) -> str:
        return (
            '(import "metier" "call" (func $call (param i32 i32) (result i32)))'
            '(import "metier" "read" (func $read (param i32)))'
        )

    def text(self, text: str) -> str:
        """A string literal."""
        return '"' + "".join(f"\\{byte:02x}" for byte in text.encode("utf-8", "surrogateescape")) + '"'

    def bytecode(self, source: str) -> str:
        code = self._box.compile_python(source)
        return '"' + "".join(f"\\{byte:02x}" for byte in code) + '"'

    def all_with(self, value: int) -> str:
        """A call of every WASI function that returns, each argument the same number."""
        calls = []
        for name in SIGNATURES:
            if not name.startswith("proc_"):
                kinds = SIGNATURES[name].partition(":")[0]
                arguments = " ".join(f"({TYPES[kind]}.const {value})" for kind in kinds)
                calls.append(f"(drop (call ${name} {arguments}))")
        return "\n".join(calls)

    def open(self, path: str, *, fd: int = 3, oflags: int = 0, rights: int = 2, follow: int = 1, at: int = 4096) -> str:
        """Opens a path, whose text is to be at `at`; leaves the error number on the stack, the descriptor at 0."""
        size = len(path.encode())
        return (
            f"(call $path_open (i32.const {fd}) (i32.const {follow}) (i32.const {at}) (i32.const {size})"
            f" (i32.const {oflags}) (i64.const {rights}) (i64.const {rights}) (i32.const 0) (i32.const 0))"
        )

    def _signature(self, signature: str) -> str:
        parameters, _, results = signature.partition(":")
        kinds = " ".join(TYPES[p] for p in parameters)
        return (f"(param {kinds})" if kinds else "") + (" (result i32)" if results else "")


def _templates(box: Box) -> jinja2.Environment:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    own = _Wat(box)
    environment.globals |= {name: getattr(own, name) for name in dir(own) if not name.startswith("_")}
    return environment


def _compiled(source: Path, folder: Path) -> bytes:
    wasm = folder / "program.wasm"
    command = _c(source, wasm) if source.suffix == ".c" else _rust(source, wasm)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return wasm.read_bytes()


def _c(source: Path, wasm: Path) -> list[str]:
    package = importlib.util.find_spec("ziglang")
    zig = str(Path(package.origin).parent / "zig") if package and package.origin else shutil.which("zig")
    if zig is None:
        pytest.skip("no C compiler for WebAssembly: pip install ziglang")
    return [zig, "cc", "-target", "wasm32-wasi", "-O0", "-w", "-fno-sanitize=all", "-o", str(wasm), str(source)]


def _rust(source: Path, wasm: Path) -> list[str]:
    for compiler in ("/usr/bin/rustc", shutil.which("rustc")):
        for target in ("wasm32-wasip1", "wasm32-wasi"):
            if compiler and _has_target(compiler, target):
                lld = shutil.which("rust-lld") or shutil.which("wasm-ld")
                linker = ["-C", f"linker={lld}"] if lld else []
                return [compiler, "--edition=2021", f"--target={target}", *linker, "-o", str(wasm), str(source)]
    pytest.skip("no Rust compiler for WebAssembly: apt install rustc libstd-rust-dev-wasm32, or rustup target add")


@functools.cache
def _has_target(compiler: str, target: str) -> bool:
    asked = [compiler, f"--target={target}", "--print=target-libdir"]
    done = subprocess.run(asked, capture_output=True, text=True)
    return done.returncode == 0 and any(Path(done.stdout.strip()).glob("libstd-*"))


def host_paths() -> list[str]:
    """Beginnings of paths of this machine, none of which a program may be told."""
    known = [
        str(Path.home()),
        str(Path.cwd()),
        sysconfig.get_paths()["purelib"],
        "site-packages",
        "/tmp/pytest",
        "metier/",
    ]
    return [path for path in known if len(path) > 5]


def same(output: Any, said: str) -> bool:
    """Whether an output is what a program's `says` has as JSON; nothing said fits every output."""
    return not said or output == json.loads(said)
