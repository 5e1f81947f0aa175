"""The JSON API of `metier serve`.

Runs are direct: the request's body is the input, the response's body the output. Errors are
`{"error": {"message", "kind"}}` with a status that says whose fault it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypeVar

from mcp.server.transport_security import TransportSecuritySettings
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

import metier
from metier import events, schemas
from metier.capability import Capability, first_problem, meta_json
from metier.errors import (
    ApprovalPending,
    MetierError,
    ModelError,
    Overloaded,
    PublishConflict,
    RunFailed,
    SetupMissing,
    UnknownCapability,
    UsageError,
)
from metier.mcp_server import Expose, create_server
from metier.outcomes import Failed
from metier.runtime import Runtime
from metier.web.frames import frame, frames
from metier.web.guard import PAGES, Guard, error_response
from metier.web.pages import create_pages
from metier.web.sessions import Sessions
from metier.web.standing import Standing

MAX_BODY_BYTES = 8 * 2**20
INTERNAL = "an internal error; see the server's log"
RETRY_SECONDS = "1"
"""When a request may come again that found too many runs waiting."""
MCP = "/mcp"
OTHER_THREADS = 16
"""Threads beside those of runs that workers have or that wait for one."""

STATUSES: tuple[tuple[type[MetierError], int, str], ...] = (
    (UsageError, 400, "usage"),
    (UnknownCapability, 404, "unknown_capability"),
    (PublishConflict, 409, "conflict"),
    (ApprovalPending, 403, "approval_pending"),
    (Overloaded, 503, "overloaded"),
    (SetupMissing, 503, "setup_missing"),
    (ModelError, 502, "model"),
    (MetierError, 500, "library"),
)
"""Statuses and kinds of the errors that the runtime raises; the first that fits holds. `RunFailed` has its own."""

ENDPOINTS = {
    "GET /ui/": "pages for people",
    "POST /mcp": "the Model Context Protocol over streamable HTTP",
    "GET /health": "whether it works, and with what",
    "GET /capabilities": "every capability",
    "GET /capabilities/{id}": "one of them, whole; ?version=N for an earlier one",
    "POST /capabilities/{id}/run": "the input as body, the output as answer",
    "GET /search?task=&k=": "the capabilities nearest to a task",
    "POST /tasks": '{"task": "…"} solved; with Accept: text/event-stream, event by event',
    "GET /runs": "the latest runs, newest first; ?limit=N",
}


class Refusal(Exception):
    """A request that cannot be carried out as it is."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TaskBody(_Strict):
    task: str
    allow_writes: bool = False
    """Lets memory repeat a task that changes data."""


class SearchQuery(BaseModel):
    task: Annotated[str, Field(min_length=1, max_length=100_000)]
    k: Annotated[int, Field(ge=1, le=64)] = 4


class RunsQuery(BaseModel):
    limit: Annotated[int, Field(ge=1, le=1000)] = 20


class VersionQuery(BaseModel):
    version: Annotated[int, Field(ge=1, le=10**9)] | None = None


Model = TypeVar("Model", bound=BaseModel)


def create_app(
    runtime: Runtime,
    *,
    token: str | None = None,
    hosts: Iterable[str] = (),
    any_address: bool = False,
    expose: Expose = "none",
) -> Starlette:
    """The ASGI application over a runtime; `web.guard.Guard` explains the rest, `mcp_server` what `expose` is."""
    api, sessions = Api(runtime), Sessions(token)
    mcp, stopping = create_server(runtime, expose=expose), asyncio.Event()
    agents = mcp.streamable_http_app(
        max_request_body_size=MAX_BODY_BYTES,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # the guard sees to it
    )

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if runtime.workforce is not None:  # so that runs wait where they are counted, and not for a thread
            threads = runtime.workforce.crew.most_calls + OTHER_THREADS
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads, "metier-run"))
        app.state.stopping = stopping
        async with mcp.session_manager.run():
            yield

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/", _index),
            Route("/health", api.health),
            Route("/capabilities", api.capabilities),
            Route("/capabilities/{id}", api.capability),
            Route("/capabilities/{id}/run", api.run, methods=["POST"]),
            Route("/search", api.search),
            Route("/tasks", api.task, methods=["POST"]),
            Route("/runs", api.runs),
            *(Route(MCP, Standing(route.app, stopping)) for route in agents.routes if isinstance(route, Route)),
            Mount(PAGES, create_pages(runtime, sessions)),
        ],
        middleware=[
            Middleware(Guard, token=token, hosts=tuple(hosts), any_address=any_address, sessions=sessions),
        ],
        exception_handlers={
            MetierError: _metier_error,
            schemas.InvalidJson: _bad_json,
            Refusal: _refusal,
            HTTPException: _http_error,
            Exception: _bug,
        },
    )


