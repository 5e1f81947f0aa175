"""Each limit is hit by a real program, and ends it, or tells it, in the way that the table of limits says."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from metier.errors import InvalidModule
from metier.outcomes import Failed, Ran
from metier.permissions import Permissions
from metier.runner import Loaded, Runner
from metier.sandbox.box import Box
from metier.sandbox.limits import MIB, TABLE, Bound, Limits
from metier.sandbox.preview1 import Errno
from metier.toolchains import python
from metier.toolchains.carrier import carrier
from tests.conftest import ECHO, capability, runner, says, wat
from tests.sandbox.guest import ALL, CREAT, guest
from tests.sandbox.test_compiler import bomb

LOOP = wat('(func (export "_start") (loop (br 0)))')
WRITES = Permissions.model_validate(
    {"files": [{"root": "hr", "path": "**", "access": "write"}], "call": ["under_test"]}
)
ASKS = """
import json, wit_world
def run(input):
    for request in input:
        answer = json.loads(wit_world.host_call(json.dumps(request)))
    return answer.get("kind", "ok")
"""
Hit = Callable[[Box, Path], tuple[str, ...]]
"""Hits a limit and returns what `ends` and the kinds of a Bound say of it."""


def fails(wasm: bytes, value: Any = None, **limits: Any) -> Hit:
    def hit(box: Box, root: Path) -> tuple[str, ...]:
        r = runner(box, limits=Limits.model_validate(limits))
        ended = r.run(r.load(capability(), wasm), value)
        return "fails", getattr(ended, "kind", "ran")

    return hit


def refused(wasm: bytes, **limits: Any) -> Hit:
    def hit(_: Box, root: Path) -> tuple[str, ...]:
        with tempfile.TemporaryDirectory() as nothing_is_compiled_yet:
            box = Box(Path(nothing_is_compiled_yet))
            try:
                box.load(wasm, Limits.model_validate(limits))
            except InvalidModule as error:
                return "not admitted", type(error).__name__
        return ("admitted",)

    return hit


def answer(box: Box, root: Path, requests: list[dict[str, Any]], **limits: Any) -> Ran | Failed:
    """What the last of the requests comes to."""
    found: dict[str, Loaded] = {}
    bounds = Limits.model_validate(limits)
    r = Runner(box, roots={"hr": root}, policy=WRITES, limits=bounds, resolve=lambda id, version: found[id])
    found["under_test"] = r.load(capability(permissions=WRITES, effects="write"), python.build(ASKS, box))
    return r.run(found["under_test"], requests)


def told(*requests: dict[str, Any], **limits: Any) -> Hit:
    def hit(box: Box, root: Path) -> tuple[str, ...]:
        ended = answer(box, root, list(requests), **limits)
        return "told", ended.output if isinstance(ended, Ran) else ended.error

    return hit


def told_by_wasi(requests: list[dict[str, Any]], errno: str, calls: Callable[[Path], int], **limits: Any) -> Hit:
    """By the door and by a WASI function, which share the limit."""

    def hit(box: Box, root: Path) -> tuple[str, ...]:
        assert calls(root) == getattr(Errno, errno)
        return (*told(*requests, **limits)(box, root), errno)

    return hit


def effects(box: Box, root: Path) -> tuple[str, ...]:
    ended = answer(box, root, [{"op": "none"}] * 3, effects=2)
    return "fails", getattr(ended, "kind", "ran")


def records(box: Box, root: Path) -> tuple[str, ...]:
    ended = answer(box, root, [read("a.txt"), read("b.txt")], record_bytes=100)
    return "fails", getattr(ended, "kind", "ran")


def checks(which: str) -> Hit:
    def hit(box: Box, root: Path) -> tuple[str, ...]:
        r = runner(box, limits=Limits(check_steps=100))
        program = r.load(capability(**{which: {"items": {"type": "integer"}}}), ECHO)
        return "fails", getattr(r.run(program, [1] * 100), "kind", "ran")

    return hit


def opens(root: Path) -> int:
    g = guest(root, limits=Limits(open_files=2))
    g.open("a.txt"), g.open("b.txt")
    return g.try_open("a.txt")


def writes(**limits: Any) -> Callable[[Path], int]:
    def calls(root: Path) -> int:
        g = guest(root, limits=Limits.model_validate(limits))
        return g.write(g.open("new", CREAT, rights=ALL), bytes(1001))

    return calls


def reads(root: Path) -> int:
    g = guest(root, limits=Limits(read_bytes=1000))
    g.open("a.txt")
    return g.try_open("b.txt")


def write(size: int) -> dict[str, Any]:
    return {"op": "files.write", "path": "/hr/new", "text": "x" * size}


def read(name: str) -> dict[str, Any]:
    return {"op": "files.read", "path": f"/hr/{name}"}


NEST = {"op": "call", "capability": "under_test", "input": [{"op": "none"}]}

HITS: dict[tuple[str, str], list[Hit]] = {
    ("fuel", ""): [fails(LOOP, fuel=10_000)],
    ("seconds", ""): [fails(LOOP, fuel=10**18, seconds=0.1)],
    ("memory_bytes", ""): [
        fails(wat('(func (export "_start"))', pages=100), memory_bytes=4 * MIB),
        fails(carrier("python", b"no code at all"), memory_bytes=4 * MIB),
    ],
    ("table_elements", ""): [fails(wat('(table 101 funcref) (func (export "_start"))'), table_elements=100)],
    ("stack_bytes", ""): [fails(wat('(func $f (call $f)) (func (export "_start") (call $f))'))],
    ("module_bytes", ""): [refused(LOOP, module_bytes=len(LOOP) - 1)],
    ("compile_seconds", ""): [refused(bomb(3000), compile_seconds=1)],
    ("compile_memory_bytes", ""): [refused(bomb(500), compile_memory_bytes=200 * MIB)],
    ("compiled_bytes", ""): [refused(bomb(10), compiled_bytes=1000)],
    ("stdin_bytes", ""): [fails(says("1"), "x" * 1001, stdin_bytes=1000)],
    ("stdout_bytes", ""): [fails(says("x" * 1001), stdout_bytes=1000)],
    ("stderr_bytes", ""): [fails(says("1", "x" * 1001), stderr_bytes=1000)],
    ("json_bytes", "memory that an output"): [fails(ECHO, [[]] * 500, json_bytes=20_000)],
    ("json_bytes", "memory that a request"): [told({"op": "none", "values": [[]] * 500}, json_bytes=20_000)],
    ("check_steps", ""): [checks("input_schema"), checks("output_schema")],
    ("effects", ""): [effects],
    ("effect_bytes", "one request"): [
        told(write(1001), effect_bytes=1000),
        told(read("a.txt"), effect_bytes=1000),
        told(read("odd.txt"), effect_bytes=1000),
    ],
    ("effect_bytes", "one file"): [
        told_by_wasi([write(900), read("huge.txt")], "NOSPC", writes(effect_bytes=1000), effect_bytes=1000)
    ],
    ("record_bytes", ""): [records],
    ("read_bytes", ""): [told_by_wasi([read("a.txt"), read("b.txt")], "NOSPC", reads, read_bytes=1000)],
    ("overlay_bytes", ""): [told_by_wasi([write(1001)], "NOSPC", writes(overlay_bytes=1000), overlay_bytes=1000)],
    ("open_files", ""): [lambda box, root: ("told", *(["MFILE"] if opens(root) == Errno.MFILE else []))],
    ("call_depth", ""): [told(NEST, call_depth=1)],
}
"""By a limit's name and how what it bounds begins."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "hr"
    root.mkdir()
    for name, content in {"a.txt": "x" * 990, "b.txt": "x" * 20, "odd.txt": "\0" * 200, "huge.txt": "x" * 1001}.items():
        (root / name).write_text(content, encoding="utf-8")
    return root


