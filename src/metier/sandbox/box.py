"""The box itself: a module is loaded once, and each execution gets a fresh instance and nothing from the last."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import wasmtime

from metier.errors import BuildError, InvalidModule
from metier.outcomes import FailureKind
from metier.sandbox import modules, wasi
from metier.sandbox.cache import CompiledCode, default_cache_folder
from metier.sandbox.engines import MAX_CODE_BYTES, ProgramError, PythonEngine
from metier.sandbox.javascript import JavaScriptEngine, NoDoor, compilation, refusal
from metier.sandbox.limits import Limits
from metier.sandbox.native import (
    Guest,
    Memory,
    OutOfBounds,
    OutOfTime,
    Store,
    Ticker,
    define,
    new_engine,
    reason,
    start,
)
from metier.sandbox.shipped import JAVASCRIPT, PYTHON, Shipped
from metier.sandbox.wasi import Exited, LimitReached, Process

FOR_PYTHON, FOR_JAVASCRIPT = ("metier:python", "run"), ("metier:javascript", "run")
ENGINES = frozenset({FOR_PYTHON, FOR_JAVASCRIPT})
"""The imports that hand a module's data to an engine, as the code to run."""
FOR_ENGINES = tuple(module for module, _ in sorted(ENGINES))
OFFERED = ENGINES | {(wasi.MODULE, name) for name in wasi.SIGNATURES} | {("metier", "call"), ("metier", "read")}

RESIDENT, ENGINE_RESIDENT = 2**16, 10 * 2**20
"""Bytes of a memory that are wiped by hand after a run, the rest by the system: of a program's own, and of an engine's,
where 10 MiB spare more page faults than they take time."""

PORTABLE = "pulley64"
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
OUT_OF_MEMORY = "memory minimum size"
"""How wasmtime says that a memory cannot be had."""


class Budget(Protocol):
    """What a run has left, for effects that spend it on its behalf."""

    def fuel_left(self) -> int: ...
    def burn(self, fuel: int) -> None: ...
    def seconds_left(self) -> float: ...
    def memory_left(self) -> int: ...
    def effects_left(self) -> int: ...
    def spend_effects(self, count: int) -> None: ...


class EffectDoor(Protocol):
    count: int
    """Requests so far."""

    def call(self, request: str, budget: Budget) -> str: ...


class State(Guest):
    """One execution: what the program sees, and the door behind which effects happen."""

    __slots__ = ("answer", "door", "engine", "is_engine", "process")

    def __init__(self, store: Store, process: Process, door: EffectDoor, *, is_engine: bool = False) -> None:
        super().__init__(store, time.monotonic() + process.limits.seconds)
        self.process = process
        process.files.overlay.in_time = self.in_time
        self.door = door
        self.answer = b""
        self.is_engine = is_engine
        self.engine: State | None = None
        """The engine that the program handed its code to: a guest with a memory of its own."""

    # What is left of the run; see Budget.

    def fuel_left(self) -> int:
        return self.store.get_fuel()

    def burn(self, fuel: int) -> None:
        self.store.set_fuel(max(0, self.store.get_fuel() - fuel))

    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()

    def memory_left(self) -> int:
        """Bytes that runs nested in this one may take. Of an engine's memory no more is known than its share."""
        if self.is_engine:
            return self.process.kept_bytes
        return self.process.limits.memory_bytes - self.memory_bytes()

    def effects_left(self) -> int:
        return self.process.limits.effects - self.door.count

    def spend_effects(self, count: int) -> None:
        self.door.count += count

    def memory_bytes(self) -> int:
        return super().memory_bytes() + (self.engine.memory_bytes() if self.engine is not None else 0)

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


class Backend:
    """What compiles and executes programs of one kind: an engine, its compiled code, its clock and its linker.

    `resident_bytes` is how much of a memory stays in place from run to run, wiped; see `native.new_engine`.
    """

    def __init__(self, cache_folder: Path, target: str | None, resident_bytes: int, stack_bytes: int) -> None:
        pooled = resident_bytes if target is None else None
        self.engine = new_engine(target, resident_bytes=pooled, stack_bytes=stack_bytes)
        self.compiled = CompiledCode(self.engine, cache_folder, target)
        self.ticker = Ticker(self.engine)
        self.linker = wasmtime.Linker(self.engine)
        self.keep: list[Any] = []
        wasi.link(self.linker, self.keep)
        define(self.linker, "metier", "call", "ii:i", _call, self.keep)
        define(self.linker, "metier", "read", "i", _read, self.keep)

    def store(self, limits: Limits, memory_bytes: int) -> Store:
        """A store for one run. A memory in it may have `memory_bytes`."""
        store = Store(self.engine)
        store.set_limits(
            memory_size=memory_bytes,
            table_elements=limits.table_elements,
            memories=16,
            tables=TABLES,
            instances=64,
        )
        store.set_fuel(limits.fuel)
        return store


