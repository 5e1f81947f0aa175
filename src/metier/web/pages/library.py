"""The library: what there is, by search, by filter, and on a map."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from metier.capability import Capability, Effects, Language, Status
from metier.errors import MetierError
from metier.web.pages.atlas import HEIGHT, WIDTH, Atlas, atlas
from metier.web.pages.showing import cut, shown
from metier.web.pages.site import Site, choice, number

A_PAGE = 50
MAX_FOUND = 100
"""Capabilities that a search shows."""
MAX_QUERY = 2_000
LABELLED = 40
"""Up to so many capabilities stand on the map by name."""
SORTS = ("use", "newest")
NEAR_ENOUGH = 0.4
"""Share of the best score that others need to be shown."""
SIZES = (2.6, 3.6, 5.0, 7.0, 9.5)
"""Radii of points: never run, once, up to 10, 100, and more often."""
STATUSES, EFFECTS, LANGUAGES = get_args(Status), get_args(Effects), get_args(Language)


@dataclass(frozen=True, slots=True)
class Found:
    """What a query asks for: the capabilities, in order, and how near each is where that was asked."""

    capabilities: Sequence[Capability]
    scores: dict[str, float]
    narrowed: bool


class LibraryPages:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._runtime = site.runtime
        self._drawn: tuple[object, Atlas] | None = None
        self._drawing = threading.Lock()

    def library(self, request: Request) -> Response:
        known, broken = self._runtime.library.everything()
        uses = self._runtime.journal.usage.counts()
        found = self._found(request, known, uses)
        pages = max(1, math.ceil(len(found.capabilities) / A_PAGE))
        page = min(number(request, "page", 1), pages)
        return self._site.page(
            request,
            "library",
            shown=found.capabilities[(page - 1) * A_PAGE : page * A_PAGE],
            scores=found.scores,
            uses=uses,
            total=len(known),
            count=len(found.capabilities),
            page=page,
            pages=pages,
            query=_query(request),
            states=sorted({c.status for c in known}, key=STATUSES.index),
            languages=sorted({c.language for c in known}),
            broken=[] if found.narrowed else broken,
        )

    def map(self, request: Request) -> Response:
        """The map, as a page of its own or as the picture alone."""
        known = self._runtime.library.capabilities()
        uses = self._runtime.journal.usage.counts()
        found = self._found(request, known, uses)
        lit = {c.id for c in found.capabilities} if found.narrowed else None
        drawn = self._atlas()
        live = [c for c in known if c.id in drawn.places]
        name = "map_picture" if "picture" in request.query_params else "map"
        return self._site.page(
            request,
            name,
            width=WIDTH,
            height=HEIGHT,
            regions=drawn.regions,
            points=_paths(live, drawn, uses, lit),
            named=[(c, *drawn.places[c.id], _size(uses.get(c.id, 0))) for c in live] if len(live) <= LABELLED else [],
            count=len(live),
            query=_query(request),
        )

    def places(self, request: Request) -> Response:
        """Where each capability lies, for the pointer: [id, x, y, summary]."""
        summaries = {c.id: shown(cut(c.summary, 120)) for c in self._runtime.library.capabilities()}
        places = self._atlas().places
        return JSONResponse([[id, x, y, summaries.get(id, "")] for id, (x, y) in places.items()])

    def _found(self, request: Request, known: Sequence[Capability], uses: dict[str, int]) -> Found:
        text = request.query_params.get("q", "").strip()[:MAX_QUERY]
        status, effects = choice(request, "status", STATUSES), choice(request, "effects", EFFECTS)
        language, sort = choice(request, "language", LANGUAGES), choice(request, "sort", SORTS)
        fitting = [
            c
            for c in known
            if (not status or c.status == status)
            and (not effects or c.effects == effects)
            and (not language or c.language == language)
        ]
        narrowed = bool(text or status or effects or language)
        scores: dict[str, float] = {}
        if text:
            scores = self._scores(text)
            words = text.lower().replace(" ", "_")
            named = [c for c in fitting if words in c.id]
            near = [c for c in fitting if c.id in scores and words not in c.id]
            named.sort(key=lambda c: (c.id != words, -scores.get(c.id, 0.0), c.id))
            near.sort(key=lambda c: (-scores[c.id], c.id))
            fitting = (named + near)[:MAX_FOUND]
        if sort == "use":
            fitting.sort(key=lambda c: -uses.get(c.id, 0))
        elif sort == "newest":
            fitting.sort(key=lambda c: c.provenance.created if c.provenance else "", reverse=True)
        return Found(fitting, scores, narrowed)

    def _scores(self, text: str) -> dict[str, float]:
        """How near the nearest are; none where the embedder's endpoint fails, so that names are still found."""
        try:
            nearest = self._runtime.nearest(text, MAX_FOUND)
        except MetierError:
            return {}
        least = NEAR_ENOUGH * nearest[0][1] if nearest else 0.0
        return {c.id: score for c, score in nearest if score > 0 and score >= least}

    def _atlas(self) -> Atlas:
        """The map, drawn again when the embeddings are other ones."""
        with self._drawing:
            capabilities, vectors = self._runtime.finder.embedded()
            if self._drawn is None or self._drawn[0] is not vectors:
                ids, summaries = [c.id for c in capabilities], [c.summary for c in capabilities]
                self._drawn = (vectors, atlas(ids, summaries, vectors))
            return self._drawn[1]


def _query(request: Request) -> dict[str, str]:
    """What the page's form holds."""
    return {name: request.query_params.get(name, "") for name in ("q", "status", "effects", "language", "sort")}


def _size(uses: int) -> float:
    return SIZES[0 if uses == 0 else min(len(SIZES) - 1, 1 + math.ceil(math.log10(uses)))]


def _scale(count: int) -> float:
    """What points are made smaller by where there are many."""
    return max(0.55, min(1.0, math.sqrt(800 / max(1, count))))


def _paths(
    live: Sequence[Capability], drawn: Atlas, uses: dict[str, int], lit: set[str] | None
) -> list[tuple[str, float, bool, str]]:
    """Points by state, size and whether they are lit, each group as one path of dots: thousands of points are so a few
    elements. A dot is a line of no length with round ends."""
    groups: dict[tuple[bool, float, str], list[str]] = {}
    for c in live:
        x, y = drawn.places[c.id]
        key = (lit is None or c.id in lit, _size(uses.get(c.id, 0)), c.status)
        groups.setdefault(key, []).append(f"M{x} {y}h0")
    few, many = (2 * _scale(count) for count in (len(lit or ()), len(live)))
    return [
        (status, round((few if bright and lit else many) * size, 2), bright, "".join(dots))
        for (bright, size, status), dots in sorted(groups.items())
    ]
