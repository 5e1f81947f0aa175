"""Capabilities as tools of their own, each with its input schema, and who is told when they become others."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal, get_args

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, InitializeResult, TextContent, Tool, ToolAnnotations, ToolListChangedNotification

from metier.capability import Capability
from metier.errors import LibraryError
from metier.mcp_server.answers import MAX_OUTPUT, NotDone
from metier.outcomes import Ran
from metier.prompts import clipped
from metier.runtime import Runtime

Expose = Literal["all", "nearest", "none"]
EXPOSE: tuple[Expose, ...] = get_args(Expose)

MAX_NEAREST = 16
"""Tools that searches bring about; those that were found longest ago go first."""
LOOK_SECONDS = 1.0
"""Between two looks at whether another process changed the library."""
MAX_LISTENERS = 256
"""Clients of the handshake versions that are told of changes; later ones subscribe."""


class Exposed:
    """The capabilities that are tools: all that are live, those that searches found of late, or none."""

    def __init__(self, runtime: Runtime, expose: Expose, taken: Iterable[str]) -> None:
        self._runtime = runtime
        self._expose = expose
        self._taken = frozenset(taken)
        self._found: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def any(self) -> bool:
        """Whether any capability may ever be a tool."""
        return self._expose != "none"

    def found(self, ids: Iterable[str]) -> None:
        """Has what a search found be tools, where that is wanted; the best of it is the last to go."""
        if self._expose != "nearest":
            return
        with self._lock:
            for id in reversed(list(ids)):
                self._found[id] = None
                self._found.move_to_end(id)
            while len(self._found) > MAX_NEAREST:
                self._found.popitem(last=False)

    def capabilities(self) -> list[Capability]:
        """By id. What takes no object, or has the name of another tool, is for `run_capability` alone."""
        if self._expose == "none":
            return []
        return [capability for capability in self._runtime.library.live() if self._is_tool(capability)]

    def tools(self) -> list[Tool]:
        return [_tool(capability) for capability in self.capabilities()]

    async def has(self, name: str) -> bool:
        """Whether a tool of this name is a capability."""
        if self._expose == "none" or name in self._taken:
            return False
        try:
            return self._is_tool(await asyncio.to_thread(self._runtime.library.get, name))
        except LibraryError:
            return False

    def state(self) -> list[tuple[str, str | None, str]]:
        """What is another value whenever the tools are others."""
        return [(c.id, c.sha256, c.summary) for c in self.capabilities()]

    def _is_tool(self, capability: Capability) -> bool:
        with self._lock:
            wanted = self._expose == "all" or (self._expose == "nearest" and capability.id in self._found)
        takes = capability.input_schema.get("type", "object")
        return wanted and capability.live and capability.id not in self._taken and bool(takes == "object")


class Watch:
    """Tells clients when the tools became others, whoever changed them."""

    def __init__(self, exposed: Exposed) -> None:
        self.bus = InMemorySubscriptionBus()
        self._exposed = exposed
        self._listeners: OrderedDict[int, ServerSession] = OrderedDict()
        self._look = anyio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def soon(self) -> None:
        """Has it look at once, because something changed or was found. May be called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._look.set)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Looks after changes meanwhile, where anything is a tool of its own."""
        if not self._exposed.any:
            yield
            return
        self._loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch)
            yield
            group.cancel_scope.cancel()

    async def listening(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Middleware: says to clients of the handshake versions that the tools may change, and notes who they are."""
        result = await call_next(ctx)
        if ctx.method == "initialize":
            return _saying_that_tools_change(result)
        if ctx.method == "notifications/initialized":
            self._listeners[id(ctx.session)] = ctx.session
            while len(self._listeners) > MAX_LISTENERS:
                self._listeners.popitem(last=False)
        return result

    async def _watch(self) -> None:
        seen = await self._state()
        while True:
            with anyio.move_on_after(LOOK_SECONDS):
                await self._look.wait()
            self._look = anyio.Event()
            now = await self._state()
            if now != seen and now is not None:
                seen = now
                await self._tell()

    async def _state(self) -> list[tuple[str, str | None, str]] | None:
        try:
            return await asyncio.to_thread(self._exposed.state)
        except LibraryError:  # it cannot be read just now
            return None

    async def _tell(self) -> None:
        await self.bus.publish(ToolsListChanged())
        for key, session in list(self._listeners.items()):
            try:
                await session.send_notification(ToolListChangedNotification())
            except (MCPError, anyio.BrokenResourceError, anyio.ClosedResourceError):
                self._listeners.pop(key, None)


def result_of(outcome: Ran) -> CallToolResult:
    """The output of a capability that is a tool: an object as structured content, and everything as text.

    Raises:
        NotDone: it is longer than a client may get.
    """
    text = outcome.output_text
    if len(text) > MAX_OUTPUT:
        told = f"{outcome.capability} returned {len(text)} characters, more than {MAX_OUTPUT}"
        raise NotDone(f"{told}; its beginning and end follow", more=clipped(text, MAX_OUTPUT))
    structured = outcome.output if isinstance(outcome.output, dict) else None
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)


def _tool(capability: Capability) -> Tool:
    returns = capability.output_schema
    writes = capability.effects == "write"
    return Tool(
        name=capability.id,
        description=capability.summary,
        input_schema={**capability.input_schema, "type": "object"},
        output_schema=returns if returns.get("type") == "object" else None,
        annotations=ToolAnnotations(
            read_only_hint=not writes, destructive_hint=writes, idempotent_hint=not writes, open_world_hint=False
        ),
    )


def _saying_that_tools_change(result: HandlerResult) -> HandlerResult:
    if isinstance(result, InitializeResult):
        if result.capabilities.tools is not None:
            result.capabilities.tools.list_changed = True
    elif isinstance(result, dict) and isinstance(result.get("capabilities"), dict):
        result["capabilities"].setdefault("tools", {})["listChanged"] = True
    return result
