"""Standalone files under wasmtime's own WASI: what they print is what Metier has from the same program."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from wasmtime.component import Component, Linker

from metier import Runtime, schemas
from metier.capability import Contract, Provenance
from metier.cli import main
from metier.errors import InvalidModule
from metier.library import Artifact, Library, Release
from metier.outcomes import Failed, Ran
from metier.permissions import Permissions
from metier.portable.standalone import Standalone, standalone
from metier.sandbox.shipped import JAVASCRIPT, PYTHON
from metier.toolchains import TOOLCHAINS, Workshop, toolchain
from metier.toolchains.carrier import carrier
from tests.conftest import capability, runner
from tests.portable.stock import Stock, ran
from tests.toolchains.compilers import COMPILED, need

HR = Path(__file__).parents[2] / "examples" / "hr"
DATA = HR / "data" / "hr"
SALARY = Path(__file__).parents[1] / "toolchains" / "salary_in_currency"
IDS = sorted(path.parent.name for path in HR.glob("*/meta.json"))
ON_FILES = [id for id in IDS if id not in ("call_api", "query_db")]
LANGUAGES = [
    pytest.param(language, marks=pytest.mark.compilers) if language in COMPILED else language for language in TOOLCHAINS
]


@pytest.fixture(scope="module")
def stock() -> Stock:
    return Stock()


@pytest.fixture(scope="module")
def hr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A library of its own with the worked example."""
    library = Path(shutil.copytree(HR, tmp_path_factory.mktemp("standalone") / "hr"))
    with Runtime.open(library) as runtime:
        yield runtime


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA, tmp_path / "hr"))


def python(box: Any, source: str) -> bytes:
    return carrier("python", box.compile_python(source))


def made(wasm: bytes, engine: str | None = None) -> Standalone:
    return standalone(Artifact(capability(id="alone", engine=engine), wasm, {}))


def said(stderr: bytes) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(stderr.decode().splitlines()[-1])
    return report


def same_as_metier(runtime: Runtime, stock: Stock, id: str, folder: Path) -> int:
    """Runs the examples of a capability in both hosts, on copies of the data. How many were compared."""
    artifact = runtime.library.load(id)
    file = standalone(artifact)
    loaded = runtime.load(artifact.capability)
    compared = 0
    for number, example in enumerate(artifact.capability.examples):
        here = runtime.runner.rehearse(loaded, example.input)
        if isinstance(here, Failed) and here.kind == "input":  # refused by its schema, which is Metier's to check
            continue
        copy = Path(shutil.copytree(DATA, folder / f"{id}-{number}"))
        there = stock.run(file.wasm, schemas.compact(example.input).encode(), {f"/{root}": copy for root in file.roots})
        if isinstance(here, Ran):
            assert (there.status, there.stdout) == (0, here.output_text.encode()), there.stderr
            for path, content in here.changed.items():
                assert (copy / path.removeprefix("hr/")).read_bytes() == content
        else:
            assert (there.status, there.stdout) == (1, b"")
            assert said(there.stderr)["kind"] == here.code
            assert said(there.stderr)["error"] in here.error
        compared += 1
    return compared


@pytest.mark.parametrize("id", ON_FILES)
def test_an_example_gives_the_same_bytes_under_stock_wasi(id: str, hr: Runtime, stock: Stock, tmp_path: Path) -> None:
    assert same_as_metier(hr, stock, id, tmp_path) >= 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_program_in_every_language_does(language: str, hr: Runtime, stock: Stock, tmp_path: Path) -> None:
    need(language)
    chain = toolchain(language)  # type: ignore[arg-type]
    source = {chain.file_name: (SALARY / chain.file_name).read_bytes()}
    built = chain.build(source, Workshop(hr.runner.box))
    fields = {"id": f"salary_in_{language}", "language": language} | json.loads((SALARY / "contract.json").read_bytes())
    by_hand = Provenance(author="hand", created="2026-01-01T00:00:00+00:00")
    release = Release(Contract.model_validate(fields), built.wasm, source, built.engine, None, by_hand)
    hr.library.publish(release, expected_version=None)
    assert same_as_metier(hr, stock, release.contract.id, tmp_path) == 4


def test_a_whole_file_is_a_command_that_needs_nothing_but_wasi(hr: Runtime, stock: Stock, data: Path) -> None:
    file = standalone(hr.library.load("get_salary_details"))
    assert file.kind == "component"
    store, streams = stock._store(data.parent, b'{"name":"John Smith"}', {"/hr": data})
    linker = Linker(stock.engine)
    linker.add_wasip2()
    assert not ran(store, linker, Component(stock.engine, file.wasm))
    assert json.loads(streams[0].read_bytes())["name"] == "John Smith"


