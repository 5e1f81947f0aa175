"""Each hostile program in the real box: how it ends, that nothing outside changed, and that the next run works."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from metier.capability import Capability
from metier.errors import BuildError, InvalidModule
from metier.outcomes import Failed, Ran
from metier.runner import Runner
from metier.sandbox.box import Box
from metier.sandbox.limits import MIB
from metier.toolchains import python
from tests.conftest import ECHO, capability
from tests.hostile.corpus import COMMENT, PROGRAMS, Hostile, host_paths, programs, same

SECRET = "canary-5f1d0c"
OVERSHOOT = 64 * MIB
LATE = 2.0
"""Seconds beyond its deadline after which a program that is still not stopped counts as not stopped. Measured it is
some 0.02; a loaded machine is given the rest."""

ALL = programs()


@dataclass(frozen=True, slots=True)
class World:
    """A root with every kind of trap in it, and a folder beside it that no program may reach."""

    folder: Path
    docs: Path
    canary: Path

    @classmethod
    def make(cls, folder: Path) -> World:
        docs, canary = folder / "roots" / "docs", folder / "canary"
        for path in (docs / "sub", docs / "out", canary):
            path.mkdir(parents=True)
        (docs / "a.txt").write_text("a", encoding="utf-8")
        (docs / "sub" / "b.txt").write_text("b", encoding="utf-8")
        (canary / "secret.txt").write_text(SECRET, encoding="utf-8")
        for name, target in {
            "link.txt": "../../canary/secret.txt",
            "absolute.txt": str(canary / "secret.txt"),
            "folder": "../../canary",
            "zero": "/dev/zero",
            "self": "/proc/self",
            "circle": "circle",
        }.items():
            (docs / name).symlink_to(target)
        (docs / "hard.txt").hardlink_to(canary / "secret.txt")
        os.mkfifo(docs / "pipe")
        with contextlib.suppress(OSError):  # only root may
            os.mknod(docs / "device", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        return cls(folder, docs, canary)

    def state(self) -> dict[str, object]:
        """Everything in it, by path: kinds, modes, sizes, contents, targets."""
        found: dict[str, object] = {}
        for path in sorted(self.folder.rglob("*")):
            status = path.lstat()
            content: object = None
            if stat.S_ISLNK(status.st_mode):
                content = str(path.readlink())
            elif stat.S_ISREG(status.st_mode):
                content = path.read_bytes()
            found[str(path.relative_to(self.folder))] = (status.st_mode, status.st_nlink, content)
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "world")


@pytest.fixture(scope="module")
def good(box: Box) -> bytes:
    return python.build("def run(input):\n    return {'sum': sum(input['numbers'])}\n", box)


KNOWN: dict[str, str] = {}
"""What is known to go wrong: by name, and where."""


def marks(hostile: Hostile) -> list[pytest.MarkDecorator]:
    compiled = [pytest.mark.compilers] if hostile.path.suffix in (".c", ".rs") else []
    return compiled + [
        pytest.mark.xfail(reason=why, strict=True) for name, why in KNOWN.items() if name == hostile.name
    ]


@pytest.mark.parametrize("hostile", [pytest.param(h, id=h.name, marks=marks(h)) for h in ALL])
def test_a_hostile_program_ends_as_it_must(
    hostile: Hostile, box: Box, world: World, good: bytes, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    runner = Runner(box, roots={"docs": world.docs}, policy=hostile.permissions, limits=hostile.limits, state=state)
    wasm = built(hostile, box, tmp_path)
    before = world.state()
    with peak() as grown:
        ended = wasm if isinstance(wasm, BuildError) else attempt(hostile, runner, wasm)
    assert_ended(hostile, ended)

    after = world.state()
    for path, text in hostile.leaves.items():
        assert after.pop(f"roots/docs/{path}")[2] == text.encode()  # type: ignore[index]
        before.pop(f"roots/docs/{path}", None)
    assert after == before
    assert not Path("/tmp/escaped").exists()
    assert SECRET not in repr(ended)
    said = str(ended) if isinstance(ended, Exception) else getattr(ended, "error", "")
    assert [path for path in (str(tmp_path), *host_paths()) if path in said] == []
    assert grown() <= hostile.limits.memory_bytes + OVERSHOOT, f"{grown() // MIB} MiB"

    again = runner.run(runner.load(under_test(hostile), ECHO), {"text": "Grüße"})
    assert isinstance(again, Ran)
    again = runner.run(runner.load(under_test(hostile), good), {"numbers": [1, 2, 3]})
    assert isinstance(again, Ran)
    assert again.output == {"sum": 6}


def built(hostile: Hostile, box: Box, folder: Path) -> bytes | BuildError:
    try:
        return hostile.wasm(box, folder)
    except BuildError as error:
        return error


def under_test(hostile: Hostile) -> Capability:
    writes = any(f.access == "write" for f in hostile.permissions.files)
    return capability(permissions=hostile.permissions, effects="write" if writes else "read")


def attempt(hostile: Hostile, runner: Runner, wasm: bytes) -> Ran | Failed | InvalidModule:
    """What it comes to. Anything raised besides what is documented is a bug of the host."""
    try:
        loaded = runner.load(under_test(hostile), wasm)
    except InvalidModule as error:
        return error
    began = time.monotonic()
    ended = runner.run(loaded, {})
    assert time.monotonic() - began < hostile.limits.seconds + LATE
    return ended


def assert_ended(hostile: Hostile, ended: Ran | Failed | Exception) -> None:
    if isinstance(ended, Ran):
        assert "ran" in hostile.ends, ended
        assert same(ended.output, hostile.says), ended.output
        return
    kind = ended.kind if isinstance(ended, Failed) else "refused" if isinstance(ended, InvalidModule) else "unbuilt"
    error = ended.error if isinstance(ended, Failed) else str(ended)
    assert kind in hostile.ends, f"{kind}: {error}"
    assert re.search(hostile.says, error), error
    assert "\n" not in error or kind == "unbuilt"
    assert len(error) <= 4000
    code = ended.code if isinstance(ended, Failed) else ""
    assert re.fullmatch(r"[\w.-]{0,64}", code, re.ASCII), code  # it is shown outside of the fence of guest text
    assert all(c.isprintable() for c in error.replace("\n", "")), ascii(error)


@contextlib.contextmanager
def peak():  # type: ignore[no-untyped-def]
    """How many bytes this process took at most beyond what it had; 0 where the system does not tell."""
    status, began = Path("/proc/self/status"), 0
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far
        began = _kilobytes(status, "VmRSS")
    except OSError:
        began = 0
    highest = 0

    def grown() -> int:
        return highest

    yield grown
    if began:
        highest = (_kilobytes(status, "VmHWM") - began) * 1024


def _kilobytes(status: Path, name: str) -> int:
    return int(re.search(rf"{name}:\s+(\d+)", status.read_text(encoding="ascii"))[1])  # type: ignore[index]


def test_the_corpus_is_large_and_each_program_says_what_it_tries() -> None:
    assert len(ALL) >= 80
    assert sum(h.path.suffix in (".wat", ".py") for h in ALL) >= 80
    assert {h.path.suffix for h in ALL} == set(COMMENT)
    assert {h.path.parent.parent for h in ALL} == {PROGRAMS}
    assert [h.name for h in ALL if len(h.tries) < 10 or not h.ends[0]] == []
