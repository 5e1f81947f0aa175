"""Builds the Python engine that is shipped with Metier: python build.py [--output FOLDER]

Makes a virtual environment with the pinned builder and time zones, builds the component, tries it out, and writes
`python-3.14.wasm.xz` and `python-3.14.json` beside this folder. Needs an environment in which metier is installed.

Two builds differ byte for byte: CPython draws its hash seed, and so the order of its tables, while the image is made.
So the engine is built once, committed, and pinned by its hash; capabilities are compiled by it and run by it.
"""

import argparse
import hashlib
import json
import lzma
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import wasmtime
from wasmtime.component import Component

from metier.sandbox.engines import NoHost, PythonEngine
from metier.sandbox.native import new_engine
from metier.sandbox.shipped import PYTHON

COMPONENTIZE_PY = "0.25.1"
TZDATA = "2026.6"
HERE = Path(__file__).resolve().parent
GUEST = ("app.py", "host.py", "preload.py", "virtual_files.py", "virtual_system.py")

PROBE = """
import sys, zoneinfo
def run(input):
    zoneinfo.ZoneInfo("Europe/Berlin")
    return {"python": sys.version.split()[0], "modules": sorted(sys.modules)}
"""


def build(folder: Path) -> bytes:
    """The engine as a component."""
    venv.create(folder / "venv", with_pip=True)
    binaries = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    pinned = [f"componentize-py=={COMPONENTIZE_PY}", f"tzdata=={TZDATA}"]
    subprocess.run([binaries / "python", "-m", "pip", "install", "--quiet", *pinned], check=True)
    zones = next((folder / "venv").rglob("tzdata/zoneinfo")).parent
    guest = folder / "guest"
    guest.mkdir()
    for name in GUEST:
        shutil.copyfile(HERE / name, guest / name)
    shutil.copytree(zones, guest / "tzdata")
    wasm = folder / "engine.wasm"
    world = ["-d", HERE / "engine.wit", "-w", "python"]
    subprocess.run(
        [binaries / "componentize-py", *world, "componentize", "-p", guest, "app", "-o", wasm], check=True, cwd=folder
    )
    return wasm.read_bytes()


def probe(wasm: bytes) -> dict[str, object]:
    """What the engine says of itself when it runs."""
    engine = new_engine()
    python = PythonEngine(engine, Component(engine, wasm), PYTHON.name, "")

    def store() -> wasmtime.Store:
        made = wasmtime.Store(engine)
        made.set_fuel(10**10)
        made.set_epoch_deadline(1)
        return made

    code = python.compile(store(), PROBE)
    answer: dict[str, object] = json.loads(python.run(store(), NoHost(), code, "{}"))
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE.parent)
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory(prefix="metier-engine-") as folder:
        wasm = build(Path(folder))
    about = {
        "name": PYTHON.name,
        "sha256": hashlib.sha256(wasm).hexdigest(),
        "size": len(wasm),
        "componentize_py": COMPONENTIZE_PY,
        "tzdata": TZDATA,
        **probe(wasm),
    }
    packed = lzma.compress(wasm, preset=9 | lzma.PRESET_EXTREME)
    (output / f"{PYTHON.name}.wasm.xz").write_bytes(packed)
    (output / f"{PYTHON.name}.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    print(f"{PYTHON.name}: {len(wasm):,} bytes, {len(packed):,} packed, {about['sha256']}")


if __name__ == "__main__":
    main()
