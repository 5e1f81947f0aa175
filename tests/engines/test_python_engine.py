"""The Python engine: programs as models write them, what they cannot do, and how they fail."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from metier.errors import BuildError
from metier.outcomes import Failed, Ran
from metier.sandbox.box import Box
from metier.sandbox.cache import CompiledCode, default_cache_folder
from metier.sandbox.engines import ProgramError, PythonEngine
from metier.sandbox.native import new_engine
from metier.sandbox.shipped import PYTHON
from metier.toolchains import python as toolchain
from tests.conftest import capability, runner
from tests.engines.programs import PROGRAMS

FUEL = 5_000_000_000
SMALL = "def run(input):\n    return {'total': sum(r['n'] for r in input['rows'])}\n"
SMALL_INPUT = '{"rows": [{"n": 1}, {"n": 2}]}'


class Host:
    """A host that remembers what it was asked."""

    def __init__(self, answers: Sequence[Any] = (), seed: int = 1, environ: Sequence[tuple[str, str]] = ()) -> None:
        self.environ = environ
        self.requests: list[Any] = []
        self.printed: list[str] = []
        self._answers = list(answers)
        self._random = random.Random(seed)

    def call(self, request: str) -> str:
        self.requests.append(json.loads(request))
        return json.dumps(self._answers.pop(0) if self._answers else {"error": "no such file", "kind": "not_found"})

    def stderr(self, text: str) -> None:
        self.printed.append(text)

    def wall_ns(self) -> int:
        return 1_700_000_000_000_000_000

    def monotonic_ns(self) -> int:
        return 1_000_000_000

    def random(self, n: int) -> bytes:
        return self._random.randbytes(n)


class Bench:
    """The shipped engine, and stores for it."""

    def __init__(self) -> None:
        self.engine = new_engine()
        compiled = CompiledCode(self.engine, default_cache_folder())
        self.python = PythonEngine.load(self.engine, lambda key, wasm: compiled.component(key, wasm, lambda: None))

    def store(self, *, fuel: int = FUEL, memory: int = 256 * 2**20) -> wasmtime.Store:
        store = wasmtime.Store(self.engine)
        store.set_fuel(fuel)
        store.set_epoch_deadline(10**6)
        store.set_limits(memory_size=memory)
        return store

    def compile(self, source: str) -> bytes:
        return self.python.compile(self.store(), source)

    def run(self, source: str, value: Any = None, host: Host | None = None, **limits: int) -> Any:
        code = self.compile(source)
        return json.loads(self.python.run(self.store(**limits), host or Host(), code, json.dumps(value or {})))

    def failure(self, source: str, value: Any = None, host: Host | None = None, **limits: int) -> tuple[str, str]:
        """(kind, message) of a program that has to fail."""
        with pytest.raises(ProgramError) as caught:
            self.run(source, value, host, **limits)
        report = json.loads(str(caught.value))
        return report["kind"], report["error"]


@pytest.fixture(scope="session")
def bench() -> Bench:
    return Bench()


# What programs can do


@pytest.mark.parametrize(("source", "value", "expected"), [p[1:] for p in PROGRAMS], ids=[p[0] for p in PROGRAMS])
def test_a_program_as_models_write_them_gives_the_right_answer(
    bench: Bench, source: str, value: Any, expected: Any
) -> None:
    assert bench.run(source, value) == expected


def test_output_is_compact_json_in_utf_8(bench: Bench) -> None:
    code = bench.compile("def run(input):\n    return {'näme': [1, 2.5, None, True], 'again': input}\n")
    output = bench.python.run(bench.store(), Host(), code, '{"x": "é"}')
    assert output.decode() == '{"näme":[1,2.5,null,true],"again":{"x":"é"}}'


def test_the_sdk_is_there_with_and_without_an_import(bench: Bench) -> None:
    host = Host([{"ok": 1}, {"ok": 2}])
    source = "import host as h\ndef run(input):\n    return [host.call('a', {'x': 1}), h.call('b')]\n"
    assert bench.run(source, host=host) == [1, 2]
    assert host.requests == [
        {"op": "call", "capability": "a", "input": {"x": 1}},
        {"op": "call", "capability": "b", "input": {}},
    ]


def test_http_and_sql_pass_through_the_door(bench: Bench) -> None:
    host = Host([{"ok": {"status": 200, "body": "hi"}}, {"ok": {"status": 201}}, {"ok": [{"n": 1}]}])
    source = """
