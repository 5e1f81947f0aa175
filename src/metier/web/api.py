"""The JSON API: what each endpoint does, and in one table what it takes and gives.

Runs are direct: the request's body is the input, the response's body the output.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

import metier
from metier import events
from metier.approval import who
from metier.capability import Capability, contract_json, meta_json
from metier.changes import unified
from metier.errors import MetierError, Overloaded, RunFailed, UsageError
from metier.lineage import history
from metier.metrics import Metrics
from metier.mutation.pending import Waiting, fingerprint
from metier.outcomes import Failed, NotMutated
from metier.runtime import Runtime
from metier.stats import stats
from metier.web import models
from metier.web.errors import INTERNAL, Refusal, told
from metier.web.frames import frame, frames
from metier.web.reading import checked, json_of, query

MAX_TASKS = 64
"""Tasks that are solved at once; more are refused for the moment."""
TASK_SECONDS = 1800.0
"""How long a task may take that a client waits for."""

Handler = Callable[[Request], Response | Awaitable[Response]]


class Api:
    """The endpoints. Those that are plain functions run in threads, as everything does that touches the library."""

    def __init__(self, runtime: Runtime, metrics: Metrics) -> None:
        self._runtime = runtime
        self._metrics = metrics
        self._tasks = 0

    # Looking

    def health(self, request: Request) -> Response:
        query(models.NoQuery, request)
        library, model = self._runtime.library, self._runtime.model
        return JSONResponse(
            {
                "status": "ok",
                "version": metier.__version__,
                "capabilities": len(library.live()),
                "broken": len(library.broken()),
                "model": model.name if model else None,
                "workers": len(self._runtime.workforce.crew.processes) if self._runtime.workforce else 0,
            }
        )

    def metrics(self, request: Request) -> Response:
        query(models.NoQuery, request)
        return PlainTextResponse(self._metrics.text(), media_type="text/plain; version=0.0.4")

    def stats(self, request: Request) -> Response:
        since = query(models.StatsQuery, request).since
        return JSONResponse(stats(self._runtime, max(0.0, since.timestamp()) if since else 0.0))

    def capabilities(self, request: Request) -> Response:
        query(models.NoQuery, request)
        library = self._runtime.library
        keys = set(models.Summary.model_fields)
        found = [capability.model_dump(mode="json", include=keys) for capability in library.capabilities()]
        broken = [{"folder": broken.folder, "problem": broken.problem} for broken in library.broken()]
        return JSONResponse({"capabilities": found, "broken": broken})

    def capability(self, request: Request) -> Response:
        wanted = query(models.VersionQuery, request)
        return JSONResponse(meta_json(self._runtime.library.get(request.path_params["id"], wanted.version)))

    def versions(self, request: Request) -> Response:
        query(models.NoQuery, request)
        found = history(self._runtime.library, self._runtime.journal.evidence, request.path_params["id"])
        return JSONResponse({"versions": found})

    def source(self, request: Request) -> Response:
        wanted = query(models.VersionQuery, request)
        artifact = self._runtime.library.load(request.path_params["id"], wanted.version)
        return JSONResponse({"files": _texts(artifact.source)})

    def diff(self, request: Request) -> Response:
        wanted, id = query(models.DiffQuery, request), request.path_params["id"]
        old, new = (self._runtime.library.load(id, version) for version in (wanted.old, wanted.new))
        changes = unified(old, new)
        return JSONResponse({"old": old.capability.name, "new": new.capability.name, "changes": changes})

    def search(self, request: Request) -> Response:
        wanted = query(models.SearchQuery, request)
        nearest = self._runtime.nearest(wanted.task, wanted.k)
        return JSONResponse([{"id": c.id, "score": round(score, 4), "summary": c.summary} for c, score in nearest])

    # Running and solving

    async def run(self, request: Request) -> Response:
        version = query(models.VersionQuery, request).version
        value = await json_of(request)
        outcome = await asyncio.to_thread(self._outcome, request.path_params["id"], version, value)
        headers = {"Metier-Run-Id": outcome.run_id, "Metier-Capability": f"{outcome.capability}@{outcome.version}"}
        return Response(outcome.output_text, headers=headers, media_type="application/json")

    def _outcome(self, id: str, version: int | None, value: Any) -> Any:
        capability = self._runtime.library.get(id, version)
        asked_for = version is not None and capability.status == "superseded"
        aliased = version is None and self._runtime.aliases.of(capability) is not None
        if not (capability.live or asked_for or aliased):
            raise Refusal(409, capability.status, f"{capability.id} is {capability.status}; it cannot be run")
        if version is None:
            capability, value = self._runtime.serving(capability, value)
        way = self._runtime.execute_current if capability.live else self._runtime.execute
        outcome = way(capability, value)
        if isinstance(outcome, Failed):
            raise RunFailed(outcome)
        return outcome

    async def task(self, request: Request) -> Response:
        query(models.NoQuery, request)
        body = checked(models.TaskBody, await json_of(request))
        if self._tasks >= MAX_TASKS:
            raise Overloaded(f"{MAX_TASKS} tasks are being solved already; try again in a moment")
        if "text/event-stream" in request.headers.get("accept", ""):
            stream = self._counted(self._runtime.stream(body.task, allow_writes=body.allow_writes))
            first = await anext(stream)  # so that a task that cannot begin is refused with its own status
            return StreamingResponse(_frames(first, stream), media_type="text/event-stream")
        last: events.Event | None = None
        try:
            async with (
                asyncio.timeout(TASK_SECONDS),
                contextlib.aclosing(
                    self._counted(self._runtime.stream(body.task, allow_writes=body.allow_writes))
                ) as s,
            ):
                async for last in s:  # noqa: B007  # the last one is the answer
                    if await request.is_disconnected():
                        raise Refusal(400, "gone", "the client left before its task was solved")
        except TimeoutError:
            raise Refusal(504, "slow", f"the task was not solved within {TASK_SECONDS:.0f} s") from None
        assert last is not None
        return JSONResponse(_without_type(events.event_json(last)))

    async def _counted(self, stream: AsyncGenerator[events.Event]) -> AsyncGenerator[events.Event]:
        self._tasks += 1
        try:
            async with contextlib.aclosing(stream) as told_of:
                async for event in told_of:
                    yield event
        finally:
            self._tasks -= 1

    # The journal

    def runs(self, request: Request) -> Response:
        wanted = query(models.RunsQuery, request)
        failed = None if wanted.failed is None else wanted.failed == "true"
        rows = self._runtime.journal.recent(
            wanted.limit, capability=wanted.capability, failed=failed, before=wanted.before
        )
        return JSONResponse({"runs": rows})

    def recorded(self, request: Request) -> Response:
        query(models.NoQuery, request)
        run_id = self._run_id(request)
        rows, recorded = self._runtime.journal.recent(1, run_id=run_id), self._runtime.journal.recorded(run_id)
        assert recorded is not None
        effects = [{"request": json.loads(e.request), "answer": json.loads(e.answer)} for e in recorded.effects]
        return JSONResponse({**rows[0], "effects": effects})

    def replay(self, request: Request) -> Response:
        query(models.NoQuery, request)
        compared = self._runtime.replay(self._run_id(request))
        fields = ("run_id", "capability", "version", "identical", "difference")
        return JSONResponse({field: getattr(compared, field) for field in fields})

    def _run_id(self, request: Request) -> str:
        """The whole id of a run that the journal has."""
        given = request.path_params["run_id"]
        if not self._runtime.journal.recent(1, run_id=given):
            raise Refusal(404, "unknown_run", f"the journal has no run {given!r}; GET /runs lists the latest")
        return str(given)

    # Deciding

    def approvals(self, request: Request) -> Response:
        query(models.NoQuery, request)
        return JSONResponse({"approvals": [_draft(waiting) for waiting in self._runtime.pending().all()]})

    def approval(self, request: Request) -> Response:
        query(models.NoQuery, request)
        waiting = self._waiting(request)
        release = waiting.release
        return JSONResponse(
            {
                **_draft(waiting),
                "contract": contract_json(release.contract),
                "source": _texts(release.source),
                "parent": release.parent,
                "author": release.provenance.author,
                "created": release.provenance.created,
                "fingerprint": fingerprint(waiting),
            }
        )

    async def decide(self, request: Request) -> Response:
        query(models.NoQuery, request)
        body = checked(models.DecisionBody, await json_of(request))
        return await asyncio.to_thread(self._decided, request, body)

    def _decided(self, request: Request, body: models.DecisionBody) -> Response:
        waiting = self._waiting(request)
        if body.seen != fingerprint(waiting):
            raise Refusal(409, "another_draft", f"`seen` is not the fingerprint of the {waiting.id} that waits now")
        if not body.approve:
            self._runtime.pending().remove(waiting.id)
            return JSONResponse({"id": waiting.id, "decision": "rejected", "version": None})
        outcome = self._runtime.mutator().approve(waiting.id, who(), seen=waiting)
        if isinstance(outcome, NotMutated):
            raise Refusal(409, "not_published", f"{outcome.reason}: {'; '.join(outcome.findings)}")
        published = outcome.capability
        return JSONResponse({"id": published.id, "decision": "published", "version": published.version})

    def _waiting(self, request: Request) -> Waiting:
        try:
            return self._runtime.pending().get(request.path_params["id"])
        except UsageError as error:
            raise Refusal(404, "unknown_draft", str(error)) from None

    async def roll_back(self, request: Request) -> Response:
        body = checked(models.RollbackBody, await json_of(request))
        return await self._changed(request, lambda id: self._runtime.lifecycle.roll_back(id, body.version, who()))

    async def set_status(self, request: Request) -> Response:
        body = checked(models.StatusBody, await json_of(request))
        reason = f"by {who()}, over HTTP"
        return await self._changed(request, lambda id: self._runtime.lifecycle.set_status(id, body.status, reason))

    async def pin(self, request: Request) -> Response:
        body = checked(models.PinBody, await json_of(request))
        return await self._changed(request, lambda id: self._runtime.library.pin(id, pinned=body.pinned))

    async def _changed(self, request: Request, change: Callable[[str], Capability]) -> Response:
        query(models.NoQuery, request)
        now = await asyncio.to_thread(change, request.path_params["id"])
        return JSONResponse({"id": now.id, "version": now.version, "status": now.status, "pinned": bool(now.pinned)})


async def _frames(first: events.Event, stream: AsyncGenerator[events.Event]) -> AsyncIterator[str]:
    yield _frame(first)
    async with contextlib.aclosing(frames(stream, _frame)) as rest:
        async for text in rest:
            yield text


def _frame(event: events.Event | Exception) -> str:
    if isinstance(event, MetierError):
        _, kind, message = told(event)
        return frame("error", json.dumps({"error": {"message": message, "kind": kind}}, ensure_ascii=False))
    if isinstance(event, Exception):
        return frame("error", json.dumps({"error": {"message": INTERNAL, "kind": "internal"}}))
    happened = events.event_json(event)
    return frame(happened["type"], json.dumps(_without_type(happened), ensure_ascii=False))


def _without_type(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "type"}


def _texts(source: Any) -> dict[str, str]:
    return {name: content.decode("utf-8", "replace") for name, content in sorted(source.items())}


def _draft(waiting: Waiting) -> dict[str, Any]:
    return {"id": waiting.id, "summary": waiting.release.contract.summary, "beyond": list(waiting.beyond)}
