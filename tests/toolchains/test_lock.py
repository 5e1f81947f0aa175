"""The room that compilers run in, seen from inside by a shell."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from metier.errors import BuildError
from metier.toolchains import lock
from metier.toolchains.lock import Done, Place, Room, room

pytestmark = pytest.mark.skipif(lock.problem_with_lock() is not None, reason=str(lock.problem_with_lock()))

PROGRAMS = [Path(found).resolve() for name in ("sh", "cat", "ls", "env", "head") if (found := shutil.which(name))]


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Room]:
    """A room whose only tool is a folder with a shell and a few programs."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for program, name in zip(PROGRAMS, ("sh", "cat", "ls", "env", "head"), strict=True):
        shutil.copy(program, tools / name)
    with room({"a.txt": b"hello"}, {"tools": Place(tools)}, lock.libraries_of(*PROGRAMS)) as made:
        yield made


def sh(inside: Room, script: str, **environment: str) -> Done:
    return inside.run([inside.at("tools", "sh"), "-c", script], {"PATH": "/tools", **environment})


def test_a_command_sees_the_draft_its_tools_and_nothing_else(inside: Room) -> None:
    assert sh(inside, "cat a.txt").said == "hello"
    top = set(sh(inside, "ls -A /").said.split())
    assert top <= {"draft", "out", "tools", "dev", "tmp", "proc", "lib", "lib64", "usr"}
    for path in ("/etc/passwd", "/root", "/home", "/work", str(Path.home()), str(Path.cwd()), "/proc/self/mountinfo"):
        done = sh(inside, f"ls -d {path}; cat {path}")
        assert done.status != 0, path
        assert "No such file" in done.said


def test_a_command_has_no_environment_but_what_it_is_given(inside: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "secret")
    assert dict(line.split("=", 1) for line in sh(inside, "env", GIVEN="1").said.splitlines()).keys() <= {
        *("PATH", "GIVEN", "PWD", "_", "OLDPWD", "SHLVL"),
    }


def test_a_command_cannot_change_the_draft_or_its_tools(inside: Room) -> None:
    for place in ("/draft/a.txt", "/tools/sh", "/new"):
        assert sh(inside, f"echo x > {place}").status != 0
    assert sh(inside, "echo x > /out/made && echo y > /tmp/made").status == 0
    assert inside.read("made") == b"x\n"
    assert sh(inside, "cat /tmp/made").status != 0  # each command has its own


def test_a_link_that_a_command_leaves_is_not_followed(inside: Room) -> None:
    (inside.folder / "out" / "link").symlink_to("/etc/passwd")
    with pytest.raises(BuildError, match="wrote no link"):
        inside.read("link")


def test_a_command_that_does_not_end_is_ended_with_all_that_it_started(inside: Room) -> None:
    command = [inside.at("tools", "sh"), "-c", "while :; do :; done & while :; do :; done"]
    started = time.monotonic()
    with pytest.raises(BuildError, match=r"longer than 0\.5 s"):
        inside.run(command, seconds=0.5)
    assert time.monotonic() - started < 30
    running = [Path(p, "cmdline").read_bytes() for p in Path("/proc").iterdir() if p.name.isdigit() and p.exists()]
    assert not [line for line in running if b"while :; do :; done &" in line]


def test_what_a_command_may_write_and_use_is_bounded(inside: Room) -> None:
    done = sh(inside, "head -c 1G /dev/zero > /out/large; ls -s /out")
    assert (inside.folder / "out" / "large").stat().st_size <= lock.FILE_BYTES
    assert done.status == 0
    sh(inside, "head -c 1G /dev/zero > /tmp/a; head -c 1G /dev/zero > /tmp/b; head -c 1G /dev/zero > /tmp/c")
    assert sh(inside, "ulimit -v; ulimit -c").said.split() == [str(lock.MEMORY_BYTES // 1024), "0"]
    said = sh(inside, "head -c 10M /dev/zero").said
    assert len(said) <= lock.SAID_BYTES


def test_a_command_reaches_no_network(inside: Room, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        bash = shutil.which("bash")
        if bash is None:
            pytest.skip("no bash, which can open connections")
        tools = {"bash": Place(Path(bash).resolve().parent, (Path(bash).resolve().name,))}
        with room({}, tools, lock.libraries_of(Path(bash))) as made:
            port = server.getsockname()[1]
            done = made.run([made.at("bash", Path(bash).resolve().name), "-c", f"echo x > /dev/tcp/127.0.0.1/{port}"])
        assert done.status != 0
        with pytest.raises(TimeoutError):
            server.accept()


def test_only_files_of_the_draft_and_of_places_belong_to_it(inside: Room) -> None:
    own = ["a.txt", "./a.txt", "/draft/a.txt", "/tools/x/../y", "/out/z"]
    strange = ["/etc/passwd", "../etc/passwd", "/draft/../etc/shadow", "/tools/../etc/x", "/toolsx/y", "/draftx", "/"]
    assert inside.strangers(own) == []
    assert inside.strangers(strange) == sorted(strange)


def test_a_room_is_gone_afterwards(tmp_path: Path) -> None:
    with room({"a.txt": b""}, {}) as made:
        folder = made.folder
        assert folder.stat().st_mode & 0o77 == 0
    assert not folder.exists()


def test_a_bubblewrap_that_does_not_work_is_said_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: Unknown option --size' >&2; exit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    lock.problem_with_lock.cache_clear()
    try:
        problem = lock.problem_with_lock()
    finally:
        lock.problem_with_lock.cache_clear()
    assert problem is not None
    assert problem.startswith("bubblewrap does not start here: bwrap: Unknown option --size; ")
    assert "unlocked = true" in problem
