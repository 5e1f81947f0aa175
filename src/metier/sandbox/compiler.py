"""WebAssembly to native code, in a process of its own: a hostile module can cost a compiler minutes and gigabytes.

The child has a processor, a memory, a size and a wall-time limit, no environment, and gives back only the serialized
code, in a file: a module can be made to become thirty times its size. It is this file, run as a module.
"""

from __future__ import annotations

import subprocess
import sys
from typing import IO

from metier.errors import InvalidModule
from metier.sandbox.limits import Limits

REJECTED = 3
"""Exit status of the child for a module that does not compile; the reason is its last line on stderr."""


def compile_module(wasm: bytes, limits: Limits, into: IO[bytes], target: str | None = None) -> None:
    """Writes the serialized native code of a module to a file.

    Raises:
        InvalidModule: it does not compile, or compiling it takes more than the limits allow.
    """
    command = [
        *(sys.executable, "-I", "-m", "metier.sandbox.compiler"),
        *map(str, (int(limits.compile_seconds), limits.compile_memory_bytes, limits.compiled_bytes)),
        target or "",
    ]
    try:
        done = subprocess.run(
            command, input=wasm, stdout=into, stderr=subprocess.PIPE, env={}, timeout=limits.compile_seconds
        )
    except subprocess.TimeoutExpired:
        raise InvalidModule(f"compiling the module takes longer than {limits.compile_seconds:g} s") from None
    if done.returncode == 0:
        return
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    if done.returncode == REJECTED and said and "Cannot allocate memory" not in said[-1]:
        raise InvalidModule(f"the module does not load: {said[-1]}")
    memory = limits.compile_memory_bytes // 2**20
    raise InvalidModule(f"compiling the module takes more than {memory} MiB or {limits.compile_seconds:g} s")


def main() -> int:
    seconds, memory, size, target = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] or None
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds + 1, seconds + 2))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        if sys.platform == "linux":  # macOS knows the limit by name only
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    import wasmtime

    from metier.sandbox.native import new_engine, reason

    try:
        code = wasmtime.Module(new_engine(target), sys.stdin.buffer.read()).serialize()
    except wasmtime.WasmtimeError as error:
        sys.stderr.write(reason(error) + "\n")
        return REJECTED
    if len(code) > size:
        sys.stderr.write(f"its native code has more than {size} bytes\n")
        return REJECTED
    sys.stdout.buffer.write(code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
