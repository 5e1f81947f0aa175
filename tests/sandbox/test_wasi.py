"""Virtual WASI: time, randomness, arguments and files are the run's own."""

from __future__ import annotations

import shutil
import struct
import tempfile
from pathlib import Path

import pytest
import wasmtime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metier.outcomes import Failed, Ran
from metier.sandbox.box import Box
from metier.sandbox.files import Unkeepable, commit
from metier.sandbox.limits import Limits
from metier.sandbox.nodes import File, Link
from metier.sandbox.wasi import SIGNATURES, Clock, Exited, LimitReached, RandomStream
from tests.conftest import capability, runner
from tests.sandbox.guest import BUFFER, FUNCTIONS, RESULT, Guest, guest

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


def test_time_stands_still_at_its_end() -> None:
    clock = Clock(10**18)
    clock.sleep(2**64 - 1)
    assert clock.wall() == clock.wall() == clock.monotonic() == 2**63 - 1


def test_clocks_that_do_not_exist_are_invalid(root: Path) -> None:
    g = guest(root)
    assert g.call("clock_time_get", 4, 0, RESULT) == g.call("clock_res_get", 4, RESULT) == 28


def test_random_bytes_are_given_in_pieces_of_a_mebibyte(root: Path) -> None:
    g = guest(root)
    assert g.call("random_get", 0, 2**20 + 1) == 28
    assert g.call("random_get", 0, 2**16) == 0


def subscription(user: int, tag: int, *, fd: int = 0, clock: int = 1, timeout: int = 0, flags: int = 0) -> bytes:
    what = struct.pack("<IxxxxQQHxxxxxx", clock, timeout, 0, flags) if tag == 0 else struct.pack("<I28x", fd)
    return struct.pack("<QBxxxxxxx", user, tag) + what


def events(root: Path, *subscriptions: bytes) -> list[tuple[int, int, int, int]]:
    """(userdata, error, type, bytes) of what a poll returns."""
    g = guest(root, stdin=b"four")
    g.memory.write(4096, b"".join(subscriptions))
    assert g.call("poll_oneoff", 4096, BUFFER, len(subscriptions), RESULT) == 0
    raw = g.memory.read(BUFFER, 32 * g.u32())
    return [(user, error, tag, size) for user, error, tag, size, _ in struct.iter_unpack("<QHBxxxxxQHxxxxxx", raw)]


def test_a_poll_tells_of_everything_that_is_ready(root: Path) -> None:
    found = events(
        root,
        subscription(1, 1, fd=0),
        subscription(2, 2, fd=1),
        subscription(3, 1, fd=77),
        subscription(4, 0, timeout=10**9),
        subscription(5, 0, clock=9),
        subscription(6, 1, fd=3),
    )
    assert found == [(1, 0, 1, 4), (2, 0, 2, 0), (3, 8, 1, 0), (5, 28, 0, 0), (6, 76, 1, 0)]


def test_a_poll_of_clocks_ends_with_the_earliest(root: Path) -> None:
    far, near = subscription(1, 0, timeout=2**64 - 1), subscription(2, 0, timeout=5)
    assert events(root, far, near) == [(2, 0, 0, 0)]
    assert events(root, far) == [(1, 0, 0, 0)]
    assert events(root, subscription(3, 0, clock=0, timeout=0, flags=1)) == [(3, 0, 0, 0)]


def test_a_poll_of_nothing_or_of_the_unknown_is_invalid(root: Path) -> None:
    g = guest(root)
    g.memory.write(4096, subscription(1, 3))
    assert [g.call("poll_oneoff", 4096, BUFFER, count, RESULT) for count in (0, 1, 1025)] == [28] * 3


PATHS = ["a.txt", "folder", "folder/b", "..", "folder/../a.txt", "link", "link/x", "new", "/etc/passwd", "a\0b", "é/"]
AT = {path: 32_768 + 64 * i for i, path in enumerate(PATHS)}
POINTERS = st.sampled_from([*AT.values(), 0, 8, 16_384, 65_528, 65_535, 2**32 - 1])
SMALL = st.integers(0, 40)
U32 = st.one_of(SMALL, POINTERS, st.integers(0, 2**32 - 1))
U64 = st.one_of(SMALL, st.sampled_from([2**29 - 1, 2**62, 2**63, 2**64 - 1]), st.integers(0, 2**64 - 1))


