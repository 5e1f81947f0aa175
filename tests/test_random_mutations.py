"""Random mutations of the example library, as scripts/random_mutations.py makes them by the hundred."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "scripts" / "random_mutations.py"


def test_whatever_drafts_come_no_example_of_the_first_day_is_lost_and_no_data_changed() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--count", "6", "--seed", "7"], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 mutations; " in done.stdout
    assert "; 0 problems" in done.stdout
    assert ": version 1" in done.stdout, "some draft was published"
