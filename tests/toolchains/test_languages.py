"""The same in every language: its template, the worked example's second task, reproducible bytes, readable errors."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from metier import Runtime
from metier.cli import main
from metier.errors import BuildError
from metier.outcomes import Mutated
from metier.sandbox.box import Box
from metier.testing import ScriptedModel
from metier.toolchains import TOOLCHAINS, go, reference, rust, template, toolchain, zigcc
from metier.toolchains.lock import problem_with_lock
from tests.toolchains.compilers import COMPILED, build, need

HR = Path(__file__).parents[2] / "examples" / "hr"
SDK = Path(__file__).parents[2] / "src" / "metier" / "toolchains" / "sdk"
SALARY = Path(__file__).parent / "salary_in_currency"
LANGUAGES = [
    "python",
    "javascript",
    *[pytest.param(language, marks=pytest.mark.compilers) for language in COMPILED],
    "wat",
]
TEMPLATES = [language for language in LANGUAGES if language != "wat"]  # that of wat does something simpler


@pytest.fixture(scope="module")
def hr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of its own with the worked example."""
    return Path(shutil.copytree(HR, tmp_path_factory.mktemp("languages") / "hr"))


def metier(library: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and what was said, on stdout and stderr."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), pytest.raises(SystemExit) as ended:
        main(["--library", str(library), *arguments])
    return int(ended.value.code or 0), said.getvalue()


def add(library: Path, file: Path, *arguments: str) -> tuple[int, str]:
    return metier(library, "--quiet", "add", str(file), *arguments)


def put(folder: Path, language: str, text: str) -> Path:
    """A source under a name that becomes the id."""
    file = folder / f"written_in_{language}{toolchain(language).suffixes[0]}"  # type: ignore[arg-type]
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_second_task_of_the_worked_example_is_published_and_runs(language: str, hr: Path, tmp_path: Path) -> None:
    need(language)
    chain = toolchain(language)  # type: ignore[arg-type]
    text = (SALARY / chain.file_name).read_text("utf-8")
    status, said = add(hr, put(tmp_path, language, text), "--contract", str(SALARY / "contract.json"))
    assert status == 0, said

    with Runtime.open(hr) as runtime:
        capability = runtime.library.get(f"written_in_{language}")
        output = runtime.call(capability.id, {"name": "Kenji Tanaka", "currency": "EUR"})
    assert output == {"name": "Kenji Tanaka", "salary": 57195.77, "currency": "EUR"}
    assert capability.language == language
    assert capability.provenance is not None
    assert capability.provenance.toolchain == chain.found().name  # type: ignore[union-attr]
    assert (capability.engine is None) == (language not in ("python", "javascript"))
    assert metier(hr, "show", capability.id, "--source") == (0, text)
    assert metier(hr, "test", capability.id)[0] == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_model_writes_the_second_task_through_all_gates(language: str, tmp_path: Path) -> None:
    need(language)
    library = Path(shutil.copytree(HR, tmp_path / "hr"))
    with (library / "metier.toml").open("a", encoding="utf-8") as settings:
        settings.write('\n[agent]\nindependence = "off"\n')
    source = (SALARY / toolchain(language).file_name).read_text("utf-8")  # type: ignore[arg-type]
    contract = json.loads((SALARY / "contract.json").read_text("utf-8"))
    draft = {**contract, "id": "get_salary_in", "language": language, "source": source}
    model = ScriptedModel([{"tool_calls": [{"name": "submit_capability", "arguments": draft}]}])
    with Runtime.open(library, model=model) as runtime:
        task = f"What's John's salary in GBP? Write it in {language}."
        outcome, _, _ = runtime.mutate_sync(task, "get_salary_details", lambda _: None)
        assert isinstance(outcome, Mutated), outcome
        assert (outcome.capability.language, outcome.capability.parent) == (language, "get_salary_details@1")
        output = runtime.call("get_salary_in", {"name": "Kenji Tanaka", "currency": "EUR"})
    assert output == {"name": "Kenji Tanaka", "salary": 57195.77, "currency": "EUR"}


@pytest.mark.parametrize("language", TEMPLATES)
def test_the_template_shown_to_authors_builds_and_runs(language: str, hr: Path, tmp_path: Path) -> None:
    need(language)
    contract = {
        "id": f"template_of_{language}",
        "summary": "Title and salary of an employee.",
        "input_schema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        "output_schema": {"type": "object", "properties": {"salary": {"type": "number"}}, "required": ["salary"]},
        "effects": "read",
        "permissions": {
            "files": [{"root": "hr", "path": path, "access": "read"} for path in ("employees.json", "salaries.json")]
        },
        "examples": [
            {
                "input": {"name": "John Smith"},
                "output": {"name": "John Smith", "title": "Senior Software Engineer", "salary": 85000},
            },
            {"input": {"name": "Nobody"}, "error": {"kind": "not_found", "message": "Nobody"}},
        ],
    }
    (tmp_path / "contract.json").write_text(json.dumps(contract), encoding="utf-8")
    file = put(tmp_path, language, template(toolchain(language)))  # type: ignore[arg-type]
    library = shutil.copytree(hr, tmp_path / "hr")
    status, said = add(library, file, "--contract", str(tmp_path / "contract.json"))
    assert status == 0, said


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_source_gives_the_same_bytes(language: str, box: Box) -> None:
    text = (SALARY / toolchain(language).file_name).read_text("utf-8")  # type: ignore[arg-type]
    first, second = build(language, text, box), build(language, text, box)
    assert first == second
    for path in (Path.home(), Path(sys.prefix), Path.cwd()):
        assert f"{path}/".encode() not in first


@pytest.mark.compilers
@pytest.mark.parametrize("language", COMPILED)
def test_paths_of_the_machine_make_no_difference(language: str, box: Box, tmp_path: Path) -> None:
    """Built without the lock every path is another one: of the draft, the SDK, the compiler, the libraries."""
    need(language)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("rustc", "rust-lld", "cargo", "sh"):
        if found := shutil.which(f"/usr/bin/{name}") or shutil.which(name):
            (tools / name).symlink_to(found)
    source = SALARY / toolchain(language).file_name  # type: ignore[arg-type]
    program = f"""
        import hashlib, pathlib
        from metier.sandbox.box import Box
        from metier.toolchains import Workshop, lock, toolchain
        assert lock.problem_with_lock()
        source = pathlib.Path({str(source)!r})
        print(hashlib.sha256(toolchain({language!r}).build({{source.name: source.read_bytes()}},
            Workshop(Box(), unlocked=True)).wasm).hexdigest())
    """
    command = [sys.executable, "-c", "\n".join(line.strip() for line in program.splitlines())]
    done = subprocess.run(command, env={**os.environ, "PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    locked = build(language, source.read_text("utf-8"), box)
    assert done.stdout.strip() == hashlib.sha256(locked).hexdigest()


WRONG = {
    "rust": ('fn main() { let x: i32 = "a"; }', ["capability.rs:1:26", "mismatched types"]),
    "go": ("package main\n\nfunc main() {\n\tx := 1\n}", ["capability.go:4:2", "declared and not used: x"]),
    "c": ("int main(void) {\n    return x;\n}", ["capability.c:2:12", "undeclared identifier 'x'"]),
    "cpp": ("#include <string>\nint main() { std::string s = 1; }", ["capability.cpp:2:26", "no viable conversion"]),
    "zig": ('pub fn main() void { const x: i32 = "a"; _ = x; }', ["capability.zig:1:37", "expected type 'i32'"]),
}


@pytest.mark.compilers
@pytest.mark.parametrize("language", COMPILED)
def test_a_compiler_says_what_is_wrong_and_where(language: str, box: Box) -> None:
    source, words = WRONG[language]
    with pytest.raises(BuildError) as caught:
        build(language, source, box)
    said = str(caught.value)
    assert [word for word in words if word not in said] == []
    assert len(said) < 4_500
    assert [path for path in ("/draft", "/out", str(Path.home()), sys.prefix) if path in said] == []


@pytest.mark.compilers
@pytest.mark.parametrize("language", COMPILED)
def test_of_a_thousand_errors_the_first_are_told(language: str, box: Box) -> None:
    bad = {
        "rust": "fn main() {" + "\n".join(f"let a{n}: i32 = b{n};" for n in range(1000)) + "}",
        "go": "package main\nfunc main() {\n" + "\n".join(f"a{n}()" for n in range(1000)) + "\n}",
        "c": "int main(void) {\n" + "\n".join(f"a{n};" for n in range(1000)) + "\n}",
        "cpp": "int main() {\n" + "\n".join(f"a{n};" for n in range(1000)) + "\n}",
        "zig": "pub fn main() void {\n" + "\n".join(f"a{n}();" for n in range(1000)) + "\n}",
    }
    with pytest.raises(BuildError) as caught:
        build(language, bad[language], box)
    assert "a0" in str(caught.value) or "b0" in str(caught.value)
    assert len(str(caught.value)) < 4_500


@pytest.mark.compilers
def test_rust_has_serde_json_where_the_machine_has_its_sources(box: Box) -> None:
    need("rust")
    found = rust.find_rust()
    if not isinstance(found, rust.Rust) or not (found.sysroot / "bin" / "cargo").is_file() or not rust.CRATES.is_dir():
        pytest.skip("no serde_json: apt-get install cargo librust-serde-json-dev librust-serde-derive-dev")
    source = """
        use serde::{Deserialize, Serialize};
        #[derive(Deserialize)] struct Input { n: i64 }
        #[derive(Serialize)] struct Output { twice: i64 }
        fn main() {
            let input: Input = serde_json::from_reader(std::io::stdin()).unwrap();
            println!("{}", serde_json::to_string(&Output { twice: input.n * 2 }).unwrap());
        }
    """
    from tests.conftest import capability, runner

    r = runner(box)
    outcome = r.run(r.load(capability(), build("rust", source, box)), {"n": 21})
    assert outcome.output == {"twice": 42}  # type: ignore[union-attr]


@pytest.mark.compilers
def test_go_packages_join_the_compiled_library_when_they_are_first_wanted(box: Box) -> None:
    source = 'package main\n\nimport "text/tabwriter"\n\nfunc main() { _ = tabwriter.TabIndent }\n'
    assert build("go", source, box)


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without compilers: nothing on the path, and no package of pip that brings one."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(shutil, "which", lambda name, *_, **__: None)
    monkeypatch.setitem(sys.modules, "ziglang", None)
    monkeypatch.setitem(sys.modules, "go", None)
    caches = (zigcc.find_zig, go.find_go, rust.find_rust, problem_with_lock)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(
    ("language", "how"),
    [
        ("rust", "libstd-rust-dev-wasm32"),
        ("go", "pip install 'metier[go]'"),
        ("c", "pip install 'metier[zig]'"),
        ("cpp", "pip install 'metier[zig]'"),
        ("zig", "pip install 'metier[zig]'"),
    ],
)
def test_a_missing_compiler_is_said_with_what_to_install(language: str, how: str, hr: Path, tmp_path: Path) -> None:
    text = (SALARY / toolchain(language).file_name).read_text("utf-8")  # type: ignore[arg-type]
    status, said = add(hr, put(tmp_path, language, text), "--contract", str(SALARY / "contract.json"), "--id", "x")
    assert status == 4
    assert how in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("language", TOOLCHAINS)
def test_every_language_is_known_by_one_name_and_its_suffixes(language: str) -> None:
    chain = toolchain(language)  # type: ignore[arg-type]
    assert chain.language == language
    assert chain.file_name == f"capability{chain.suffixes[0]}"
    assert template(chain)


@pytest.mark.parametrize("language", ["rust", "go", "c", "cpp", "zig"])
def test_what_an_author_is_told_of_an_sdk_is_in_it(language: str) -> None:
    suffixes = (*toolchain(language).suffixes, ".h")  # type: ignore[arg-type]
    sdk = "\n".join(p.read_text("utf-8") for p in SDK.rglob("*") if p.suffix in suffixes)
    lines = reference(toolchain(language)).splitlines()  # type: ignore[arg-type]
    assert len(lines) > 5
    for line in lines:
        names = re.findall(r"`(?:host::|metier::|\.)?(\w+)", line.partition(": ")[0])
        assert names, line
        assert not [name for name in names if not re.search(rf"\b{name}\b", sdk)], line