@dataclass(frozen=True, slots=True)
class Program:
    """A module that is compiled, linked and ready for any number of executions."""

    prepared: wasmtime.InstancePre
    backend: Backend
    engines: frozenset[tuple[str, str]]
    """The imports of engines that it hands its data to, whose memory then is what it needs."""


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

    Programs have `stack_bytes` of native stack. `announce` is told what takes long (a line of text) before it starts.
    """

    def __init__(
        self,
        cache_folder: Path | None = None,
        *,
        target: str | None = None,
        stack_bytes: int = COMPILING.stack_bytes,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.stack_bytes = stack_bytes
        self._cache_folder = cache_folder or default_cache_folder()
        self._target = target
        self.announce = announce
        self._folder = cache_folder
        self._python: PythonEngine | None = None
        self._javascript: JavaScriptEngine | None = None
        self._making = threading.Lock()
        self._backends: dict[int, Backend] = {}

    def _backend(self, resident_bytes: int) -> Backend:
        with self._making:
            found = self._backends.get(resident_bytes)
            if found is None:
                found = self._backends[resident_bytes] = Backend(
                    self._cache_folder, self._target, resident_bytes, self.stack_bytes
                )
                if resident_bytes == ENGINE_RESIDENT:
                    define(found.linker, *FOR_PYTHON, "ii", self._run_python, found.keep)
                    define(found.linker, *FOR_JAVASCRIPT, "ii", self._run_javascript, found.keep)
            return found

    def prepare(self) -> None:
        """Makes what programs of any kind need of the process, which the first of each kind would wait for: above all
        the address space of their memories. No engine is loaded."""
        for resident_bytes in (RESIDENT, ENGINE_RESIDENT):
            self._backend(resident_bytes)

    def portable(self) -> Box:
        """Another one on wasmtime's portable interpreter: the same modules on an independent back end."""
        return Box(self._folder, target=PORTABLE, stack_bytes=self.stack_bytes, announce=self.announce)

    @property
    def python(self) -> PythonEngine:
        """The Python engine, compiled for this machine on first use."""
        if self._python is None:
            self._python = PythonEngine.load(self._backend(ENGINE_RESIDENT).engine, self._component)
        return self._python

    @property
    def javascript(self) -> JavaScriptEngine:
        """The JavaScript engine, compiled for this machine on first use."""
        if self._javascript is None:
            backend = self._backend(ENGINE_RESIDENT)
            module = backend.compiled.engine(JAVASCRIPT.sha256, JAVASCRIPT.wasm, self._announcing(JAVASCRIPT))
            self._javascript = JavaScriptEngine(backend.linker.instantiate_pre(module))
        return self._javascript

    def is_compiled(self, engine: Shipped) -> bool:
        """Whether an engine is ready on this machine. Loads nothing."""
        return self._backend(ENGINE_RESIDENT).compiled.has(engine.sha256)

    def load(self, wasm: bytes, limits: Limits) -> Program:
        """The program in `wasm`.

        Raises:
            InvalidModule: it is not one that the sandbox admits; one line says why.
        """
        modules.check_bytes(wasm, limits.module_bytes)
        try:
            # A module around bytecode is a few bytes of code: compiling it costs less than a cache file.
            small = modules.is_small(wasm)
            backend = self._backend(ENGINE_RESIDENT if modules.names_import(wasm, FOR_ENGINES) else RESIDENT)
            module = wasmtime.Module(backend.engine, wasm) if small else backend.compiled.module(wasm, limits)
            modules.check_shape(module, OFFERED, ENGINES)
            wanted = {(wanted.module, wanted.name) for wanted in module.imports}
            return Program(backend.linker.instantiate_pre(module), backend, ENGINES & wanted)
        except wasmtime.WasmtimeError as error:
            raise InvalidModule(f"the module does not load: {reason(error)}") from None

    def execute(self, program: Program, process: Process, door: EffectDoor) -> Execution:
        """Runs the program to its end, or to the first limit that it reaches. What it does raises nothing."""
        # An engine is made ready for this machine before time counts, which may take longer than any run.
        if FOR_PYTHON in program.engines:
            _ = self.python
        if FOR_JAVASCRIPT in program.engines:
            _ = self.javascript
        kept = process.kept_bytes if program.engines else 0
        store = program.backend.store(process.limits, process.limits.memory_bytes - kept)
        state = State(store, process, door)
        return _measured(program.backend.ticker, state, lambda: start(program.prepared, state))

    def compile_python(self, source: str, limits: Limits = COMPILING) -> bytes:
        """The bytecode of Python source, compiled inside the engine.

        Raises:
            BuildError: the source does not compile, or compiling it reaches a limit; the message says which.
        """
        backend, engine = self._backend(ENGINE_RESIDENT), self.python  # which is made ready before time counts
        with closing(backend.store(limits, limits.memory_bytes)) as store:
            backend.ticker.arm(store, limits.seconds)
            try:
                return engine.compile(store, source)
            except wasmtime.WasmtimeError as error:
                raise BuildError(f"compiling it went beyond a limit: {reason(error)}") from None
            finally:
                backend.ticker.disarm()

    def compile_javascript(self, source: str, limits: Limits = COMPILING) -> bytes:
        """The bytecode of JavaScript source, compiled inside the engine. Raises as `compile_python`."""
        backend, engine = self._backend(ENGINE_RESIDENT), self.javascript  # which is made ready before time counts
        state = State(backend.store(limits, limits.memory_bytes), compilation(source, limits), NoDoor())
        done = _measured(backend.ticker, state, lambda: engine.compile(state))
        if done.stopped is not None:
            raise BuildError(f"compiling it went beyond a limit: {done.stopped[1]}")
        if done.status != 0:
            raise refusal(source, done.stderr.decode("utf-8", "replace"))
        return done.stdout

    def _run_python(self, guest: Guest, memory: Memory, address: int, size: int) -> None:
        engine, code = _handed_over(guest, memory, address, size)
        process = engine.process
        try:
            output = self.python.run(engine.store, engine, code, process.stdin, process.limits)
        except ProgramError as error:
            process.write_stderr(str(error).encode("utf-8", "replace") + b"\n")
            raise Exited(1) from None
        process.write_stdout(output)

    def _run_javascript(self, guest: Guest, memory: Memory, address: int, size: int) -> None:
        self.javascript.run(*_handed_over(guest, memory, address, size))

    def _component(self, key: str, wasm: Callable[[], bytes]) -> Any:
        return self._backend(ENGINE_RESIDENT).compiled.component(key, wasm, self._announcing(PYTHON))

    def _announcing(self, engine: Shipped) -> Callable[[], None]:
        line = f"preparing the {engine.language} engine for this machine (once, about {engine.seconds} seconds)"
        return lambda: self.announce(line)


