"""The box itself: a module is loaded once, and each execution gets a fresh instance and nothing from the last."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import wasmtime

from metier.errors import BuildError, InvalidModule
from metier.outcomes import FailureKind
from metier.sandbox import modules, wasi
from metier.sandbox.cache import CompiledCode, default_cache_folder
from metier.sandbox.engines import ProgramError, PythonEngine, shipped
from metier.sandbox.limits import Limits
from metier.sandbox.native import Guest, Memory, OutOfBounds, OutOfTime, Ticker, define, new_engine, reason, start
from metier.sandbox.wasi import Exited, LimitReached, Process

PYTHON = ("metier:python", "run")
OFFERED = frozenset(
    {(wasi.MODULE, name) for name in wasi.SIGNATURES} | {("metier", "call"), ("metier", "read"), PYTHON}
)

COMPILING = Limits()
"""Bounds on the compilation of one source."""
TABLES = 16
"""Tables of one run, together with those of an engine; each may have `table_elements`."""

TRAPS: dict[wasmtime.TrapCode, tuple[FailureKind, str]] = {
    wasmtime.TrapCode.OUT_OF_FUEL: ("fuel", "the program used up its fuel; it loops, or the input is too large for it"),
    wasmtime.TrapCode.INTERRUPT: ("time", "the program ran longer than its time limit"),
    wasmtime.TrapCode.STACK_OVERFLOW: ("stack", "the program recursed too deeply"),
    wasmtime.TrapCode.UNREACHABLE: ("trap", "the program aborted"),
    wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS: ("trap", "the program touched memory that it does not have"),
    wasmtime.TrapCode.INTEGER_DIVISION_BY_ZERO: ("trap", "the program divided by zero"),
}
OUT_OF_MEMORY = ("memory minimum size", "GC heap out of memory")
"""How wasmtime says that a memory, or the heap of what is garbage-collected, cannot be had."""


class Budget(Protocol):
    """What a run has left, for effects that spend it on its behalf."""

    def fuel_left(self) -> int: ...
    def burn(self, fuel: int) -> None: ...
    def seconds_left(self) -> float: ...


class EffectDoor(Protocol):
    def call(self, request: str, budget: Budget) -> str: ...


class State(Guest):
    """One execution: what the program sees, and the door behind which effects happen."""

    __slots__ = ("answer", "door", "process", "python_started")

    def __init__(self, store: wasmtime.Store, process: Process, door: EffectDoor) -> None:
        super().__init__(store, time.monotonic() + process.limits.seconds)
        self.process = process
        process.files.overlay.in_time = self.in_time
        self.door = door
        self.answer = b""
        self.python_started = False

    # What is left of the run; see Budget.

    def fuel_left(self) -> int:
        return self.store.get_fuel()

    def burn(self, fuel: int) -> None:
        self.store.set_fuel(max(0, self.store.get_fuel() - fuel))

    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()

    # What the Python engine asks of its host; see engines.EngineHost.

    def call(self, request: str) -> str:
        self.in_time()
        return self.door.call(request, self)

    def stderr(self, text: str) -> None:
        self.in_time()
        self.process.write_stderr(text.encode("utf-8", "replace"))

    def wall_ns(self) -> int:
        self.in_time()
        return self.process.clock.wall()

    def monotonic_ns(self) -> int:
        self.in_time()
        return self.process.clock.monotonic()

    def random(self, count: int) -> bytes:
        self.in_time()
        return self.process.random.take(count)

    @property
    def environ(self) -> Sequence[tuple[str, str]]:
        return sorted(self.process.environ.items())


@dataclass(frozen=True, slots=True)
class Program:
    """A module that is compiled, linked and ready for any number of executions."""

    prepared: wasmtime.InstancePre


@dataclass(frozen=True, slots=True)
class Execution:
    """How one execution ended. `stopped` is why, where the program did not end by itself."""

    status: int
    stdout: bytes
    stderr: bytes
    fuel: int
    seconds: float
    stopped: tuple[FailureKind, str] | None = None


class Box:
    """Compiles, links and executes. One for a process; safe to use from several threads.

    `announce` is told what takes long (a line of text) before it starts.
    """

    def __init__(
        self,
        cache_folder: Path | None = None,
        *,
        target: str | None = None,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._engine = new_engine(target)
        self._compiled = CompiledCode(self._engine, cache_folder or default_cache_folder(), target)
        self._ticker = Ticker(self._engine)
        self._announce = announce
        self._python: PythonEngine | None = None
        self._keep: list[Any] = []
        self._linker = wasmtime.Linker(self._engine)
        wasi.link(self._linker, lambda guest: guest.process, self._keep)  # type: ignore[attr-defined]  # State
        define(self._linker, "metier", "call", "ii:i", _call, self._keep)
        define(self._linker, "metier", "read", "i", _read, self._keep)
        define(self._linker, *PYTHON, "ii", self._run_python, self._keep)

    @property
    def python(self) -> PythonEngine:
        """The Python engine, compiled for this machine on first use."""
        if self._python is None:
            self._python = PythonEngine.load(self._engine, self._component)
        return self._python

    @property
    def python_pin(self) -> str:
        """The engine's name and hash, as meta.json's `engine` has them. Loads nothing."""
        return "{name}@{sha256}".format(**shipped())

    @property
    def python_is_compiled(self) -> bool:
        return self._python is not None or self._compiled.has(shipped()["sha256"])

    def load(self, wasm: bytes, limits: Limits) -> Program:
        """The program in `wasm`.

        Raises:
            InvalidModule: it is not one that the sandbox admits; one line says why.
        """
        modules.check_bytes(wasm, limits.module_bytes)
        try:
            # A module around Python bytecode is a few bytes of code: compiling it costs less than a cache file.
            small = modules.is_small(wasm)
            module = wasmtime.Module(self._engine, wasm) if small else self._compiled.module(wasm, limits)
            modules.check_shape(module, OFFERED, PYTHON)
            return Program(self._linker.instantiate_pre(module))
        except wasmtime.WasmtimeError as error:
            raise InvalidModule(f"the module does not load: {reason(error)}") from None

    def execute(self, program: Program, process: Process, door: EffectDoor) -> Execution:
        """Runs the program to its end, or to the first limit that it reaches. What it does raises nothing."""
        state = self._state(process, door)
        return self._measured(state, lambda: start(program.prepared, state))

    def compile_python(self, source: str, limits: Limits = COMPILING) -> bytes:
        """The bytecode of Python source, compiled inside the engine.

        Raises:
            BuildError: the source does not compile, or compiling it reaches a limit; the message says which.
        """
        store = self._store(limits)
        self._ticker.arm(store, limits.seconds)
        try:
            return self.python.compile(store, source)
        except wasmtime.WasmtimeError as error:
            raise BuildError(f"compiling it went beyond a limit: {reason(error)}") from None
        finally:
            self._ticker.disarm()

    def _state(self, process: Process, door: EffectDoor) -> State:
        return State(self._store(process.limits), process, door)

    def _store(self, limits: Limits) -> wasmtime.Store:
        store = wasmtime.Store(self._engine)
        store.set_limits(
            memory_size=limits.memory_bytes,
            table_elements=limits.table_elements,
            memories=16,
            tables=TABLES,
            instances=64,
        )
        store.set_fuel(limits.fuel)
        return store

    def _measured(self, state: State, run: Callable[[], None]) -> Execution:
        process, status, stopped = state.process, 0, None
        began = time.perf_counter()
        self._ticker.arm(state.store, process.limits.seconds)
        try:
            run()
        except Exited as exited:
            status = exited.status
        except LimitReached as reached:
            status, stopped = 1, (reached.kind, str(reached))
        except OutOfTime:
            status, stopped = 1, TRAPS[wasmtime.TrapCode.INTERRUPT]
        except OutOfBounds:
            status, stopped = 1, TRAPS[wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS]
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            status, stopped = 1, _stopped(error, state)
        finally:
            self._ticker.disarm()
        seconds = time.perf_counter() - began
        fuel = process.limits.fuel - state.store.get_fuel()
        return Execution(status, bytes(process.stdout), bytes(process.stderr), fuel, seconds, stopped)

    def _run_python(self, guest: Guest, memory: Memory, address: int, size: int) -> None:
        assert isinstance(guest, State)
        if guest.python_started:  # each start is an engine of its own, with its own memory
            raise LimitReached("trap", "the program started the Python engine a second time")
        guest.python_started = True
        code = memory.read(address, size)
        try:
            output = self.python.run(guest.store, guest, code, guest.process.stdin.decode("utf-8"))
        except ProgramError as error:
            guest.process.write_stderr(str(error).encode("utf-8", "replace") + b"\n")
            raise Exited(1) from None
        guest.process.write_stdout(output.encode("utf-8", "surrogatepass"))

    def _component(self, key: str, wasm: Callable[[], bytes]) -> Any:
        def announce() -> None:
            self._announce("preparing the Python engine for this machine (once, about ten seconds)")

        return self._compiled.component(key, wasm, announce)


def _call(guest: Guest, memory: Memory, address: int, size: int) -> int:
    assert isinstance(guest, State)
    request = memory.read(address, min(size, guest.process.limits.effect_bytes + 1))
    guest.answer = guest.door.call(request.decode("utf-8", "replace"), guest).encode("utf-8", "surrogatepass")
    return len(guest.answer)


def _read(guest: Guest, memory: Memory, address: int) -> None:
    assert isinstance(guest, State)
    memory.write(address, guest.answer)


def _stopped(error: wasmtime.Trap | wasmtime.WasmtimeError, state: State) -> tuple[FailureKind, str]:
    limits = state.process.limits
    code = error.trap_code if isinstance(error, wasmtime.Trap) else _trap_code(error)
    if code in TRAPS and code is not wasmtime.TrapCode.UNREACHABLE:
        return TRAPS[code]
    # A program whose memory could not grow usually aborts, and the trap alone does not tell.
    words = str(error)
    if "table minimum size" in words or "table count" in words:
        return "memory", f"the program needs more than {TABLES} tables of {limits.table_elements} elements"
    if any(said in words for said in OUT_OF_MEMORY) or state.memory_bytes() > limits.memory_bytes * 3 // 4:
        return "memory", f"the program needs more than its {limits.memory_bytes // 2**20} MiB of memory"
    return TRAPS.get(code, ("trap", reason(error))) if code else ("trap", reason(error))


def _trap_code(error: wasmtime.WasmtimeError) -> wasmtime.TrapCode | None:
    text = str(error)
    by_words = {
        "all fuel consumed": wasmtime.TrapCode.OUT_OF_FUEL,
        "wasm trap: interrupt": wasmtime.TrapCode.INTERRUPT,
        "call stack exhausted": wasmtime.TrapCode.STACK_OVERFLOW,
        "unreachable": wasmtime.TrapCode.UNREACHABLE,
    }
    return next((code for words, code in by_words.items() if words in text), None)
