"""What happens during a task as server-sent events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable

from metier.errors import MetierError
from metier.events import Event

log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 15.0
"""Silence after which a stream of events sends a comment, so that nobody between takes it for dead."""


async def frames(stream: AsyncGenerator[Event], shown: Callable[[Event | Exception], str]) -> AsyncGenerator[str]:
    """Each event of a task as `shown` puts it; an error that ends the task is the last of them. A client that leaves
    ends the task."""
    coming = asyncio.ensure_future(_next(stream))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=KEEP_ALIVE_SECONDS)
            if not done:
                yield ": at work\n\n"
                continue
            event = coming.result()
            if event is None:
                return
            yield shown(event)
            coming = asyncio.ensure_future(_next(stream))
    finally:
        if not coming.cancel():  # cancelling it ends the stream, and that the task
            await stream.aclose()


def frame(name: str, data: str) -> str:
    """One server-sent event; `data` may have several lines."""
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"event: {name}\n{lines}\n"


async def _next(stream: AsyncGenerator[Event]) -> Event | Exception | None:
    """What comes next; None at the end."""
    try:
        return await anext(stream)
    except StopAsyncIteration:
        return None
    except MetierError as error:
        return error
    except Exception as error:
        log.exception("a task failed")
        return error
