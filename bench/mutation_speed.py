"""From a draft to a published capability, in each language, with all gates and without a model.

    python bench/mutation_speed.py [LANGUAGE …] [--drafts 5]

Each draft is the worked example's second task (tests/toolchains/salary_in_currency) under a new id and with a new text
in it, so that no module was ever seen before. Standard libraries are prepared beforehand, by one draft that does not
count. A person's drafts are free of the tester and of some gates, so the row `tested` measures a model's: programs of
the corpus of faults, in Python, through every gate, with author and tester from a script and 24 faulty programs built
and run for each, beside the start of a Python that does nothing. Prints the median and the slowest, what of the median
was the build, the processor time (of all processes; on a loaded machine it says more than the clock), and whether the
goal was met.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.mutation.faults import BASES  # noqa: E402 - the corpus lies beside the tests
from tests.mutation.test_faults import bench  # noqa: E402

from metier import Runtime  # noqa: E402
from metier.outcomes import Mutated  # noqa: E402
from metier.toolchains import Workshop, installed, toolchain  # noqa: E402

PYTHON = [base for base in BASES if base.language == "python"]
SOURCES = ROOT / "tests" / "toolchains" / "salary_in_currency"
GOALS = {"python": 0.5, "c": 1.0, "rust": 2.0, "go": 5.0}
"""Seconds."""
VARIED = {"wat": "no such employee"}
"""The text in each source that is made different in each draft."""


def drafts(language: str, count: int) -> list[dict[str, object]]:
    contract = json.loads((SOURCES / "contract.json").read_text("utf-8"))
    source = (SOURCES / toolchain(language).file_name).read_text("utf-8")  # type: ignore[arg-type]
    varied = VARIED.get(language, "no employee named")
    assert varied in source
    return [
        {
            **contract,
            "id": f"salary_{language}_{number}",
            "language": language,
            "source": source.replace(varied, f"{varied[:-4]}{(time.monotonic_ns() + number) % 10_000:04}"),
        }
        for number in range(count)
    ]


def processor() -> float:
    """Seconds of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def measure(runtime: Runtime, language: str, count: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds of each draft to its publication, by the clock and of processors, and of its build alone."""
    mutator = runtime.mutator()
    workshop = Workshop(runtime.runner.box)
    whole, used, builds = [], [], []
    for number, draft in enumerate(drafts(language, count + 1)):
        chain = toolchain(language)  # type: ignore[arg-type]
        started, before = time.perf_counter(), processor()
        outcome = mutator.submit(draft, None, "bench", by_hand=True)
        took, spent = time.perf_counter() - started, processor() - before
        if not isinstance(outcome, Mutated):
            raise SystemExit(f"{language}: {outcome}")
        started = time.perf_counter()
        chain.build({chain.file_name: str(draft["source"]).encode()}, workshop)
        if number > 0:
            whole.append(took)
            used.append(spent)
            builds.append(time.perf_counter() - started)
    return whole, used, builds


def tested(count: int) -> tuple[list[float], list[float], list[float]]:
    """The same for drafts of a model, each with a tester's suite that is judged; the last are starts of Python."""
    whole, used, starts = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number, base in enumerate(PYTHON[: count + 1]):
            made = bench(base, Path(folder), "required")
            with made.runtime:
                if number == 0:
                    made.outcome(None)
                    continue
                draft = made.draft(None)
                started, before = time.perf_counter(), processor()
                outcome = made.mutated(draft, None)
                whole.append(time.perf_counter() - started)
                used.append(processor() - before)
                if not isinstance(outcome, Mutated):
                    raise SystemExit(f"{base.id}: {outcome}")
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", "pass"], check=True)
            starts.append(time.perf_counter() - started)
    return whole, used, starts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("languages", nargs="*", metavar="LANGUAGE")
    parser.add_argument("--drafts", type=int, default=5)
    parser.add_argument("--no-tested", action="store_true", help="leave out the row `tested`")
    options = parser.parse_args()
    here = installed()
    print(f"{'language':12}{'median':>10}{'slowest':>10}{'build':>10}{'processor':>12}   goal")
    if not options.no_tested:
        whole, used, starts = tested(options.drafts)
        median = statistics.median(whole)
        said = f"0.5 s, {'met' if median <= 0.5 else 'NOT MET'}; python -c pass {statistics.median(starts):.3f} s"
        print(
            f"{'tested':12}{median:9.2f}s{max(whole):9.2f}s{'':10}{statistics.median(used):11.2f}s   {said}", flush=True
        )
    with tempfile.TemporaryDirectory() as folder:
        library = shutil.copytree(ROOT / "examples" / "hr", Path(folder) / "hr")
        with Runtime.open(library) as runtime:
            for language in options.languages or here:
                if language not in here:
                    print(f"{language:12} not installed: {toolchain(language).found()}")
                    continue
                if not (SOURCES / toolchain(language).file_name).exists():
                    continue
                whole, used, builds = measure(runtime, language, options.drafts)
                median, goal = statistics.median(whole), GOALS.get(language)
                said = "none" if goal is None else f"{goal:g} s, {'met' if median <= goal else 'NOT MET'}"
                print(
                    f"{language:12}{median:9.2f}s{max(whole):9.2f}s{statistics.median(builds):9.2f}s"
                    f"{statistics.median(used):11.2f}s   {said}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