def a_call(name: str) -> st.SearchStrategy[tuple[str, list[int]]]:
    kinds = SIGNATURES[name].partition(":")[0]
    return st.tuples(*(U32 if kind == "i" else U64 for kind in kinds)).map(lambda values: (name, list(values)))


@st.composite
def a_likely_call(draw: st.DrawFn) -> tuple[str, list[int]]:
    """A call on a path, with arguments that make sense."""
    path, to = draw(st.sampled_from(PATHS)), draw(st.sampled_from(PATHS))
    one, two = (AT[path], len(path.encode())), (AT[to], len(to.encode()))
    fd, number = draw(st.integers(3, 8)), draw(U64)
    return draw(
        st.sampled_from(
            [
                ("path_open", [fd, number & 1, *one, number % 16, 2**29 - 1 if number & 2 else 2, 2**29 - 1, 0, 0]),
                ("path_create_directory", [fd, *one]),
                ("path_remove_directory", [fd, *one]),
                ("path_unlink_file", [fd, *one]),
                ("path_symlink", [*one, fd, *two]),
                ("path_link", [fd, 0, *one, fd, *two]),
                ("path_rename", [fd, *one, fd, *two]),
                ("path_filestat_get", [fd, number & 1, *one, 0]),
                ("fd_write", [fd, 16_384, 2, 0]),
                ("fd_readdir", [fd, 4096, 4096, number % 6, 0]),
                ("fd_renumber", [fd, number % 9]),
            ]
        )
    )


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzzed")
    (root / "folder").mkdir()
    (root / "folder" / "b").write_text("b", encoding="utf-8")
    (root / "a.txt").write_text("A", encoding="utf-8")
    return root


def ready_for(root: Path, calls: list[tuple[str, list[int]]], memory: bytes) -> Guest:
    """A guest with small limits after these calls, or as many as it lives for."""
    small = Limits(stdout_bytes=1000, stderr_bytes=1000, effect_bytes=100_000, overlay_bytes=200_000, open_files=8)
    g = guest(root, ("**", "write"), limits=small, stdin=b"input")
    g.memory.write(BUFFER, memory)
    g.memory.write(16_384, struct.pack("<4I", 16_384, 10, 0, 5000) + memory)
    for path, at in AT.items():
        g.memory.write(at, path.encode())
    for name, arguments in calls:
        try:
            result = FUNCTIONS[name](g.process, g.memory, *arguments)
        except (Exited, LimitReached):
            break
        assert result in range(77), name
        assert len(g.process.descriptors) <= 8 + 4
    return g


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    calls=st.lists(st.one_of(a_likely_call(), *(a_call(name) for name in SIGNATURES)), max_size=40),
    memory=st.binary(max_size=200),
)
def test_no_arguments_bring_anything_but_an_error_number(
    fuzzed: Path, calls: list[tuple[str, list[int]]], memory: bytes
) -> None:
    g = ready_for(fuzzed, calls, memory)
    try:
        changes = g.process.files.changes()
    except Unkeepable:
        changes = []
    assert all(change.root == "hr" and ".." not in change.path.split("/") for change in changes)
    assert sorted(p.name for p in fuzzed.rglob("*")) == ["a.txt", "b", "folder"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calls=st.lists(a_likely_call(), max_size=60))
def test_a_commit_leaves_the_host_as_the_run_saw_it(fuzzed: Path, calls: list[tuple[str, list[int]]]) -> None:
    g = ready_for(fuzzed, calls, b"")
    overlay = g.process.files.overlay
    alive = {id(node): node for _, node in overlay.every()}
    alive |= {id(d.node): d.node for d in g.process.descriptors.values() if isinstance(d.node, File)}
    assert overlay._written == sum(n.size for n in alive.values() if isinstance(n, Link) or getattr(n, "dirty", False))
    try:
        changes = g.process.files.changes()
    except Unkeepable:
        return
    files = g.process.files
    pending, seen = files.names("/hr"), {}
    for path in pending:
        if files.stat(f"/hr/{path}").kind == "directory":
            pending += [f"{path}/{name}" for name in files.names(f"/hr/{path}")]
            seen[path] = None
        else:
            seen[path] = bytes(files.open(f"/hr/{path}").data)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "hr"
        shutil.copytree(fuzzed, copy)
        commit({"hr": copy}, changes)
        assert {str(p.relative_to(copy)): None if p.is_dir() else p.read_bytes() for p in copy.rglob("*")} == seen
