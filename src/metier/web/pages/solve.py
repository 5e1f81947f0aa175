"""Solving a task: what happens arrives step by step, and at the end what it cost, against what it would have cost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from metier import events
from metier.errors import MetierError
from metier.usage import TaskSums
from metier.web.frames import frame, frames
from metier.web.pages.site import Site

SUGGESTED = 4
LOOKED_THROUGH = 60
"""Runs among whose tasks those to suggest are looked for."""
ASKED_FOR_EXAMPLES = 16
"""Capabilities whose examples are looked at instead."""
INTERNAL = "an internal error; see the server's log"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a task took of models, and what a task takes on average that a model answers; None while that is unknown."""

    calls: int
    tokens: int
    usual_calls: float | None
    usual_tokens: float | None


class SolvePages:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._runtime = site.runtime

    def home(self, request: Request) -> Response:
        return self._page(request, request.query_params.get("task", ""))

    async def solve(self, request: Request) -> Response:
        """The task of the form: step by step where the page's script asks for that, else the page with all steps."""
        form = await self._site.form(request)
        task, allow_writes = form.get("task", ""), "allow_writes" in form
        stream = self._runtime.stream(task, allow_writes=allow_writes)
        step = self._steps(request)
        if "text/event-stream" in request.headers.get("accept", ""):
            return StreamingResponse(_framed(stream, step), media_type="text/event-stream")
        steps = []
        try:
            async for event in stream:
                steps.append(step(event))
        except MetierError as error:
            steps.append(step(error))
        shown = [text for text in steps if text]
        return await run_in_threadpool(self._page, request, task, steps=shown, allow_writes=allow_writes)

    def _page(self, request: Request, task: str, *, steps: Any = (), allow_writes: bool = False) -> Response:
        model = self._runtime.model
        return self._site.page(
            request,
            "solve",
            task=task,
            steps=steps,
            allow_writes=allow_writes,
            model=model.name if model else None,
            suggestions=self._suggestions(),
        )

    def _steps(self, request: Request) -> Callable[[events.Event | Exception], str]:
        """What makes a step out of an event: a piece of a page; "" for what nobody has to read."""
        begin = time.monotonic()

        def step(event: events.Event | Exception) -> str:
            seconds = time.monotonic() - begin
            if isinstance(event, Exception):
                message = str(event) if isinstance(event, MetierError) else INTERNAL
                return self._site.render(request, "step", kind="error", message=message, seconds=seconds)
            told = events.event_json(event)
            cost = self._cost(event) if isinstance(event, events.Answered) else None
            return self._site.render(request, "step", kind=told["type"], e=told, seconds=seconds, cost=cost).strip()

        return step

    def _cost(self, answered: events.Answered) -> Cost:
        sums: list[TaskSums] = self._runtime.journal.usage.tasks()
        usual = next((s for s in sums if s.route == "model"), None)
        if usual is None:
            return Cost(answered.model_calls, answered.tokens, None, None)
        return Cost(answered.model_calls, answered.tokens, usual.model_calls / usual.count, usual.tokens / usual.count)

    def _suggestions(self) -> list[str]:
        """Tasks to begin with: the latest that were answered, else some that examples have."""
        rows = self._runtime.journal.recent(LOOKED_THROUGH)
        latest = dict.fromkeys(row["task"] for row in rows if row["task"] and row["route"] and len(row["task"]) < 200)
        found = list(latest)
        if len(latest) < SUGGESTED:
            known = [c for c in self._runtime.library.first(ASKED_FOR_EXAMPLES) if c.live]
            found += [e.task for c in known for e in c.examples[:1] if e.task and e.error is None]
        return list(dict.fromkeys(found))[:SUGGESTED]


async def _framed(
    stream: AsyncGenerator[events.Event], step: Callable[[events.Event | Exception], str]
) -> AsyncGenerator[str]:
    def shown(event: events.Event | Exception) -> str:
        text = step(event)
        return frame("step", text) if text else ""

    async with contextlib.aclosing(frames(stream, shown)) as found:
        async for text in found:
            if text:
                yield text
