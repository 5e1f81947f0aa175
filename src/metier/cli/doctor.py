"""`metier doctor`: a line a check, and how to get what is missing."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import click

from metier.cli import Cli
from metier.cli.output import print_json, say
from metier.errors import MetierError

State = Literal["ok", "missing", "broken"]
COMPILERS = {
    "go": "pip install 'metier[go]'",
    "zig": "pip install 'metier[zig]'",
    "rustc": "rustup, with the target wasm32-wasip1; or Debian's rustc and libstd-rust-dev-wasm32",
}


@dataclass(frozen=True, slots=True)
class Check:
    """`missing` is something that one may do without; `broken` is something that does not work."""

    name: str
    state: State
    detail: str


@click.command("doctor")
@click.option("--ping", is_flag=True, help="Also ask the model for a word.")
@click.pass_obj
@click.pass_context
def command(context: click.Context, cli: Cli, ping: bool) -> None:
    """Say what is installed, reachable or missing, and how to get it. Status 1 if something is broken."""
    checks = [*_machine(), *_library(cli.library), *_model(cli.library, ping), *_compilers()]
    if cli.as_json:
        print_json([asdict(check) for check in checks])
    else:
        marks = {"ok": "ok     ", "missing": "missing", "broken": "BROKEN "}
        for check in checks:
            say(f"{marks[check.state]} {check.name}: {check.detail}")
    context.exit(1 if any(check.state == "broken" for check in checks) else 0)


def _machine() -> Iterator[Check]:
    from metier.sandbox.box import Box
    from metier.sandbox.cache import default_cache_folder

    yield Check("metier", "ok", f"{version('metier')}, Python {sys.version.split()[0]}, wasmtime {version('wasmtime')}")
    try:
        box = Box()
        how = "ready" if box.python_is_compiled else "is prepared at its first use, in about ten seconds"
        yield Check("Python engine", "ok", f"{box.python_pin[:24]}… {how}")
    except MetierError as error:
        yield Check("Python engine", "broken", str(error))
    folder = default_cache_folder()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    writable = os.access(existing, os.W_OK)
    yield Check("code cache", "ok" if writable else "missing", f"{folder}{'' if writable else ' cannot be written'}")


def _library(path: Path) -> Iterator[Check]:
    from metier.config import load_settings, root_paths
    from metier.library import Library

    try:
        library = Library.open(path)
        settings = load_settings(library.path)
    except MetierError as error:
        yield Check("library", "broken", str(error))
        return
    yield Check("library", "ok", f"{path}, {len(library.live())} capabilities")
    for broken in library.check():
        yield Check(f"capability {broken.folder}", "broken", broken.problem)
    for name, root in root_paths(library.path, settings).items():
        there = root.is_dir()
        yield Check(f"root {name}", "ok" if there else "broken", f"{root}{'' if there else ' is no folder'}")
    writable = os.access(library.path, os.W_OK)
    yield Check("memory and journal", "ok" if writable else "missing", "kept in .metier" if writable else "read-only")


def _model(path: Path, ping: bool) -> Iterator[Check]:
    from metier.config import Settings, load_settings
    from metier.endpoints import endpoint, resolve_models
    from metier.model import Conversation, chat_model

    try:
        settings = load_settings(path)
    except MetierError:
        settings = Settings()
    try:
        names = resolve_models(settings.model, None, os.environ)
        if names.chat is None:
            yield Check("model", "missing", "none set; tasks are answered from memory only (docs/models.md)")
        else:
            endpoint(names.chat, os.environ)
            yield Check("model", "ok", f"{names.chat}; capabilities are written by {names.mutation or names.chat}")
            if ping:
                conversation = Conversation()
                conversation.user("Say: ready")
                reply = asyncio.run(chat_model(names.chat, settings.model).ask(conversation, ()))
                yield Check("model answers", "ok", f"{reply.text[:40]!r}, {reply.tokens} tokens")
        yield Check("embeddings", "ok", names.embedding)
    except MetierError as error:
        yield Check("model", "broken", str(error))


def _compilers() -> Iterator[Check]:
    for name, how in COMPILERS.items():
        found = _compiler(name)
        yield Check(name, "ok" if found else "missing", found or how)


def _compiler(name: str) -> str | None:
    """Where a compiler for WebAssembly is: on the path, or beside this Python, where pip puts it."""
    if name == "zig" and (package := importlib.util.find_spec("ziglang")) and package.origin:
        return str(Path(package.origin).parent / "zig")
    found = shutil.which(name) or shutil.which(name, path=sysconfig.get_path("scripts"))
    return found if found is None or name != "rustc" or _knows_wasm(found) else None


def _knows_wasm(rustc: str) -> bool:
    """Whether the standard library for WebAssembly is installed with a rustc."""
    for target in ("wasm32-wasip1", "wasm32-wasi"):  # the same, before and after Rust 1.84
        asked = [rustc, "--print", "target-libdir", "--target", target]
        try:
            done = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        if done.returncode == 0 and Path(done.stdout.strip()).is_dir():
            return True
    return False
