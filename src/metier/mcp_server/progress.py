"""What happens in a call, told to the client while it happens. The SDK sends it to those that asked."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from mcp.server.mcpserver import Context

from metier import events
from metier.mcp_server.answers import line
from metier.narration import describe

BEAT_SECONDS = 5.0
"""Silence after which a client is told that the call is still at work, so that it does not give it up."""
Result = TypeVar("Result")


class Progress:
    """One call's progress. `emit` may be called from any thread."""

    def __init__(self, context: Context[Any, Any]) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._told = 0

    def emit(self, event: events.Event) -> None:
        """Has an event told, in a line of plain words."""
        said = describe(event)
        if said:
            self._loop.call_soon_threadsafe(self._lines.put_nowait, line(said))

    async def during(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What `work` comes to; what it emits is told meanwhile. A call that is cancelled cancels it."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                coming = asyncio.ensure_future(self._lines.get())
                await asyncio.wait({task, coming}, timeout=BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                coming.cancel()
                if coming.done() and not coming.cancelled():
                    await self._tell(coming.result())
                elif not task.done():
                    await self._tell("at work")
            while not self._lines.empty():
                await self._tell(self._lines.get_nowait())
            return task.result()
        finally:
            task.cancel()

    async def _tell(self, said: str) -> None:
        self._told += 1
        await self._context.report_progress(self._told, message=said)
