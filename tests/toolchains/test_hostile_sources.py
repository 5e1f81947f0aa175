"""Sources that try to read the machine through their compiler. They get nothing, in the module or in a message."""

from __future__ import annotations

import secrets
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from metier.errors import BuildError, SetupMissing
from metier.sandbox.box import Box
from metier.toolchains import Workshop, toolchain
from metier.toolchains.lock import problem_with_lock
from tests.toolchains.compilers import need

pytestmark = pytest.mark.compilers

MAIN = {
    "rust": "fn main() {}",
    "c": "int main(void) { return 0; }",
    "cpp": "int main() {}",
    "zig": "pub fn main() void {}",
}
KEEP = '__attribute__((used, export_name("taken"))) const char *taken(void) { return text; }'


@dataclass(frozen=True)
class Secret:
    """A file that only this machine has, with a text that nobody can guess; also in the environment."""

    path: Path
    text: str


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Secret:
    text = f"marker{secrets.token_hex(12)}"
    path = tmp_path / "secret"
    for name in (path, path.with_suffix(".rs"), path.with_suffix(".h"), path.with_suffix(".zig")):
        name.write_text(text, encoding="utf-8")
    monkeypatch.setenv("METIER_SECRET_MARKER", text)
    return Secret(path, text)


HOSTILE = {
    "rust": {
        "include_str": 'fn main() { print!("{}", include_str!("PATH")); }',
        "include_bytes": 'fn main() { print!("{:?}", include_bytes!("PATH")); }',
        "include_bytes, relative": 'fn main() { print!("{:?}", include_bytes!("UPPATH")); }',
        "include": 'fn main() { print!("{}", include!("PATH")); }',
        "path attribute": '#[path = "PATH"] mod secret; fn main() {}',
        "path attribute within cfg_attr": '#[cfg_attr(all(), path = "PATH")] mod secret; fn main() {}',
        "documentation from a file": '#![doc = include_str!("PATH")] fn main() {}',
        "env": 'fn main() { print!("{}", env!("METIER_SECRET_MARKER")); }',
        "option_env": 'fn main() { print!("{:?}", option_env!("METIER_SECRET_MARKER")); }',
        "option_env of HOME": 'fn main() { print!("{:?}", option_env!("HOME")); }',
        "assembly": 'core::arch::global_asm!(".incbin \\"PATH\\""); fn main() {}',
        "assembly in a function": 'fn main() { unsafe { core::arch::asm!(".incbin \\"PATH\\"") } }',
        "a static library": (
            '#[link(name = "PATH", kind = "static")] extern "C" { fn f(); }\nfn main() { unsafe { f() } }'
        ),
        "a library by its very name": (
            '#[link(name = "PATH", kind = "static", modifiers = "+verbatim")] extern "C" { fn f(); }\n'
            "fn main() { unsafe { f() } }"
        ),
        "a procedural macro": '#![crate_type = "proc-macro"]\n#[proc_macro] pub fn m(i: proc_macro::TokenStream) '
        '-> proc_macro::TokenStream { std::fs::read_to_string("PATH").unwrap().parse().unwrap() } fn main() {}',
        "an unstable feature": (
            '#![feature(asm_experimental_arch)]\ncore::arch::global_asm!(".incbin \\"PATH\\"");\nfn main() {}'
        ),
        "a linker argument": '#![link_args = "PATH"] fn main() {}',
    },
    "go": {
        "embed": 'package main\nimport _ "embed"\n//go:embed PATH\nvar s string\nfunc main() { print(s) }',
        "embed, relative": 'package main\nimport _ "embed"\n//go:embed UPPATH\nvar s string\nfunc main() { print(s) }',
        "embed a folder": 'package main\nimport "embed"\n//go:embed all:..\nvar s embed.FS\nfunc main() { print(s) }',
        "cgo": 'package main\n// #include "PATH"\nimport "C"\nfunc main() {}',
        "cgo flags": 'package main\n// #cgo CFLAGS: -include PATH\n// int x;\nimport "C"\nfunc main() { print(C.x) }',
        "cgo linker flags": 'package main\n//go:cgo_ldflag "PATH"\nfunc main() {}',
        "cgo dynamic import": 'package main\n//go:cgo_import_dynamic x x "PATH"\nfunc main() {}',
        "generate": "package main\n//go:generate cat PATH\nfunc main() {}",
        "import by path": 'package main\nimport "PATH"\nfunc main() {}',
        "import, relative": 'package main\nimport "./UPPATH"\nfunc main() {}',
        "line": "package main\n//line PATH:1\nfunc main() { x }",
    },
    "c": {
        "include": '#include "PATH"\n',
        "include, relative": '#include "UPPATH"\n',
        "include in angles": "#include <PATH>\n",
        "include through a macro": '#define P "PATH"\n#include P\n',
        "include_next": '#include_next "PATH"\n',
        "import": '#import "PATH"\n',
        "embed": f'const char text[] = {{\n#embed "PATH"\n}};\n{KEEP}\n',
        "embed, relative": f'const char text[] = {{\n#embed "UPPATH"\n}};\n{KEEP}\n',
        "embed if it is there": f'const char text[] = {{\n#embed "PATH" if_empty(1)\n,0}};\n{KEEP}\n',
        "assembly": '__asm__(".incbin \\"PATH\\"");\n',
        "assembly in a section": '__asm__(".section .data.x,\\"\\",@\\nx: .incbin \\"PATH\\"\\n");\n',
        "assembly in a function": 'void f(void) { __asm__ volatile(".incbin \\"PATH\\""); }\n',
        "assembly's include": '__asm__(".include \\"PATH\\"");\n',
        "pragma include_alias": '#pragma include_alias("a.h", "PATH")\n#include "a.h"\n',
        "pragma comment": '#pragma comment(lib, "PATH")\n#pragma comment(linker, "@PATH")\n',
        "pragma dependency": '#pragma GCC dependency "PATH"\n#pragma GCC system_header\n',
        "line": '#line 1 "PATH"\nint x = y;\n',
        "is it there": '#if __has_include("PATH") || __has_embed("PATH")\n#error it is there\n#endif\n',
        "variables through a macro": 'const char *f(void) { return METIER_SECRET_MARKER; }\n',
    },
    "cpp": {
        "include": '#include "PATH"\n',
        "header unit": 'import "PATH";\n',
        "module": "export module m; import <PATH>;\n",
        "embed": 'extern "C" const char text[] = {\n#embed "PATH"\n};\n',
        "static_assert with a file": "static_assert(false,\n#include <PATH>\n);\n",
        "raw assembly": 'asm(R"(.incbin "PATH")");\n',
    },
    "zig": {
        "embedFile": 'const t = @embedFile("PATH"); export fn taken() *const u8 { return &t[0]; }\n',
        "embedFile, relative": 'const t = @embedFile("UPPATH"); export fn taken() *const u8 { return &t[0]; }\n',
        "embedFile, logged": 'comptime { @compileLog(@embedFile("PATH")); }\n',
        "import": 'const t = @import("PATH.zig"); export fn taken() u8 { return t.x; }\n',
        "import of data": 'const t: [9]u8 = @import("PATH.zon"); export fn taken() u8 { return t[0]; }\n',
        "cInclude": 'const c = @cImport(@cInclude("PATH.h")); export fn taken() u8 { return c.x; }\n',
        "assembly": 'comptime { asm (".incbin \\"PATH\\""); }\n',
        "assembly in a function": 'export fn f() void { asm volatile (".incbin \\"PATH\\""); }\n',
        "assembly after a text with quotes": 'const q = "\\"// \\\\"; comptime { asm (".incbin \\"PATH\\""); }\n',
        "assembly after a line of text": 'const q =\n    \\\\ "\n; comptime { asm (".incbin \\"PATH\\""); }\n',
        "assembly after a character": "const q = '\"'; comptime { asm (\".incbin \\\"PATH\\\"\"); }\n",
    },
}  # fmt: skip
CASES = [(language, name) for language, sources in HOSTILE.items() for name in sources]


