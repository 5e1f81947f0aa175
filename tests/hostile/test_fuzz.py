"""Random and damaged bytes wherever something reads what others wrote: a typed error or a value, and nothing else."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from metier.capability import Capability, meta_json, parse_meta
from metier.effects import INSIDE, OUTSIDE, Context, Door
from metier.errors import BrokenCapability, InvalidModule, LibraryError
from metier.journal import FILE_NAME, Journal
from metier.outcomes import Effect, Failed, Ran
from metier.permissions import Grant, Permissions
from metier.record import LiveRecord
from metier.sandbox.box import Box
from metier.sandbox.files import FileSystem, HostFiles
from metier.sandbox.limits import Limits
from metier.sandbox.wasi import SIGNATURES, Clock, Exited, LimitReached, Process, RandomStream
from metier.toolchains import python
from tests.conftest import ECHO, capability, runner
from tests.sandbox.guest import FUNCTIONS, Buffer

TINY = Limits(fuel=100_000, seconds=2, memory_bytes=2**24, stdout_bytes=1000, stderr_bytes=1000, compile_seconds=5)
MANIFEST: dict[str, Any] = {
    "files": [{"root": "hr", "path": "a/*.json", "access": "read"}],
    "http": [{"origin": "https://api.example.com", "methods": ["GET"], "path": "/v1/**", "secrets": ["KEY"]}],
    "sql": [{"store": "hr", "tables": {"employees": ["select"]}}],
    "call": ["other"],
    "clock": "recorded",
    "random": "seeded",
    "env": {"TZ": "UTC"},
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
odd_texts = st.sampled_from(
    ["..", "/", "**", "*", "a/../b", "a//b", "", "\x00", "\n", "~", "hr", "https://x", "\u202e"]
)


@st.composite
def damaged(draw: st.DrawFn, good: Any) -> Any:
    """A valid value in which some parts are another."""
    value = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        at, key = value, draw(st.sampled_from(list(value)))
        while isinstance(at[key], dict | list) and at[key] and draw(st.booleans()):
            at = at[key]
            key = draw(st.sampled_from(list(at) if isinstance(at, dict) else range(len(at))))
        at[key] = draw(json_values | odd_texts)
    return value


@st.composite
def flipped(draw: st.DrawFn, good: bytes, *, most: int = 8) -> bytes:
    """Bytes of which some are others, or missing, or doubled."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, len(data) - 1))
        change = draw(st.integers(0, 3))
        if change == 0:
            data[at] = draw(st.integers(0, 255))
        elif change == 1:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif change == 2:
            del data[at : at + draw(st.integers(1, 4))]
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 8))]
        if not data:
            return b""
    return bytes(data)


@settings(max_examples=150, deadline=None)
@given(damaged(MANIFEST) | json_values)
def test_a_manifest_is_void_or_names_nothing_outside(value: Any) -> None:
    try:
        permissions = Permissions.model_validate(value)
    except ValidationError:
        return
    for file in permissions.files:
        assert ".." not in file.path.split("/")
        assert not file.path.startswith("/")
    assert permissions.beyond(permissions) == []
    assert permissions.sentences() is not None


META = json.dumps(
    meta_json(Capability(id="under_test", summary="A test.", binary="under_test.wasm")), ensure_ascii=False
).encode()


@settings(max_examples=150, deadline=None)
@given(flipped(META) | st.binary(max_size=100) | damaged(json.loads(META)).map(lambda v: json.dumps(v).encode()))
def test_a_damaged_meta_json_is_a_broken_capability(text: bytes) -> None:
    try:
        found = parse_meta(text, where=Path("meta.json"))
    except BrokenCapability as error:
        assert "\n" not in str(error)
        return
    assert ".." not in found.binary.split("/")


@pytest.fixture(scope="module")
def wrapped(box: Box) -> bytes:
    return python.build("def run(input):\n    return 1\n", box)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flipped(ECHO, most=4))
def test_a_damaged_module_is_refused_or_runs_in_the_box(box: Box, wasm: bytes) -> None:
    run_damaged(box, wasm)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_damaged_python_module_is_refused_or_runs_in_the_box(box: Box, wrapped: bytes, data: st.DataObject) -> None:
    run_damaged(box, data.draw(flipped(wrapped, most=4)))


def run_damaged(box: Box, wasm: bytes) -> None:
    own = runner(box, limits=TINY)
    try:
        loaded = own.load(capability(), wasm)
    except InvalidModule as error:
        assert "\n" not in str(error)
        return
    assert isinstance(own.run(loaded, {}), Ran | Failed)


numbers = st.sampled_from([0, 1, 2, 3, 4, 8, 64, 4096, 65_528, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1])
wide = numbers | st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 10**6])


