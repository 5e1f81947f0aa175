"""Several files are changed as one, whatever happens on the way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from metier.sandbox.hostfiles import Change
from metier.sandbox.intents import finish, keep, unfinished

OLD = {"a.txt": b"old a", "b.txt": b"old b", "gone.txt": b"old c"}
CHANGES = [
    Change("hr", "made", None, directory=True),
    Change("hr", "a.txt", b"new a"),
    Change("hr", "b.txt", b"new b"),
    Change("hr", "made/d.txt", b"new d"),
    Change("hr", "gone.txt", None),
]
NEW = {"a.txt": b"new a", "b.txt": b"new b", "made/d.txt": b"new d"}


KILLS = int(os.environ.get("METIER_KILLS", "15"))
"""How often the writer is killed; more where it is to be shown at length."""


class Killed(BaseException):
    """The process dies here."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "hr"
    root.mkdir()
    for name, content in OLD.items():
        (root / name).write_bytes(content)
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def steps(state: Path, root: Path) -> list[str]:
    seen: list[str] = []
    keep(state, {"hr": root}, CHANGES, checkpoint=seen.append)
    return seen


def test_all_changes_are_made_and_nothing_is_left_over(state: Path, root: Path) -> None:
    assert steps(state, root)[-1] == "made real"
    assert contents(root) == NEW
    assert not unfinished(state)
    assert list((state / "commits").iterdir()) == []


@pytest.mark.parametrize("step", range(10))
def test_a_crash_at_any_step_leaves_all_as_before_or_all_as_after(state: Path, root: Path, step: int) -> None:
    count = 0

    def dies(_: str) -> None:
        nonlocal count
        count += 1
        if count > step:
            raise Killed

    with pytest.raises(Killed):
        keep(state, {"hr": root}, CHANGES, checkpoint=dies)
    stands = any(not name.name.startswith(".staged-") for name in (state / "commits").iterdir())
    finish(state, {"hr": root})
    assert contents(root) == (NEW if stands else OLD)
    assert list((state / "commits").iterdir()) == []


def test_what_cannot_be_written_changes_nothing(state: Path, root: Path) -> None:
    (root / "made").write_bytes(b"in the way")
    with pytest.raises(OSError):
        keep(state, {"hr": root}, CHANGES)
    assert contents(root) == OLD | {"made": b"in the way"}
    assert not unfinished(state)


def test_a_damaged_intent_is_dropped(state: Path, root: Path) -> None:
    (state / "commits" / "x").mkdir(parents=True)
    (state / "commits" / "x" / "changes.json").write_text("{", encoding="utf-8")
    assert unfinished(state)
    finish(state, {"hr": root})
    assert contents(root) == OLD
    assert not unfinished(state)


DYING = """
import os, sys
from pathlib import Path
from metier.sandbox.hostfiles import Change
from metier.sandbox.intents import keep

state, root, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
changes = [Change("hr", f"{n}.txt", b"new") for n in range(count)]
keep(state, {"hr": root}, changes, checkpoint=lambda step: os._exit(9) if step == "staged" else None)
"""


@pytest.mark.parametrize("count", [1, 3])
def test_what_a_killed_commit_left_staged_is_swept(state: Path, root: Path, count: int) -> None:
    done = subprocess.run([sys.executable, "-c", DYING, str(state), str(root), str(count)])
    assert done.returncode == 9
    assert len(contents(root)) == len(OLD) + count
    assert unfinished(state)
    finish(state, {"hr": root})
    new = {f"{n}.txt": b"new" for n in range(count)} if count > 1 else {}
    assert contents(root) == OLD | new
    assert not unfinished(state)


WRITER = """
import sys
from metier import Runtime
runtime = Runtime.open(sys.argv[1])
print("ready", flush=True)
for n in range(1_000_000):
    runtime.call("two_files", {"n": n})
"""
SOURCE = """
def run(input: dict) -> dict:
    a, b = open("/hr/a.txt").read(), open("/hr/b.txt").read()
    if a != b:
        raise ValueError(f"torn: {a!r} {b!r}")
    for name in "ab":
        with open(f"/hr/{name}.txt", "w") as file:
            file.write(str(input["n"]) * 1000)
    return {"n": input["n"]}
"""


def test_a_writer_that_is_killed_at_random_never_leaves_one_file_without_the_other(tmp_path: Path) -> None:
    from metier import Runtime
    from metier.library import Library

    library = Library.create(tmp_path / "capabilities")
    data = library.path / "data"
    data.mkdir()
    for name in "ab":
        (data / f"{name}.txt").write_text("begin", encoding="utf-8")
    policy = 'files = [{ root = "hr", path = "**", access = "write" }]'
    (library.path / "metier.toml").write_text(f'[roots]\nhr = "data"\n[policy]\n{policy}\n', encoding="utf-8")
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    with Runtime.open(library.path) as runtime:
        files = [{"root": "hr", "path": "*.txt", "access": "write"}]
        fields = {"id": "two_files", "summary": "Writes two.", "input_schema": schema, "output_schema": schema}
        fields |= {"effects": "write", "permissions": {"files": files}, "source": SOURCE}
        fields |= {"examples": [{"input": {"n": 1}, "output": {"n": 1}}]}
        waiting = runtime.mutator().submit(fields, None, "hand", by_hand=True)
        assert waiting.capability == "two_files"  # type: ignore[union-attr]
        runtime.mutator().approve("two_files", "a test")
    moments = random.Random(3)
    for _ in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(library.path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0.01, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        with Runtime.open(library.path) as runtime:
            runtime.call("two_files", {"n": 0})
        assert (data / "a.txt").read_text(encoding="utf-8") == (data / "b.txt").read_text(encoding="utf-8")