def source(language: str, name: str, secret: Secret) -> str:
    text = HOSTILE[language][name].replace("UPPATH", f"{'../' * 20}{str(secret.path)[1:]}")
    text = text.replace("PATH", str(secret.path))
    return text if language in ("rust", "go") else text + MAIN[language]


def attempt(language: str, text: str, box: Box, *, unlocked: bool = False, **more: bytes) -> bytes | str:
    """The module, or what was said."""
    need(language, locked=not unlocked)
    chain = toolchain(language)  # type: ignore[arg-type]
    try:
        files = {chain.file_name: text.encode(), **{name.replace("_", "."): content for name, content in more.items()}}
        return chain.build(files, Workshop(box, unlocked)).wasm
    except BuildError as error:
        return str(error)


def assert_nothing_of_it(got: bytes | str, secret: Secret) -> None:
    if isinstance(got, str):
        assert secret.text not in got
    else:
        for encoding in ("utf-8", "utf-16-le", "utf-32-le"):
            assert secret.text.encode(encoding) not in got
        assert secret.text[6:].encode() not in got


@pytest.mark.parametrize(("language", "name"), CASES)
def test_a_source_gets_nothing_of_this_machine(language: str, name: str, box: Box, secret: Secret) -> None:
    got = attempt(language, source(language, name, secret), box)
    assert_nothing_of_it(got, secret)
    assert "it is there" not in str(got)


