"""`metier init`: a library to begin with."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
from pathlib import Path

import click

import metier
from metier.cli import Cli
from metier.cli.output import note, print_json
from metier.errors import UsageError
from metier.library import Library


@click.command("init")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--example", metavar="NAME", help="Begin with a worked example: hr.")
@click.pass_obj
def command(cli: Cli, path: Path | None, example: str | None) -> None:
    """Make a library at PATH (./capabilities by default). Nothing is ever written over."""
    target = path or cli.library
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} exists and is not empty; name another path")
    if example is None:
        library = Library.create(target)
    else:
        _copy(_example(example), target)
        library = Library.open(target)
    count = len(library.capabilities())
    if cli.as_json:
        print_json({"library": str(target), "capabilities": count})
    else:
        note(f"made {target} with {count} capabilities")
        if example:
            usual = Path(os.environ.get("METIER_LIBRARY") or "capabilities")
            where = "" if target == usual else f" -L {shlex.quote(str(target))}"
            note(f"try: metier{where} \"What's John's salary?\"")


def _example(name: str) -> Path:
    """The folder of a worked example: in the package, or in the checkout that it is installed from."""
    package = Path(metier.__file__).parent
    shelves = [shelf for shelf in (package / "examples", package.parents[1] / "examples") if shelf.is_dir()]
    for shelf in shelves:
        if (shelf / name / "metier.toml").is_file():
            return shelf / name
    names = sorted({e.parent.name for shelf in shelves for e in shelf.glob("*/metier.toml")})
    raise UsageError(f"there is no example {name!r}; there are: {', '.join(names) or 'none'}")


def _copy(example: Path, target: Path) -> None:
    """Copies to a folder beside the target first, so that the target is there whole or not at all."""
    staged = target.absolute().with_name(f".{target.name}-{secrets.token_hex(4)}")
    try:
        staged.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(example, staged, ignore=shutil.ignore_patterns(".metier", "__pycache__"))
        with contextlib.suppress(FileNotFoundError):
            target.rmdir()
        staged.rename(target)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)
