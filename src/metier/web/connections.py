"""Connections that nobody holds open for nothing: by sending no request, half of one, or by not reading the answer."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS: Final = 15.0
"""How long a client may take from the connection, or the answer before, to the end of a request's head."""
READ_SECONDS: Final = 60.0
"""How long a client may leave an answer unread that the buffers between do not hold."""


class BoundedConnection(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, for clients that keep to these times."""

    head_seconds = HEAD_SECONDS
    read_seconds = READ_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._unread: asyncio.TimerHandle | None = None
        self._headless: asyncio.TimerHandle | None = None
        self._expect_a_head()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._headless, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect_a_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self.read_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
        super().resume_writing()

    def _expect_a_head(self) -> None:
        if self._headless is not None:
            self._headless.cancel()
        self._headless = self.loop.call_later(self.head_seconds, self._no_head, self.cycle)

    def _no_head(self, before: Any) -> None:
        """Closes the connection if the request `before` is still the last one that came."""
        if self.cycle is before and not self.transport.is_closing():
            self.transport.close()
