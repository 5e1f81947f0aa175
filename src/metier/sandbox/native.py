"""WebAssembly from Python without the wrapper objects: host functions and instances over wasmtime's C API.

wasmtime-py turns each argument and each export of each host call into Python objects, some 40 µs a crossing. The
functions here read the raw arguments and copy memory by address, about a tenth of that. The C API is wasmtime 50's.
"""

from __future__ import annotations

import ctypes
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import wasmtime
from wasmtime import FuncType, Linker, Store, Trap, ValType, WasmtimeError, _ffi

STACK_BYTES = 2**20
"""Native stack for WebAssembly frames. One value for the process: it is part of what compiled code is cached under."""

LOCK_SECONDS = 0.005
YIELD_SECONDS = 0.000_05
"""How long host calls of one program may follow each other before other threads have a turn, and how long that is."""

Caller = int
HostFunction = Callable[..., int | None]
"""Takes the guest's memory and the raw arguments, as integers; returns the i32 result, or None where there is none."""

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_NO_FINALIZER = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))
_RAW_BYTES = 16
_TYPES = {"i": ValType.i32, "I": ValType.i64}
_MEMORY = b"memory"


def new_engine(target: str | None = None) -> wasmtime.Engine:
    """An engine whose programs are deterministic and can be stopped; "pulley64" is the portable interpreter."""
    config = wasmtime.Config()
    config.consume_fuel = True
    config.epoch_interruption = True
    config.cranelift_nan_canonicalization = True
    config.wasm_relaxed_simd_deterministic = True
    config.wasm_multi_memory = False
    config.wasm_memory64 = False
    config.wasm_threads = False
    config.max_wasm_stack = STACK_BYTES
    if target is not None:
        config.target = target
    return wasmtime.Engine(config)


class OutOfBounds(Exception):
    """The guest named memory that it does not have."""


class OutOfTime(Exception):
    """The guest called its host after its deadline."""


class Memory:
    """The guest's linear memory during one host call. Addresses are the guest's own, unsigned."""

    __slots__ = ("_base", "_size")

    def __init__(self, base: int, size: int) -> None:
        self._base = base
        self._size = size

    def read(self, address: int, size: int) -> bytes:
        if address + size > self._size:
            raise OutOfBounds
        return ctypes.string_at(self._base + address, size)

    def write(self, address: int, data: bytes | bytearray) -> None:
        if address + len(data) > self._size:
            raise OutOfBounds
        ctypes.memmove(self._base + address, bytes(data), len(data))

    def write_u32(self, address: int, value: int) -> None:
        self.write(address, value.to_bytes(4, "little"))

    def write_u64(self, address: int, value: int) -> None:
        self.write(address, value.to_bytes(8, "little"))


class Guest:
    """What the host functions of one run share: the handle of the memory, the deadline on `time.monotonic`, and what
    ended the program."""

    __slots__ = ("_handle", "_lock_since", "deadline", "stopped_by", "store")

    def __init__(self, store: Store, deadline: float) -> None:
        self.store = store
        self.deadline = deadline
        self._lock_since = 0.0
        self.stopped_by: BaseException | None = None
        self._handle: _ffi.wasmtime_memory_t | None = None

    def memory(self, caller: Caller) -> Memory:
        """The memory that the calling module exports under the name `memory`."""
        if self._handle is None:
            item = _ffi.wasmtime_extern_t()
            if not _ffi.wasmtime_caller_export_get(
                ctypes.cast(caller, ctypes.POINTER(_ffi.wasmtime_caller_t)), _MEMORY, len(_MEMORY), ctypes.byref(item)
            ):
                raise OutOfBounds
            self._handle = item.of.memory
        context, handle = self.store._context(), ctypes.byref(self._handle)
        base = ctypes.cast(_ffi.wasmtime_memory_data(context, handle), ctypes.c_void_p).value or 0
        return Memory(base, _ffi.wasmtime_memory_data_size(context, handle))

    def in_time(self) -> None:
        """Raises OutOfTime after the deadline.

        A program that does little but call its host gives Python's lock away and has it back before anyone wakes up,
        for seconds. So each call looks at the clock itself, and every few milliseconds one waits for the others.
        """
        now = time.monotonic()
        if now > self.deadline:
            raise OutOfTime
        if now - self._lock_since > LOCK_SECONDS:
            if self._lock_since:
                time.sleep(YIELD_SECONDS)
            self._lock_since = now

    def found(self, memory: _ffi.wasmtime_extern_t) -> None:
        """Tells which memory it is, where no host function had to look for it."""
        if self._handle is None:
            self._handle = memory.of.memory

    def memory_bytes(self) -> int:
        """The size of the memory now; 0 where it is not known yet."""
        if self._handle is None:
            return 0
        return _ffi.wasmtime_memory_data_size(self.store._context(), ctypes.byref(self._handle))


_running = threading.local()


