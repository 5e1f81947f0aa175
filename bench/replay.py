"""Records many runs over all example capabilities, then replays each with nothing outside in reach.

    python bench/replay.py [--runs 10000]

Prints how many are identical, and what a replay costs beside the run itself.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from metier import Runtime
from metier.outcomes import Ran

EXAMPLE = Path(__file__).parents[1] / "examples" / "hr"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    count = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "capabilities"
        shutil.copytree(EXAMPLE, library, ignore=shutil.ignore_patterns(".metier"))
        ran, seconds = record(library, count)
        moved = Path(folder) / "elsewhere"
        library.rename(moved)
        shutil.rmtree(moved / "data")
        identical, differences, replays = replay(moved, count)
    print(
        f"{count} runs recorded ({ran} ended well); {identical} replay identically, in another folder, without the data"
    )
    for difference in differences[:10]:
        print(f"  {difference}")
    mine, theirs = statistics.median(replays), statistics.median(seconds)
    print(f"a replay takes {mine * 1e3:.2f} ms, the run took {theirs * 1e3:.2f} ms: {mine / theirs:.2f} ×")


def record(library: Path, count: int) -> tuple[int, list[float]]:
    """How many of the runs ended well, and the seconds of each."""
    ran, seconds = 0, []
    with Runtime.open(library) as runtime:
        cases = [(c, e.input) for c in runtime.library.live() for e in c.examples]
        for capability, value in itertools.islice(itertools.cycle(cases), count):
            began = time.perf_counter()
            ran += isinstance(runtime.execute(capability, value), Ran)
            seconds.append(time.perf_counter() - began)
    return ran, seconds


def replay(library: Path, count: int) -> tuple[int, list[str], list[float]]:
    """How many runs replay identically, how the others differ, and the seconds of each."""
    identical, differences, seconds = 0, [], []
    with Runtime.open(library) as runtime:
        for row in runtime.journal.recent(count):
            began = time.perf_counter()
            comparison = runtime.replay(row["run_id"])
            seconds.append(time.perf_counter() - began)
            identical += comparison.identical
            if comparison.difference:
                differences.append(f"{comparison.run_id} {comparison.capability}: {comparison.difference}")
    return identical, differences, seconds


if __name__ == "__main__":
    main()