@pytest.mark.parametrize(("id", "effect"), [("call_api", "http"), ("query_db", "sql")])
def test_an_effect_that_is_not_there_fails_in_the_program_with_a_kind(
    id: str, effect: str, hr: Runtime, stock: Stock
) -> None:
    artifact = hr.library.load(id)
    file = standalone(artifact)
    example = next(e for e in artifact.capability.examples if e.error is None) if id == "query_db" else None
    given = example.input if example else {"url": "http://127.0.0.1:8765/health"}
    there = stock.run(file.wasm, json.dumps(given).encode())
    assert file.unavailable == (effect,)
    assert there.status == 1
    assert said(there.stderr)["kind"] == "unavailable"


EVERYTHING = {
    "python": """
import os, shutil, time
import host
def run(input):
    with open("/hr/new.txt", "x", encoding="utf-8") as file:
        file.write('quote " backslash \\\\ newline \\n tab \\t bell \\x07 é 😀 ' * 500)
    with open("/hr/new.txt", "a") as file:
        file.write("more")
    with open("/hr/raw.bin", "wb") as file:
        file.write(bytes(range(256)) * 400)
    os.makedirs("/hr/deep/er")
    os.rename("/hr/raw.bin", "/hr/deep/raw.bin")
    told = {"text": open("/hr/new.txt", encoding="utf-8").read(), "size": os.path.getsize("/hr/new.txt")}
    told["raw"] = open("/hr/deep/raw.bin", "rb").read() == bytes(range(256)) * 400
    told["walk"] = [list(step) for step in os.walk("/hr/deep")]
    told["top"] = os.listdir("/")
    for path in ("/hr/none", "/hr/deep/../none/x", "/other/x", "/hr/deep", "/hr/employees.json/x"):
        try:
            open(path).read()
        except OSError as error:
            told[path] = type(error).__name__
    for step in ("os.mkdir('/hr/deep')", "os.rmdir('/hr/deep')", "os.remove('/hr/deep')", "os.rmdir('/hr/new.txt')",
                 "open('/hr/new.txt', 'x')", "os.remove('/hr/none')", "os.mkdir('/nowhere')", "os.listdir('/hr/none')"):
        try:
            exec(step)
        except OSError as error:
            told[step] = type(error).__name__
    shutil.rmtree("/hr/deep")
    os.remove("/hr/new.txt")
    told["left"] = sorted(os.listdir("/hr"))
    return told
""",
    "javascript": r"""
import host from "host";
const kind = (step) => { try { return [step()]; } catch (error) { return error.kind; } };
export function run(input) {
  const text = 'quote " backslash \\ newline \n tab \t bell \u0007 é 😀 '.repeat(500);
  host.writeText("/hr/new.txt", text);
  host.makeDirectory("/hr/deep");
  host.writeBytes("/hr/raw.bin", new Uint8Array(100000).map((_, i) => i));
  host.rename("/hr/raw.bin", "/hr/deep/raw.bin");
  const many = Array.from({ length: 200000 }, (_, i) => ({ i, s: "s" + i }));
  const told = { same: host.readText("/hr/new.txt") === text, stat: host.stat("/hr/new.txt"), many: many.length };
  told.raw = host.readBytes("/hr/deep/raw.bin").every((byte, i) => byte === i % 256);
  told.list = [host.list("/hr"), host.list("/hr/deep"), host.list("/")];
  told.kinds = [
    () => host.readText("/hr/none"), () => host.readText("/other/x"), () => host.readText("/hr/deep"),
    () => host.makeDirectory("/hr/deep"), () => host.removeDirectory("/hr/deep"), () => host.remove("/hr/deep"),
    () => host.removeDirectory("/hr/new.txt"), () => host.remove("/hr/none"), () => host.makeDirectory("/nowhere"),
    () => host.list("/hr/none"), () => host.list("/hr/new.txt"), () => host.stat("/"), () => host.readText("/"),
    () => host.readText("/hr/deep/raw.bin"), () => host.rename("/hr/none", "/hr/x"), () => host.exists("/hr/none"),
  ].map(kind);
  host.remove("/hr/deep/raw.bin");
  host.removeDirectory("/hr/deep");
  host.remove("/hr/new.txt");
  return told;
}
""",
}


@pytest.mark.parametrize("language", EVERYTHING)
def test_file_functions_do_the_same_on_the_folders_of_the_host(
    language: str, hr: Runtime, stock: Stock, data: Path
) -> None:
    """What is different by nature, the order in which errors are looked for, is not asked here."""
    chain = toolchain(language)  # type: ignore[arg-type]
    built = chain.build({chain.file_name: EVERYTHING[language].encode()}, Workshop(hr.runner.box))
    files = [{"root": "hr", "path": "**", "access": "write"}]
    whole = runner(hr.runner.box, roots={"hr": DATA}, files=files)
    about = capability(effects="write", permissions=Permissions.model_validate({"files": files}))
    here = whole.rehearse(whole.load(about, built.wasm), {})
    there = stock.run(made(built.wasm, built.engine).wasm, b"{}", {"/hr": data})
    assert isinstance(here, Ran), here
    assert (there.status, there.stdout.decode()) == (0, here.output_text), there.stderr.decode()
    assert sorted(path.name for path in data.iterdir()) == sorted(path.name for path in DATA.iterdir())