def define(linker: Linker, module: str, name: str, signature: str, function: HostFunction, keep: list[Any]) -> None:
    """Defines a host function. `signature` has its parameters, `i` for i32 and `I` for i64, and `:i` for a result.

    `function` is called with (guest, memory, *arguments); an exception in it ends the program and comes out of `start`.
    What must stay alive as long as the linker is appended to `keep`.
    """
    parameters, _, results = signature.partition(":")
    unpack = struct.Struct("<" + "".join({"i": "I12x", "I": "Q8x"}[p] for p in parameters)).unpack
    size = _RAW_BYTES * len(parameters)

    def callback(_env: int, caller: int, values: int, _count: int) -> int | None:
        guest: Guest = _running.guest
        try:
            guest.in_time()
            memory = guest.memory(caller)
            result = function(guest, memory, *unpack(ctypes.string_at(values, size)))
            if results:
                ctypes.c_uint64.from_address(values).value = result or 0
        except BaseException as error:  # every exception has to cross the C frames; start() raises it
            guest.stopped_by = error
            return _stop()
        return None

    native = _CALLBACK(callback)
    kind = FuncType([_TYPES[p]() for p in parameters], [_TYPES[r]() for r in results])
    error = _ffi.wasmtime_linker_define_func_unchecked(
        linker.ptr(),
        module.encode(),
        len(module.encode()),
        name.encode(),
        len(name.encode()),
        kind.ptr(),
        ctypes.cast(native, _ffi.wasmtime_func_unchecked_callback_t),
        None,
        _NO_FINALIZER,
    )
    if error:
        raise WasmtimeError._from_ptr(error)
    keep.append(native)


def start(prepared: wasmtime.InstancePre, guest: Guest, entry: str = "_start") -> None:
    """Instantiates the module in the guest's store and calls its entry function.

    Raises:
        Whatever a host function raised, else wasmtime.Trap or wasmtime.WasmtimeError.
    """
    outer, _running.guest = getattr(_running, "guest", None), guest
    context = guest.store._context()
    trap = ctypes.POINTER(_ffi.wasm_trap_t)()
    instance = _ffi.wasmtime_instance_t()
    try:
        error = _ffi.wasmtime_instance_pre_instantiate(
            prepared.ptr(), context, ctypes.byref(instance), ctypes.byref(trap)
        )
        _raise(guest, error, trap)
        memory, item = _ffi.wasmtime_extern_t(), _ffi.wasmtime_extern_t()
        if _ffi.wasmtime_instance_export_get(
            context, ctypes.byref(instance), _MEMORY, len(_MEMORY), ctypes.byref(memory)
        ):
            guest.found(memory)
        name = entry.encode()
        found = _ffi.wasmtime_instance_export_get(context, ctypes.byref(instance), name, len(name), ctypes.byref(item))
        if not found:
            raise WasmtimeError(f"the module exports no {entry}")
        none = (_ffi.wasmtime_val_raw_t * 1)()
        error = _ffi.wasmtime_func_call_unchecked(context, ctypes.byref(item.of.func), none, 1, ctypes.byref(trap))
        _raise(guest, error, trap)
    finally:
        _running.guest = outer


def _raise(guest: Guest, error: Any, trap: Any) -> None:
    raised: Exception | None = None
    if error:
        raised = WasmtimeError._from_ptr(error)
    elif trap:
        raised = Trap._from_ptr(trap)
    if guest.stopped_by is not None:
        raise guest.stopped_by
    if raised is not None:
        raise raised


def _stop() -> int | None:
    message = b"stopped by the host"
    return ctypes.cast(_ffi.wasmtime_trap_new(message, len(message)), ctypes.c_void_p).value


class Ticker:
    """The clock behind wall-time limits: advances an engine's epoch every 10 ms while something runs.

    It lingers a little, so that a quick succession of runs does not wake a thread each time."""

    SECONDS = 0.01
    LINGER = 1.0

    def __init__(self, engine: wasmtime.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._began = 0.0
        self._ticks = 0
        self._active = 0
        self._last_used = 0.0
        self._thread: threading.Thread | None = None

    def arm(self, store: Store, seconds: float) -> None:
        """Lets `store` run for `seconds` from now; to be followed by `disarm`."""
        with self._lock:
            self._active += 1
            if self._thread is None:
                self._began, self._ticks = time.monotonic(), 0
                self._thread = threading.Thread(target=self._tick, name="metier-deadlines", daemon=True)
                self._thread.start()
            # The ticker may be late, and will then catch up: what it owes is no time of this store.
            due = int((time.monotonic() - self._began + seconds) / self.SECONDS) + 2
            store.set_epoch_deadline(due - self._ticks)

    def disarm(self) -> None:
        with self._lock:
            self._active -= 1
            self._last_used = time.monotonic()

    def _tick(self) -> None:
        while True:
            time.sleep(self.SECONDS)
            with self._lock:
                now = time.monotonic()
                while self._ticks * self.SECONDS < now - self._began:
                    self._engine.increment_epoch()
                    self._ticks += 1
                if self._active == 0 and now - self._last_used > self.LINGER:
                    self._thread = None
                    return


def reason(error: Exception) -> str:
    """What wasmtime says in the end: the last line is the cause, those above it are where that was."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
