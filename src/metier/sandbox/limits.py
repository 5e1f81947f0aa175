"""Every bound on a run. Each has a finite default; an operator changes them under `[limits]` in metier.toml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

MIB = 2**20


class Limits(BaseModel):
    """What one run may use. Fuel is the semantic limit; wall time is a safety net for a loaded or slow host.

    Runs nested in a run share with it fuel, time, memory, effects and what is read and written.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fuel: int = Field(default=20_000_000_000, gt=0)
    seconds: float = Field(default=30.0, gt=0, le=3600)
    memory_bytes: int = Field(default=512 * MIB, gt=0, le=4096 * MIB)
    """The Python engine needs some 30 MiB of it."""
    table_elements: int = Field(default=100_000, gt=0, le=2**20)
    stack_bytes: int = Field(default=1 * MIB, ge=MIB // 4, le=2 * MIB)
    """One value for the whole process: the sandbox is made with it."""
    module_bytes: int = Field(default=32 * MIB, gt=0)
    compile_seconds: float = Field(default=60.0, ge=1, le=3600)
    compile_memory_bytes: int = Field(default=4096 * MIB, gt=0)
    compiled_bytes: int = Field(default=256 * MIB, gt=0)
    stdin_bytes: int = Field(default=8 * MIB, gt=0)
    stdout_bytes: int = Field(default=4 * MIB, gt=0)
    stderr_bytes: int = Field(default=1 * MIB, gt=0)
    json_bytes: int = Field(default=56 * MIB, gt=0)
    check_steps: int = Field(default=5_000_000, gt=0)
    effects: int = Field(default=10_000, gt=0)
    effect_bytes: int = Field(default=8 * MIB, gt=0)
    record_bytes: int = Field(default=32 * MIB, gt=0)
    read_bytes: int = Field(default=256 * MIB, gt=0)
    overlay_bytes: int = Field(default=64 * MIB, gt=0)
    open_files: int = Field(default=64, gt=0)
    call_depth: int = Field(default=8, gt=0, le=32)


@dataclass(frozen=True, slots=True)
class Bound:
    """One line of the table of limits: what happens at the limit `name`."""

    name: str
    bounds: str
    ends: Literal["fails", "told", "not admitted"]
    """The run fails with a kind; the program is told and may go on; the module is refused before it runs."""
    kind: str
    """That of the failure, that of the answer at the effect door, or the error's class."""
    errno: str = ""
    """The error of a WASI call."""


TABLE: Final = (
    Bound("fuel", "units of wasmtime fuel, about one instruction each", "fails", "fuel"),
    Bound("seconds", "wall time", "fails", "time"),
    Bound("memory_bytes", "the program's memory and that of its engine, nested runs included", "fails", "memory"),
    Bound("table_elements", "elements of each of at most 16 tables, as declared", "fails", "table"),
    Bound("stack_bytes", "native stack", "fails", "stack"),
    Bound("module_bytes", "the wasm file", "not admitted", "InvalidModule"),
    Bound("compile_seconds", "time to compile the module", "not admitted", "InvalidModule"),
    Bound("compile_memory_bytes", "address space of the process that compiles it", "not admitted", "InvalidModule"),
    Bound("compiled_bytes", "the native code that it compiles to", "not admitted", "InvalidModule"),
    Bound("stdin_bytes", "the input", "fails", "input"),
    Bound("stdout_bytes", "the output", "fails", "output"),
    Bound("stderr_bytes", "what the program says beside it", "fails", "output"),
    Bound("json_bytes", "memory that an output takes as text and values", "fails", "contract"),
    Bound("json_bytes", "memory that a request takes as text and values", "told", "invalid"),
    Bound("check_steps", "steps of holding an input or output to its schema, at most 1 µs each", "fails", "check"),
    Bound("effects", "requests at the effect door, nested runs included", "fails", "effects"),
    Bound("effect_bytes", "one request, one answer", "told", "too_large"),
    Bound("effect_bytes", "one file", "told", "no_space", "NOSPC"),
    Bound("record_bytes", "requests and answers that are recorded, together", "fails", "effects"),
    Bound("read_bytes", "files read, together", "told", "no_space", "NOSPC"),
    Bound("overlay_bytes", "what was written and is not committed yet", "told", "no_space", "NOSPC"),
    Bound("open_files", "descriptors besides the streams and roots", "told", "", "MFILE"),
    Bound("call_depth", "runs in each other, the outermost counted", "told", "too_deep"),
)
"""Every field of `Limits`, in the order of the documents."""


def markdown() -> str:
    """The table as it stands in docs/security.md."""
    lines = ["| limit | default | bounds | at the limit |", "|---|---|---|---|"]
    ends = {
        "fails": "the run fails: `{}`",
        "told": "the program is told: `{}`",
        "not admitted": "the module is not admitted: `{}`",
    }
    for row in TABLE:
        kinds = "`, `".join(filter(None, (row.kind, row.errno)))
        lines.append(f"| `{row.name}` | {_shown(row.name)} | {row.bounds} | {ends[row.ends].format(kinds)} |")
    return "\n".join(lines) + "\n"


def _shown(name: str) -> str:
    value = getattr(Limits(), name)
    if name.endswith("_bytes"):
        return f"{value // MIB} MiB"
    return f"{value:g} s" if name.endswith("seconds") else f"{value:,}"
