"""`metier doctor`: a line a check, and how to get what is missing."""

from __future__ import annotations

import asyncio
import os
import sys
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
    from metier.sandbox.shipped import SHIPPED

    yield Check("metier", "ok", f"{version('metier')}, Python {sys.version.split()[0]}, wasmtime {version('wasmtime')}")
    box = Box()
    for engine in SHIPPED:
        name = f"{engine.language} engine"
        try:
            later = f"is prepared at its first use, in about {engine.seconds} seconds"
            yield Check(name, "ok", f"{engine.pin[:24]}… {'ready' if box.is_compiled(engine) else later}")
        except MetierError as error:
            yield Check(name, "broken", str(error))
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
    if library.is_large():
        library.stock.look_over(anew=True)
    count = library.stock.count() if library.is_large() else len(library.live())
    yield Check("library", "ok", f"{path}, {count} capabilities")
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
    from metier.toolchains import TOOLCHAINS, Missing
    from metier.toolchains.lock import problem_with_lock

    for language, toolchain in TOOLCHAINS.items():
        found = toolchain.found()
        if isinstance(found, Missing):
            yield Check(f"language {language}", "missing", found.install)
        else:
            yield Check(f"language {language}", "ok", f"{found.name}{f', {found.path}' if found.path else ''}")
    problem = problem_with_lock()
    yield Check("lock for compilers", "missing" if problem else "ok", problem or "bubblewrap")
