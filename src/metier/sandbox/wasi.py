"""wasi_snapshot_preview1 over virtual state. Nothing here touches the host: clock, random and files are the run's own.

The functions on descriptors and paths are in rooms of their own; each function takes the process, the guest's memory
and its arguments, and returns an error number. Where this differs from a system, it is for a run to be bounded and the
same every time: waits end at once, times are of the run's own clock, there are no sockets.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable
from typing import Any, Final

import wasmtime

from metier.sandbox import descriptors, paths
from metier.sandbox.files import FileError
from metier.sandbox.native import Memory, OutOfBounds, define
from metier.sandbox.nodes import File
from metier.sandbox.preview1 import EVENT, OF_PROBLEM, SUCCESS, Errno, Right, WasiError
from metier.sandbox.process import Clock, Exited, LimitReached, Process, RandomStream

__all__ = ["MODULE", "SIGNATURES", "Clock", "Exited", "LimitReached", "Process", "RandomStream", "link"]

MODULE: Final = "wasi_snapshot_preview1"

CLOCKS: Final = 4
"""Real time, monotonic, process and thread time; all but the first are the monotonic one."""
MAX_RANDOM: Final = 2**20
"""Random bytes in one call; making more would take longer than a deadline may be late."""
MAX_SUBSCRIPTIONS: Final = 1024

WasiFunction = Callable[..., int | None]


# Arguments and environment


def args_sizes_get(p: Process, m: Memory, count: int, size: int) -> int:
    return _sizes(m, [a.encode() for a in p.arguments], count, size)


def args_get(p: Process, m: Memory, pointers: int, buffer: int) -> int:
    return _strings(m, [a.encode() for a in p.arguments], pointers, buffer)


def environ_sizes_get(p: Process, m: Memory, count: int, size: int) -> int:
    return _sizes(m, _environment(p), count, size)


def environ_get(p: Process, m: Memory, pointers: int, buffer: int) -> int:
    return _strings(m, _environment(p), pointers, buffer)


def _environment(p: Process) -> list[bytes]:
    return [f"{name}={value}".encode() for name, value in sorted(p.environ.items())]


def _sizes(m: Memory, items: list[bytes], count: int, size: int) -> int:
    m.write_u32(count, len(items))
    m.write_u32(size, sum(len(item) + 1 for item in items))
    return SUCCESS


def _strings(m: Memory, items: list[bytes], pointers: int, buffer: int) -> int:
    for i, item in enumerate(items):
        m.write_u32(pointers + 4 * i, buffer & 0xFFFF_FFFF)
        m.write(buffer, item + b"\0")
        buffer += len(item) + 1
    return SUCCESS


# Clock and random


def clock_res_get(p: Process, m: Memory, clock: int, result: int) -> int:
    if clock >= CLOCKS:
        return Errno.INVAL
    m.write_u64(result, Clock.STEP)
    return SUCCESS


def clock_time_get(p: Process, m: Memory, clock: int, precision: int, result: int) -> int:
    if clock >= CLOCKS:
        return Errno.INVAL
    m.write_u64(result, p.clock.wall() if clock == 0 else p.clock.monotonic())
    return SUCCESS


def random_get(p: Process, m: Memory, buffer: int, size: int) -> int:
    if size > MAX_RANDOM:
        return Errno.INVAL
    m.write(buffer, p.random.take(size))
    return SUCCESS


# The process itself


def sched_yield(p: Process, m: Memory) -> int:
    return SUCCESS


def proc_exit(p: Process, m: Memory, status: int) -> None:
    raise Exited(status)


def proc_raise(p: Process, m: Memory, signal: int) -> int:
    raise Exited(128 + (signal & 0x7F))


# Waiting


def poll_oneoff(p: Process, m: Memory, subscriptions: int, events: int, count: int, result: int) -> int:
    """Never blocks: files are ready, and a wait for the clock moves the clock to the earliest deadline."""
    if not 0 < count <= MAX_SUBSCRIPTIONS:
        return Errno.INVAL
    ready, deadlines = [], []
    for raw in struct.iter_unpack("<48s", m.read(subscriptions, 48 * count)):
        userdata, tag = struct.unpack_from("<QB", raw[0])
        if tag > 2:
            return Errno.INVAL
        if tag > 0:
            ready.append(_readiness(p, userdata, tag, *struct.unpack_from("<I", raw[0], 16)))
            continue
        clock, timeout, _, flags = struct.unpack_from("<IxxxxQQH", raw[0], 16)
        if clock >= CLOCKS:
            ready.append(EVENT.pack(userdata, Errno.INVAL, tag, 0, 0))
            continue
        now = p.clock.wall() if clock == 0 else p.clock.monotonic()
        deadlines.append((max(0, timeout - now) if flags & 1 else timeout, userdata))
    if not ready:
        wait = min(deadlines)[0]
        p.clock.sleep(wait)
        ready = [EVENT.pack(userdata, SUCCESS, 0, 0, 0) for at, userdata in deadlines if at <= wait]
    m.write(events, b"".join(ready))
    m.write_u32(result, len(ready))
    return SUCCESS


def _readiness(p: Process, userdata: int, tag: int, fd: int) -> bytes:
    """The event that says how a descriptor is ready for reading (1) or writing (2)."""
    file = p.descriptors.get(fd)
    if file is None:
        return EVENT.pack(userdata, Errno.BADF, tag, 0, 0)
    if not file.rights & Right.POLL_FD_READWRITE:
        return EVENT.pack(userdata, Errno.NOTCAPABLE, tag, 0, 0)
    size = file.node.size if isinstance(file.node, File) else len(p.stdin)
    return EVENT.pack(userdata, SUCCESS, tag, max(0, size - file.position) if tag == 1 else 0, 0)


# Sockets do not exist


def sock_accept(p: Process, m: Memory, fd: int, flags: int, result: int) -> int:
    p.descriptor(fd)
    return Errno.NOTSOCK


def sock_recv(p: Process, m: Memory, fd: int, iovs: int, count: int, flags: int, size: int, result_flags: int) -> int:
    p.descriptor(fd)
    return Errno.NOTSOCK


def sock_send(p: Process, m: Memory, fd: int, iovs: int, count: int, flags: int, size: int) -> int:
    p.descriptor(fd)
    return Errno.NOTSOCK


def sock_shutdown(p: Process, m: Memory, fd: int, how: int) -> int:
    p.descriptor(fd)
    return Errno.NOTSOCK


SIGNATURES: Final[dict[str, str]] = {
    "args_get": "ii:i",
    "args_sizes_get": "ii:i",
    "environ_get": "ii:i",
    "environ_sizes_get": "ii:i",
    "clock_res_get": "ii:i",
    "clock_time_get": "iIi:i",
    "fd_advise": "iIIi:i",
    "fd_allocate": "iII:i",
    "fd_close": "i:i",
    "fd_datasync": "i:i",
    "fd_fdstat_get": "ii:i",
    "fd_fdstat_set_flags": "ii:i",
    "fd_fdstat_set_rights": "iII:i",
    "fd_filestat_get": "ii:i",
    "fd_filestat_set_size": "iI:i",
    "fd_filestat_set_times": "iIIi:i",
    "fd_pread": "iiiIi:i",
    "fd_prestat_get": "ii:i",
    "fd_prestat_dir_name": "iii:i",
    "fd_pwrite": "iiiIi:i",
    "fd_read": "iiii:i",
    "fd_readdir": "iiiIi:i",
    "fd_renumber": "ii:i",
    "fd_seek": "iIii:i",
    "fd_sync": "i:i",
    "fd_tell": "ii:i",
    "fd_write": "iiii:i",
    "path_create_directory": "iii:i",
    "path_filestat_get": "iiiii:i",
    "path_filestat_set_times": "iiiiIIi:i",
    "path_link": "iiiiiii:i",
    "path_open": "iiiiiIIii:i",
    "path_readlink": "iiiiii:i",
    "path_remove_directory": "iii:i",
    "path_rename": "iiiiii:i",
    "path_symlink": "iiiii:i",
    "path_unlink_file": "iii:i",
    "poll_oneoff": "iiii:i",
    "proc_exit": "i",
    "proc_raise": "i:i",
    "random_get": "ii:i",
    "sched_yield": ":i",
    "sock_accept": "iii:i",
    "sock_recv": "iiiiii:i",
    "sock_send": "iiiii:i",
    "sock_shutdown": "ii:i",
}


def functions() -> dict[str, WasiFunction]:
    """The functions of the module by name, in the order of SIGNATURES."""
    rooms = {"fd": vars(descriptors), "path": vars(paths)}
    return {name: rooms.get(name.partition("_")[0], globals())[name] for name in SIGNATURES}


def link(linker: wasmtime.Linker, keep: list[Any]) -> None:
    """Defines every function of the module; the process is the `process` of the guest that calls."""
    process_of = operator.attrgetter("process")
    for name, function in functions().items():
        define(linker, MODULE, name, SIGNATURES[name], answered(function, process_of), keep)


def answered(function: WasiFunction, process_of: Callable[[Any], Process]) -> WasiFunction:
    """The function for a guest, with its failures as error numbers. What else it raises ends the program."""

    def call(guest: Any, memory: Memory, *arguments: int) -> int | None:
        try:
            return function(process_of(guest), memory, *arguments)
        except FileError as error:
            return OF_PROBLEM[error.problem]
        except WasiError as error:
            return error.errno
        except OutOfBounds:
            return Errno.FAULT

    return call