def _handed_over(guest: Guest, memory: Memory, address: int, size: int) -> tuple[State, bytes]:
    """The engine's side of a run, and the code that the program hands to it."""
    assert isinstance(guest, State)
    if guest.engine is not None:  # each start is an engine of its own, with its own memory
        raise LimitReached("trap", "the program started an engine a second time")
    guest.engine = engine = State(guest.store, guest.process, guest.door, is_engine=True)
    engine.deadline = guest.deadline
    if size > MAX_CODE_BYTES:  # the host makes several copies of it
        raise LimitReached("memory", f"the program hands more than {MAX_CODE_BYTES} bytes of code to its engine")
    return engine, memory.read(address, size)


def _measured(ticker: Ticker, state: State, run: Callable[[], None]) -> Execution:
    process, status, stopped = state.process, 0, None
    began = time.perf_counter()
    ticker.arm(state.store, process.limits.seconds)
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
        ticker.disarm()
        fuel = process.limits.fuel - state.store.get_fuel()
        # An exception that crossed the program keeps its frames, and they keep the store: its memory goes now.
        state.store.close()
    seconds = time.perf_counter() - began
    return Execution(status, bytes(process.stdout), bytes(process.stderr), fuel, seconds, stopped)


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
    words = str(error)
    if "maximum concurrent" in words:
        return "memory", "more programs run at once than the sandbox has room for; try again"
    # A program whose memory could not grow usually aborts, and the trap alone does not tell.
    if "table minimum size" in words or "table count" in words:
        return "table", f"the program needs more than {TABLES} tables of {limits.table_elements} elements"
    if OUT_OF_MEMORY in words or state.memory_bytes() > limits.memory_bytes * 3 // 4:
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