import host
def run(input):
    got = host.http_get("https://a.example/x", headers={"A": "b"})
    host.http_request("POST", "https://a.example/y", body={"é": 1})
    return [got["body"], host.sql("hr", "select ? as n", [1])]
"""
    assert bench.run(source, host=host) == ["hi", [{"n": 1}]]
    assert host.requests == [
        {"op": "http.request", "method": "GET", "url": "https://a.example/x", "headers": {"A": "b"}, "body": None},
        {
            "op": "http.request",
            "method": "POST",
            "url": "https://a.example/y",
            "headers": {"Content-Type": "application/json"},
            "body": '{"é": 1}',
        },
        {"op": "sql.query", "store": "hr", "statement": "select ? as n", "parameters": [1]},
    ]


def test_urllib_goes_through_the_host(bench: Bench) -> None:
    host = Host([{"ok": {"status": 200, "headers": {"Content-Type": "text/plain"}, "body": "grüß"}}])
    source = """
from urllib.request import urlopen
def run(input):
    with urlopen("https://a.example/") as reply:
        return [reply.status, reply.headers["content-type"], reply.read().decode()]
"""
    assert bench.run(source, host=host) == [200, "text/plain", "grüß"]


def test_environment_variables_are_those_of_the_run(bench: Bench) -> None:
    source = "import os\ndef run(input):\n    return dict(os.environ)\n"
    assert bench.run(source, host=Host(environ=[("A", "ü"), ("TZ", "UTC")])) == {"A": "ü", "TZ": "UTC"}
    assert bench.run(source) == {}


def test_clocks_are_those_of_the_host(bench: Bench) -> None:
    source = "import datetime, time\ndef run(input):\n    return [time.time(), str(datetime.datetime.now())]\n"
    assert bench.run(source) == [1_700_000_000.0, "2023-11-14 22:13:20"]


def test_what_is_printed_goes_to_stderr_in_order_and_in_few_pieces(bench: Bench) -> None:
    source = """
import os, sys
def run(input):
    for n in range(1000):
        print("zeile é", n)
    print("to stderr", file=sys.stderr)
    os.write(1, b"raw\\n")
    sys.stdout.buffer.write(b"buffer")
"""
    host = Host()
    assert bench.run(source, host=host) is None
    text = "".join(host.printed)
    assert text.startswith("zeile é 0\n")
    assert text.endswith("999\nto stderr\nraw\nbuffer")
    assert len(host.printed) < 5


# Randomness, determinism, isolation

DRAWS = """
import os, random, secrets, tempfile, uuid
def run(input):
    return [random.random(), str(uuid.uuid4()), os.urandom(4).hex(), secrets.token_hex(4), tempfile.mktemp(),
            random.SystemRandom().random(), random.Random().random()]
"""


def test_randomness_is_what_the_host_gives(bench: Bench) -> None:
    first, again, other = (bench.run(DRAWS, host=Host(seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert not set(first) & set(other)


def test_the_same_run_takes_the_same_fuel_every_time(bench: Bench) -> None:
    code = bench.compile(DRAWS + "    # " + "x" * 100)
    fuels, outputs = set(), set()
    for _ in range(120):
        store = bench.store()
        outputs.add(bench.python.run(store, Host(), code, "{}"))
        fuels.add(store.get_fuel())
    assert len(fuels) == len(outputs) == 1


def test_hashes_of_strings_are_the_same_in_every_run(bench: Bench) -> None:
    source = "def run(input):\n    return [hash('abc'), list({'a', 'b', 'c'})]\n"
    assert len({json.dumps(bench.run(source, host=Host(seed=n))) for n in range(3)}) == 1


def test_nothing_stays_from_one_run_to_the_next(bench: Bench) -> None:
    source = """
import builtins, json, os, sys
def run(input):
    seen = [hasattr(builtins, "left"), os.path.exists("/tmp/left"), "left" in os.environ, json.dumps is None]
    builtins.left = True
    open("/tmp/left", "w").close()
    os.environ["left"] = "1"
    json.dumps = None
    sys.modules.clear()
    return seen
