"""How far each way is trusted: what a model said beside memory, and how often memory was wrong.

Whenever a model solves a task for which memory had a whole call too, trusted or not, the two are compared. One
disagreement takes the trust of that way of making arguments; several agreements without another one give it back.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from metier.memory import CHECKED, Check, TaskMemory

KEPT_DECISIONS, KEPT_CHECKS = 10_000, 20_000
PRUNE_EVERY = 200
WINDOW = 1_000
"""The latest checks of a route by which its wrong rate is judged."""
EARNED_BACK = 3
"""Agreements after a disagreement that give trust back."""
WHEN_OVER = 5
"""Agreements that a way needs while its route is wrong more often than the bound."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What checks say of one way of making arguments."""

    agreements: int
    """Since the last disagreement."""
    refuted: bool


class Trust:
    """The checks and decisions of one library's memory. Threads may share it."""

    def __init__(
        self, memory: TaskMemory, bound: float, share: float, draw: Callable[[], float] = random.random
    ) -> None:
        self._store = memory.store
        self._bound, self._share, self._draw = bound, share, draw
        self._lock = threading.Lock()
        self._read_to = -1
        self._standing: dict[tuple[str, str], Standing] = {}
        self._latest: dict[str, list[bool]] = {}
        self._logged = 0

    def standing(self, capability: str, signature: str) -> Standing:
        """What checks say of one way of a capability."""
        with self._lock:
            self._refresh()
            return self._standing.get((capability, signature), Standing(0, refuted=False))

    def needed(self, route: str) -> int:
        """Agreements that a way of this route needs before it serves."""
        over = (rate := self.wrong_rate(route)) is not None and rate > self._bound
        return WHEN_OVER if over else 2 if route == "semantic" else 1

    def wrong_rate(self, route: str) -> float | None:
        """The share of the route's latest checks in which the model said something else; None without any."""
        with self._lock:
            self._refresh()
            latest = self._latest.get(route, [])
            return 1 - sum(latest) / len(latest) if latest else None

    def sampled(self) -> bool:
        """Whether this task, which memory could do, is one that a model does too."""
        return self._share > 0 and self._draw() < self._share

    def checked(self, route: str, capability: str, signature: str, *, agreed: bool) -> Check:
        """Keeps whether a model made the same call as memory would have. What is kept."""
        check = (time.time(), route, capability, signature, agreed)
        self._store.write(CHECKED, [check])
        self._prune("checks", KEPT_CHECKS)
        return check

    def log(self, run_id: str, key: bytes, route: str | None, capability: str | None, reason: str) -> None:
        """Keeps why memory served or abstained."""
        self._store.write(
            "INSERT INTO decisions (at, run_id, task_sha256, route, capability, reason) VALUES (?, ?, ?, ?, ?, ?)",
            [(time.time(), run_id, key, route, capability, reason.encode("utf-8", "replace").decode("utf-8"))],
        )
        self._prune("decisions", KEPT_DECISIONS)

    def _prune(self, table: str, kept: int) -> None:
        self._logged += 1
        if self._logged % PRUNE_EVERY == 1:
            self._store.write(
                f"DELETE FROM {table} WHERE seq <= (SELECT max(seq) FROM {table}) - ?",  # noqa: S608 - a name of ours
                [(kept,)],
            )

    def _refresh(self) -> None:
        query = "SELECT seq, route, capability, signature, agreed FROM checks WHERE seq > ? ORDER BY seq"
        for seq, route, capability, signature, agreed in self._store.read(query, (self._read_to,)):
            self._read_to = seq
            old = self._standing.get((capability, signature), Standing(0, refuted=False))
            count = old.agreements + 1 if agreed else 0
            refuted = (old.refuted and count < EARNED_BACK) if agreed else True
            self._standing[capability, signature] = Standing(count, refuted)
            self._latest[route] = [*self._latest.get(route, []), bool(agreed)][-WINDOW:]
