"""What memory serves wrongly of tasks that look like a solved one and mean something else, beside what caches would.

    python bench/twins.py [--every]

The office of tests/recall/twins learns from a scripted model. Then twins, and as the counter-weight tasks that should
be served, are put to its memory without a model and to three peers that know the same solved tasks:

- exact cache: the same text up to case and spaces gets the same call;
- semantic cache: the nearest solved task's call, from a cosine of the embedded word vectors on. `at its best` is the
  threshold that decides these very tasks best, both kinds weighing the same; `without a wrong one` is the lowest that
  serves nothing wrongly;
- loose templates: what differs between solved tasks of one capability is a slot for anything.

A serving is right if its capability and arguments are those that the task means; for most twins nothing is.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.recall.twins.corpus import CLASSES, Twin, twins
from tests.recall.twins.positives import positives
from tests.recall.twins.school import Desk, school
from tests.recall.twins.solved import Call, Solved, lessons

from metier.retrieval.embedders import WordLlamaEmbedder

Decide = Callable[[Twin], Call | None]
EVERY = 4
"""One composed twin of so many is put, unless all are asked for."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", action="store_true", help="all composed twins, not one of four")
    arguments = parser.parse_args()
    alike = [t for n, t in enumerate(twins()) if arguments.every or t.kind in CLASSES or n % EVERY == 0]
    meant = list(positives())
    print(f"{len(lessons())} solved tasks, {len(alike)} twins, {len(meant)} tasks that should be served\n")
    print(f"{'':40} {'twins served wrongly':>22} {'rightly':>8} {'should: served':>16} {'wrongly':>8}")
    for name, decide in (("exact cache", exact_cache(lessons())), ("loose templates", loose_templates(lessons()))):
        report(name, alike, meant, [decide(t) for t in alike], [decide(t) for t in meant])
    semantic_cache(alike, meant)
    with tempfile.TemporaryDirectory() as folder:
        taught = school(Path(folder) / "capabilities", lessons())
        decided = metier(taught, Path(folder), [*alike, *meant])
    report("Metier", alike, meant, decided[: len(alike)], decided[len(alike) :])


def report(
    name: str, alike: Sequence[Twin], meant: Sequence[Twin], a: Sequence[Call | None], m: Sequence[Call | None]
) -> None:
    wrong = sum(got is not None and got != twin.right for twin, got in zip(alike, a, strict=True))
    right = sum(got is not None and got == twin.right for twin, got in zip(alike, a, strict=True))
    served = sum(got is not None and got == twin.right for twin, got in zip(meant, m, strict=True))
    astray = sum(got is not None and got != twin.right for twin, got in zip(meant, m, strict=True))
    share = f"{wrong} ({wrong / len(alike):.1%})"
    print(f"{name:40} {share:>22} {right:>8} {f'{served} ({served / len(meant):.0%})':>16} {astray:>8}", flush=True)


def exact_cache(solved: Sequence[Solved]) -> Decide:
    known = {_plain(lesson.task): lesson.call for lesson in solved}
    return lambda twin: known.get(_plain(twin.task))


def _plain(task: str) -> str:
    return " ".join(task.lower().split())


def loose_templates(solved: Sequence[Solved]) -> Decide:
    """Each solved task with its said values as gaps for anything; the call takes over what stands in them."""
    shapes: dict[str, tuple[re.Pattern[str], Solved]] = {}
    for lesson in solved:
        pattern = re.escape(lesson.task.rstrip("?"))
        for name, said in lesson.said:
            pattern = pattern.replace(re.escape(said), f"(?P<{name}>.+)", 1)
        shapes.setdefault(pattern, (re.compile(pattern, re.IGNORECASE), lesson))

    def decide(twin: Twin) -> Call | None:
        for shape, lesson in shapes.values():
            match = shape.fullmatch(twin.task.rstrip("?"))
            if match is not None:
                alike = (s for s in solved if s.family == lesson.family and dict(s.said) == match.groupdict())
                same = next(alike, None)
                if same is not None:
                    return same.call
                return twin.right or Call(lesson.family, str(match.groupdict()))  # values read as well as can be
        return None

    return decide


def semantic_cache(alike: Sequence[Twin], meant: Sequence[Twin]) -> None:
    embedder = WordLlamaEmbedder()
    solved = lessons()
    known = embedder.embed([lesson.task for lesson in solved])
    nearest = []
    for twin, vector in zip([*alike, *meant], embedder.embed([t.task for t in (*alike, *meant)]), strict=True):
        cosines = known @ vector
        best = int(np.argmax(cosines))
        nearest.append((float(cosines[best]), solved[best].call, twin))

    def served_at(threshold: float) -> list[Call | None]:
        return [call if cosine >= threshold else None for cosine, call, _ in nearest]

    def good(threshold: float) -> float:
        """The share of twins that are decided rightly, and that of the tasks which should be served."""
        hits = [got == twin.right for got, (_, _, twin) in zip(served_at(threshold), nearest, strict=True)]
        return sum(hits[: len(alike)]) / len(alike) + sum(hits[len(alike) :]) / len(meant)

    wrong = [cosine for cosine, call, twin in nearest if call != twin.right]
    best = max(np.linspace(0.5, 1.01, 103), key=good)
    for threshold, what in (
        (0.8, "from 0.8"),
        (best, f"at its best, {best:.3f}"),
        (max(wrong) + 1e-6, "without a wrong one"),
    ):
        got = served_at(threshold)
        report(f"semantic cache, {what}", alike, meant, got[: len(alike)], got[len(alike) :])


def metier(taught: Path, folder: Path, tasks: Sequence[Twin]) -> list[Call | None]:
    decided: dict[int, Call | None] = {}
    for day in sorted({twin.day for twin in tasks}):
        desk = Desk(taught, folder / f"on-{day}", day)
        for number, twin in enumerate(tasks):
            if twin.day == day:
                calls = desk.put(twin.task).calls
                decided[number] = calls[0] if calls else None
        desk.close()
    return [decided[number] for number in range(len(tasks))]


if __name__ == "__main__":
    main()