"""
    assert bench.run(source) == bench.run(source) == [False] * 4


def test_a_program_is_small_and_the_same_source_gives_the_same_bytes(bench: Bench) -> None:
    code = bench.compile(SMALL)
    assert code == bench.compile(SMALL)
    assert len(code) < 600


def test_a_small_program_takes_a_few_milliseconds(bench: Bench) -> None:
    code = bench.compile(SMALL)
    took = []
    for _ in range(50):
        began = time.perf_counter()
        bench.python.run(bench.store(), Host(), code, SMALL_INPUT)
        took.append(time.perf_counter() - began)
    assert statistics.median(took) < 0.02  # 1.3 ms on an idle two-core machine


def test_threads_share_one_engine_each_with_its_own_store(bench: Bench) -> None:
    source = "import host\ndef run(input):\n    return [host.call('me', input)['n'], sum(range(input['n'] * 1000))]\n"
    code = bench.compile(source)

    def answer(n: int) -> Any:
        host = Host([{"ok": {"n": n}}])
        return json.loads(bench.python.run(bench.store(), host, code, json.dumps({"n": n})))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(answer, range(40)))
    assert found == [[n, sum(range(n * 1000))] for n in range(40)]


def test_a_program_can_call_a_program_that_calls_a_program(bench: Bench) -> None:
    code = bench.compile("import host\ndef run(input):\n    return host.call('next') + 1 if input['deep'] else 1\n")

    class Nesting(Host):
        def __init__(self, deep: int) -> None:
            super().__init__()
            self.deep = deep

        def call(self, request: str) -> str:
            output = bench.python.run(bench.store(), Nesting(self.deep - 1), code, json.dumps({"deep": self.deep - 1}))
            return f'{{"ok": {output.decode()}}}'

    assert bench.python.run(bench.store(), Nesting(3), code, '{"deep": 3}') == b"4"


# Failures


def test_an_exception_is_reported_with_its_kind_and_a_traceback_of_the_programs_own_lines(bench: Bench) -> None:
    host = Host()
    source = "import json\ndef parse(text):\n    return json.loads(text)\ndef run(input):\n    return parse('{')\n"
    kind, error = bench.failure(source, host=host)
    assert kind == "JSONDecodeError"
    assert error.startswith("Expecting property name")
    assert "".join(host.printed).splitlines()[:3] == [
        "Traceback (most recent call last):",
        '  File "capability.py", line 5, in run',
        '  File "capability.py", line 3, in parse',
    ]
    assert "decoder.py" not in "".join(host.printed)


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        ("import host; raise host.Error('nobody by that name', kind='not_found')", "not_found", "nobody by that name"),
        ("return input['x']", "KeyError", "missing key 'x'"),
        ("raise ValueError", "ValueError", "ValueError"),
        ("assert input, 'empty'", "AssertionError", "empty"),
        ("import sys; sys.exit(0)", "SystemExit", "the program called sys.exit(0)"),
        ("import os; os._exit(0)", "SystemExit", "the program called sys.exit(0)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise ExceptionGroup('both', [ValueError(1)])", "ExceptionGroup", "both (1 sub-exception)"),
        ("def f(n): return f(n + 1) + 1\n    return f(0)", "RecursionError", "maximum recursion depth exceeded"),
        ("return float('nan')", "output", "the result cannot be written as JSON: Out of range float values are"),
        ("return {'d': {1, 2}}", "output", "the result cannot be written as JSON: Object of type set is not"),
        ("from decimal import Decimal; return Decimal(1)", "output", "the result cannot be written as JSON: Object"),
        ("a = []; a.append(a); return a", "output", "the result cannot be written as JSON: Circular reference"),
        ("return '\\ud800'", "output", "the result holds text that is not valid Unicode"),
        ("return __builtins__['input']()", "EOFError", "EOF when reading a line"),
        ("import subprocess; subprocess.run(['ls'])", "OSError", "[Errno 58] wasi does not support processes."),
        (
            "import threading; threading.Thread(target=print).start()",
            "RuntimeError",
            "threads are not available inside",
        ),
        ("import queue; queue.Queue().get()", "RuntimeError", "deadlock: the program waits for another thread"),
        ("import asyncio; asyncio.run(asyncio.Event().wait())", "RuntimeError", "deadlock: every task waits"),
        ("import socket; socket.socket()", "OSError", "sockets are not available inside a capability"),
        ("import ctypes", "ModuleNotFoundError", "module 'ctypes' is not available inside a capability"),
        ("import requests", "ModuleNotFoundError", "no module named 'requests': a capability has the Python standard"),
        ("import signal; signal.raise_signal(15)", "OSError", "signals are not available inside a capability"),
        ("import os; os.abort()", "RuntimeError", "os.abort is not available inside a capability"),
        ("open('/etc/passwd')", "FileNotFoundError", "[Errno 44] No such file or directory: '/etc/passwd'"),
        ("import sqlite3; sqlite3.connect('/x/y.db')", "OperationalError", "unable to open database file"),
    ],
)
def test_a_failure_has_a_kind_and_one_clear_line(bench: Bench, body: str, kind: str, error: str) -> None:
    found = bench.failure(f"def run(input):\n    {body}\n")
    assert found[0] == kind
    assert found[1].startswith(error)


def test_an_exception_that_cannot_be_printed_is_a_failure_all_the_same(bench: Bench) -> None:
    source = "class Odd(Exception):\n    def __str__(self): raise self\ndef run(input):\n    raise Odd\n"
    assert bench.failure(source) == ("Odd", "Odd")


def test_memory_that_runs_out_is_a_failure_that_says_so(bench: Bench) -> None:
    source = "def run(input):\n    kept = []\n    while True: kept.append(bytes(1_000_000))\n"
    assert bench.failure(source, memory=64 * 2**20) == ("MemoryError", "out of memory")


def test_what_was_printed_before_a_failure_is_kept(bench: Bench) -> None:
    host = Host()
    bench.failure("def run(input):\n    print('before')\n    1 / 0\n", host=host)
    assert "".join(host.printed).startswith("before\nTraceback")


def test_an_endless_program_ends_with_its_fuel_and_cannot_catch_that(bench: Bench) -> None:
    source = "def run(input):\n    while True:\n        try:\n            while True: pass\n        except: pass\n"
    with pytest.raises(wasmtime.WasmtimeError, match="all fuel consumed"):
        bench.run(source, fuel=100_000_000)


def test_recursion_in_c_code_is_stopped_by_the_stack_limit(bench: Bench) -> None:
    source = "def run(input):\n    a = []\n    for _ in range(100_000): a = [a]\n    return a\n"
    with pytest.raises(wasmtime.WasmtimeError, match="call stack exhausted"):
        bench.run(source)


def test_deeply_nested_input_of_a_sane_depth_is_fine(bench: Bench) -> None:
    code = bench.compile("def run(input):\n    return input\n")
    deep = "[" * 800 + "]" * 800
    assert bench.python.run(bench.store(), Host(), code, deep) == deep.encode()


def test_an_import_behind_the_engines_back_ends_the_program(bench: Bench) -> None:
    with pytest.raises(wasmtime.WasmtimeError, match="wasi:cli/exit"):
        bench.run("import posix\ndef run(input):\n    posix._exit(0)\n")


@pytest.mark.parametrize(
    "raised", [ZeroDivisionError("mine"), KeyboardInterrupt(), wasmtime.WasmtimeError("a limit of the host")]
)
@pytest.mark.parametrize("door", ["call", "stderr", "random"])
def test_what_the_host_raises_comes_out_as_it_was(bench: Bench, raised: BaseException, door: str) -> None:
    class Raising(Host):
        pass

    def fail(_: Any) -> Any:
        raise raised

    setattr(Raising, door, lambda self, value: fail(value))
    source = """
