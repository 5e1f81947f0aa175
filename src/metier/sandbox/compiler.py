"""WebAssembly to native code, in a process of its own: a hostile module can cost a compiler minutes and gigabytes.

The child has a processor, a memory and a wall-time limit, no environment, and gives back only the serialized code. It
is this file, run as a module.
"""

from __future__ import annotations

import subprocess
import sys

from metier.errors import InvalidModule
from metier.sandbox.limits import Limits

REJECTED = 3
"""Exit status of the child for a module that does not compile; the reason is its last line on stderr."""


def compile_module(wasm: bytes, limits: Limits, target: str | None = None) -> bytes:
    """The serialized native code of a module.

    Raises:
        InvalidModule: it does not compile, or compiling it takes more than the limits allow.
    """
    command = [
        *(sys.executable, "-I", "-m", "metier.sandbox.compiler"),
        *(str(int(limits.compile_seconds)), str(limits.compile_memory_bytes), target or ""),
    ]
    try:
        done = subprocess.run(command, input=wasm, capture_output=True, env={}, timeout=limits.compile_seconds)
    except subprocess.TimeoutExpired:
        raise InvalidModule(f"compiling the module takes longer than {limits.compile_seconds:g} s") from None
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    if done.returncode == REJECTED and said and "Cannot allocate memory" not in said[-1]:
        raise InvalidModule(f"the module does not load: {said[-1]}")
    memory = limits.compile_memory_bytes // 2**20
    raise InvalidModule(f"compiling the module takes more than {memory} MiB or {limits.compile_seconds:g} s")


def main() -> int:
    seconds, memory, target = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] or None
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds + 1, seconds + 2))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if sys.platform == "linux":  # macOS knows the limit by name only
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    import wasmtime

    from metier.sandbox.native import new_engine, reason

    try:
        code = wasmtime.Module(new_engine(target), sys.stdin.buffer.read()).serialize()
    except wasmtime.WasmtimeError as error:
        sys.stderr.write(reason(error) + "\n")
        return REJECTED
    sys.stdout.buffer.write(code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
