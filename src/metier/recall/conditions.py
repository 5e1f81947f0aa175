"""Everything that has to hold before a task is done from memory, each with its name and its reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from metier import schemas
from metier.capability import Capability
from metier.recall.decision import Condition
from metier.recall.entities import EMPTY, AtOnce, Entities
from metier.recall.families import Family, Fit, Solved
from metier.recall.moments import MOVING, of_another_day
from metier.recall.trust import Trust


class Conditions:
    """The conditions for one task at one time. `writes`: whether what changes data may be repeated."""

    def __init__(self, entities: AtOnce, trust: Trust, now: datetime, *, writes: bool) -> None:
        self._entities, self._trust, self._writes = entities, trust, writes
        self.day = now.date().isoformat()

    def live(self, capability: Capability) -> Condition:
        sound = capability.live or capability.status == "superseded"
        return Condition(
            "version in good standing", sound, "" if sound else f"{capability.name} is {capability.status}"
        )

    def one_family(self, best: Fit, rivals: Sequence[Fit]) -> Condition:
        names = ", ".join(sorted({f"{fit.family.capability} by {fit.family.template.pattern()!r}" for fit in rivals}))
        return Condition("one family with a margin", not rivals, f"it could also mean {names}" if rivals else "")

    def goes_together(self, family: Family) -> Condition:
        problem = family.contested()
        return Condition("solved tasks agree", problem is None, problem or "")

    def parsed(self, problem: str | None) -> Condition:
        return Condition("every slot parsed", problem is None, problem or "")

    def trusted(self, route: str, family: Family, agreed: int) -> Condition:
        standing = self._trust.standing(family.capability, family.signature())
        needed = self._trust.needed(route)
        if standing.refuted:
            return Condition("trusted", False, "a model did something else")
        count = max(agreed, standing.agreements)
        return Condition("trusted", count >= needed, f"{count} of {needed} agreements")

    def of_this_day(self, solved: Solved, text: str) -> Condition:
        moving = [
            value
            for value in solved.induced.fixed.values()
            if of_another_day(value, solved.day, self.day)
            or (isinstance(value, (int, float)) and not isinstance(value, bool) and MOVING.search(text))
        ]
        stale = bool(moving) and solved.day != self.day
        return Condition("by the clock", not stale, f"{moving[0]!r} may be of {solved.day}" if stale else "")

    def same_data(self, capability: Capability, data: str) -> Condition:
        same = _same_shapes(fingerprint(capability, self._entities), data)
        return Condition("permissions and data as they were", same, "" if same else "they changed since it was solved")

    def changes_nothing(self, capability: Capability) -> Condition:
        sound = capability.effects in ("pure", "read")
        return Condition("changes nothing", sound, "" if sound else f"{capability.id} changes data")

    def schema(self, capability: Capability, arguments: Any) -> Condition:
        broken = schemas.violation(capability.input_schema, arguments)
        return Condition("input as the contract says", broken is None, str(broken) if broken is not None else "")

    def consent(self, capability: Capability) -> Condition:
        allowed = capability.effects != "write" or self._writes
        return Condition("changes nothing unasked", allowed, "" if allowed else f"{capability.id} changes data")


def fingerprint(capability: Capability, entities: Entities | AtOnce) -> str:
    """What a capability may touch and the columns of its data, as JSON."""
    asks = capability.permissions.model_dump(mode="json", exclude_unset=True)
    return schemas.canonical([asks, {name: source.shape for name, source in entities.sources(capability)}])


def _same_shapes(one: str, other: str) -> bool:
    """Whether two fingerprints say the same; a list without entries yet, or any more, has the columns of any."""
    if one == other:
        return True
    try:
        (asks, shapes), (other_asks, other_shapes) = json.loads(one), json.loads(other)
    except ValueError:
        return False
    return bool(
        asks == other_asks
        and shapes.keys() == other_shapes.keys()
        and all(shapes[name] == other_shapes[name] or EMPTY in (shapes[name], other_shapes[name]) for name in shapes)
    )
