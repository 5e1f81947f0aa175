"""WebAssembly from Python without the wrapper objects: host functions and instances over wasmtime's C API.

wasmtime-py turns each argument and each export of each host call into Python objects, some 40 µs a crossing. The
functions here read the raw arguments and copy memory by address, about a tenth of that. The C API is wasmtime 50's.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import wasmtime
from wasmtime import FuncType, Linker, Trap, ValType, WasmtimeError, _ffi

from metier.sandbox.limits import Limits

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
_U32, _U64 = ctypes.c_uint32.__ctype_le__, ctypes.c_uint64.__ctype_le__
_CONTEXT = ctypes.POINTER(_ffi.wasmtime_context_t)
_ERROR = ctypes.POINTER(_ffi.wasmtime_error_t)
_TRAP = ctypes.POINTER(_ffi.wasm_trap_t)


POOLED_MEMORIES = 512
"""Linear memories that programs of one engine may have at once; two for a run in a shared engine, one for others."""
POOLED_BYTES = POOLED_MEMORIES * (2**32 + 2**26)
"""Address space of that many: 4 GiB and its guards each. Reserved, not used."""
WARM_SLOTS = 16
"""Places in the pool that stay prepared for a program that is not running."""
STACK_BYTES = Limits().stack_bytes


def new_engine(
    target: str | None = None, *, resident_bytes: int | None = None, stack_bytes: int = STACK_BYTES
) -> wasmtime.Engine:
    """An engine whose programs are deterministic and can be stopped; "pulley64" is the portable interpreter.

    With `resident_bytes`, memories come from a pool that is made once instead of from the system at each run, and that
    much of a memory is wiped by hand for the next run, which spares the page faults. Compiled code is the same. A
    program gets `stack_bytes` of native stack, and no garbage-collected heap: that would be memory beside the limited.
    """
    config = wasmtime.Config()
    config.consume_fuel = True
    config.epoch_interruption = True
    config.cranelift_nan_canonicalization = True
    config.wasm_relaxed_simd_deterministic = True
    config.wasm_multi_memory = False
    config.wasm_memory64 = False
    config.wasm_threads = False
    config.wasm_gc = False
    config.max_wasm_stack = stack_bytes
    if target is not None:
        config.target = target
        config.cranelift_opt_level = "none"  # for checks, where compiling takes longer than running
    if resident_bytes is not None and _can_reserve(POOLED_BYTES):
        _use_pool(config, resident_bytes)
    return wasmtime.Engine(config)


def _can_reserve(size: int) -> bool:
    """Whether the process may have that much address space. An engine that cannot make its pool ends the process."""
    if not sys.platform.startswith("linux") or sys.maxsize < 2**32:
        return False
    try:
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE, prot=0).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True


MAP_NORESERVE = 0x4000
"""On Linux; the module mmap has a name for it from Python 3.13 on."""


def _use_pool(config: wasmtime.Config, resident_bytes: int) -> None:
    """What a run may have stays what its limits say: of these settings, only the number of memories bounds anything."""
    settings = {
        "total_memories": POOLED_MEMORIES,
        "total_tables": 2 * POOLED_MEMORIES,
        "total_core_instances": 2**20,
        "total_component_instances": 2**20,
        "total_stacks": 0,
        "total_gc_heaps": POOLED_MEMORIES,
        "max_memory_size": 2**32,
        "table_elements": 2**20,
        "max_core_instance_size": 2**28,
        "max_component_instance_size": 2**28,
        "max_core_instances_per_component": 2**16,
        "max_memories_per_component": 2**8,
        "max_tables_per_component": 2**8,
        "max_memories_per_module": 2**8,
        "max_tables_per_module": 2**8,
        "max_unused_warm_slots": WARM_SLOTS,
        "linear_memory_keep_resident": resident_bytes,
        "table_keep_resident": 2**16,
    }
    pool = _ffi.wasmtime_pooling_allocation_config_new()
    for name, value in settings.items():
        getattr(_ffi, f"wasmtime_pooling_allocation_config_{name}_set")(pool, value)
    _ffi.wasmtime_pooling_allocation_strategy_set(config.ptr(), pool)
    _ffi.wasmtime_pooling_allocation_config_delete(pool)


def _raw(name: str, result: Any, *arguments: Any, quick: bool = False) -> Any:
    """A function of the C API that takes addresses as integers; objects for pointers cost more than the calls.

    A `quick` one keeps Python's lock, so it may neither block nor call back.
    """
    address = ctypes.cast(getattr(_ffi.dll, name), ctypes.c_void_p).value or 0
    return (ctypes.PYFUNCTYPE if quick else ctypes.CFUNCTYPE)(result, *arguments)(address)


_AT = ctypes.c_size_t
_memory_data = _raw("wasmtime_memory_data", _AT, _AT, _AT, quick=True)
_memory_data_size = _raw("wasmtime_memory_data_size", _AT, _AT, _AT, quick=True)
_store_context = _raw("wasmtime_store_context", _AT, _AT, quick=True)
_set_fuel = _raw("wasmtime_context_set_fuel", _AT, _AT, ctypes.c_uint64, quick=True)
_get_fuel = _raw("wasmtime_context_get_fuel", _AT, _AT, _AT, quick=True)
_instantiate = _raw("wasmtime_instance_pre_instantiate", _AT, _AT, _AT, _AT, _AT)
_find_export = _raw("wasmtime_instance_export_get", ctypes.c_bool, _AT, _AT, ctypes.c_char_p, _AT, _AT, quick=True)
_call = _raw("wasmtime_func_call_unchecked", _AT, _AT, _AT, _AT, _AT, _AT)


class Store(wasmtime.Store):
    """A store without data of its own. `address` is that of its context, until it is closed."""

    def __init__(self, engine: wasmtime.Engine) -> None:
        pointer = _ffi.wasmtime_store_new(engine.ptr(), None, _NO_FINALIZER)
        self._set_ptr(pointer)
        self.engine = engine
        self.address: int = _store_context(_AT.from_buffer(pointer).value)

    def _context(self) -> Any:
        if not self.address:
            raise ValueError("the store is closed")
        return _CONTEXT.from_buffer(_AT(self.address))

    def set_fuel(self, fuel: int) -> None:
        _raise_error(_set_fuel(self.address, fuel))

    def get_fuel(self) -> int:
        left = ctypes.c_uint64()
        _raise_error(_get_fuel(self.address, ctypes.addressof(left)))
        return left.value

    def _delete(self, ptr: Any) -> None:
        self.address = 0
        _ffi.wasmtime_store_delete(ptr)


def _raise_error(error: int) -> None:
    if error:
        raise WasmtimeError._from_ptr(_ERROR.from_buffer(_AT(error)))


class OutOfBounds(Exception):
    """The guest named memory that it does not have."""


class OutOfTime(Exception):
    """The guest called its host after its deadline."""


class Memory:
    """The guest's linear memory during one host call. Addresses are the guest's own, unsigned."""

    __slots__ = ("_base", "size")

    def __init__(self, base: int, size: int) -> None:
        self._base = base
        self.size = size

    def read(self, address: int, size: int) -> bytes:
        if address + size > self.size:
            raise OutOfBounds
        return ctypes.string_at(self._base + address, size)

    def write(self, address: int, data: bytes | bytearray) -> None:
        if address + len(data) > self.size:
            raise OutOfBounds
        ctypes.memmove(self._base + address, bytes(data), len(data))

    def write_u32(self, address: int, value: int) -> None:
        if address + 4 > self.size:
            raise OutOfBounds
        _U32.from_address(self._base + address).value = value

    def write_u64(self, address: int, value: int) -> None:
        if address + 8 > self.size:
            raise OutOfBounds
        _U64.from_address(self._base + address).value = value


class Guest:
    """What the host functions of one run share: the handle of the memory, the deadline on `time.monotonic`, and what
    ended the program."""

    __slots__ = ("_context", "_handle", "_handle_at", "_lock_since", "_memory", "deadline", "stopped_by", "store")

    def __init__(self, store: Store, deadline: float) -> None:
        self.store = store
        self._context = store.address
        self._handle_at = 0
        self.deadline = deadline
        self._lock_since = 0.0
        self.stopped_by: BaseException | None = None
        self._handle: Any = None
        self._memory: Memory | None = None

    def memory(self, caller: Caller) -> Memory:
        """The memory that the calling module exports under the name `memory`."""
        if not self._handle_at:
            item = _ffi.wasmtime_extern_t()
            if not _ffi.wasmtime_caller_export_get(
                ctypes.cast(caller, ctypes.POINTER(_ffi.wasmtime_caller_t)), _MEMORY, len(_MEMORY), ctypes.byref(item)
            ):
                raise OutOfBounds
            self.found(item)
        return self.own_memory()

    def own_memory(self) -> Memory:
        """The same where it is known already."""
        context, handle = self._context, self._handle_at
        if not handle:
            raise OutOfBounds
        size = _memory_data_size(context, handle)
        if self._memory is None or self._memory.size != size:  # where it is changes only as it grows
            self._memory = Memory(_memory_data(context, handle), size)
        return self._memory

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
        if not self._handle_at:
            self._handle = memory.of.memory
            self._handle_at = ctypes.addressof(self._handle)

    def memory_bytes(self) -> int:
        """The size of the memory now; 0 where it is not known yet."""
        return _memory_data_size(self._context, self._handle_at) if self._handle_at else 0


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


class _Frame(ctypes.Structure):
    """Where the C API puts what one start asks for; `instance` is first."""

    _fields_ = (
        ("instance", _ffi.wasmtime_instance_t),
        ("memory", _ffi.wasmtime_extern_t),
        ("entry", _ffi.wasmtime_extern_t),
        ("result", _ffi.wasmtime_val_raw_t),
        ("trap", ctypes.c_size_t),
    )


_EXTERN_OF = _ffi.wasmtime_extern_t.of.offset


def start(prepared: wasmtime.InstancePre, guest: Guest, entry: bytes = b"_start") -> None:
    """Instantiates the module in the guest's store and calls its entry function.

    Raises:
        Whatever a host function raised, else wasmtime.Trap or wasmtime.WasmtimeError.
    """
    outer, _running.guest = getattr(_running, "guest", None), guest
    context, frame = guest.store.address, _Frame()
    base = ctypes.addressof(frame)
    instance, trap = base + _Frame.instance.offset, base + _Frame.trap.offset
    memory, function = base + _Frame.memory.offset, base + _Frame.entry.offset
    try:
        _raise(guest, _instantiate(_AT.from_buffer(prepared.ptr()).value, context, instance, trap), frame)
        if _find_export(context, instance, _MEMORY, len(_MEMORY), memory):
            guest.found(frame.memory)
        if not _find_export(context, instance, entry, len(entry), function):
            raise WasmtimeError(f"the module exports no {entry.decode()}")
        _raise(guest, _call(context, function + _EXTERN_OF, base + _Frame.result.offset, 1, trap), frame)
    finally:
        _running.guest = outer


class Instance:
    """A fresh instance of a module in a guest's store, for modules with more than one function to call.

    Raises:
        Whatever a host function raised, else wasmtime.Trap or wasmtime.WasmtimeError; so does `call`.
    """

    MOST_ARGUMENTS = 4

    def __init__(self, prepared: wasmtime.InstancePre, guest: Guest) -> None:
        self._guest = guest
        self._frame = _Frame()
        self._at = ctypes.addressof(self._frame)
        self._values = (_ffi.wasmtime_val_raw_t * self.MOST_ARGUMENTS)()
        outer, _running.guest = getattr(_running, "guest", None), guest
        try:
            module, trap = _AT.from_buffer(prepared.ptr()).value, self._at + _Frame.trap.offset
            _raise(guest, _instantiate(module, guest.store.address, self._at, trap), self._frame)
            if self._find(_MEMORY, _Frame.memory.offset):
                guest.found(self._frame.memory)
        finally:
            _running.guest = outer

    def call(self, name: bytes, *arguments: int) -> int:
        """Calls an exported function whose parameters are i32. Its result as an unsigned i32; undefined without one."""
        if not self._find(name, _Frame.entry.offset):
            raise WasmtimeError(f"the module exports no {name.decode()}")
        for value, argument in zip(self._values, arguments, strict=False):
            value.i32 = argument
        function, trap = self._at + _Frame.entry.offset + _EXTERN_OF, self._at + _Frame.trap.offset
        guest, values = self._guest, ctypes.addressof(self._values)
        outer, _running.guest = getattr(_running, "guest", None), guest
        try:
            _raise(guest, _call(guest.store.address, function, values, self.MOST_ARGUMENTS, trap), self._frame)
        finally:
            _running.guest = outer
        return int(self._values[0].i32) & 0xFFFF_FFFF

    def _find(self, name: bytes, offset: int) -> bool:
        """Whether there is an export of this name; it is put into the frame."""
        return bool(_find_export(self._guest.store.address, self._at, name, len(name), self._at + offset))


def _raise(guest: Guest, error: int, frame: _Frame) -> None:
    """Raises what ended the program, if something did."""
    if not error and not frame.trap and guest.stopped_by is None:
        return
    raised: Exception | None = None
    if error:
        raised = WasmtimeError._from_ptr(_ERROR.from_buffer(_AT(error)))
    elif frame.trap:
        raised = Trap._from_ptr(_TRAP.from_buffer(_AT(frame.trap)))
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

    def arm(self, store: wasmtime.Store, seconds: float) -> None:
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