def hits(bound: Bound) -> list[Hit]:
    fitting = [some for (name, what), some in HITS.items() if name == bound.name and bound.bounds.startswith(what)]
    return fitting[0] if fitting else []


@pytest.mark.parametrize("bound", TABLE, ids=lambda bound: f"{bound.name}: {bound.bounds}")
def test_a_program_that_reaches_a_limit_ends_as_the_table_says(bound: Bound, box: Box, root: Path) -> None:
    assert hits(bound)
    for hit in hits(bound):
        assert hit(box, root) == tuple(filter(None, (bound.ends, bound.kind, bound.errno)))


def test_the_table_has_every_limit() -> None:
    assert {bound.name for bound in TABLE} == set(Limits.model_fields)


def test_a_program_at_its_limits_runs(box: Box, root: Path) -> None:
    nested = {"op": "call", "capability": "under_test", "input": [read("new")]}
    limits = {"effects": 4, "effect_bytes": 1000, "read_bytes": 20, "overlay_bytes": 900, "call_depth": 2}
    ended = answer(box, root, [write(900), read("b.txt"), nested], **limits)
    assert isinstance(ended, Ran)
    assert ended.output == "ok"


def test_a_table_does_not_grow_beyond_its_limit_and_the_program_is_told(box: Box) -> None:
    grows = wat(
        '(table $t 50 funcref) (func (export "_start")'
        " (call $exit (i32.sub (table.grow $t (ref.null func) (i32.const 51)) (i32.const -10))))"
    )
    r = runner(box, limits=Limits(table_elements=100))
    ended = r.run(r.load(capability(), grows), {})
    assert isinstance(ended, Failed)
    assert "status 9" in ended.error


