"""The JavaScript engine: QuickJS as one core module that many capabilities share.

It is a WASI command in all but name: input, output, clock and random bytes come through the functions that any
capability gets, effects through the same door. Each run has a fresh instance of it, in the store of the run.
"""

from __future__ import annotations

import json
import re

import wasmtime

from metier.errors import BuildError
from metier.permissions import Grant
from metier.sandbox.files import FileSystem, HostFiles
from metier.sandbox.limits import Limits
from metier.sandbox.native import Guest, Instance
from metier.sandbox.process import Clock, Process, RandomStream
from metier.sandbox.shipped import JAVASCRIPT

MAX_LINE_SHOWN = 200


class JavaScriptEngine:
    """One engine, compiled and linked. Safe to use from several threads, each with its own guest."""

    def __init__(self, prepared: wasmtime.InstancePre) -> None:
        self._prepared = prepared

    def run(self, guest: Guest, code: bytes) -> None:
        """Runs compiled code: stdin to stdout, as any program. A failure exits with status 1.

        Raises:
            Whatever a host function raised (`Exited`, limits), else wasmtime.Trap or wasmtime.WasmtimeError.
        """
        instance = Instance(self._prepared, guest)
        address = instance.call(b"allocate", len(code))
        guest.own_memory().write(address, code)
        instance.call(b"run", address, len(code))

    def compile(self, guest: Guest) -> None:
        """Compiles the source on stdin to bytecode on stdout. Raises as `run`."""
        Instance(self._prepared, guest).call(b"compile")


class NoDoor:
    """The door of what only compiles."""

    count = 0

    def call(self, request: str, budget: object) -> str:
        return '{"error": "there are no effects here", "kind": "denied"}'


def compilation(source: str, limits: Limits) -> Process:
    """The process in which a source is compiled: it has the source on stdin, and nothing else."""
    files = FileSystem(HostFiles({}, 0), Grant(()), limits)
    return Process(files, limits, Clock(0), RandomStream(b""), stdin=source.encode("utf-8", "replace"))


def refusal(source: str, stderr: str) -> BuildError:
    """Why `compile` failed, from what it said: the message with its line and that line's text."""
    said = stderr.strip().splitlines() or ["{}"]
    report = json.loads(said[-1])
    message = f"{report.get('kind', 'Error')}: {report.get('error', 'the source does not compile')}"
    at = re.search(rf"{re.escape(JAVASCRIPT.source)}:(\d+)", "\n".join(said[:-1]))
    if at is None:
        return BuildError(message)
    number = int(at[1])
    lines = source.splitlines()
    text = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return BuildError(f"{message} (line {number})" + (f": `{text[:MAX_LINE_SHOWN]}`" if text else ""))
