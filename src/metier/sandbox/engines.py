"""The Python engine: CPython as one WebAssembly component that many capabilities share.

Each run gets a fresh instance of it, in the store of the run, so fuel, deadline and memory limit hold for both. The
component wants WASI; what a run needs of it (environment, clocks, random bytes) is answered here from an `EngineHost`,
and everything else traps. Nothing of wasmtime's own WASI is linked.

wasmtime-py converts each component value through Python objects, element by element: 2 ms for the bytes that seed one
`random`. So this file speaks to wasmtime's C API.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import wasmtime
from wasmtime import WasmtimeError, _ffi
from wasmtime.component import Component, Linker

from metier.errors import BuildError, SetupMissing
from metier.sandbox.limits import MIB, Limits
from metier.sandbox.shipped import PYTHON

DEFAULT = Limits()
MAX_CODE_BYTES = 4 * MIB
"""What the compiled code of one program may have."""
MAX_RANDOM_BYTES = 1 << 16
"""What one request for random bytes may ask for. CPython asks for 256 at a time."""


class EngineHost(Protocol):
    """What one run gives to the engine. An exception in any of these ends the run and comes out of `run`."""

    @property
    def environ(self) -> Sequence[tuple[str, str]]:
        """The variables that the program sees in `os.environ`."""

    def call(self, request: str) -> str:
        """Answer one request at the effect door, JSON to JSON."""

    def stderr(self, text: str) -> None:
        """Take what the program printed."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970. The time that the program slept is added by the engine."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since any fixed moment. The time that the program slept is added by the engine."""

    def random(self, n: int) -> bytes:
        """`n` random bytes."""


class ProgramError(Exception):
    """The program failed. `report` is the JSON object `{"error": message, "kind": kind}`."""

    def __init__(self, report: str) -> None:
        super().__init__(report)
        self.report = report


class _Run:
    """One call into the engine: its host and limits, the time it slept, and the exception that ended it."""

    __slots__ = ("host", "limits", "slept_ns", "stopped_by")

    def __init__(self, host: EngineHost, limits: Limits) -> None:
        self.host = host
        self.limits = limits
        self.slept_ns = 0
        self.stopped_by: BaseException | None = None


class NoHost:
    """A host with nothing to offer: compiling needs nothing from outside."""

    environ: Sequence[tuple[str, str]] = ()

    def call(self, request: str) -> str:
        return '{"error": "there are no effects here", "kind": "denied"}'

    def stderr(self, text: str) -> None:
        pass

    def wall_ns(self) -> int:
        return 0

    def monotonic_ns(self) -> int:
        return 0

    def random(self, n: int) -> bytes:
        return bytes(n)


class PythonEngine:
    """One engine, compiled. Safe to use from several threads, each with its own store."""

    def __init__(self, engine: wasmtime.Engine, component: Component, name: str, sha256: str) -> None:
        self.name = name
        self.sha256 = sha256
        self._component = component
        self._runs: dict[int, _Run] = {}
        self._linker = Linker(engine)
        self._keep: list[Any] = []
        self._link()
        self._run_export = self._export("run")
        self._compile_export = self._export("compile")

    @classmethod
    def load(
        cls, engine: wasmtime.Engine, compile_cached: Callable[[str, Callable[[], bytes]], Component]
    ) -> PythonEngine:
        """The engine that is shipped with this package. `compile_cached(key, wasm)` compiles or finds the compiled one.

        Raises:
            SetupMissing: the shipped file is damaged or absent.
        """
        return cls(engine, compile_cached(PYTHON.sha256, PYTHON.wasm), PYTHON.name, PYTHON.sha256)

    def run(
        self, store: wasmtime.Store, host: EngineHost, code: bytes, input: str | bytes, limits: Limits = DEFAULT
    ) -> bytes:
        """Runs compiled code on a JSON input in a fresh instance and returns the JSON output.

        The store has fuel, deadline and limits set; it may be one in which another instance is running right now. Of
        what is longer than `limits` allow (output, a request, stderr) one byte more is taken, which shows that it is.

        Raises:
            ProgramError: the program raised, or returned what is not JSON.
            WasmtimeError: it was stopped by a limit, or reached an import that is not there.
            Exception: whatever a method of `host` raised.
        """
        text = code.decode("latin-1").encode("utf-8")
        given = input.encode("utf-8") if isinstance(input, str) else input
        is_ok, value = self._call(store, host, limits, limits.stdout_bytes, self._run_export, text, given)
        if not is_ok:
            raise ProgramError(value[: limits.stderr_bytes + 1].decode("utf-8", "replace"))
        return value

    def compile(self, store: wasmtime.Store, source: str, host: EngineHost | None = None) -> bytes:
        """Compiles source to marshalled bytecode of this engine.

        Raises:
            BuildError: a syntax error with its line, or no fitting function `run`.
        """
        try:
            text = source.encode("utf-8")
        except UnicodeEncodeError as error:
            raise BuildError(f"the source is not valid Unicode: {error}") from None
        most = 2 * MAX_CODE_BYTES  # a byte of code is at most two of UTF-8
        is_ok, value = self._call(store, host or NoHost(), DEFAULT, most, self._compile_export, text)
        if not is_ok:
            raise BuildError(json.loads(value)["error"])
        code = b"" if len(value) > most else value.decode("utf-8").encode("latin-1")
        if not 0 < len(code) <= MAX_CODE_BYTES:
            raise BuildError(f"the compiled code has more than {MAX_CODE_BYTES} bytes; read large data from a file")
        return code

    def _call(
        self, store: wasmtime.Store, host: EngineHost, limits: Limits, most: int, export: Any, *arguments: bytes
    ) -> tuple[bool, bytes]:
        """Whether it went well, and the first `most` bytes and one more of what it returned."""
        context = store._context()
        key = ctypes.cast(context, ctypes.c_void_p).value or 0
        run, outer = _Run(host, limits), self._runs.get(key)
        values = (_ffi.wasmtime_component_val_t * len(arguments))()
        result = _ffi.wasmtime_component_val_t()
        self._runs[key] = run
        try:
            instance = _ffi.wasmtime_component_instance_t()
            self._check(
                run,
                _ffi.wasmtime_component_linker_instantiate(
                    self._linker.ptr(), context, self._component.ptr(), ctypes.byref(instance)
                ),
            )
            function = _ffi.wasmtime_component_func_t()
            if not _ffi.wasmtime_component_instance_get_func(
                ctypes.byref(instance), context, export, ctypes.byref(function)
            ):
                raise WasmtimeError("the engine lacks an export")
            for value, argument in zip(values, arguments, strict=True):
                _put_bytes(value, argument)
            del arguments
            self._check(
                run,
                _ffi.wasmtime_component_func_call(
                    ctypes.byref(function), context, values, len(values), ctypes.byref(result), 1
                ),
            )
            try:
                outcome = result.of.result
                return bool(outcome.is_ok), _bytes(outcome.val.contents, most)
            finally:
                _ffi.wasmtime_component_val_delete(ctypes.byref(result))
        finally:
            for value in values:
                if value.kind == _STRING:
                    _ffi.wasmtime_component_val_delete(ctypes.byref(value))
            if outer is None:
                del self._runs[key]
            else:
                self._runs[key] = outer

    @staticmethod
    def _check(run: _Run, error: Any) -> None:
        if error:
            raised = WasmtimeError._from_ptr(error)
            raise raised if run.stopped_by is None else run.stopped_by

    def _export(self, name: str) -> Any:
        index = self._component.get_export_index(name)
        if index is None:
            raise SetupMissing(f"the file is not a Metier Python engine: it has no export {name!r}")
        self._keep.append(index)
        return index.ptr()

    # What the component imports

    def _link(self) -> None:
        linker = self._linker
        wanted = set(self._component.type.imports(linker.engine))
        linker.allow_shadowing = True
        linker.define_unknown_imports_as_traps(self._component)
        with linker.root() as root:
            for name, function in _OWN.items():
                self._define(root, name, function)
            for interface, functions in _WASI.items():
                for versioned in (name for name in wanted if name.partition("@")[0] == interface):
                    with root.add_instance(versioned) as instance:
                        for name, function in functions.items():
                            self._define(instance, name, function)

    def _define(self, instance: Any, name: str, function: Callable[[_Run, Any, Any], None]) -> None:
        runs = self._runs

        def callback(_env: Any, context: Any, _type: Any, arguments: Any, _n: int, results: Any, _m: int) -> int:
            run = runs[ctypes.cast(context, ctypes.c_void_p).value or 0]
            try:
                function(run, arguments, results)
            except BaseException as error:  # every exception has to cross the C frames; _check raises it
                run.stopped_by = error
                return ctypes.cast(_ffi.wasmtime_error_new(b"stopped by the host"), ctypes.c_void_p).value or 0
            return 0

        native = _ffi.wasmtime_component_func_callback_t(callback)
        encoded = name.encode()
        error = _ffi.wasmtime_component_linker_instance_add_func(
            instance.ptr(), ctypes.create_string_buffer(encoded), len(encoded), native, None, _NO_FINALIZER
        )
        if error:
            raise WasmtimeError._from_ptr(error)
        self._keep.append(native)


# The functions behind the imports: (run, arguments, results), arrays of component values


def _host_call(run: _Run, arguments: Any, results: Any) -> None:
    _put_string(results[0], run.host.call(_string(arguments[0], run.limits.effect_bytes)))


def _write_stderr(run: _Run, arguments: Any, results: Any) -> None:
    run.host.stderr(_string(arguments[0], run.limits.stderr_bytes))


def _sleep(run: _Run, arguments: Any, results: Any) -> None:
    run.slept_ns += arguments[0].of.u64


def _monotonic_now(run: _Run, arguments: Any, results: Any) -> None:
    _put_u64(results[0], run.host.monotonic_ns() + run.slept_ns)


def _monotonic_resolution(run: _Run, arguments: Any, results: Any) -> None:
    _put_u64(results[0], 1)


def _wall_now(run: _Run, arguments: Any, results: Any) -> None:
    _put_datetime(results[0], run.host.wall_ns() + run.slept_ns)


def _wall_resolution(run: _Run, arguments: Any, results: Any) -> None:
    _put_datetime(results[0], 1)


def _random_bytes(run: _Run, arguments: Any, results: Any) -> None:
    count = arguments[0].of.u64
    if count > MAX_RANDOM_BYTES:
        raise WasmtimeError(f"the program asked for {count} random bytes at once; {MAX_RANDOM_BYTES} is the most")
    data = run.host.random(count)
    _put_list(results[0], len(data))
    vector = bytearray(_U8_VALUE * len(data))
    vector[_VALUE_OFFSET::_VALUE_SIZE] = data
    ctypes.memmove(results[0].of.list.data, bytes(vector), len(vector))


def _random_u64(run: _Run, arguments: Any, results: Any) -> None:
    _put_u64(results[0], int.from_bytes(run.host.random(8), "little"))


def _environment(run: _Run, arguments: Any, results: Any) -> None:
    variables = run.host.environ
    _put_list(results[0], len(variables))
    for index, pair in enumerate(variables):
        value = results[0].of.list.data[index]
        value.kind = _TUPLE
        _ffi.wasmtime_component_valtuple_new_uninit(ctypes.byref(value.of.tuple), 2)
        for position, text in enumerate(pair):
            _put_string(value.of.tuple.data[position], text)


def _empty_list(run: _Run, arguments: Any, results: Any) -> None:
    _put_list(results[0], 0)


def _none(run: _Run, arguments: Any, results: Any) -> None:
    results[0].kind = _OPTION
    results[0].of.option = None


_Function = Callable[[_Run, Any, Any], None]
_OWN: dict[str, _Function] = {"host-call": _host_call, "write-stderr": _write_stderr, "sleep": _sleep}
_WASI: dict[str, dict[str, _Function]] = {
    "wasi:cli/environment": {
        "get-environment": _environment,
        "get-arguments": _empty_list,
        "initial-cwd": _none,
    },
    "wasi:filesystem/preopens": {"get-directories": _empty_list},
    "wasi:random/random": {"get-random-bytes": _random_bytes, "get-random-u64": _random_u64},
    "wasi:clocks/monotonic-clock": {"now": _monotonic_now, "resolution": _monotonic_resolution},
    "wasi:clocks/wall-clock": {"now": _wall_now, "resolution": _wall_resolution},
}

# Component values in memory. The layout is that of wasmtime 50's C API, `wasmtime_component_val_t`

_STRING = _ffi.WASMTIME_COMPONENT_STRING.value
_LIST = _ffi.WASMTIME_COMPONENT_LIST.value
_RECORD = _ffi.WASMTIME_COMPONENT_RECORD.value
_TUPLE = _ffi.WASMTIME_COMPONENT_TUPLE.value
_OPTION = _ffi.WASMTIME_COMPONENT_OPTION.value
_U64 = _ffi.WASMTIME_COMPONENT_U64.value
_U32 = _ffi.WASMTIME_COMPONENT_U32.value
_VALUE_SIZE = ctypes.sizeof(_ffi.wasmtime_component_val_t)
_VALUE_OFFSET = _ffi.wasmtime_component_val_t.of.offset
_U8_VALUE = bytes([_ffi.WASMTIME_COMPONENT_U8.value]).ljust(_VALUE_SIZE, b"\0")
_NO_FINALIZER = ctypes.cast(ctypes.c_void_p(None), ctypes.CFUNCTYPE(None, ctypes.c_void_p))
_byte_vector = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)(
    ctypes.cast(_ffi.dll.wasm_byte_vec_new, ctypes.c_void_p).value or 0
)


def _bytes(value: Any, most: int) -> bytes:
    """The text as UTF-8, and not more of it than a byte beyond `most`: what is too long is not worth a copy."""
    vector = value.of.string
    return ctypes.string_at(vector.data, min(vector.size, most + 1)) if vector.size else b""


def _string(value: Any, most: int) -> str:
    return _bytes(value, most).decode("utf-8", "replace")


def _put_string(value: Any, text: str) -> None:
    _put_bytes(value, text.encode("utf-8"))


def _put_bytes(value: Any, data: bytes) -> None:
    _byte_vector(ctypes.addressof(value) + _VALUE_OFFSET, len(data), data)
    value.kind = _STRING


def _put_u64(value: Any, number: int) -> None:
    value.kind = _U64
    value.of.u64 = number


def _put_list(value: Any, size: int) -> None:
    _ffi.wasmtime_component_vallist_new_uninit(ctypes.byref(value.of.list), size)
    value.kind = _LIST


def _put_datetime(value: Any, nanoseconds: int) -> None:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    record = value.of.record
    _ffi.wasmtime_component_valrecord_new_uninit(ctypes.byref(record), 2)
    for index, (name, kind, number) in enumerate(((b"seconds", _U64, seconds), (b"nanoseconds", _U32, rest))):
        entry = record.data[index]
        _byte_vector(ctypes.addressof(entry), len(name), name)
        entry.val.kind = kind
        entry.val.of.u64 = number
    value.kind = _RECORD
