"""Runs the WASI preview 1 conformance suite in the sandbox and prints how many of its programs pass.

    git clone --branch prod/testsuite-base https://github.com/WebAssembly/wasi-testsuite
    python scripts/wasi_testsuite.py wasi-testsuite

Each program gets its own copy of the folder that it asks for, granted whole.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from metier.effects import INSIDE, OUTSIDE, Context, Door
from metier.errors import InvalidModule
from metier.permissions import Grant, Permissions
from metier.record import LiveRecord
from metier.runner import FIXED_TIME_NS
from metier.sandbox.box import Box
from metier.sandbox.files import FileSystem, HostFiles
from metier.sandbox.limits import Limits
from metier.sandbox.wasi import Clock, Process, RandomStream

LIMITS = Limits()
ALL = Permissions.model_validate({"files": [{"root": "fs", "path": "**", "access": "write"}]})


def check(box: Box, wasm: Path, scratch: Path) -> str | None:
    """How the program differs from what its specification says; None when it passes."""
    specification = wasm.with_suffix(".json")
    wanted: dict[str, Any] = json.loads(specification.read_text("utf-8")) if specification.exists() else {}
    files = FileSystem(HostFiles({}, 0), Grant(()), LIMITS)
    if wanted.get("root"):
        root = scratch / wasm.stem
        shutil.copytree(wasm.parent / wanted["root"], root)
        files = FileSystem(HostFiles({"fs": root}, LIMITS.effect_bytes), Grant((ALL,)), LIMITS)
    process = Process(
        files,
        LIMITS,
        Clock(FIXED_TIME_NS),
        RandomStream(b"suite"),
        arguments=(wasm.name, *wanted.get("args", [])),
        environ=wanted.get("env", {}),
    )
    if wanted.get("root"):
        process.descriptors[3].preopen = "/"
    try:
        ended = box.execute(
            box.load(wasm.read_bytes(), LIMITS),
            process,
            Door(INSIDE, OUTSIDE, Context(files, Grant((ALL,)), LIMITS, LiveRecord())),
        )
    except InvalidModule as error:
        return str(error)
    got = {"exit_code": ended.status, "stdout": ended.stdout.decode("utf-8", "replace")}
    for key, value in got.items():
        expected = wanted.get(key, 0 if key == "exit_code" else None)
        if expected is not None and expected != value:
            said = ended.stderr.decode("utf-8", "replace").strip()[-300:]
            why = f" ({ended.stopped[1]})" if ended.stopped else ""
            return f"{key} is {value!r}, not {expected!r}{why}: {said}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path, help="a checkout of the branch prod/testsuite-base")
    programs = sorted(parser.parse_args().suite.glob("tests/*/testsuite/wasm32-wasip1/*.wasm"))
    if not programs:
        print("no programs there; is it a checkout of the branch prod/testsuite-base?", file=sys.stderr)
        return 2
    box, failed = Box(), 0
    with tempfile.TemporaryDirectory() as scratch:
        for wasm in programs:
            folder = Path(scratch) / wasm.parts[-4]
            problem = check(box, wasm, folder)
            failed += problem is not None
            print(f"{'FAIL' if problem else 'pass'} {wasm.parts[-4]}/{wasm.stem}{': ' + problem if problem else ''}")
    print(f"{len(programs) - failed} of {len(programs)} pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