def recursion(depth: int) -> bytes:
    return wat(
        '(data (i32.const 64) "1") (func $f (param i32)'
        " (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1))))) (drop (local.get 0)))"
        f'(func (export "_start") (call $f (i32.const {depth}))'
        " (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1))"
        " (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))"
    )


def test_the_stack_is_as_large_as_the_box_was_made_with() -> None:
    kinds = {}
    for size in (MIB // 4, MIB, 2 * MIB):
        r = runner(Box(stack_bytes=size))
        ends = [r.run(r.load(capability(), recursion(depth)), {}) for depth in (1_000, 12_000, 25_000)]
        kinds[size] = [getattr(ended, "kind", "ran") for ended in ends]
    assert kinds == {MIB // 4: ["ran", "stack", "stack"], MIB: ["ran", "ran", "stack"], 2 * MIB: ["ran", "ran", "ran"]}


def calling(pages: int) -> bytes:
    """Takes so many pages of memory, calls `callee`, and says what it was told."""
    request = "{\\22op\\22:\\22call\\22,\\22capability\\22:\\22callee\\22,\\22input\\22:{}}"
    size = len(request.replace("\\22", '"'))
    return bytes(
        wasmtime.wat2wasm(f"""(module
            (import "metier" "call" (func $call (param i32 i32) (result i32)))
            (import "metier" "read" (func $read (param i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") {pages}) (data (i32.const 64) "{request}")
            (func (export "_start")
              (i32.store (i32.const 4) (call $call (i32.const 64) (i32.const {size})))
              (call $read (i32.const 1024)) (i32.store (i32.const 0) (i32.const 1024))
              (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))""")
    )


CALLS_IN_PYTHON = """
import json, wit_world
def run(input):
    return json.loads(wit_world.host_call('{"op": "call", "capability": "callee", "input": {}}'))
"""
OUTPUT_OF_ALL = {"type": "object", "properties": {"error": {}}}


def nested(box: Box, caller: bytes, callee: bytes, **limits: Any) -> dict[str, Any]:
    """What the caller is told of the run that it nests."""
    may = Permissions(call=("callee",))
    found: dict[str, Loaded] = {}
    bounds = Limits.model_validate(limits)
    r = Runner(box, roots={}, policy=may, limits=bounds, resolve=lambda id, version: found[id])
    found["callee"] = r.load(capability(id="callee"), callee)
    ended = r.run(r.load(capability(permissions=may, output_schema=OUTPUT_OF_ALL), caller), {})
    assert isinstance(ended, Ran), ended
    output: dict[str, Any] = ended.output
    return output


def taking(pages: int) -> bytes:
    return wat(
        '(data (i32.const 64) "1") (func (export "_start")'
        " (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1))"
        " (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))",
        pages=pages,
    )


def test_a_nested_run_has_the_memory_that_its_caller_leaves(box: Box) -> None:
    limit = 64 * MIB  # 1024 pages
    assert nested(box, calling(600), taking(424), memory_bytes=limit) == {"ok": 1}
    assert nested(box, calling(600), taking(425), memory_bytes=limit)["kind"] == "memory"
    assert nested(box, calling(1), taking(1023), memory_bytes=limit) == {"ok": 1}


def test_a_caller_in_an_engine_leaves_half(box: Box) -> None:
    caller = python.build(CALLS_IN_PYTHON, box)
    assert nested(box, caller, taking(1024), memory_bytes=128 * MIB) == {"ok": 1}
    assert nested(box, caller, taking(1025), memory_bytes=128 * MIB)["kind"] == "memory"


def test_a_program_that_may_call_no_other_keeps_no_memory_for_one(box: Box) -> None:
    source = "def run(input):\n    return len(bytearray(100_000_000))\n"
    r = runner(box, limits=Limits(memory_bytes=160 * MIB))
    assert isinstance(r.run(r.load(capability(), python.build(source, box)), {}), Ran)


def test_nested_runs_share_the_effects_of_the_outermost(box: Box, root: Path) -> None:
    nest = {"op": "call", "capability": "under_test", "input": [{"op": "none"}] * 3}
    assert isinstance(answer(box, root, [nest, nest], effects=8), Ran)
    ended = answer(box, root, [nest, nest, {"op": "none"}], effects=8)
    assert isinstance(ended, Failed)
    assert ended.kind == "effects"