@pytest.fixture
def no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine like this one, but without bubblewrap."""
    toolchain("rust").found()  # while its linker is on the path
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    problem_with_lock.cache_clear()
    yield
    problem_with_lock.cache_clear()


# What the other sources of C and C++ do is the same as one of these.
LISTED = [
    (lang, name) for lang, name in CASES if lang not in ("c", "cpp") or name.split(",")[0] in ("include", "embed")
]
LISTED += [(lang, name) for lang, name in CASES if lang in ("c", "cpp") and "assembly" in name]


@pytest.mark.usefixtures("no_lock")
@pytest.mark.parametrize(("language", "name"), LISTED)
def test_without_a_lock_what_the_compiler_read_is_refused(language: str, name: str, box: Box, secret: Secret) -> None:
    got = attempt(language, source(language, name, secret), box, unlocked=True)
    if isinstance(got, bytes):
        assert_nothing_of_it(got, secret)


@pytest.mark.usefixtures("no_lock")
@pytest.mark.parametrize("language", ["rust", "go", "c", "cpp", "zig"])
def test_without_a_lock_nothing_is_built_unless_the_operator_says_so(language: str, box: Box) -> None:
    chain = toolchain(language)  # type: ignore[arg-type]
    with pytest.raises(SetupMissing, match=r"bubblewrap.*unlocked = true") as refused:
        chain.build({chain.file_name: MAIN.get(language, "package main\nfunc main() {}").encode()}, Workshop(box))
    assert refused.value.exit_status == 4


def test_a_build_script_beside_the_source_is_never_run(box: Box, secret: Secret, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    script = f'fn main() {{ std::fs::write("{ran}", "x").unwrap(); }}'.encode()
    manifest = b'[package]\nname = "x"\nversion = "1.0.0"\nbuild = "build.rs"\n'
    assert isinstance(attempt("rust", MAIN["rust"], box, build_rs=script, Cargo_toml=manifest), bytes)
    assert not ran.exists()


@pytest.mark.parametrize("name", ["-include", "@args.c", "../x.h", "/etc/passwd", "a/b.h", "", ".hidden", "x\n.h"])
def test_a_file_name_that_compilers_could_take_for_something_else_is_refused(name: str, box: Box) -> None:
    need("c")
    with pytest.raises(BuildError, match="no plain file name"):
        toolchain("c").build({"capability.c": MAIN["c"].encode(), name: b""}, Workshop(box))


def test_the_names_that_a_source_can_ask_for_say_nothing_of_this_machine(box: Box) -> None:
    c = f'#include "metier.h"\nconst char text[] = __FILE__ __BASE_FILE__ __VERSION__;\n{KEEP}\n{MAIN["c"]}'
    texts = {
        "c": c,
        "rust": 'fn main() { print!("{}", file!()); if std::env::args().count() > 9 { panic!() } }',
        "go": 'package main\nimport "runtime"\nfunc main() { _, f, _, _ := runtime.Caller(0); print(f) }',
        "zig": "export fn taken() *const u8 { return &@src().file[0]; }\npub fn main() void {}",
    }
    for language, text in texts.items():
        got = attempt(language, text, box)
        assert isinstance(got, bytes), got
        for place in (Path.home(), Path(sys.prefix), Path.cwd(), Path("/tmp")):
            assert f"{place}/".encode() not in got, (language, place)


def test_dates_of_the_build_are_refused(box: Box) -> None:
    for macro in ("__DATE__", "__TIME__", "__TIMESTAMP__"):
        said = attempt("c", f"const char text[] = {macro};\n{KEEP}\n{MAIN['c']}", box)
        assert isinstance(said, str)
        assert "reproducible" in said


def test_one_draft_leaves_nothing_for_the_next(box: Box) -> None:
    """What a draft's compiler may write to is gone with its room, and what stays cannot be written to."""
    good = attempt("c", MAIN["c"], box)
    before = {p: p.stat().st_mtime_ns for p in Workshop(box).folder.rglob("*") if p.is_file()}
    assert isinstance(attempt("c", f"int metier_poison(void) {{ return 1; }}\n{MAIN['c']}", box), bytes)
    assert {p: p.stat().st_mtime_ns for p in Workshop(box).folder.rglob("*") if p.is_file()} == before
    assert attempt("c", MAIN["c"], box) == good
    assert shutil.which("bwrap")
