"""What a client may read: contracts, sources, lineage and runs."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from collections.abc import Callable
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.types import Completion, ResourceTemplateReference

from metier.capability import meta_json
from metier.errors import MetierError, UnknownCapability, UsageError
from metier.library import source_text
from metier.lineage import history
from metier.mcp_server.answers import MAX_OUTPUT, line
from metier.prompts import clipped
from metier.runtime import Runtime

ROOT = "metier://"
MAX_RUNS = 50
MAX_COMPLETIONS = 100
"""What the protocol allows in one answer."""


def add_resources(server: MCPServer[Any], runtime: Runtime) -> None:
    """Offers the resources of a runtime's library, and completes ids in their addresses."""
    read = Read(runtime)
    told: tuple[tuple[str, Callable[..., str], str], ...] = (
        ("capabilities", read.capabilities, "application/json"),
        ("capabilities/{id}/contract", read.contract, "application/json"),
        ("capabilities/{id}/source", read.source, "text/plain"),
        ("capabilities/{id}/lineage", read.lineage, "application/json"),
        ("capabilities/{id}/runs", read.runs_of, "application/json"),
        ("capabilities/{id}/versions/{version}/contract", read.contract_of, "application/json"),
        ("capabilities/{id}/versions/{version}/source", read.source_of, "text/plain"),
        ("runs", read.runs, "application/json"),
        ("runs/{run_id}", read.run, "application/json"),
    )
    for path, function, mime_type in told:
        description = inspect.getdoc(function)
        name = path.replace("/", " ").replace("{", "").replace("}", "")
        server.resource(ROOT + path, name=name, description=description, mime_type=mime_type)(_plainly(function))

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]  # the SDK's own is not typed
    async def complete(reference: Any, argument: Any, context: Any) -> Completion | None:
        if not isinstance(reference, ResourceTemplateReference) or argument.name not in ("id", "run_id"):
            return None
        known = await asyncio.to_thread(read.ids if argument.name == "id" else read.run_ids)
        fitting = [id for id in known if id.startswith(argument.value)]
        return Completion(values=fitting[:MAX_COMPLETIONS], total=len(fitting), has_more=len(fitting) > MAX_COMPLETIONS)


class Read:
    """Each resource as text. Their docstrings are what clients show."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def ids(self) -> list[str]:
        return [capability.id for capability in self._runtime.library.capabilities()]

    def run_ids(self) -> list[str]:
        return [run["run_id"] for run in self._runtime.journal.recent(MAX_RUNS)]

    def capabilities(self) -> str:
        """Every capability: id, version, status, effects, summary."""
        keys = {"id", "version", "status", "effects", "summary"}
        found = self._runtime.library.capabilities()
        return _json([capability.model_dump(mode="json", include=keys) for capability in found])

    def contract(self, id: str) -> str:
        """The current version's contract: schemas, effects, permissions, examples, provenance."""
        return _json(meta_json(self._runtime.library.get(id)))

    def contract_of(self, id: str, version: str) -> str:
        """A version's contract."""
        return _json(meta_json(self._runtime.library.get(id, _number(version))))

    def source(self, id: str) -> str:
        """What the current version was built from."""
        return clipped(source_text(self._runtime.library.load(id).source), MAX_OUTPUT)

    def source_of(self, id: str, version: str) -> str:
        """What a version was built from."""
        return clipped(source_text(self._runtime.library.load(id, _number(version)).source), MAX_OUTPUT)

    def lineage(self, id: str) -> str:
        """The versions, oldest first, with what was made from each and its moves from state to state."""
        return _json(history(self._runtime.library, self._runtime.journal.evidence, id))

    def runs(self) -> str:
        """The latest runs, newest first, without inputs and outputs."""
        return _json([_outline(row) for row in self._runtime.journal.recent(MAX_RUNS)])

    def runs_of(self, id: str) -> str:
        """The latest runs of a capability, newest first, without inputs and outputs."""
        self._runtime.library.get(id)
        return _json([_outline(row) for row in self._runtime.journal.recent(MAX_RUNS, capability=id)])

    def run(self, run_id: str) -> str:
        """One run: input, output or error, fuel, time, and the task that it served."""
        rows = self._runtime.journal.recent(1, run_id=run_id)
        if not rows:
            raise UsageError(f"the journal has no run {run_id!r}; metier://runs lists the latest")
        return _json(rows[0])


def _outline(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("run_id", "at", "capability", "version", "kind", "seconds")}


def _json(value: Any) -> str:
    return clipped(json.dumps(value, indent=1, ensure_ascii=False), MAX_OUTPUT)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise UnknownCapability(f"{text!r} is no number of a version")
    return int(text)


def _plainly(function: Callable[..., str]) -> Callable[..., Any]:
    """The function in a thread, its errors as those of the protocol."""

    @functools.wraps(function)
    async def read(**arguments: str) -> str:
        try:
            return await asyncio.to_thread(function, **arguments)
        except (UnknownCapability, UsageError) as error:
            raise ResourceNotFoundError(line(str(error))) from None
        except MetierError as error:
            raise ResourceError(line(str(error))) from None

    return read
