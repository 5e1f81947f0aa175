"""Many callers at once for a while: no leak, no wrong answer, no lost record.

python bench/soak.py [--callers 16] [--minutes 10]
"""

from __future__ import annotations

import argparse
import random
import shutil
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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "capabilities"
        shutil.copytree(EXAMPLE, library, ignore=shutil.ignore_patterns(".metier"))
        with Runtime.open(library) as runtime:
            soak(runtime, options.callers, options.minutes * 60)


def soak(runtime: Runtime, callers: int, seconds: float) -> None:
    cases = [(c, e) for c in runtime.library.live() if c.effects != "write" for e in c.examples]
    until, wrong, counts = time.monotonic() + seconds, [], [0] * callers

    def call(number: int) -> None:
        chosen = random.Random(number)
        while time.monotonic() < until:
            capability, example = chosen.choice(cases)
            problem = mismatch(example, runtime.execute(capability, example.input))
            counts[number] += 1
            if problem:
                wrong.append(problem)

    threads = [threading.Thread(target=call, args=(n,)) for n in range(callers)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(min(30, max(1, until - time.monotonic())))
        print(f"{sum(counts)} calls, {len(wrong)} wrong, {resident():.0f} MiB", flush=True)
    total = sum(counts)
    rows, problem = runtime.journal.verify()
    kept = min(total, runtime.settings.journal.runs)
    print(f"{total} calls by {callers} callers: {len(wrong)} wrong")
    print(f"the journal has {rows} of {kept} runs, {problem or 'unchanged'}")


if __name__ == "__main__":
    main()
