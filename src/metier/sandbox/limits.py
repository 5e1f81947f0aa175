"""Every bound on a run. Each has a finite default; an operator changes them under `[limits]` in metier.toml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MIB = 2**20


class Limits(BaseModel):
    """What one run may use. Fuel is the semantic limit; wall time is a safety net for a loaded or slow host."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fuel: int = Field(default=20_000_000_000, gt=0)
    """Units of wasmtime fuel, about one WebAssembly instruction each."""
    seconds: float = Field(default=30.0, gt=0, le=3600)
    memory_bytes: int = Field(default=512 * MIB, gt=0, le=4096 * MIB)
    """Linear memory, per memory; the Python engine needs some 30 MiB of it."""
    table_elements: int = Field(default=100_000, gt=0, le=2**20)
    stack_bytes: int = Field(default=1 * MIB, gt=0, le=4 * MIB)
    """Native stack for WebAssembly frames; one value for the whole process, set when the engine starts."""
    module_bytes: int = Field(default=32 * MIB, gt=0)
    compile_seconds: float = Field(default=60.0, ge=1, le=3600)
    compile_memory_bytes: int = Field(default=4096 * MIB, gt=0)
    """Address space of the process that compiles a module."""
    stdin_bytes: int = Field(default=8 * MIB, gt=0)
    stdout_bytes: int = Field(default=8 * MIB, gt=0)
    stderr_bytes: int = Field(default=1 * MIB, gt=0)
    effects: int = Field(default=10_000, gt=0)
    effect_bytes: int = Field(default=16 * MIB, gt=0)
    """Bytes of one request or one answer at the effect door, and of one file."""
    record_bytes: int = Field(default=32 * MIB, gt=0)
    """Requests and answers that one run may have recorded, together; contents of files are not among them."""
    call_depth: int = Field(default=8, gt=0, le=32)
    """How many runs may be nested in each other by calls between capabilities, the outermost counted."""
    overlay_bytes: int = Field(default=64 * MIB, gt=0)
    """Bytes written by one run before they are committed."""
    open_files: int = Field(default=64, gt=0)
