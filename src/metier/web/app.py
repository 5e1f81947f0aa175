"""The application of `metier serve`: the JSON API, the pages, and MCP, behind one guard."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor

from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import metier
from metier.mcp_server import Expose, create_server
from metier.metrics import Metrics
from metier.runtime import Runtime
from metier.web.api import Api
from metier.web.errors import HANDLERS
from metier.web.guard import PAGES, Guard
from metier.web.openapi import Endpoint, document, endpoints
from metier.web.pages import create_pages
from metier.web.reading import MAX_BODY_BYTES
from metier.web.sessions import Sessions
from metier.web.standing import Standing

MCP = "/mcp"
OTHER_THREADS = 16
"""Threads beside those of runs that workers have or that wait for one."""


def create_app(
    runtime: Runtime,
    *,
    token: str | None = None,
    hosts: Iterable[str] = (),
    any_address: bool = False,
    expose: Expose = "none",
) -> Starlette:
    """The ASGI application over a runtime; `web.guard.Guard` explains the rest, `mcp_server` what `expose` is."""
    metrics, sessions = Metrics(runtime), Sessions(token)
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
            *_api(Api(runtime, metrics), metrics),
            *(Route(MCP, Standing(route.app, stopping)) for route in agents.routes if isinstance(route, Route)),
            Mount(PAGES, create_pages(runtime, sessions)),
        ],
        middleware=[
            Middleware(Guard, token=token, hosts=tuple(hosts), any_address=any_address, sessions=sessions),
        ],
        exception_handlers=HANDLERS,
    )


def _api(api: Api, metrics: Metrics) -> list[BaseRoute]:
    table = endpoints(api)
    described = document(table)
    offered = {
        "GET /ui/": "Pages for people",
        "POST /mcp": "The Model Context Protocol over streamable HTTP",
        "GET /openapi.json": "What follows, as an OpenAPI document",
        **{endpoint.name: endpoint.does for endpoint in table},
    }

    async def index(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(f"{PAGES}/", 303)
        return JSONResponse({"name": "metier", "version": metier.__version__, "endpoints": offered})

    async def openapi(request: Request) -> Response:
        return JSONResponse(described)

    return [Route("/", index), Route("/openapi.json", openapi), *(_counted(one, metrics) for one in table)]


def _counted(endpoint: Endpoint, metrics: Metrics) -> Route:
    route = Route(endpoint.path, endpoint.handler, methods=[endpoint.method])
    route.app = Counted(route.app, endpoint, metrics)
    return route


class Counted:
    """ASGI middleware: tells the metrics of each request to an endpoint."""

    def __init__(self, app: ASGIApp, endpoint: Endpoint, metrics: Metrics) -> None:
        self._app = app
        self._endpoint = endpoint
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.under_way += 1
        try:
            await self._app(scope, receive, noting)
        finally:
            self._metrics.under_way -= 1
            seconds = time.perf_counter() - begun
            self._metrics.request(self._endpoint.method, self._endpoint.path, status, seconds)