import host
def run(input):
    try: host.call("x")
    except BaseException: pass
    print("x" * 10_000)
"""
    with pytest.raises(type(raised)) as caught:
        bench.run(source, host=Raising())
    assert caught.value is raised
    assert bench.run(SMALL, json.loads(SMALL_INPUT)) == {"total": 3}


# Compiling


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("def run(input):\n    x = 1\n    if x ==\n", "SyntaxError: invalid syntax (line 3): `if x ==`"),
        ("def run(input):\n  x = 1\n    y = 2\n", "IndentationError: unexpected indent (line 3): `y = 2`"),
        ("def run(input):\n    return (1\n", "SyntaxError: '(' was never closed (line 2): `return (1`"),
        ("return 1\ndef run(input): pass\n", "SyntaxError: 'return' outside function (line 1): `return 1`"),
        ("x = 1\n", "SyntaxError: the program needs a top-level function `def run(input: dict) -> dict`"),
        ("class A:\n    def run(self): pass\n", "SyntaxError: the program needs a top-level function"),
        ("\ndef run(a, b): pass\n", "SyntaxError: `run` has to take one positional parameter, the input (line 2)"),
        ("def run(): pass\n", "SyntaxError: `run` has to take one positional parameter"),
        ("def run(input, *, key): pass\n", "SyntaxError: `run` has to take one positional parameter"),
        ("def run(input): return '\0'\n", "SyntaxError: source code string cannot contain null bytes"),
        ("def run(input): return " + "(" * 1000 + ")" * 1000, "MemoryError: Parser stack overflowed"),
        ("def run(input): return '\ud800'\n", "the source is not valid Unicode"),
    ],
)
def test_source_that_does_not_compile_is_told_with_its_line(bench: Bench, source: str, error: str) -> None:
    with pytest.raises(BuildError) as caught:
        bench.compile(source)
    assert str(caught.value).startswith(error)


@pytest.mark.parametrize("header", ["def run(input, limit=3)", "def run(*inputs)", "async def run(input, /)"])
def test_run_may_be_anything_that_can_be_called_with_the_input(bench: Bench, header: str) -> None:
    assert bench.run(f"{header}:\n    return 1\n") == 1


def test_code_that_is_not_bytecode_fails_and_says_so(bench: Bench) -> None:
    with pytest.raises(ProgramError) as caught:
        bench.python.run(bench.store(), Host(), b"\xffnonsense", "{}")
    assert json.loads(str(caught.value))["kind"] in ("ValueError", "EOFError", "TypeError")


# The shipped file


def test_what_is_shipped_tells_what_is_in_it(bench: Bench) -> None:
    about = PYTHON.about()
    assert (bench.python.name, bench.python.sha256) == (about["name"], about["sha256"])
    assert about["python"].startswith("3.14")
    assert about["modules"] == sorted(about["modules"])
    needed = "json re datetime zoneinfo decimal csv sqlite3 xml.etree.ElementTree email.message encodings.cp1252 host"
    assert set(needed.split()) <= set(about["modules"])


def test_every_time_zone_is_there(bench: Bench) -> None:
    source = """