@pytest.mark.parametrize("guest", ["hr", "/hr"])
def test_a_folder_may_be_opened_with_or_without_a_slash(guest: str, hr: Runtime, stock: Stock, data: Path) -> None:
    file = standalone(hr.library.load("get_salary_details"))
    assert stock.run(file.wasm, b'{"name":"John Smith"}', {guest: data}).status == 0


def test_without_the_folder_there_are_no_files(hr: Runtime, stock: Stock) -> None:
    there = stock.run(standalone(hr.library.load("get_salary_details")).wasm, b'{"name":"John"}')
    assert (there.status, said(there.stderr)["kind"]) == (1, "FileNotFoundError")


def test_an_input_that_is_no_text_is_said_to_be_none(hr: Runtime, stock: Stock) -> None:
    there = stock.run(standalone(hr.library.load("get_salary_details")).wasm, b'{"name":"\xff"}')
    assert (there.status, said(there.stderr)) == (1, {"error": "the input is not UTF-8 text", "kind": "input"})


def test_large_input_and_output_pass(hr: Runtime, stock: Stock) -> None:
    source = "def run(input):\n    print('x' * 100_000)\n    return input['text'] * 2\n"
    file = made(python(hr.runner.box, source))
    text = "é" * 400_000
    there = stock.run(file.wasm, json.dumps({"text": text}).encode())
    assert json.loads(there.stdout) == text * 2
    assert there.stderr == b"x" * 100_000 + b"\n"


def test_a_program_without_effects_of_metier_is_the_file_itself(hr: Runtime) -> None:
    artifact = hr.library.load("get_car_details")
    assert standalone(artifact).wasm == artifact.wasm


def test_the_same_version_gives_the_same_bytes(hr: Runtime) -> None:
    artifact = hr.library.load("get_salary_details")
    assert standalone(artifact) == standalone(artifact)


@pytest.mark.parametrize(("engine", "pin"), [("python", PYTHON.pin), ("javascript", JAVASCRIPT.pin)])
def test_what_was_built_for_another_engine_is_refused_in_a_line(engine: str, pin: str) -> None:
    other = pin[:-4] + "0000"
    with pytest.raises(InvalidModule, match=r"built for the engine .*build it again: metier add alone/src/") as refused:
        made(carrier(engine, b"code"), other)
    assert "\n" not in str(refused.value)


def test_a_module_that_only_looks_like_one_for_an_engine_is_refused() -> None:
    wasm = bytes(
        wasmtime.wat2wasm(
            '(module (import "metier:python" "run" (func (param i32 i32))) (memory (export "memory") 1)'
            '(func (export "_start") (call 0 (i32.const 1) (i32.const 4))) (data (i32.const 0) "code!"))'
        )
    )
    with pytest.raises(InvalidModule, match="not as Metier builds"):
        made(wasm)


# On the command line


def metier(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0), out.getvalue(), err.getvalue()


def test_export_writes_the_file_and_says_how_to_run_it(hr: Runtime, tmp_path: Path) -> None:
    file, library = tmp_path / "cars.wasm", str(hr.library.path)
    status, out, err = metier("-L", library, "export", "get_car_details", "--standalone", "-o", str(file))
    assert (status, out) == (0, "")
    assert f"wasmtime run --dir FOLDER::/hr {file}" in err
    assert file.read_bytes() == Library.open(hr.library.path).load("get_car_details").wasm


def test_export_as_json_says_what_the_file_needs(hr: Runtime, tmp_path: Path) -> None:
    file = tmp_path / "api.wasm"
    arguments = ("-L", str(hr.library.path), "--json", "export", "call_api@1", "--standalone", "-o", str(file))
    status, out, _ = metier(*arguments)
    told = json.loads(out)
    assert status == 0
    assert (told["id"], told["version"], told["kind"], told["roots"]) == ("call_api", 1, "component", [])
    assert (told["unavailable"], told["bytes"]) == (["http"], file.stat().st_size)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["get_car_details"], "say what to export"),
        (["no_such", "--standalone"], "no capability 'no_such'"),
        (["get_car_details@x", "--standalone"], "a version is a number"),
        (["get_car_details", "--standalone", "-o", "/nowhere/x.wasm"], "/nowhere/x.wasm: No such file or directory"),
    ],
)
def test_export_that_cannot_be_is_one_message(arguments: list[str], words: str, hr: Runtime) -> None:
    status, out, err = metier("-L", str(hr.library.path), "export", *arguments)
    assert status in (1, 2)
    assert out == ""
    assert words in err
    assert "Traceback" not in err
