"""Runs: what was done, when, on what, and what it saw; and one of them once more."""

from __future__ import annotations

import itertools
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from metier.errors import LibraryError, UnknownCapability
from metier.replay import Comparison
from metier.web.pages import showing
from metier.web.pages.site import Form, Site, choice

A_PAGE = 50


class RunPages:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._runtime = site.runtime

    def runs(self, request: Request) -> Response:
        capability = request.query_params.get("capability", "").strip()
        outcome = choice(request, "outcome", ("ran", "failed"))
        rows = self._runtime.journal.recent(
            A_PAGE + 1,
            capability=capability or None,
            failed=(outcome == "failed") if outcome else None,
            before=request.query_params.get("before") or None,
        )
        shown = rows[:A_PAGE]
        return self._site.page(
            request,
            "runs",
            days=[(day, list(runs)) for day, runs in itertools.groupby(shown, lambda row: showing.day(row["at"]))],
            capability=capability,
            outcome=outcome,
            older=shown[-1]["run_id"] if len(rows) > A_PAGE else None,
            newer="before" in request.query_params,
            keeps=self._runtime.journal.keeps,
        )

    def run(self, request: Request) -> Response:
        return self._run(request, None)

    def replay(self, request: Request, form: Form) -> Response:
        return self._run(request, self._runtime.replay(self._row(request)["run_id"]))

    def _run(self, request: Request, comparison: Comparison | None) -> Response:
        row = self._row(request)
        try:
            recorded = self._runtime.journal.recorded(row["run_id"])
        except LibraryError:
            recorded = None
        return self._site.page(request, "run", run=row, recorded=recorded, comparison=comparison)

    def _row(self, request: Request) -> dict[str, Any]:
        """Raises UnknownCapability where the journal has no such run."""
        run_id = request.path_params["run_id"]
        rows = self._runtime.journal.recent(1, run_id=run_id)
        if not rows:
            raise UnknownCapability("the journal has no such run; only the latest are kept")
        return rows[0]
