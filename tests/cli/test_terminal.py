"""The command line as a process: terminals, pipes, closed streams, bytes that are no text, Ctrl-C, completion."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from metier.capability import Provenance
from metier.cli.interrupts import GRACE_SECONDS
from metier.library import Library, Release
from tests.conftest import says, wat
from tests.test_runtime import SALARY, contract, publish

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals and signals are POSIX")

METIER = [sys.executable, "-m", "metier"]
SPIN = wat('(func (export "_start") (loop $l (br $l)))')


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create(tmp_path / "capabilities")
    example = {"task": "What's John's salary?", "input": {"name": "John"}, "output": SALARY, "answer": "{salary} USD."}
    publish(library, "get_salary_details", "Returns an employee's salary.", SALARY, examples=[example])
    return library


def environment(library: Library, **more: str) -> dict[str, str]:
    return {**os.environ, "METIER_LIBRARY": str(library.path), "TERM": "xterm-256color", **more}


def sketch(library: Library, id: str, wasm: bytes, summary: str = "A sketch.") -> None:
    folder = library.path / id
    folder.mkdir()
    (folder / f"{id}.wasm").write_bytes(wasm)
    meta = {"id": id, "summary": summary, "binary": f"{id}.wasm"}
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def piped(library: Library, *arguments: str | bytes, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    command: Sequence[Any] = [*METIER, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, env=environment(library), timeout=60)
    return done.returncode, done.stdout, done.stderr


def on_terminal(library: Library, *arguments: str, **more: str) -> tuple[int, str]:
    """Status and screen of a command on a terminal of its own."""
    import pty

    main, secondary = pty.openpty()
    process = subprocess.Popen(
        [*METIER, *arguments], stdin=secondary, stdout=secondary, stderr=secondary, env=environment(library, **more)
    )
    os.close(secondary)
    screen = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        while select.select([main], [], [], 60)[0] and (read := os.read(main, 65536)):
            screen += read
    os.close(main)
    return process.wait(60), screen.decode("utf-8")


def test_a_terminal_shows_help_progress_and_a_table_with_whole_ids(library: Library) -> None:
    status, screen = on_terminal(library)
    assert (status, "Usage: metier" in screen) == (0, True)
    status, screen = on_terminal(library, "What's John's salary?")
    assert status == 0
    assert "remembered: get_salary_details@1" in screen
    assert screen.endswith("85000 USD.\r\n")
    publish(library, "get_a_very_long_name_indeed_for_tables", "Word " * 60, SALARY)
    status, screen = on_terminal(library, "list", COLUMNS="80")
    assert "get_a_very_long_name_indeed_for_tables" in screen


def test_no_color_leaves_no_escape_in_the_progress(library: Library) -> None:
    assert "\x1b" in on_terminal(library, "What's John's salary?")[1]
    assert "\x1b" not in on_terminal(library, "What's John's salary?", NO_COLOR="1")[1]


def test_what_a_program_says_cannot_steer_the_terminal(library: Library) -> None:
    sketch(
        library,
        "nasty",
        says("", '{"error": "evil \\u001b]0;owned\\u0007"}\n', 1),
        "Nasty \x1b[31m \u202esummary\u2066.",
    )
    for arguments in (["call", "nasty", "1"], ["show", "nasty"], ["list"]):
        _, screen = on_terminal(library, *arguments, NO_COLOR="1")
        assert "\x1b]" not in screen
        assert "\x1b[31m" not in screen
        assert "\x07" not in screen
        assert not {"\u202e", "\u2066"} & set(screen)


@pytest.mark.parametrize("arguments", [("call", "spin", '{"name": "x"}'), ("run", "spin round"), ("test", "spin")])
def test_ctrl_c_ends_a_program_that_loops(library: Library, arguments: tuple[str, ...]) -> None:
    example = {"task": "spin round", "input": {"name": "x"}, "output": SALARY}
    made = Provenance(author="hand", created="2026-01-01T00:00:00+00:00")
    promise = contract("spin", "Never ends.", SALARY, examples=[example])
    library.publish(Release(promise, SPIN, {}, None, None, made), expected_version=None)
    (library.path / "metier.toml").write_text("[limits]\nfuel = 9000000000000000\n", encoding="utf-8")
    process = subprocess.Popen(
        [*METIER, *arguments],
        env=environment(library),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell has its background jobs ignore it
    )
    time.sleep(2)  # the program runs by then, and says nothing that could be waited for
    assert process.poll() is None
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - began < GRACE_SECONDS + 4


def test_bytes_that_are_no_text_are_refused_by_name(library: Library) -> None:
    for arguments, stdin in (((b"\xff\xfe",), b""), (("run",), b"\xff"), (("search", b"\xff"), b"")):
        status, out, err = piped(library, *arguments, stdin=stdin)
        assert (status, out, err) == (2, b"", b"metier: the task is not UTF-8 text\n")
    status, _, err = piped(library, "call", "get_salary_details", stdin=b'{"name": "\xff"}')
    assert (status, err) == (2, b"metier: the input is not UTF-8 (byte 10)\n")
    status, out, err = piped(library, "chat", stdin=b"\xff\nWhat's John's salary?\n")
    assert (status, out, err) == (0, b"85000 USD.\n", b"metier: the task is not UTF-8 text\n")


@pytest.mark.parametrize(
    ("redirection", "arguments", "status"),
    [("<&-", "run", 2), ("<&-", "call get_salary_details", 2), (">&-", "list", 0), ("2>&-", "call nothing 1", 1)],
)
def test_closed_streams_are_empty_ones(library: Library, redirection: str, arguments: str, status: int) -> None:
    line = f'exec "{sys.executable}" -m metier {arguments} {redirection}'
    done = subprocess.run(["sh", "-c", line], env=environment(library), capture_output=True, text=True)
    assert done.returncode == status
    assert "unexpected" not in done.stderr


def test_a_reader_that_leaves_early_gets_no_traceback(library: Library) -> None:
    with subprocess.Popen(
        [*METIER, "show", "get_salary_details"],
        env=environment(library),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_options_of_the_group_work_behind_a_command(library: Library, tmp_path: Path) -> None:
    other = Library.create(tmp_path / "other")
    for behind in (["-L", str(library.path)], [f"--library={library.path}"]):
        status, out, _ = piped(other, "list", *behind, "-q")
        assert (status, out.split(b"\t")[0]) == (0, b"get_salary_details")
    assert b"requires an argument" in piped(other, "list", "-L")[2]
    assert piped(other, "run", "-q", "--", "--json")[0] == 4  # behind the dashes it is a task


def test_help_is_a_word_too(library: Library) -> None:
    assert piped(library, "help")[1].startswith(b"Usage: metier [OPTIONS] [COMMAND]")
    assert piped(library, "help", "call")[1].startswith(b"Usage: metier call")


def test_chat_prints_json_lines_if_asked(library: Library) -> None:
    _, out, _ = piped(library, "chat", "--json", stdin=b"What's John's salary?\n\nwhat's john's salary\n")
    assert [json.loads(line)["answer"] for line in out.splitlines()] == ["85000 USD."] * 2


def test_init_says_how_to_use_a_library_elsewhere(library: Library, tmp_path: Path) -> None:
    _, _, err = piped(library, "init", str(tmp_path / "a b"), "--example", "hr")
    assert f"metier -L '{tmp_path}/a b'".encode() in err


def completed(library: Library, line: str) -> list[str]:
    more = {"_METIER_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    done = subprocess.run(METIER, env=environment(library, **more), capture_output=True, text=True)
    return [entry.partition(",")[2] for entry in done.stdout.splitlines() if entry]


def test_the_shell_completes_commands_options_and_ids(library: Library) -> None:
    assert completed(library, "metier ru") == ["run", "runs"]
    assert completed(library, "metier --l") == ["--library"]
    assert completed(library, "metier call get_") == ["get_salary_details"]
    assert completed(library, f"metier -L {library.path} show g") == ["get_salary_details"]
    assert completed(library, "metier -L /nonexistent show g") == []
