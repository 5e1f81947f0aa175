"""Builds the JavaScript engine that is shipped with Metier: python build.py [--output FOLDER]

Makes a virtual environment with the pinned compiler, fetches the pinned sources of QuickJS, compiles them with
engine.c, runs `initialize` once in the sandbox, keeps the memory as the image from which every run starts, and writes
`quickjs-0.17.wasm.xz` and `quickjs-0.17.json` beside this folder. Needs an environment in which metier is installed.

Two builds are the same byte for byte: nothing comes from outside while the image is made, not even the time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wasmtime

from metier.sandbox import wasi
from metier.sandbox.image import with_memory
from metier.sandbox.javascript import compilation
from metier.sandbox.limits import Limits
from metier.sandbox.native import Guest, Instance, Store, define, new_engine
from metier.sandbox.shipped import JAVASCRIPT

ZIGLANG = "0.17.1"
QUICKJS = ("quickjs-ng", "0.17.0.2", "43d2e48272208721a7aaea8e3f02d4b9318f12ef20cc4f5421b59d9a470706ef")
"""The source distribution that holds QuickJS-ng 0.17.0, and its SHA-256. Of the package itself nothing is used."""
SOURCES = ("quickjs.c", "libregexp.c", "libunicode.c", "dtoa.c")
STACK = 1 << 20
"""Bytes of the C stack, which is at the start of the memory."""
PROXY_TRAPS = (
    "getPrototypeOf setPrototypeOf isExtensible preventExtensions has get set get_own_property define_own_property "
    "delete_property get_own_property_names call_constructor call"
).split()
FRAMES = {
    "quickjs.c": {
        "JS_CallInternal": 1000,
        "js_call_c_function": 1500,
        "js_call_bound_function": 1500,
        "async_func_resume": 800,
        "js_parse_assign_expr2": 2500,
        "js_parse_unary": 250,
        "js_parse_postfix_expr": 250,
        "js_parse_statement_or_decl": 600,
        "js_parse_function_decl2": 2500,
        "js_parse_destructuring_element": 600,
        "json_parse_value": 400,
        "internalize_json_property": 600,
        "js_json_to_str": 400,
        "JS_FlattenIntoArray": 400,
        "JS_WriteObjectRec": 600,
        "JS_ReadObjectRec": 1000,
        **dict.fromkeys((f"js_proxy_{trap}" for trap in PROXY_TRAPS), 800),
    },
    "libregexp.c": {"re_parse_disjunction": 700, "re_parse_nested_class": 700},
}
"""Bytes of the C stack to be added to the frames of functions that call themselves in the end. The native stack that
they need is larger than their C stack, and only the latter can be watched: so it has to run out first."""
FLAGS = ("-target", "wasm32-wasi", "-mexec-model=reactor", "-O2", "-DNDEBUG", "-s")
LINKING = (f"-Wl,-z,stack-size={STACK}",)
HERE = Path(__file__).resolve().parent


def compiled(folder: Path) -> bytes:
    """QuickJS and engine.c as a module."""
    venv.create(folder / "venv", with_pip=True)
    binaries = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    pip: list[str | Path] = [binaries / "python", "-m", "pip"]
    name, version, sha256 = QUICKJS
    subprocess.run([*pip, "install", "--quiet", f"ziglang=={ZIGLANG}"], check=True)
    source: list[str | Path] = ["--no-deps", "--no-binary", ":all:", "--dest", folder, f"{name}=={version}"]
    subprocess.run([*pip, "download", "--quiet", *source], check=True)
    archive = next(folder.glob("*.tar.gz"))
    if hashlib.sha256(archive.read_bytes()).hexdigest() != sha256:
        raise SystemExit(f"{archive.name} is not the file that this engine is made of")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    quickjs = next(folder.glob("*/upstream-quickjs"))
    for file_name, functions in FRAMES.items():
        (quickjs / file_name).write_text(padded((quickjs / file_name).read_text("utf-8"), functions), "utf-8")
    wasm = folder / "engine.wasm"
    command: list[str | Path] = [binaries / "python", "-m", "ziglang", "cc", *FLAGS, "-I", quickjs, HERE / "engine.c"]
    subprocess.run([*command, *(quickjs / name for name in SOURCES), *LINKING, "-o", wasm], check=True)
    return wasm.read_bytes()


def padded(source: str, functions: Mapping[str, int]) -> str:
    """C source in which the frames of these functions are so many bytes larger."""
    for name, size in functions.items():
        padding = f'    char padding[{size}]; __asm__ volatile("" : : "r"(padding));\n'
        source, count = re.subn(rf"(?m)^([\w*][^\n;]*\b{name}\([^;{{]*\)\n{{\n)", rf"\g<1>{padding}", source)
        if count != 1:
            raise SystemExit(f"{name} is defined {count} times")
    return source


class Builder(Guest):
    """The guest while the image is made: it has nothing, and the clock starts at zero."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, float("inf"))
        self.process = compilation("", Limits())


def image(wasm: bytes) -> bytes:
    """The module with QuickJS started and prelude.js evaluated."""
    engine = new_engine()
    linker, keep = wasmtime.Linker(engine), list[Any]()
    wasi.link(linker, keep)
    define(linker, "metier", "call", "ii:i", lambda *_: 0, keep)
    define(linker, "metier", "read", "i", lambda *_: None, keep)
    store = Store(engine)
    store.set_fuel(10**12)
    store.set_epoch_deadline(1)
    guest = Builder(store)
    instance = Instance(linker.instantiate_pre(wasmtime.Module(engine, wasm)), guest)
    if any(guest.own_memory().read(0, STACK)):
        raise SystemExit("the stack is not at the start of the memory")
    prelude = (HERE / "prelude.js").read_bytes()
    try:
        instance.call(b"_initialize")
        address = instance.call(b"allocate", len(prelude))
        guest.own_memory().write(address, prelude)
        instance.call(b"initialize", address, len(prelude))
    except wasmtime.WasmtimeError as error:
        raise SystemExit(f"{error}\n{guest.process.stderr.decode()}") from None
    memory = guest.own_memory().read(0, guest.memory_bytes())
    return with_memory(wasm, bytes(STACK) + memory[STACK:], {"memory", "allocate", "run", "compile"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE.parent)
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory(prefix="metier-engine-") as folder:
        wasm = image(compiled(Path(folder)))
    about = {
        "name": JAVASCRIPT.name,
        "sha256": hashlib.sha256(wasm).hexdigest(),
        "size": len(wasm),
        "quickjs_ng": "{}=={}".format(*QUICKJS[:2]),
        "source_sha256": QUICKJS[2],
        "ziglang": ZIGLANG,
    }
    packed = lzma.compress(wasm, preset=9 | lzma.PRESET_EXTREME)
    (output / f"{JAVASCRIPT.name}.wasm.xz").write_bytes(packed)
    (output / f"{JAVASCRIPT.name}.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    print(f"{JAVASCRIPT.name}: {len(wasm):,} bytes, {len(packed):,} packed, {about['sha256']}")


if __name__ == "__main__":
    main()
