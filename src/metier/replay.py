"""A recorded run once more, with nothing outside touched, held against what it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from metier.errors import MetierError
from metier.journal import Recorded
from metier.outcomes import Failed, Ran
from metier.record import Diverged, ReplayedRecord
from metier.runner import Loaded, Runner


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a replay showed. `difference` is the first, in the order of `compare`; None where all is the same."""

    run_id: str
    capability: str
    version: int
    difference: str | None

    @property
    def identical(self) -> bool:
        return self.difference is None


def replay(runner: Runner, load: Callable[[str, int], Loaded], recorded: Recorded) -> Comparison:
    """Executes the version that ran then, on the input, permissions and observations that it had, and compares."""

    def compared(difference: str | None) -> Comparison:
        return Comparison(recorded.run_id, recorded.capability, recorded.version, difference)

    if recorded.kind == "lost":
        return compared("record: the run was lost with its process, and with it all that it had seen")
    try:
        loaded = load(recorded.capability, recorded.version)
    except MetierError as error:
        return compared(f"identity: the version cannot be loaded: {error}")
    if loaded.capability.sha256 != recorded.sha256:
        return compared(f"identity: {loaded.capability.name} has other content now")
    record = ReplayedRecord(recorded.effects, recorded.blobs, runner.limits.record_bytes)
    try:
        outcome = runner.replay(loaded, recorded.input, recorded.permissions, record)
    except Diverged as diverged:
        return compared(f"effects: {diverged}")
    except (ValueError, TypeError, LookupError, AttributeError) as error:  # an answer that no effect gives
        return compared(f"effects: what the record tells is damaged ({type(error).__name__})")
    return compared(_first_difference(recorded, outcome, record.left))


def _first_difference(recorded: Recorded, outcome: Ran | Failed, left: int) -> str | None:
    kind = outcome.kind if isinstance(outcome, Failed) else None
    if recorded.kind == "time":
        return None  # a host's time-out is not the program's own doing, and need not happen again
    checks: list[tuple[str, Any, Any]] = [
        ("outcome", recorded.kind or "ran", kind or "ran"),
        ("effects", "all observations asked for", "all observations asked for" if not left else f"{left} left over"),
        ("output", recorded.output_text, outcome.output_text if isinstance(outcome, Ran) else None),
        ("error", recorded.error, outcome.error if isinstance(outcome, Failed) else None),
        ("fuel", recorded.fuel, outcome.fuel),
    ]
    return next((_told(name, was, now) for name, was, now in checks if was != now), None)


def _told(name: str, was: Any, now: Any) -> str:
    """A difference in one line; of long texts what stands about where they part."""
    if not (isinstance(was, str) and isinstance(now, str)) or len(was) + len(now) < 400:
        return f"{name}: was {_short(was)}, is {_short(now)}"
    at = next((n for n, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
    start = max(0, at - 20)
    return f"{name}: from character {at} on was {was[start : at + 60]!r}, is {now[start : at + 60]!r}"


def _short(value: Any) -> str:
    return repr(value[:200]) + "…" if isinstance(value, str) and len(value) > 400 else repr(value)
