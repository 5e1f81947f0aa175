"""Many callers at once for a while: no leak, no wrong answer, no lost record.

    python bench/soak.py [--callers 16] [--minutes 10] [--keep RUNS]

Prints the slope of the memory after a warm-up of a quarter of the time, in MiB an hour. With --keep the journal keeps
that many runs, fewer than are made: it then has the latest ones, without a gap.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path

from metier import Runtime
from metier.mutation.gates import mismatch

EXAMPLE = Path(__file__).parents[1] / "examples" / "hr"


def resident() -> float:
    """MiB of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--keep", type=int, help="runs that the journal keeps; the library's own setting by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "capabilities"
        shutil.copytree(EXAMPLE, library, ignore=shutil.ignore_patterns(".metier"))
        if options.keep:
            with (library / "metier.toml").open("a", encoding="utf-8") as settings:
                settings.write(f"\n[journal]\nruns = {options.keep}\n")
        with Runtime.open(library) as runtime:
            soak(runtime, options.callers, options.minutes * 60)


def soak(runtime: Runtime, callers: int, seconds: float) -> None:
    live = [capability for capability in runtime.library.live() if capability.effects != "write"]
    cases = [(c, e) for c in live for e in c.examples if not e.fixtures]  # the others are about other data
    began, wrong, made = time.monotonic(), list[str](), [list[str]() for _ in range(callers)]

    def call(number: int) -> None:
        chosen = random.Random(number)
        while time.monotonic() < began + seconds:
            capability, example = chosen.choice(cases)
            outcome = runtime.execute(capability, example.input)
            made[number].append(outcome.run_id)
            if problem := mismatch(example, outcome):
                wrong.append(f"{capability.id}: {problem}")

    threads = [threading.Thread(target=call, args=(n,)) for n in range(callers)]
    for thread in threads:
        thread.start()
    memory: list[tuple[float, float]] = []
    while any(thread.is_alive() for thread in threads):
        time.sleep(min(5, seconds / 40))
        memory.append((time.monotonic() - began, resident()))
        if len(memory) % 10 == 0:
            print(f"{sum(map(len, made))} calls, {len(wrong)} wrong, {memory[-1][1]:.0f} MiB", flush=True)
    warm = [at for at in memory if at[0] > seconds / 4]
    print(f"{sum(map(len, made))} calls by {callers} callers: {len(wrong)} wrong")
    for problem in wrong[:5]:
        print(f"  {problem}")
    low, high = min(size for _, size in warm), max(size for _, size in warm)
    print(f"memory after the warm-up: {low:.0f} to {high:.0f} MiB, {slope(warm) * 3600:+.1f} MiB an hour")
    print(journal_report(runtime, [run_id for ids in made for run_id in ids]))


def slope(points: list[tuple[float, float]]) -> float:
    """MiB a second: the median of the slopes between pairs of points (Theil and Sen), so that a spike says little."""
    pairs = itertools.combinations(points[:: max(1, len(points) // 200)], 2)
    return statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs)


def journal_report(runtime: Runtime, made: list[str]) -> str:
    """Whether the journal has every run that it should: all, or beyond its retention the latest without a gap."""
    rows, problem = runtime.journal.verify()
    kept = runtime.settings.journal.runs
    have = [row["run_id"] for row in reversed(runtime.journal.recent(len(made)))]
    unknown = len(set(have) - set(made))
    expected = min(len(made), kept)
    verdict = "none lost" if len(have) >= expected and not unknown and problem is None else "RUNS LOST"
    return (
        f"the journal has {rows} of {len(made)} runs and keeps {kept}: {verdict}, {unknown} that nobody made, chain "
        f"{problem or 'unbroken'}"
    )


if __name__ == "__main__":
    main()
