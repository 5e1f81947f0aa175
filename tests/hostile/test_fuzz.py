"""Random and damaged bytes wherever something reads what others wrote: a typed error or a value, and nothing else."""

from __future__ import annotations

import atexit
import contextlib
import copy
import functools
import hashlib
import importlib.util
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from metier.capability import Capability, meta_json, parse_meta
from metier.effects import CALL, FILES, HTTP, INSIDE, OUTSIDE, SQL, Context, Door, HttpService, SqlStores
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
VERBS = ["select", "insert", "update", "delete"]
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


CANARY = b"what nobody was granted"
TEXTS = [
    b"a.txt",
    b"new",
    b"..",
    b"/",
    b"sub/",
    b"\xff",
    b"\0",
    b"../canary",
    b"out",
    b"out/canary",
    b"/hr/../../canary",
]
SLOTS = (512, 1024, 2048)
"""Where texts stand in the memory, so that calls find some."""
numbers = st.sampled_from(
    [*range(10), 11, 16, 64, 512, 1024, 2048, 4096, 65_528, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1]
)
wide = numbers | st.sampled_from([2**29 - 1, 2**63 - 1, 2**63, 2**64 - 1, 10**6])


@functools.cache
def granted() -> Path:
    """A root with a file, a folder and links that lead out of it, beside what no program may see."""
    outside = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, outside, ignore_errors=True)
    root = outside / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("mine", encoding="utf-8")
    (outside / "canary").write_bytes(CANARY)
    (root / "out").symlink_to(outside)
    (root / "sub" / "canary").symlink_to("../../canary")
    with contextlib.closing(sqlite3.connect(outside / "hr.db")) as db:
        db.executescript(
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT); CREATE TABLE secrets (value TEXT);"
            f"CREATE VIEW leak AS SELECT value FROM secrets; INSERT INTO secrets VALUES ('{CANARY.decode()}');"
        )
    return root


def as_it_was() -> bool:
    """Whether nothing on the host has changed."""
    root = granted()
    with contextlib.closing(sqlite3.connect(root.parent / "hr.db")) as db:
        rows = db.execute("SELECT count(*) FROM secrets UNION ALL SELECT count(*) FROM notes").fetchall()
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    whole = (root.parent / "canary").read_bytes() == CANARY and (root / "a.txt").read_bytes() == b"mine"
    return whole and names == ["a.txt", "out", "sub", "sub/canary"] and rows == [(1,), (0,)]


@st.composite
def wasi_calls(draw: st.DrawFn) -> list[tuple[str, list[int]]]:
    def call(name: str) -> tuple[str, list[int]]:
        kinds = SIGNATURES[name].partition(":")[0]
        return name, [draw(wide if kind == "I" else numbers) for kind in kinds]

    return [call(name) for name in draw(st.lists(st.sampled_from(sorted(SIGNATURES)), min_size=1, max_size=30))]


@settings(max_examples=200, deadline=None)
@given(wasi_calls(), st.lists(st.sampled_from(TEXTS), max_size=len(SLOTS)), st.binary(max_size=64))
def test_no_arguments_of_wasi_break_the_host(
    calls: list[tuple[str, list[int]]], texts: list[bytes], start: bytes
) -> None:
    buffer = Buffer()
    buffer.write(0, start)
    for at, text in zip(SLOTS, texts, strict=False):
        buffer.write(at, text)
    grant = Grant((Permissions.model_validate({"files": [{"root": "hr", "path": "**", "access": "write"}]}),))
    process = Process(
        FileSystem(HostFiles({"hr": granted()}, 1000), grant, TINY), TINY, Clock(0), RandomStream(b""), stdin=b"{}"
    )
    with contextlib.suppress(Exited, LimitReached):
        for name, arguments in calls:
            assert 0 <= (FUNCTIONS[name](process, buffer, *arguments) or 0) <= 76
            assert CANARY not in buffer.bytes
    assert as_it_was()


class Plenty:
    def fuel_left(self) -> int:
        return 1_000_000

    def burn(self, fuel: int) -> None:
        pass

    def seconds_left(self) -> float:
        return 10.0


