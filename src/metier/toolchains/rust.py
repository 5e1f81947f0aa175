"""Rust by rustc alone: no cargo, so no build scripts, and no procedural macros but serde's own.

Of crates there are `metier` and, where the machine has serde_json's sources and a cargo beside rustc, `serde_json` and
`serde`. They are compiled once, without any draft.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from metier.capability import Language
from metier.errors import BuildError, SetupMissing
from metier.toolchains import lock
from metier.toolchains.building import PREPARING_SECONDS, refuse_strangers, succeed
from metier.toolchains.prepared import prepared, sdk
from metier.toolchains.protocol import Built, Files, Found, Missing, Workshop

INSTALL: Final = (
    "rustup target add wasm32-wasip1, or apt-get install rustc libstd-rust-dev-wasm32 lld "
    "(and for serde_json: cargo librust-serde-json-dev librust-serde-derive-dev)"
)
TARGETS: Final = ("wasm32-wasip1", "wasm32-wasi")
"""The same, since and before Rust 1.84."""
CODE: Final = (
    "--edition=2021 -C opt-level=s -C panic=abort -C codegen-units=1 -C debuginfo=0 -C embed-bitcode=no --color=never"
).split()
CRATES: Final = Path("/usr/share/cargo/registry")
"""Where Debian's librust-…-dev packages lay sources, for cargo to use offline."""
MANIFEST: Final = """[package]
name = "crates"
version = "0.0.0"
edition = "2021"
[lib]
path = "lib.rs"
[dependencies]
serde_json = "1"
serde = {{ version = "1", features = [{features}] }}
[profile.release]
opt-level = "s"
panic = "abort"
codegen-units = 1
"""


@dataclass(frozen=True, slots=True)
class Rust:
    """A rustc that has the standard library for WebAssembly, and its linker."""

    name: str
    sysroot: Path
    host: str
    target: str
    linker: Path

    @property
    def rustc(self) -> Path:
        return self.sysroot / "bin" / "rustc"

    def places(self) -> dict[str, lock.Place]:
        parts = ("bin/rustc", *self._own_libraries(), f"lib/rustlib/{self.target}", f"lib/rustlib/{self.host}")
        return {
            "rust": lock.Place(self.sysroot, parts),
            "linker": lock.Place(self.linker.parent, (self.linker.name,)),
        }

    def libraries(self) -> list[Path]:
        """Shared libraries of rustc and the linker that lie outside of the sysroot."""
        found = lock.libraries_of(self.rustc, self.linker)
        own = {self.sysroot / part for part in self._own_libraries()}
        return [path for path in found if path not in own]

    def _own_libraries(self) -> list[str]:
        found = [
            p.name for kind in ("rustc_driver", "std", "LLVM") for p in (self.sysroot / "lib").glob(f"lib{kind}*.so*")
        ]
        return sorted(f"lib/{name}" for name in found)


@functools.cache
def find_rust() -> Rust | Missing:
    """The first rustc that can build for WebAssembly."""
    for program in dict.fromkeys(filter(None, (shutil.which("rustc"), shutil.which("/usr/bin/rustc")))):
        asked = [program, "-vV", "--print", "sysroot"]
        done = subprocess.run(asked[:2], capture_output=True, text=True, check=False)
        root = subprocess.run([program, *asked[2:]], capture_output=True, text=True, check=False).stdout.strip()
        about = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
        if done.returncode != 0 or not root or "host" not in about:
            continue
        libraries = Path(root, "lib", "rustlib")
        target = next((t for t in TARGETS if any((libraries / t / "lib").glob("libstd-*.rlib"))), None)
        beside = libraries / about["host"] / "bin" / "rust-lld"
        linker = beside if beside.is_file() else next((Path(n) for n in (shutil.which("rust-lld"),) if n), None)
        if target is not None and linker is not None:
            return Rust(f"rustc {about['release']}", Path(root), about["host"], target, linker)
    return Missing(INSTALL)


@dataclass(frozen=True, slots=True)
class RustToolchain:
    language: Language = "rust"
    file_name: str = "capability.rs"
    suffixes: tuple[str, ...] = (".rs",)

    def found(self) -> Found | Missing:
        rust = find_rust()
        return rust if isinstance(rust, Missing) else Found(rust.name, rust.rustc)

    def build(self, files: Files, workshop: Workshop) -> Built:
        rust = find_rust()
        if isinstance(rust, Missing):
            raise SetupMissing(f"there is no Rust for WebAssembly: {rust.install}")
        if self.file_name not in files:
            raise BuildError(f"there is no {self.file_name}")
        crates = _crates(rust, workshop)
        places = rust.places() | {"crates": lock.Place(crates)}
        with lock.room(files, places, rust.libraries(), unlocked=workshop.unlocked) as room:
            command = [*_rustc(room, rust), "--crate-name=capability", "--crate-type=bin", "-C", "strip=symbols"]
            command += ["-A", "warnings", f"--remap-path-prefix={room.inside('draft')}=.", *_externs(room, crates)]
            try:
                succeed(room, [*command, "--emit=link,dep-info", "--out-dir", room.inside("out"), self.file_name])
            except BuildError as error:
                raise BuildError(_explained(str(error), crates)) from None
            refuse_strangers(room, _listed(room.read("capability.d").decode("utf-8", "replace")))
            return Built(room.read("capability.wasm"), rust.name)


