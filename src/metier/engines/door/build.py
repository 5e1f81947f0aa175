"""Builds the doors that standalone programs are given: python build.py [--output FOLDER]

Makes a virtual environment with the pinned compiler and writes `door-preview1.wasm`, `door-preview2.wasm`,
`door-arena.wasm` and `door.json` beside this folder. Needs an environment in which metier is installed. Two builds are
the same byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from metier.portable.linking import PAGE, parsed
from metier.sandbox.shipped import JAVASCRIPT

ZIGLANG = "0.17.1"
HERE = Path(__file__).resolve().parent
COMPILING = (
    "-target wasm32-freestanding -mcpu=generic+bulk_memory -O2 -fno-builtin -Wall -Wextra -Werror "
    "-Wno-unused-parameter -Wno-missing-field-initializers -c"
).split()
LINKING = "--no-entry --strip-all --gc-sections --no-stack-first".split()
STACK = 65536
"""Bytes of the door's own stack."""
FIRST, SECOND = 1024, 65536
"""Where the data of the arena and of the door lie in the memory that they share in a component, and its size."""
SHARED = 4 * PAGE


def doors(zig: list[str | Path], folder: Path) -> dict[str, bytes]:
    """The modules by name."""

    def linked(name: str, sources: str, *flags: str, defines: tuple[str, ...] = ()) -> bytes:
        objects = []
        for source in sources.split():
            objects.append(folder / f"{name}-{source}.o")
            command = [*zig, "cc", *COMPILING, *defines, HERE / f"{source}.c", "-o", objects[-1]]
            subprocess.run(command, check=True, cwd=folder)
        wasm = folder / f"{name}.wasm"
        subprocess.run([*zig, "wasm-ld", *LINKING, *flags, *objects, "-o", wasm], check=True, cwd=folder)
        return wasm.read_bytes()

    memory = parsed(JAVASCRIPT.wasm()).memory
    if memory is None:
        raise SystemExit("the JavaScript engine has no memory")
    behind = f"--global-base={memory[0] * PAGE}"
    stack = ("-z", f"stack-size={STACK}")
    return {
        "preview1": linked("preview1", "door text arena preview1", "--import-undefined", behind, *stack),
        "preview2": linked(
            "preview2",
            "door text preview2",
            "--import-memory",
            f"--global-base={SECOND}",
            *stack,
            defines=("-DIN_COMPONENT",),
        ),
        "arena": linked(
            "arena",
            "arena",
            "--export-memory",
            f"--initial-memory={SHARED}",
            f"--global-base={FIRST}",
            "-z",
            "stack-size=16",
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE.parent)
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory(prefix="metier-door-") as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"ziglang=={ZIGLANG}"], check=True)
        made = doors([python, "-m", "ziglang"], folder)
    for name, wasm in made.items():
        (output / f"door-{name}.wasm").write_bytes(wasm)
        print(f"door-{name}: {len(wasm):,} bytes")
    hashes = {name: hashlib.sha256(wasm).hexdigest() for name, wasm in made.items()}
    about = {"sha256": hashes, "javascript": JAVASCRIPT.pin, "ziglang": ZIGLANG}
    (output / "door.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