import zoneinfo
def run(input):
    names = zoneinfo.available_timezones()
    return len([zoneinfo.ZoneInfo(n) for n in names])
"""
    assert bench.run(source) > 590


# In the box, with real files


def in_box(box: Box, root: Path, source: str, value: Any = None, *, access: str = "write") -> Ran | Failed:
    permissions = {"files": [{"root": "hr", "path": "**", "access": access}]}
    r = runner(box, roots={"hr": root}, state=root.parent / f"{root.name}-state", **permissions)
    contract = capability(permissions=r._policy, effects="write" if access == "write" else "read")
    return r.run(r.load(contract, toolchain.build(source, box)), value or {})


def output_of(ended: Ran | Failed) -> Any:
    assert isinstance(ended, Ran), ended
    return ended.output


def test_a_python_capability_runs_as_a_module_that_calls_the_engine_in_the_same_store(box: Box) -> None:
    r = runner(box)
    loaded = r.load(capability(), toolchain.build(SMALL, box))
    ends = [r.run(loaded, json.loads(SMALL_INPUT)) for _ in range(20)]
    assert {e.output_text for e in ends if isinstance(e, Ran)} == {'{"total":3}'}
    assert len({e.fuel for e in ends if isinstance(e, Ran)}) == 1


def test_files_are_read_written_listed_and_removed_with_plain_python(box: Box, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('{"salary": 5000, "näme": "x"}', encoding="utf-8")
    (tmp_path / "raw.bin").write_bytes(b"\xff\x00\x01")
    (tmp_path / "old.txt").write_text("old", encoding="utf-8")
    source = """
import csv, json, os, pathlib, shutil

def run(input):
    with open("hr/in.json") as f:
        data = json.load(f)
    root = pathlib.Path("/hr")
    raw = list((root / "raw.bin").read_bytes())
    with open("/hr/out.csv", "w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(["näme", data["salary"]])
        f.flush()
        seen = open("/hr/out.csv").read()
    with open("/hr/out.csv", "a") as f:
        f.write("more\\n")
    with open("/hr/raw.bin", "r+b") as f:
        f.seek(1)
        f.write(b"\\x07")
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "x.txt").write_text("deep")
    shutil.copyfile(root / "in.json", root / "a" / "copy.json")
    os.rename("/hr/a/copy.json", "/hr/a/renamed.json")
    os.remove("/hr/old.txt")
    left_open = open("/hr/left.txt", "x")
    left_open.write("left open")
    globals()["keep"] = left_open
    return {"raw": raw, "seen": seen, "roots": os.listdir("/"), "names": sorted(os.listdir("hr")),
            "files": sorted(str(p) for p in root.rglob("*") if p.is_file()), "size": os.path.getsize("/hr/in.json"),
            "kinds": [os.path.isdir("/hr/a"), os.path.isfile("/hr/a"), os.path.exists("/hr/old.txt")]}
