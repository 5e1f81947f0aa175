"""What the journal tells about use, in sums: nothing here reads what a run was given or came to."""

from __future__ import annotations

from metier.localstore import LocalStore


class Usage:
    """Sums over the journal of one library, as far back as it is kept."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def successes(self, capability: str) -> int:
        """How many runs of a capability ended well, of whatever version."""
        query = "SELECT count(*) FROM runs WHERE capability = ? AND kind IS NULL"
        return self._one(query, (capability,))

    def chances(self, since: float) -> int:
        """How often something was asked of the library since then: tasks that came to an answer, and runs of their
        own."""
        tasks = self._one("SELECT count(*) FROM tasks WHERE at > ? AND error IS NULL", (since,))
        return tasks + self._one("SELECT count(*) FROM runs WHERE at > ? AND task_run_id IS NULL", (since,))

    def _one(self, query: str, parameters: tuple[object, ...]) -> int:
        return sum(int(count or 0) for (count,) in self._store.read(query, parameters))
