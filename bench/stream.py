"""A stream of office tasks, two days long: how many need no model, and whether each came out right.

    python bench/stream.py --data DIR [--files calendar,email,analytics] [--seed 1] [--plot FILE.svg] [--json]

DIR holds a calendar, a mailbox and web analytics as CSV, and tasks over them (WorkBench, arXiv 2405.00823). An oracle
stands in for the model: it takes the arguments from each task's own template, and writes the reference capability of a
family (bench/workbench) when it first meets one. The tasks of day 1 arrive shuffled at an empty library; day 2 brings
the same tasks in another order to a new process. Each task finds the data as it was in the beginning, and is right if
the tables then hold what the calls listed with it leave, which code that knows of no capability works out.

The baselines route the same stream to the same capabilities. calendar and email are what recall may be tuned on;
analytics is held out, and reported apart.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import multiprocessing
import random
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench.workbench.baselines import Routed, follow, outcomes, policies  # noqa: E402 - found from the script's folder
from bench.workbench.dataset import PARTS, load  # noqa: E402
from bench.workbench.play import Solved, data_folder, make_library, play, shuffled  # noqa: E402
from bench.workbench.scenario import Scenario, State, Task  # noqa: E402

from metier import Runtime  # noqa: E402
from metier.errors import MetierError  # noqa: E402

OURS, ALWAYS = "metier", "model for every task (the oracle)"
LAST = 100
WINDOW = 50
"""Tasks that one point of the plot looks back on."""
HELD_OUT = "analytics"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--files", default=",".join(PARTS), help="which parts of the data; all by default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="needs matplotlib: pip install 'metier[bench]'")
    parser.add_argument("--json", action="store_true", help="every task, as JSON")
    arguments = parser.parse_args()
    parts = arguments.files.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--files: {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    if arguments.plot and importlib.util.find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib: pip install 'metier[bench]'")
    with tempfile.TemporaryDirectory() as folder:
        try:
            scenario = load(arguments.data, parts)
        except OSError as error:
            parser.error(f"--data: {error}")
        library = make_library(Path(folder) / "library", scenario)
        days = [in_new_process(library, arguments.data, parts, arguments.seed, day) for day in (1, 2)]
        others = baselines(library, scenario, [shuffled(scenario.tasks, arguments.seed, day) for day in (1, 2)])
    rows = shares(days, others)
    if arguments.json:
        told: dict[str, Any] = {"routes": [dataclasses.asdict(row) for row in rows], "goals": goals(days, rows)}
        told["days"] = [[dataclasses.asdict(solved) for solved in day] for day in days]
        print(json.dumps(told, ensure_ascii=False))
    else:
        report(days, rows)
    if arguments.plot:
        draw(arguments.plot, days[0], others)


def in_new_process(library: Path, data: Path, parts: Sequence[str], seed: int, day: int) -> list[Solved]:
    """One day of the stream, in a process that saw nothing of the other."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(a_day, library, data, parts, seed, day).result()


def a_day(library: Path, data: Path, parts: Sequence[str], seed: int, day: int) -> list[Solved]:
    scenario = load(data, parts)
    random.seed(f"{seed}/{day}")  # which tasks a model gets in order to check memory
    return play(library, scenario, shuffled(scenario.tasks, seed, day))


def baselines(library: Path, scenario: Scenario, days: Sequence[Sequence[Task]]) -> dict[str, list[list[Routed]]]:
    """What others do with the same stream, by name; first what comes out when the model gets every task."""
    data = data_folder(library, scenario)
    with Runtime.open(library, now=scenario.now) as runtime:

        def run(capability: str, input: Any) -> State | None:
            scenario.restore(data)
            try:
                runtime.call(capability, input)
            except MetierError:
                return None
            return scenario.state(data)

        outcome = outcomes(scenario, run)
        found = {ALWAYS: follow(_NoMemory(), scenario, days, outcome)}
        for policy in policies(scenario, days[0]):
            found[policy.name] = follow(policy, scenario, days, outcome)
    return found


class _NoMemory:
    name = ALWAYS

    def route(self, text: str) -> None:
        return None

    def learn(self, text: str, call: Any) -> None:
        pass


# What it comes to


@dataclass(frozen=True, slots=True)
class Row:
    """What one way to answer the stream comes to."""

    name: str
    day_1: float
    """The share of tasks without a model."""
    last: float
    """The same of the last tasks of day 1."""
    day_2: float
    wrong: int
    """Tasks of both days that were answered without a model and came out wrong."""
    right: float
    """The share of all tasks that came out right, whoever answered."""


