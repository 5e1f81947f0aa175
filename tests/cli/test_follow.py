"""`metier runs --follow`: runs as they end, whoever makes them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

from metier import Runtime
from metier.library import Library
from tests.cli.test_commands import Shell, library, metier

__all__ = ["library", "metier"]


def test_runs_are_told_as_they_end_until_an_interrupt(metier: Shell, library: Library) -> None:
    command = [sys.executable, "-m", "metier", "--library", str(library.path), "--json", "runs", "-n", "1", "--follow"]
    with Runtime.open(library.path) as runtime:
        runtime.call("get_salary_details", {"name": "John"})
        runtime.call("get_salary_details", {"name": "John"})
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as following:
            assert following.stdout is not None
            assert following.stderr is not None
            first = json.loads(following.stdout.readline())
            assert first["run_id"] == runtime.journal.recent(1)[0]["run_id"]
            for _ in range(3):
                runtime.call("get_salary_details", {"name": "John"})
            told = [json.loads(following.stdout.readline())["run_id"] for _ in range(3)]
            assert told == [row["run_id"] for row in reversed(runtime.journal.recent(3))]
            following.send_signal(signal.SIGINT)
            assert following.wait(timeout=30) == 130
            assert "Traceback" not in following.stderr.read()
