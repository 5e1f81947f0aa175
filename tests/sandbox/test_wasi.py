"""Virtual WASI: time, randomness, arguments and files are the run's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

from metier.outcomes import Failed, Ran
from metier.sandbox.box import Box
from metier.sandbox.wasi import SIGNATURES, Clock, RandomStream
from tests.conftest import capability, runner

PRELUDE = """(module
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func $print (param $at i32) (param $size i32)
      (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $size))
      (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
    (func $digit (param $value i32)
      (i32.store8 (i32.const 32) (i32.add (i32.const 48) (local.get $value)))
      (call $print (i32.const 32) (i32.const 1)))
"""


def program(body: str) -> bytes:
    return bytes(wasmtime.wat2wasm(PRELUDE + body + ")"))


def opening(path: str, oflags: int = 0, rights: int = 2) -> bytes:
    """A program whose status is the errno of opening `path` beneath the first preopen."""
    size = len(path.encode())
    return program(f"""(data (i32.const 100) "{path}")
        (func (export "_start") (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const {size})
          (i32.const {oflags}) (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 40))))""")


def errno_of(box: Box, root: Path, wasm: bytes, access: str = "read", glob: str = "**") -> int:
    r = runner(box, roots={"hr": root}, files=[{"root": "hr", "path": "**", "access": "write"}])
    permissions = r._policy.model_validate({"files": [{"root": "hr", "path": glob, "access": access}]})
    ended = r.run(r.load(capability(permissions=permissions, effects="write"), wasm), {})
    if isinstance(ended, Ran):
        return 0
    if ended.kind == "contract":  # it ended with 0 and printed nothing
        return 0
    return int(ended.error.split("status ")[1].split()[0])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.txt").write_text("A", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "errno"),
    [("a.txt", 0), ("./folder/../a.txt", 0), ("none", 44), ("../x", 63), ("/etc/passwd", 63), ("a.txt/", 54), ("", 44)],
)
def test_paths_stay_beneath_their_folder(box: Box, root: Path, path: str, errno: int) -> None:
    assert errno_of(box, root, opening(path)) == errno


def test_opening_for_writing_needs_the_permission(box: Box, root: Path) -> None:
    assert errno_of(box, root, opening("a.txt", rights=64)) == 2
    assert errno_of(box, root, opening("new.txt", oflags=1, rights=64)) == 2
    assert errno_of(box, root, opening("a.txt", rights=64), access="write") == 0
    assert errno_of(box, root, opening("a.txt", oflags=5), access="write") == 20
    assert errno_of(box, root, opening("a.txt", oflags=2), access="write") == 54


def test_a_file_that_is_not_granted_is_not_found(box: Box, root: Path) -> None:
    assert errno_of(box, root, opening("a.txt"), glob="*.json") == 44


def test_clock_and_random_are_the_same_in_every_run(box: Box) -> None:
    printing = program("""(func (export "_start")
        (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 64)))
        (drop (call $random (i32.const 72) (i32.const 8)))
        (call $digit (i32.rem_u (i32.load8_u (i32.const 72)) (i32.const 9)))
        (if (i64.eqz (i64.load (i32.const 64))) (then unreachable)))""")
    r = runner(box)
    loaded = r.load(capability(), printing)
    same = {r.run(loaded, {"a": 1}).output_text for _ in range(5)}  # type: ignore[union-attr]
    other = {r.run(loaded, {"a": n}).output_text for n in range(20)}  # type: ignore[union-attr]
    assert len(same) == 1
    assert len(other) > 1


def test_a_wait_ends_at_once_and_moves_the_clock(box: Box) -> None:
    """Subscribes to the monotonic clock, an hour from now, and prints how many events came."""
    waiting = program("""(func (export "_start")
        (i32.store8 (i32.const 208) (i32.const 0))
        (i32.store (i32.const 216) (i32.const 1))
        (i64.store (i32.const 224) (i64.const 3600000000000))
        (drop (call $poll (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 400)))
        (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 64)))
        (if (i64.lt_u (i64.load (i32.const 64)) (i64.const 3600000000000)) (then unreachable))
        (call $digit (i32.load (i32.const 400))))""")
    r = runner(box)
    ended = r.run(r.load(capability(), waiting), {})
    assert isinstance(ended, Ran), ended
    assert ended.output == 1
    assert ended.seconds < 5


def test_too_many_open_files_are_an_error(box: Box, root: Path) -> None:
    hoarding = program("""(data (i32.const 100) "a.txt")
        (func (export "_start") (local $e i32)
          (loop
            (local.set $e (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 5) (i32.const 0)
              (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 40)))
            (br_if 0 (i32.eqz (local.get $e))))
          (call $exit (local.get $e)))""")
    assert errno_of(box, root, hoarding) == 33


def test_a_signal_that_the_program_raises_ends_it(box: Box) -> None:
    aborting = bytes(
        wasmtime.wat2wasm("""(module
            (import "wasi_snapshot_preview1" "proc_raise" (func $raise (param i32) (result i32)))
            (memory (export "memory") 1) (func (export "_start") (drop (call $raise (i32.const 6)))))""")
    )
    r = runner(box)
    ended = r.run(r.load(capability(), aborting), {})
    assert isinstance(ended, Failed)
    assert "134" in ended.error


def test_every_function_of_preview_1_is_offered() -> None:
    assert len(SIGNATURES) == 46


def test_a_random_stream_does_not_depend_on_how_it_is_taken() -> None:
    whole = RandomStream(b"seed").take(1000)
    parts = RandomStream(b"seed")
    assert b"".join(parts.take(n) for n in (1, 63, 64, 65, 0, 807)) == whole
    assert RandomStream(b"other").take(1000) != whole


def test_time_moves_with_every_look() -> None:
    clock = Clock(10**18)
    assert clock.wall() < clock.wall()
    assert clock.monotonic() < clock.monotonic()