def shares(days: Sequence[Sequence[Solved]], others: dict[str, list[list[Routed]]]) -> list[Row]:
    """A row for us, one for each baseline, and one for each part of the data."""
    parts = list(dict.fromkeys(solved.part for solved in days[0]))
    rows = [row(OURS, [[routed(solved) for solved in day] for day in days])]
    rows += [row(name, routes) for name, routes in others.items()]
    for part in parts if len(parts) > 1 else ():
        named = f"{OURS}, {part}{' (held out)' if part == HELD_OUT else ''}"
        rows.append(row(named, [[routed(solved) for solved in day if solved.part == part] for day in days]))
    return rows


def row(name: str, days: Sequence[Sequence[Routed]]) -> Row:
    both = [routed for day in days for routed in day]
    recalled = [[routed.recalled for routed in day] for day in days]
    wrong = sum(routed.recalled and not routed.right for routed in both)
    right = share([routed.right for routed in both])
    return Row(name, share(recalled[0]), share(recalled[0][-LAST:]), share(recalled[1]), wrong, right)


def routed(solved: Solved) -> Routed:
    return Routed(solved.route == "recall", solved.right)


def report(days: Sequence[Sequence[Solved]], rows: Sequence[Row]) -> None:
    print(f"{len(days[0])} tasks a day\n")
    print(f"{'':38}{'without a model':>26}{'wrong from':>14}{'outcome':>10}")
    print(f"{'':38}{'day 1':>8}{f'last {LAST}':>10}{'day 2':>8}{'memory':>14}{'right':>10}")
    for r in rows:
        print(f"{r.name:38}{r.day_1:8.1%}{r.last:10.1%}{r.day_2:8.1%}{r.wrong:14}{r.right:10.1%}")
    print(f"\nwithout a model, over day 1: {sparkline([solved.route == 'recall' for solved in days[0]])}")
    for number, day in enumerate(days, start=1):
        print(f"day {number}: a decision {times([solved.decision_seconds for solved in day])}")
        recalled = [solved for solved in day if solved.route == "recall"]
        if recalled:
            own = 1e3 * statistics.median(solved.run_seconds for solved in recalled)
            print(
                f"day {number}: a recalled task {times([s.seconds for s in recalled])}, of it the program {own:.1f} ms"
            )
        calls = sum(solved.model_calls for solved in day)
        print(f"day {number}: {calls} model calls; why memory did not answer:")
        for reason, count in Counter(s.reason for s in day if s.route != "recall").most_common(20):
            print(f"  {count:4}  {reason}")
    for number, day in enumerate(days, start=1):
        for solved in day:
            if not solved.right:
                print(f"WRONG, day {number}, {solved.route}: {solved.task}\n  {solved.capability} {solved.input}")
    print("\n" + "; ".join(f"{goal}: {'met' if met else 'NOT MET'}" for goal, met in goals(days, rows).items()))


def times(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return f"{1e3 * statistics.median(ordered):.1f} ms, p99 {1e3 * p99:.1f} ms"


def share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0


def sparkline(flags: Sequence[bool]) -> str:
    """The share of each of up to 32 stretches, as bars."""
    step = max(1, -(-len(flags) // 32))
    shares = [share(flags[at : at + step]) for at in range(0, len(flags), step)]
    return "".join(" ▁▂▃▄▅▆▇█"[round(8 * value)] for value in shares)


def goals(days: Sequence[Sequence[Solved]], rows: Sequence[Row]) -> dict[str, bool]:
    """What has to hold, and whether it does."""
    ours, always = rows[0], next(row for row in rows if row.name == ALWAYS)
    return {
        "day 1 ≥ 55%": ours.day_1 >= 0.55,
        f"its last {LAST} ≥ 90%": ours.last >= 0.90,
        "day 2 ≥ 99%": ours.day_2 >= 0.99,
        "as right as the oracle": ours.right >= always.right,
        "nothing wrong from memory": ours.wrong == 0,
        "no task failed": not any(solved.route == "failed" for day in days for solved in day),
    }


def draw(path: Path, day: Sequence[Solved], others: dict[str, list[list[Routed]]]) -> None:
    """The share without a model over the first day, of the last WINDOW tasks at each, as an SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    curves = {OURS: [routed(solved) for solved in day]}
    curves |= {name: routes[0] for name, routes in others.items() if name != ALWAYS}
    for name, routes in curves.items():
        wrong = sum(r.recalled and not r.right for r in routes)
        flags = [r.recalled for r in routes]
        moving = [share(flags[max(0, n - WINDOW) : n]) for n in range(1, len(flags) + 1)]
        axes.plot(moving, label=f"{name} ({wrong} wrong)", linewidth=2.5 if name == OURS else 1)
    axes.set(xlabel="task of day 1", ylabel=f"without a model, last {WINDOW} tasks", ylim=(0, 1.02))
    figure.legend(fontsize=8, loc="outside lower center", ncols=2)
    figure.savefig(path)


if __name__ == "__main__":
    main()