@st.composite
def wasi_calls(draw: st.DrawFn) -> list[tuple[str, list[int]]]:
    def call(name: str) -> tuple[str, list[int]]:
        kinds = SIGNATURES[name].partition(":")[0]
        return name, [draw(wide if kind == "I" else numbers) for kind in kinds]

    return [call(name) for name in draw(st.lists(st.sampled_from(sorted(SIGNATURES)), min_size=1, max_size=30))]


@settings(max_examples=200, deadline=None)
@given(
    wasi_calls(),
    st.lists(
        st.tuples(st.integers(0, 8192), st.sampled_from([b"a.txt", b"new", b"..", b"/", b"sub/", b"\xff", b"\0"]))
    ),
)
def test_no_arguments_of_wasi_break_the_host(
    calls: list[tuple[str, list[int]]], memory: list[tuple[int, bytes]]
) -> None:
    buffer = Buffer()
    for at, text in memory:
        buffer.write(at, text)
    grant = Grant((Permissions.model_validate({"files": [{"root": "hr", "path": "**", "access": "write"}]}),))
    host = HostFiles({"hr": Path(__file__).parent}, 1000)
    process = Process(FileSystem(host, grant, TINY), TINY, Clock(0), RandomStream(b""), stdin=b"{}")
    with contextlib.suppress(Exited, LimitReached):
        for name, arguments in calls:
            assert 0 <= (FUNCTIONS[name](process, buffer, *arguments) or 0) <= 76


class Plenty:
    def fuel_left(self) -> int:
        return 1_000_000

    def burn(self, fuel: int) -> None:
        pass

    def seconds_left(self) -> float:
        return 10.0


fields = st.dictionaries(
    st.sampled_from(["path", "to", "text", "mode", "capability", "input"]),
    json_values | odd_texts | st.sampled_from(["/hr/new", "/hr/test_fuzz.py", "/hr", "/hr/new/x"]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*INSIDE, *OUTSIDE, "x"]), fields), min_size=1, max_size=8))
def test_no_request_breaks_the_door(asked: list[tuple[str, dict[str, Any]]]) -> None:
    permissions = Permissions.model_validate(
        {"files": [{"root": "hr", "path": "**", "access": "write"}], "call": ["*"]}
    )
    grant = Grant((permissions,))
    files = FileSystem(HostFiles({"hr": Path(__file__).parent}, 10**6), grant, TINY)
    door = Door(INSIDE, OUTSIDE, Context(files, grant, TINY, LiveRecord()))
    for op, values in asked:
        answer = json.loads(door.call(json.dumps({**values, "op": op}), Plenty()))
        assert set(answer) in ({"ok"}, {"error", "kind"})


@pytest.fixture(scope="module")
def journal_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder, keep_runs=100)
    for number in range(5):
        effects = (Effect('["clock"]', str(number)), Effect('["files.read","hr","a"]', '{"ok":"x"}'))
        shared: dict[str, Any] = {"effects": effects, "blobs": {"x": b"content"}, "grant": (Permissions(),)}
        ended = Ran("under_test", 1, {"n": number}, {}, "{}", "", 10, 0.1, run_id=f"run{number}", **shared)
        journal.run(ended, capability(), task_run_id=f"task{number}")
        journal.task(f"task{number}", "A task", route="model", answer="An answer")
    journal.close()
    return folder / FILE_NAME


def test_a_journal_whose_tables_have_odd_names_is_begun_anew(journal_file: Path, tmp_path: Path) -> None:
    look_at_journal(tmp_path, journal_file.read_bytes().replace(b"CREATE TABLE tasks (", b"CREATE TABLE tasks \x80"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_journal_is_read_as_far_as_it_goes(journal_file: Path, tmp_path: Path, data: st.DataObject) -> None:
    good = journal_file.read_bytes()
    pages = bytearray(good)
    for _ in range(data.draw(st.integers(1, 30))):
        pages[data.draw(st.integers(0, len(pages) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(pages)] * 5 + [0, 10, 100, 4096, len(pages) // 2]))
    look_at_journal(tmp_path, bytes(pages[:cut]))


values = (
    st.none()
    | st.integers(-(2**60), 2**60)
    | st.floats()
    | st.binary(max_size=9)
    | st.text('{}[]":,1é\x00', max_size=9)
)


def look_at_journal(folder: Path, content: bytes) -> None:
    for old in folder.glob(f"{FILE_NAME}*"):
        old.unlink()
    (folder / FILE_NAME).write_bytes(content)
    journal = Journal(folder, keep_runs=100)
    try:
        rows = journal.recent()
        json.dumps(rows)
        for name in ["run0", "run", *(row["run_id"] for row in rows)]:
            with contextlib.suppress(LibraryError):
                journal.recorded(name)
        count, problem = journal.verify()
        assert count >= 0
        assert problem is None or isinstance(problem, str)
        ended = Ran("under_test", 1, {}, {}, "{}", "", 10, 0.1, run_id="fresh")
        journal.run(ended, capability(), task_run_id=None)
    finally:
        journal.close()