class Api:
    """The endpoints. Those that are plain functions run in threads, as everything does that touches the library."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def health(self, request: Request) -> Response:
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

    def capabilities(self, request: Request) -> Response:
        library = self._runtime.library
        found = [_summary(capability) for capability in library.capabilities()]
        broken = [{"folder": broken.folder, "problem": broken.problem} for broken in library.broken()]
        return JSONResponse({"capabilities": found, "broken": broken})

    def capability(self, request: Request) -> Response:
        wanted = _query(VersionQuery, request)
        return JSONResponse(meta_json(self._runtime.library.get(request.path_params["id"], wanted.version)))

    async def run(self, request: Request) -> Response:
        capability = await asyncio.to_thread(self._runnable, request)
        value = schemas.parse(await _body(request), what="the body")
        if _query(VersionQuery, request).version is None:
            capability, value = await asyncio.to_thread(self._runtime.serving, capability, value)
        way = self._runtime.execute_current if capability.live else self._runtime.execute
        outcome = await asyncio.to_thread(way, capability, value)
        if isinstance(outcome, Failed):
            raise RunFailed(outcome)
        headers = {"Metier-Run-Id": outcome.run_id, "Metier-Capability": f"{outcome.capability}@{outcome.version}"}
        return Response(outcome.output_text, headers=headers, media_type="application/json")

    def search(self, request: Request) -> Response:
        query = _query(SearchQuery, request)
        nearest = self._runtime.nearest(query.task, query.k)
        return JSONResponse([{"id": c.id, "score": round(score, 4), "summary": c.summary} for c, score in nearest])

    async def task(self, request: Request) -> Response:
        body = _checked(TaskBody, schemas.parse(await _body(request), what="the body"))
        if "text/event-stream" in request.headers.get("accept", ""):
            stream = self._runtime.stream(body.task, allow_writes=body.allow_writes)
            first = await anext(stream)  # so that a task that cannot begin is refused with its own status
            return StreamingResponse(_frames(first, stream), media_type="text/event-stream")
        happened: list[events.Event] = []
        await self._runtime.run(body.task, emit=happened.append, allow_writes=body.allow_writes)
        return JSONResponse(_without_type(events.event_json(happened[-1])))

    def runs(self, request: Request) -> Response:
        return JSONResponse({"runs": self._runtime.journal.recent(_query(RunsQuery, request).limit)})

    def _runnable(self, request: Request) -> Capability:
        version = _query(VersionQuery, request).version
        capability = self._runtime.library.get(request.path_params["id"], version)
        asked_for = version is not None and capability.status == "superseded"
        aliased = version is None and self._runtime.aliases.of(capability) is not None
        if not (capability.live or asked_for or aliased):
            raise Refusal(409, capability.status, f"{capability.id} is {capability.status}; it cannot be run")
        return capability


async def _index(request: Request) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"{PAGES}/", 303)
    return JSONResponse({"name": "metier", "version": metier.__version__, "endpoints": ENDPOINTS})


async def _frames(first: events.Event, stream: AsyncGenerator[events.Event]) -> AsyncIterator[str]:
    yield _frame(first)
    async with contextlib.aclosing(frames(stream, _frame)) as rest:
        async for text in rest:
            yield text


def _frame(event: events.Event | Exception) -> str:
    if isinstance(event, MetierError):
        _, kind, message = _told(event)
        return frame("error", json.dumps({"error": {"message": message, "kind": kind}}, ensure_ascii=False))
    if isinstance(event, Exception):
        return frame("error", json.dumps({"error": {"message": INTERNAL, "kind": "internal"}}))
    told = events.event_json(event)
    return frame(told["type"], json.dumps(_without_type(told), ensure_ascii=False))


def _without_type(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "type"}


async def _body(request: Request) -> bytes:
    """The whole body, up to the limit."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise _too_large()
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large() -> Refusal:
    return Refusal(413, "too_large", f"the body is larger than {MAX_BODY_BYTES} bytes")


def _query(model: type[Model], request: Request) -> Model:
    return _checked(model, dict(request.query_params))


def _checked(model: type[Model], value: Any) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Refusal(400, "usage", first_problem(error)) from None


def _summary(capability: Capability) -> dict[str, Any]:
    keys = {"id", "summary", "version", "status", "language", "effects"}
    return capability.model_dump(mode="json", include=keys)


def _told(error: MetierError) -> tuple[int, str, str]:
    """Status, kind and message of an error of the runtime's.

    An input against the contract, and a failure that the program itself reports, are for the caller to mend; a program
    that breaks its contract or a limit is not.
    """
    if isinstance(error, RunFailed):
        kind = error.outcome.kind
        return (422 if kind in ("input", "program") else 500), kind, str(error)
    return next((status, kind, str(error)) for type, status, kind in STATUSES if isinstance(error, type))


async def _metier_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, MetierError)
    more: dict[str, Any] = {}
    if isinstance(error, RunFailed):
        more = {"code": error.outcome.code, "run_id": error.outcome.run_id}
    response = error_response(*_told(error), **more)
    if isinstance(error, Overloaded):
        response.headers["retry-after"] = RETRY_SECONDS
    return response


async def _bad_json(request: Request, error: Exception) -> Response:
    return error_response(400, "json", str(error))


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    response = error_response(error.status, error.kind, str(error))
    if error.status == 413:
        response.headers["connection"] = "close"
    return response


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = {404: "not_found", 405: "method"}.get(error.status_code, "http")
    what = f"{request.method} {request.url.path}"
    response = error_response(error.status_code, kind, f"{what}: {error.detail.lower()}; GET / lists what there is")
    response.headers.update(error.headers or {})
    return response


async def _bug(request: Request, error: Exception) -> Response:
    return error_response(500, "internal", INTERNAL)
