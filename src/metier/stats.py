"""How well a library does: what is reused, what it costs and saves, how it grows, and what broke. All in sums."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from metier.aliases import can_answer
from metier.capability import Capability
from metier.errors import LibraryError
from metier.example_check import ExampleCheck
from metier.runtime import Runtime
from metier.usage import DAY, RunSums, TaskSums


def stats(runtime: Runtime, since: float = 0.0) -> dict[str, Any]:
    """The figures of a library as JSON values, those of the journal since then, in seconds since 1970.

    Shares are of 1, and None where there is nothing that they could be of. Days are of UTC.

    Raises:
        LibraryError: the library cannot be read.
        ModelError: the embedder's endpoint fails.
    """
    usage = runtime.journal.usage
    tasks, runs = usage.tasks(since), usage.runs(since)
    answered = sum(sums.count for sums in tasks if sums.route is not None)
    reusing = usage.reusing_tasks(since)
    known = runtime.library.capabilities()
    return {
        "since": datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds") if since else None,
        "tasks": _tasks(tasks, answered, reusing),
        "models": _models(tasks, usage.tasks()),
        "library": _library(runtime, known),
        "regression": _regression(runs, usage.quarantines(since), usage.unmended()),
        "capabilities": _capabilities(known, runs, runtime),
    }


def frozen_examples(runtime: Runtime) -> dict[str, Any]:
    """All frozen examples of the live capabilities, run once more on copies of the data: how many hold, how many fail,
    and of which capabilities."""
    check, passed, failed = ExampleCheck(runtime), 0, Counter[str]()
    for capability in runtime.library.live():
        problems = check.problems(capability)
        passed += problems.count(None)
        failed[capability.id] = len(problems) - problems.count(None)
    return {"passed": passed, "failed": failed.total(), "of": sorted(id for id, count in failed.items() if count)}


def _tasks(tasks: Sequence[TaskSums], answered: int, reusing: int) -> dict[str, Any]:
    by_route = {sums.route: sums.count for sums in tasks}
    recalled = by_route.get("recall", 0)
    return {
        "asked": sum(by_route.values()),
        "answered": answered,
        "by_recall": recalled,
        "by_model": by_route.get("model", 0),
        "recall_share": _share(recalled, answered),
        "reusing": reusing,
        "reuse_share": _share(reusing, answered),
        "creating": sum(sums.created for sums in tasks),
    }


def _models(tasks: Sequence[TaskSums], ever: Sequence[TaskSums]) -> dict[str, Any]:
    """What models cost, and what recall saved: as many times what a task costs a model on average as were recalled."""
    recalled = sum(sums.count for sums in tasks if sums.route == "recall")
    usual = next((sums for sums in ever if sums.route == "model"), None)
    calls, tokens = (usual.model_calls / usual.count, usual.tokens / usual.count) if usual else (0.0, 0.0)
    return {
        "calls": sum(sums.model_calls for sums in tasks),
        "tokens": sum(sums.tokens for sums in tasks),
        "calls_a_task": round(calls, 2) if usual else None,
        "tokens_a_task": round(tokens) if usual else None,
        "calls_saved": round(recalled * calls),
        "tokens_saved": round(recalled * tokens),
    }


def _library(runtime: Runtime, known: Sequence[Capability]) -> dict[str, Any]:
    live = [capability for capability in known if capability.live]
    alike = _alike(runtime)
    return {
        "live": len(live),
        "states": dict(Counter(capability.status for capability in known)),
        "alike": len(alike),
        "redundancy": _share(len(alike), len(live)),
        "growth": _growth(runtime, known),
    }


def _alike(runtime: Runtime) -> set[str]:
    """The live capabilities that mean nearly the same as another one, where one could answer for the other by its
    contract. Whether they do the same is for `metier tidy` to find out."""
    pairs = (
        (a, b) for a, b, _ in runtime.finder.alike() if can_answer(a, b, {}) is None or can_answer(b, a, {}) is None
    )
    return {capability.id for pair in pairs for capability in pair}


def _growth(runtime: Runtime, known: Iterable[Capability]) -> list[dict[str, Any]]:
    """By day how many capabilities came, and how many there were by then; those of which nobody knows are left out."""
    added = Counter(day for capability in known if (day := _first_day(runtime, capability)) is not None)
    total, days = 0, []
    for day in sorted(added):
        total += added[day]
        days.append({"day": day, "added": added[day], "total": total})
    return days


def _first_day(runtime: Runtime, capability: Capability) -> str | None:
    if capability.version > 1:
        with contextlib.suppress(LibraryError):
            capability = runtime.library.get(capability.id, 1)
    try:
        made = datetime.fromisoformat(capability.provenance.created) if capability.provenance else None
    except ValueError:
        return None
    return made.astimezone(UTC).date().isoformat() if made else None


def _regression(runs: Sequence[RunSums], quarantines: dict[int, int], unmended: int) -> dict[str, Any]:
    broken = Counter[int]()
    ran = Counter[int]()
    for sums in runs:
        ran[sums.day] += sums.runs
        broken[sums.day] += sums.broken
    days = sorted({*(day for day, count in broken.items() if count), *quarantines})
    return {
        "runs": ran.total(),
        "contract_failures": broken.total(),
        "quarantines": sum(quarantines.values()),
        "unmended": unmended,
        "by_day": [
            {
                "day": _day(day),
                "runs": ran[day],
                "contract_failures": broken[day],
                "quarantines": quarantines.get(day, 0),
            }
            for day in days
        ],
    }


def _capabilities(known: Sequence[Capability], runs: Sequence[RunSums], runtime: Runtime) -> list[dict[str, Any]]:
    """Each capability with its use, the most used first; also those of which only the journal knows."""
    solved = runtime.memory.counts()
    by_id: dict[str, list[RunSums]] = {capability.id: [] for capability in known}
    for sums in runs:
        by_id.setdefault(sums.capability, []).append(sums)
    states = {capability.id: capability.status for capability in known}
    rows = [
        {
            "id": id,
            "status": states.get(id),
            "runs": sum(s.runs for s in own),
            "failed": sum(s.failed for s in own),
            "wrong_inputs": sum(s.wrong_inputs for s in own),
            "contract_failures": sum(s.broken for s in own),
            "solved_tasks": solved.get(id, 0),
            "last_run": _time(max(s.last for s in own)) if own else None,
        }
        for id, own in by_id.items()
    ]
    return sorted(rows, key=lambda row: (-row["runs"], row["id"]))


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _day(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, UTC).date().isoformat()


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
