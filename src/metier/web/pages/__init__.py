"""The pages for people: what the library knows, where it came from, what it did, and what waits for a decision.

Each page is rendered here; the scripts only save reloading it. Whatever capabilities, models and runs have said is text
in them, never markup. Changes come by POST alone, with a token of this server's forms (`site.Site.form`).
"""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from metier.errors import MetierError
from metier.runtime import Runtime
from metier.web.pages.approvals import ApprovalPages
from metier.web.pages.capability import CapabilityPages
from metier.web.pages.entry import EntryPages
from metier.web.pages.health import HealthPages
from metier.web.pages.library import LibraryPages
from metier.web.pages.runs import RunPages
from metier.web.pages.site import Refused, Site
from metier.web.pages.solve import SolvePages
from metier.web.sessions import Sessions


def create_pages(runtime: Runtime, sessions: Sessions) -> Starlette:
    """The ASGI application of the pages, to be mounted where `web.guard.PAGES` says."""
    site = Site(runtime, sessions)
    entry, library, capability, runs = EntryPages(site), LibraryPages(site), CapabilityPages(site), RunPages(site)
    solve, approvals, health = SolvePages(site), ApprovalPages(site), HealthPages(site)
    return Starlette(
        routes=[
            Route("/", solve.home),
            Route("/solve", solve.solve, methods=["POST"]),
            Route("/sign-in", entry.sign_in),
            Route("/sign-in", site.posted(entry.signed_in), methods=["POST"]),
            Route("/sign-out", site.posted(entry.sign_out), methods=["POST"]),
            Route("/library", library.library, name="library"),
            Route("/library/map", library.map),
            Route("/library/places", library.places),
            Route("/capabilities/{id}", capability.capability),
            Route("/capabilities/{id}/diff", capability.diff),
            Route("/capabilities/{id}/run", site.posted(capability.run), methods=["POST"]),
            Route("/capabilities/{id}/examples", site.posted(capability.examples), methods=["POST"]),
            Route("/capabilities/{id}/change", site.posted(capability.change), methods=["POST"]),
            Route("/runs", runs.runs),
            Route("/runs/{run_id}", runs.run),
            Route("/runs/{run_id}/replay", site.posted(runs.replay), methods=["POST"]),
            Route("/approvals", approvals.approvals),
            Route("/approvals/{id}", approvals.approval),
            Route("/approvals/{id}", site.posted(approvals.decide), methods=["POST"]),
            Route("/approvals/{id}/modify", site.posted(approvals.modify), methods=["POST"]),
            Route("/health", health.health),
            Mount("/static", StaticFiles(directory=Path(__file__).with_name("static"))),
        ],
        exception_handlers={
            MetierError: site.metier_error,
            Refused: site.refused,
            HTTPException: site.http_error,
            Exception: site.bug,
        },
    )