paths = st.sampled_from(
    [f"/hr/{name}" for name in ("", "new", "a.txt", "new/x", "out/canary", "../canary", "sub/canary", "sub")]
)
WORDS = r"""
    SELECT * FROM notes secrets leak value text WHERE ? ; -- /* */ UNION ALL INSERT INTO VALUES (1) UPDATE SET = 'x'
    DELETE WITH AS ( ) , PRAGMA ATTACH RETURNING sqlite_schema load_extension('x') "secrets" [secrets] x'00' EXISTS
"""
statements = st.lists(st.sampled_from([*WORDS.split(), "\0"]), max_size=14).map(" ".join)
urls = st.sampled_from(
    [
        *(
            "https://api.example.com/v1/x",
            "https://api.example.com/v1/../x",
            "https://api.example.com@evil.example/v1/",
        ),
        *("https://API.example.com./v1/%2e%2e/", "//api.example.com/v1", "https://api.example.com:443/v1/"),
        *("http://127.0.0.1/v1", "https://[::1]/v1", "file:///etc/passwd", "https://api.example.com/v1/\r\nHost: x"),
    ]
)
anything = odd_texts | json_values


def asking(*operations: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Requests for some operations; each field is there or not, and as it should be or anything."""
    optional = {name: usual | usual | anything for name, usual in fields.items()}
    return st.fixed_dictionaries({"op": st.sampled_from(operations)}, optional=optional)


requests = st.one_of(
    asking(*FILES, path=paths, to=paths, text=st.text(), base64=st.just("AAAA"), mode=st.just("create")),
    asking(*CALL, capability=st.just("other"), input=json_values),
    asking(*SQL, store=st.just("hr"), statement=statements, parameters=st.lists(json_values, max_size=3)),
    asking(
        *HTTP,
        method=st.sampled_from(["GET", "POST", "get", "CONNECT"]),
        url=urls,
        headers=st.dictionaries(st.sampled_from(["Accept", "Host", "X-Key"]), st.text() | st.just("${secret:KEY}")),
        body=st.text(),
        base64=st.just("AAAA"),
        secrets=st.just(["KEY"]),
    ),
    asking("x", path=paths),
)


def nowhere(host: str, *_: Any, **__: Any) -> Any:
    """A resolver for which the one permitted name does not exist."""
    assert host == "api.example.com"
    raise OSError("no such name")


@settings(max_examples=200, deadline=None)
@given(st.lists(requests.map(json.dumps) | requests.map(json.dumps).map(lambda t: t[1:]), min_size=1, max_size=8))
def test_no_request_breaks_the_door(asked: list[str]) -> None:
    permissions = {**MANIFEST, "files": [{"root": "hr", "path": "**", "access": "write"}], "call": ["*"]}
    grant = Grant((Permissions.model_validate({**permissions, "sql": [{"store": "hr", "tables": {"notes": VERBS}}]}),))
    folder = granted().parent
    files = FileSystem(HostFiles({"hr": granted()}, 10**6), grant, TINY)
    sql = SqlStores({"hr": "sqlite:///hr.db"}, folder).session(writes=True)
    http = HttpService(resolver=nowhere, secrets={"KEY": lambda: CANARY.decode()})
    door = Door(INSIDE, OUTSIDE, Context(files, grant, TINY, LiveRecord(10**6), http=http, sql=sql))
    try:
        for request in asked:
            answer = door.call(request, Plenty())
            assert set(json.loads(answer)) in ({"ok"}, {"error", "kind"})
            assert CANARY.decode() not in answer
    finally:
        sql.close()
    assert as_it_was()


@functools.cache
def good_journal() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), keep_runs=100)
        key = hashlib.sha256(b"content").hexdigest()
        about = capability(sha256="0" * 64)
        for number in range(5):
            effects = (Effect('["clock"]', str(number)), Effect('["files.read","hr","a"]', json.dumps({"ok": key})))
            shared: dict[str, Any] = {"effects": effects, "blobs": {key: b"content"}, "grant": (Permissions(),)}
            ended = Ran("under_test", 1, {"n": number}, {}, "{}", "", 10, 0.1, run_id=f"run{number}", **shared)
            failed = Failed("under_test", 1, {"n": number}, "contract", "wrong", run_id=f"bad{number}", **shared)
            for outcome in (ended, failed):
                journal.run(outcome, about, task_run_id=f"task{number}")
            journal.evidence.failed(failed)
            journal.evidence.moved(about, "quarantined", "a reason")
            journal.task(f"task{number}", "A task", route="model", answer="An answer")
        journal.close()
        return (Path(folder) / FILE_NAME).read_bytes()


@functools.cache
def columns() -> list[tuple[str, str]]:
    """All columns of the journal, by table."""
    with tempfile.TemporaryDirectory() as folder, closing_database(Path(folder), good_journal()) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return [(table, row[1]) for table in tables for row in db.execute(f"PRAGMA table_info({table})")]


@contextlib.contextmanager
def closing_database(folder: Path, content: bytes) -> Iterator[sqlite3.Connection]:
    (folder / FILE_NAME).write_bytes(content)
    db = sqlite3.connect(folder / FILE_NAME)
    try:
        yield db
        db.commit()
    finally:
        db.close()


def test_a_journal_whose_tables_have_odd_names_is_begun_anew() -> None:
    look_at_journal(good_journal().replace(b"CREATE TABLE tasks (", b"CREATE TABLE tasks \x80"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**17), st.integers(0, 255)), min_size=1, max_size=30), st.integers(0, 25))
def test_a_damaged_journal_is_read_as_far_as_it_goes(flips: list[tuple[int, int]], cut: int) -> None:
    pages = bytearray(good_journal())
    for at, byte in flips:
        pages[at % len(pages)] = byte
    look_at_journal(bytes(pages[: {0: 0, 1: 10, 2: 100, 3: 4096, 4: len(pages) // 2}.get(cut)]))


odd_values = (
    st.none()
    | st.integers(-(2**60), 2**60)
    | st.floats()
    | st.binary(max_size=9)
    | st.text('{}[]":,1é\x00', max_size=9)
    | st.sampled_from(
        ["[[]]", '[["a"]]', "[[1,2]]", "{}", "null", "[null]", '{"ok":1}', "[" * 5000, "run1", "x" * 10**6]
    )
)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_odd_values_in_a_journal_break_nothing(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with closing_database(Path(folder), good_journal()) as db:
            for table, column in data.draw(st.lists(st.sampled_from(columns()), min_size=1, max_size=4)):
                value = data.draw(odd_values)
                text = isinstance(value, bytes) and data.draw(st.booleans())
                which = data.draw(st.sampled_from(["1", "1", "(SELECT min(rowid) FROM runs)"]))
                marks = "CAST(? AS TEXT)" if text else "?"  # a text that is no UTF-8
                with contextlib.suppress(sqlite3.IntegrityError, sqlite3.OperationalError):
                    db.execute(f"UPDATE OR REPLACE {table} SET {column} = {marks} WHERE rowid = {which}", (value,))
        look_at_journal((Path(folder) / FILE_NAME).read_bytes())


def look_at_journal(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FILE_NAME).write_bytes(content)
        look_at_journal_in(Path(folder))


def look_at_journal_in(folder: Path) -> None:
    about = capability(sha256="0" * 64)
    journal = Journal(folder, keep_runs=100)
    try:
        rows = journal.recent()
        json.dumps(rows)
        for name in ["run0", "run", *(row["run_id"] for row in rows)]:
            with contextlib.suppress(LibraryError):
                journal.recorded(name)
        journal.last_success(about)
        json.dumps([recorded.input for recorded in journal.recorded_inputs(about, 10)])
        assert all(
            datetime.fromtimestamp(move.at) for move in journal.evidence.transitions("under_test") if move.at < 9e9
        )
        json.dumps([[failure.input, failure.fixtures] for failure in journal.evidence.failures()])
        count, problem = journal.verify()
        assert count >= 0
        assert problem is None or isinstance(problem, str)
        ended = Ran("under_test", 1, {}, {}, "{}", "", 10, 0.1, run_id="fresh")
        journal.run(ended, capability(), task_run_id=None)
    finally:
        journal.close()


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed: no wheel for it here"
)
@pytest.mark.parametrize("target", ["manifest", "wasi", "door", "journal"])
def test_a_search_led_by_coverage_finds_nothing_at_first(target: str) -> None:
    script = Path(__file__).parents[2] / "scripts" / "fuzz.py"
    ended = subprocess.run(
        [sys.executable, script, target, "--runs", "200"], capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Done 200 runs" in ended.stderr
