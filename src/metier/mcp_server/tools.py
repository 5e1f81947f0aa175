"""The three tools of every client: find, run, and have new capabilities checked and published."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.types import InputRequiredResult
from pydantic import Field, WithJsonSchema

from metier import events
from metier.capability import Capability
from metier.errors import LibraryError, SetupMissing, UnknownCapability, UsageError
from metier.mcp_server.answers import (
    MAX_OUTPUT,
    Candidates,
    NotDone,
    Published,
    Run,
    found,
    published,
    published_or_refused,
    refuse_run,
    run_of,
)
from metier.mcp_server.asking import Answered, Verdict, answer_of, ask
from metier.mcp_server.progress import Progress
from metier.mutation.draft import submit_tool
from metier.mutation.pending import fingerprint
from metier.outcomes import Failed, Mutation, NotMutated, Ran, Waits
from metier.prompts import clipped
from metier.runtime import Runtime

MAX_FOUND = 20

AnyInput = Annotated[
    Any, WithJsonSchema({"type": "object", "description": "matches the capability's input schema"}), Field()
]
DraftFields = Annotated[
    dict[str, Any] | None,
    WithJsonSchema(
        submit_tool().parameters | {"description": "the capability that you wrote; leave it out to get the rules"}
    ),
]


class Tools:
    """The tools over one runtime. Their docstrings are what connected models read.

    `when_found` is told the ids that a search found, and `when_changed` that the library is another one now.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        when_found: Callable[[Iterable[str]], None] = lambda _: None,
        when_changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._runtime = runtime
        self._when_found = when_found
        self._when_changed = when_changed

    async def find_capabilities(
        self,
        task: Annotated[str, Field(description="the task, in the user's words")],
        k: Annotated[int, Field(ge=1, le=MAX_FOUND, description="how many to return at most")] = 4,
    ) -> Candidates:
        """Find stored capabilities that may solve a task, nearest first, each with its input and output schema."""
        _check_text("task", task)
        nearest = await asyncio.to_thread(self._runtime.nearest, task, k)
        self._when_found([capability.id for capability, _ in nearest])
        return Candidates(capabilities=[found(capability, score) for capability, score in nearest])

    async def run_capability(
        self,
        context: Context[Any, Any],
        capability_id: Annotated[str, Field(description="an id that find_capabilities or mutate_capability gave")],
        input: AnyInput,
    ) -> Run:
        """Run a stored capability on an input and get its output. The same input gives the same output."""
        return run_of(await self.run(context, capability_id, input))

    async def mutate_capability(
        self,
        context: Context[Any, Any],
        task_description: Annotated[
            str, Field(description="what it must do, in general terms: the inputs, the output, where the data is")
        ],
        parent_capability_id: Annotated[
            str | None, Field(description="a capability to start from; leave it out to start from nothing")
        ] = None,
        draft: DraftFields = None,
    ) -> Published | InputRequiredResult:
        """Have a new capability written, checked in the sandbox against its own examples, and stored for good.

        Without `draft` the library's own model writes it; where there is none, you get the rules and the data's layout
        to write it yourself. With `draft` you are the author, and get the checks' findings or the published capability.
        """
        answer = answer_of(context)
        if answer is not None:
            return await asyncio.to_thread(self._answered, answer, _client_name(context))
        progress = Progress(context)
        if draft is None:
            _check_text("task_description", task_description)
            work = self._have_written(task_description, parent_capability_id, progress.emit)
        else:
            work = asyncio.to_thread(self._submit, draft, parent_capability_id, _client_name(context), progress.emit)
        outcome = await progress.during(work)
        if isinstance(outcome, Waits):
            return await self._asked(context, outcome)
        result = published_or_refused(outcome)
        self._when_changed()
        return result

    async def run(self, context: Context[Any, Any], id: str, value: Any) -> Ran:
        """What a capability, or the one that answers its calls, makes of an input.

        Raises:
            NotDone: it failed; with how, and its input schema where the input was wrong.
            LibraryError: there is no such capability, or it is not in use.
        """
        progress = Progress(context)
        return await progress.during(asyncio.to_thread(self._run, id, value, progress.emit))

    def _run(self, id: str, value: Any, emit: Callable[[events.Event], None]) -> Ran:
        capability = self._runtime.library.get(id)
        try:
            capability, value = self._runtime.serving(capability, value)
        except LibraryError:
            raise UnknownCapability(f"{id} is {capability.status}; it cannot be run") from None
        emit(events.RunStarted(capability.id, capability.version, value))
        outcome = self._runtime.execute_current(capability, value)
        ok, said = (True, outcome.output_text) if isinstance(outcome, Ran) else (False, outcome.error)
        emit(events.RunEnded(outcome.capability, outcome.version, ok, clipped(said, 300), outcome.seconds))
        if isinstance(outcome, Failed):
            refuse_run(capability, outcome)
        return outcome

    async def _have_written(self, task: str, parent: str | None, emit: Callable[[events.Event], None]) -> Mutation:
        try:
            outcome, _, _ = await self._runtime.mutate(task, parent, emit)
        except SetupMissing as missing:
            rules = await asyncio.to_thread(self._brief, task, parent)
            line = f"{missing}. Or be the author: call mutate_capability again with `draft`; the rules follow"
            raise NotDone(line, more=rules) from None
        return outcome

    def _brief(self, task: str, parent: str | None) -> str:
        artifact = self._runtime.library.load(parent) if parent else None
        return self._runtime.mutator().brief(task, artifact, hand_in="`mutate_capability` with `draft`")

    def _submit(
        self, fields: dict[str, Any], parent: str | None, author: str, emit: Callable[[events.Event], None]
    ) -> Mutation:
        emit(events.MutationStarted("a draft of the client's", parent))
        artifact = self._runtime.library.load(parent) if parent else None
        outcome = self._runtime.mutator().submit(fields, artifact, author)
        findings = outcome.findings if isinstance(outcome, NotMutated) else ()
        id = fields.get("id")
        emit(events.DraftChecked(1, id if isinstance(id, str) else None, findings))
        return outcome

    # A draft that waits for a person

    async def _asked(self, context: Context[Any, Any], waits: Waits) -> Published | InputRequiredResult:
        waiting = await asyncio.to_thread(self._runtime.pending().get, waits.capability)
        said = await ask(context, self._runtime.library, waiting)
        if isinstance(said, InputRequiredResult):
            return said
        answer = Answered(waiting.id, fingerprint(waiting), said)
        return await asyncio.to_thread(self._answered, answer, _client_name(context))

    def _answered(self, answer: Answered, by: str) -> Published:
        waiting = self._runtime.pending().get(answer.id)
        verdict: Verdict = answer.verdict if fingerprint(waiting) == answer.mark else "open"
        if verdict == "open":
            published_or_refused(Waits(waiting.id, waiting.beyond))
        if verdict == "rejected":
            self._runtime.pending().remove(waiting.id)
            raise NotDone(f"Nothing was published: a person rejected {waiting.id}. Do without what it asked for")
        outcome = self._runtime.mutator().approve(waiting.id, by, seen=waiting)
        if isinstance(outcome, NotMutated):
            published_or_refused(outcome)
        self._when_changed()
        return published(_capability_of(outcome))


def _capability_of(outcome: Mutation) -> Capability:
    assert not isinstance(outcome, NotMutated | Waits)
    return outcome.capability


def _check_text(name: str, text: str) -> None:
    if not text.strip():
        raise UsageError(f"{name} is empty; say what is to be done")
    if len(text) > MAX_OUTPUT:
        raise UsageError(f"{name} has {len(text)} characters, more than {MAX_OUTPUT}")


def _client_name(context: Context[Any, Any]) -> str:
    """Who wrote a draft or passed on a decision, for its provenance: the client as it calls itself."""
    params = context.session.client_params
    name = params.client_info.name if params else "client"
    return "mcp:" + re.sub(r"[^A-Za-z0-9._/ -]+", "-", name)[:60]