RUST = RustToolchain()


def _rustc(room: lock.Room, rust: Rust) -> list[str]:
    linker = ["-C", f"linker={room.at('linker', rust.linker.name)}", "-C", "linker-flavor=wasm-ld"]
    root = ["--sysroot", room.at("rust"), f"--target={rust.target}"]
    return [room.at("rust", "bin", "rustc"), *root, *CODE, *linker]


def _externs(room: lock.Room, crates: Path) -> list[str]:
    found: dict[str, str] = json.loads((crates / "externs.json").read_text("utf-8"))
    named = [f"--extern={name}={room.at('crates', file)}" for name, file in sorted(found.items())]
    return [*named, "-L", f"dependency={room.at('crates')}"]


def _listed(text: str) -> Iterator[str]:
    """The sources in rustc's dep-info, and the variables that it looked at, which belong to nobody."""
    for line in text.splitlines():
        if line.startswith("# env-dep:"):
            raise BuildError(
                f"the source asks for the variable {line.partition(':')[2].partition('=')[0]} of this machine"
            )
        head, colon, rest = line.partition(": ")
        if colon and head.endswith(".wasm"):
            yield from (path.replace("\\ ", " ") for path in re.findall(r"(?:\\ |\S)+", rest))


def _explained(said: str, crates: Path) -> str:
    if re.search(r"unresolved import|can't find crate|undeclared (crate|type)|maybe a missing crate", said):
        there = ", ".join(sorted(json.loads((crates / "externs.json").read_text("utf-8"))))
        return f"{said}\nthe crates that there are: std, {there}"
    return said


def _crates(rust: Rust, workshop: Workshop) -> Path:
    """The folder of compiled crates that drafts may use; `externs.json` says which file is which."""
    source = sdk("rust", "src", "lib.rs").read_bytes()
    registry = sorted(p.name for p in CRATES.glob("serde*")) if CRATES.is_dir() else []

    def make(folder: Path) -> None:
        with lock.room({"lib.rs": source}, rust.places(), rust.libraries(), unlocked=workshop.unlocked) as room:
            what = ["--crate-name=metier", "--crate-type=rlib", f"--remap-path-prefix={room.inside('draft')}=metier"]
            succeed(room, [*_rustc(room, rust), *what, "-o", room.out("libmetier.rlib"), "lib.rs"])
            (folder / "libmetier.rlib").write_bytes(room.read("libmetier.rlib"))
        text = json.dumps(_with_serde(rust, folder) | {"metier": "libmetier.rlib"})
        (folder / "externs.json").write_text(text, encoding="utf-8")

    cargo = "with cargo" if (rust.sysroot / "bin" / "cargo").is_file() else "without cargo"
    return prepared(workshop, "rust", [rust.name, rust.target, *CODE, source, *registry, cargo, MANIFEST], make)


def _with_serde(rust: Rust, folder: Path) -> dict[str, str]:
    """serde_json and serde, by the machine's own cargo from sources that it has: with derive where a linker for this
    machine is there, without it else. Nothing where that does not work. No draft is near."""
    cargo = rust.sysroot / "bin" / "cargo"
    for features in ('"derive"', "") if cargo.is_file() else ():
        with tempfile.TemporaryDirectory(prefix="metier-crates-") as name:
            crate = Path(name)
            (crate / "Cargo.toml").write_text(MANIFEST.format(features=features), encoding="utf-8")
            (crate / "lib.rs").write_text("", encoding="utf-8")
            if CRATES.is_dir():
                (crate / ".cargo").mkdir()
                config = f'[source.crates-io]\nreplace-with = "debian"\n[source.debian]\ndirectory = "{CRATES}"\n'
                (crate / ".cargo" / "config.toml").write_text(config, encoding="utf-8")
            linker = f"CARGO_TARGET_{rust.target.upper().replace('-', '_')}_LINKER"
            environment = {name: os.environ[name] for name in ("PATH", "HOME", "CARGO_HOME") if name in os.environ}
            environment |= {
                "RUSTC": str(rust.rustc),
                linker: str(rust.linker),
                "CARGO_TARGET_DIR": str(crate / "target"),
            }
            environment |= {"RUSTFLAGS": f"--remap-path-prefix={CRATES}=crates --remap-path-prefix={crate}=."}
            command = [str(cargo), "build", "--release", "--offline", "--quiet", f"--target={rust.target}"]
            done = subprocess.run(
                command, cwd=crate, env=environment, capture_output=True, timeout=PREPARING_SECONDS, check=False
            )
            if done.returncode == 0:
                return _kept(crate / "target", rust.target, folder)
    return {}


def _kept(built: Path, target: str, folder: Path) -> dict[str, str]:
    """Copies compiled crates, with the macros that they re-export, and says which can be named."""
    found = [*(built / target / "release" / "deps").glob("*.rlib"), *(built / "release" / "deps").glob("libserde_*.so")]
    for path in found:
        shutil.copyfile(path, folder / path.name)
    names = {path.name.partition("-")[0].removeprefix("lib"): path.name for path in found}
    return {name: file for name, file in names.items() if name in ("serde", "serde_json")}
