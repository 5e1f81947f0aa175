"""WebAssembly's own text format. The assembler comes with wasmtime, and runs in a bounded process of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from metier.capability import Language
from metier.errors import BuildError
from metier.toolchains.messages import trimmed
from metier.toolchains.protocol import Built, Files, Found, Missing, Workshop, text_of

SECONDS: Final = 20
MEMORY_BYTES: Final = 4 * 2**30
ASSEMBLER: Final = f"""
import sys
if sys.platform != "win32":
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_BYTES}, {MEMORY_BYTES}))
import wasmtime
try:
    sys.stdout.buffer.write(wasmtime.wat2wasm(sys.stdin.buffer.read().decode()))
except wasmtime.WasmtimeError as error:
    sys.exit(str(error))
"""


@dataclass(frozen=True, slots=True)
class Wat:
    """Every byte is the author's: no library, no SDK."""

    language: Language = "wat"
    file_name: str = "capability.wat"
    suffixes: tuple[str, ...] = (".wat",)

    def found(self) -> Found | Missing:
        return Found(f"wasmtime {version('wasmtime')}")

    def build(self, files: Files, workshop: Workshop) -> Built:
        text = text_of(files, self.file_name)
        command = [sys.executable, "-I", "-c", ASSEMBLER]
        try:
            done = subprocess.run(command, input=text.encode(), capture_output=True, env={}, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise BuildError(f"assembling it takes longer than {SECONDS} s") from None
        said = done.stderr.decode("utf-8", "replace")
        if done.returncode == 1 and said:
            raise BuildError(trimmed(said.replace("<anon>", self.file_name)))
        if done.returncode != 0:
            raise BuildError(f"assembling it takes more than {SECONDS} s or {MEMORY_BYTES // 2**20} MiB")
        return Built(done.stdout, f"wasmtime {version('wasmtime')}")


WAT = Wat()
