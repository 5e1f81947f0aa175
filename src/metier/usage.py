"""What the journal tells about use, in sums: nothing here reads what a run was given or came to.

Days are of UTC. Where something is asked for `since` a time, that is in seconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass

from metier.localstore import LocalStore

DAY = 86_400


@dataclass(frozen=True, slots=True)
class TaskSums:
    """Tasks that ended in one way, and what that took of models."""

    route: str | None
    """"recall", "model", or None for a task that came to no answer."""
    count: int
    created: int
    """Those for which a capability was written."""
    model_calls: int
    tokens: int


@dataclass(frozen=True, slots=True)
class RunSums:
    """The runs of one capability on one day."""

    capability: str
    day: int
    """Days since 1970."""
    runs: int
    failed: int
    """Of these, all that ended in an error."""
    wrong_inputs: int
    """Of those, the ones that were their caller's mistake."""
    broken: int
    """Of those, the ones that broke the contract."""
    last: float
    """When the latest was, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class DaySums:
    """The tasks of one day."""

    day: int
    """Days since 1970."""
    recalled: int
    by_model: int
    unanswered: int
    reusing: int
    """Of the answered, those that ran a capability well that was not written for them."""
    model_calls: int


class Usage:
    """Sums over the journal of one library, as far back as it is kept."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def tasks(self, since: float = 0.0) -> list[TaskSums]:
        """All tasks, by the way that they were answered."""
        rows = self._store.read(
            "SELECT CASE WHEN error IS NULL THEN route END, count(*), sum(created != '[]'), sum(model_calls),"
            " sum(tokens) FROM tasks WHERE at >= ? GROUP BY 1 ORDER BY 1",
            (since,),
        )
        return [TaskSums(*row) for row in rows]

    def reusing_tasks(self, since: float = 0.0) -> int:
        """How many answered tasks ran a capability well that was not written for them."""
        return self._one(
            "SELECT count(DISTINCT t.run_id) FROM runs r JOIN tasks t ON t.run_id = r.task_run_id"
            " WHERE t.at >= ? AND t.error IS NULL AND r.kind IS NULL"
            " AND instr(t.created, '\"' || r.capability || '\"') = 0",
            (since,),
        )

    def days(self, since: float = 0.0) -> list[DaySums]:
        """The tasks of each day that had any, in the order of time."""
        rows = self._store.read(
            "WITH reusing AS (SELECT t.run_id FROM runs r JOIN tasks t ON t.run_id = r.task_run_id"  # noqa: S608
            " WHERE r.kind IS NULL AND instr(t.created, '\"' || r.capability || '\"') = 0)"
            f" SELECT CAST(at / {DAY} AS INTEGER), sum(error IS NULL AND route = 'recall'),"
            " sum(error IS NULL AND route = 'model'), sum(error IS NOT NULL),"
            " sum(error IS NULL AND run_id IN reusing), sum(model_calls)"
            " FROM tasks WHERE at >= ? GROUP BY 1 ORDER BY 1",
            (since,),
        )
        return [DaySums(*(int(value or 0) for value in row)) for row in rows]

    def runs(self, since: float = 0.0) -> list[RunSums]:
        """All runs, by capability and day."""
        rows = self._store.read(
            f"SELECT +capability, CAST(at / {DAY} AS INTEGER), count(*), coalesce(sum(kind <> 'forgotten'), 0),"  # noqa: S608
            " coalesce(sum(kind = 'input'), 0), coalesce(sum(kind IN ('contract', 'trap')), 0), max(at)"
            " FROM runs NOT INDEXED WHERE at >= ? GROUP BY 1, 2 ORDER BY 1, 2",
            (since,),
        )
        return [RunSums(*row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many runs there were of each capability, by its id."""
        return dict(self._store.read("SELECT capability, count(*) FROM runs GROUP BY capability"))

    def quarantines(self, since: float = 0.0) -> dict[int, int]:
        """How many versions were quarantined, by day."""
        query = (
            f"SELECT CAST(at / {DAY} AS INTEGER), count(*) FROM transitions"  # noqa: S608
            " WHERE became = 'quarantined' AND at >= ? GROUP BY 1 ORDER BY 1"
        )
        return {int(day): int(count) for day, count in self._store.read(query, (since,))}

    def unmended(self) -> int:
        """How many inputs are known that broke a contract, and are not mended."""
        return self._one("SELECT count(*) FROM failures", ())

    def asked(self) -> list[float]:
        """When something was asked of the library, ascending: tasks that came to an answer, and runs of their own."""
        rows = self._store.read(
            "SELECT at FROM tasks WHERE error IS NULL UNION ALL"
            " SELECT at FROM runs NOT INDEXED WHERE task_run_id IS NULL ORDER BY 1"
        )
        return [float(at) for (at,) in rows]

    def _one(self, query: str, parameters: tuple[object, ...]) -> int:
        return sum(int(count or 0) for (count,) in self._store.read(query, parameters))
