"""Streams that clients hold open only to hear of changes: they end when the server is to stop, and hold up nothing."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LISTENING = b"subscriptions/listen"


class Standing:
    """ASGI middleware for MCP. Once `stopping` is set, streams that stand open end; calls that are at work go on."""

    def __init__(self, app: ASGIApp, stopping: asyncio.Event) -> None:
        self._app = app
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _stands(scope):
            await self._app(scope, receive, send)
            return
        begun = finished = False

        async def noting(message: Message) -> None:
            nonlocal begun, finished
            begun = begun or message["type"] == "http.response.start"
            finished = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        async def until_the_end() -> Message:
            coming, stopping = asyncio.ensure_future(receive()), asyncio.ensure_future(self._stopping.wait())
            try:
                await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
                return coming.result() if coming.done() else {"type": "http.disconnect"}
            finally:
                coming.cancel()
                stopping.cancel()

        await self._app(scope, until_the_end, noting)
        if begun and not finished and self._stopping.is_set():
            await send({"type": "http.response.body", "body": b""})


def _stands(scope: Scope) -> bool:
    """Whether a request is one that no answer ends."""
    methods = [value for name, value in scope["headers"] if name == b"mcp-method"]
    return scope["method"] == "GET" or LISTENING in methods