"""
    found = output_of(in_box(box, tmp_path, source))
    files = ["/hr/a/b/x.txt", "/hr/a/renamed.json", "/hr/in.json", "/hr/left.txt", "/hr/out.csv", "/hr/raw.bin"]
    assert found == {
        "raw": [255, 0, 1],
        "seen": "näme,5000\n",
        "roots": ["hr", "tmp"],
        "names": ["a", "in.json", "left.txt", "out.csv", "raw.bin"],
        "files": files,
        "size": 30,
        "kinds": [True, False, False],
    }
    assert (tmp_path / "out.csv").read_bytes() == "näme,5000\r\nmore\n".encode()
    assert (tmp_path / "raw.bin").read_bytes() == b"\xff\x07\x01"
    assert (tmp_path / "a/b/x.txt").read_text(encoding="utf-8") == "deep"
    assert (tmp_path / "left.txt").read_text(encoding="utf-8") == "left open"
    assert not (tmp_path / "old.txt").exists()


def test_file_errors_are_those_of_python(box: Box, tmp_path: Path) -> None:
    (tmp_path / "there.txt").write_text("x", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    source = """
import errno, os
def attempt(function, *arguments):
    try:
        return function(*arguments)
    except OSError as error:
        return [type(error).__name__, errno.errorcode[error.errno], error.filename]
def run(input):
    return [attempt(open, "/hr/absent"), attempt(open, "/hr/there.txt", "x"), attempt(open, "/hr/folder"),
            attempt(os.listdir, "/hr/there.txt"), attempt(os.mkdir, "/hr/folder"), attempt(open, "/other/x"),
            attempt(os.stat, "hr/absent"), attempt(os.rename, "/hr/there.txt", "/tmp/x")]
"""
    assert output_of(in_box(box, tmp_path, source)) == [
        ["FileNotFoundError", "ENOENT", "/hr/absent"],
        ["FileExistsError", "EEXIST", "/hr/there.txt"],
        ["IsADirectoryError", "EISDIR", "/hr/folder"],
        ["NotADirectoryError", "ENOTDIR", "/hr/there.txt"],
        ["FileExistsError", "EEXIST", "/hr/folder"],
        ["FileNotFoundError", "ENOENT", "/other/x"],
        ["FileNotFoundError", "ENOENT", "hr/absent"],
        ["OSError", "EXDEV", "/hr/there.txt"],
    ]


def test_a_grant_for_reading_does_not_let_write(box: Box, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("x", encoding="utf-8")
    source = """
def run(input):
    try:
        open("/hr/x.txt", "w")
    except OSError as error:
        return [type(error).__name__, open("/hr/x.txt").read()]
"""
    kind, text = output_of(in_box(box, tmp_path, source, access="read"))
    assert kind in ("PermissionError", "OSError")
    assert text == "x"


def test_a_database_file_can_be_queried_and_changed(box: Box, tmp_path: Path) -> None:
    import contextlib
    import sqlite3

    with contextlib.closing(sqlite3.connect(tmp_path / "hr.db")) as db:
        db.executescript("create table person (name text, salary int); insert into person values ('Ann', 1)")
    source = """
import sqlite3
def run(input):
    with sqlite3.connect("/hr/hr.db") as db:
        db.execute("update person set salary = salary + 1")
        db.execute("insert into person values ('Bob', 5)")
    forgotten = sqlite3.connect("hr/hr.db")
    forgotten.execute("delete from person")
    return db.execute("select * from person").fetchall()
"""
    assert output_of(in_box(box, tmp_path, source)) == [["Ann", 2], ["Bob", 5]]
    with contextlib.closing(sqlite3.connect(tmp_path / "hr.db")) as db:
        assert db.execute("select * from person").fetchall() == [("Ann", 2), ("Bob", 5)]


def test_a_failed_program_changes_no_file(box: Box, tmp_path: Path) -> None:
    source = "def run(input):\n    open('/hr/x', 'w').write('x')\n    raise ValueError('no')\n"
    ended = in_box(box, tmp_path, source)
    assert isinstance(ended, Failed)
    assert (ended.kind, ended.code) == ("program", "ValueError")
    assert list(tmp_path.iterdir()) == []
