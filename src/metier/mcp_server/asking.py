"""A person's decision on a draft, asked for through the client: by elicitation, where the client can.

Clients of the handshake versions get a request of their own. Later ones get the question as the result of the call,
and call again with the answer; what they answer counts only for the very draft that was shown.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from mcp.server.elicitation import AcceptedElicitation, render_elicitation_schema
from mcp.server.mcpserver import Context
from mcp.types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from pydantic import BaseModel, Field, ValidationError

from metier.approval import screen
from metier.errors import LibraryError
from metier.library import Library, source_text
from metier.mutation.pending import Waiting, fingerprint

MULTI_ROUND = "2026-07-28"
"""The protocol from which on a question is a result; versions are dates, so they compare as text."""
QUESTION = "approval"
MAX_SHOWN = 20_000
"""Characters that a person is shown. A draft that needs more is not asked about here; `metier approve` shows it."""

Verdict = Literal["approved", "rejected", "open"]
"""`open`: nobody decided, so the draft goes on waiting."""


class Approval(BaseModel):
    """What a person fills in."""

    approve: bool = Field(description="Publish it with these permissions. No throws the draft away.")


@dataclasses.dataclass(frozen=True, slots=True)
class Answered:
    """A person's answer to an earlier question of this call. `mark` names the draft that was shown."""

    id: str
    mark: str
    verdict: Verdict


def answer_of(context: Context[Any, Any]) -> Answered | None:
    """The answer that a call carries; None for one that is the first of its kind."""
    state, answers = context.request_state, context.input_responses
    if state is None:
        return None
    id, _, mark = state.partition(" ")
    answer = (answers or {}).get(QUESTION)
    return Answered(id, mark, _verdict(answer) if isinstance(answer, ElicitResult) else "open")


async def ask(context: Context[Any, Any], library: Library, waiting: Waiting) -> Verdict | InputRequiredResult:
    """What a person says to a draft that waits, or the question that the client is to put to them."""
    message = _message(library, waiting)
    if message is None or not _can_be_asked(context):
        return "open"
    if (context.protocol_version or "") < MULTI_ROUND:
        try:
            answer = await context.elicit(message, Approval)
        except ValueError:  # it was accepted with nothing in it, or with something else
            return "open"
        if isinstance(answer, AcceptedElicitation):
            return "approved" if answer.data.approve else "rejected"
        return "rejected" if answer.action == "decline" else "open"
    params = ElicitRequestFormParams(message=message, requested_schema=render_elicitation_schema(Approval))
    return InputRequiredResult(
        input_requests={QUESTION: ElicitRequest(params=params)}, request_state=f"{waiting.id} {fingerprint(waiting)}"
    )


def _can_be_asked(context: Context[Any, Any]) -> bool:
    """Whether the client said that it can show a person a form. An empty capability, from before there were modes,
    means one."""
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _verdict(answer: ElicitResult) -> Verdict:
    if answer.action != "accept":
        return "rejected" if answer.action == "decline" else "open"
    try:
        return "approved" if Approval.model_validate(answer.content).approve else "rejected"
    except ValidationError:
        return "open"


def _message(library: Library, waiting: Waiting) -> str | None:
    """All that is decided on, or None where that is more than a form can show."""
    release, parent = waiting.release, None
    if release.parent is not None:
        id, _, version = release.parent.partition("@")
        try:
            parent = source_text(library.load(id, int(version)).source)
        except LibraryError:
            return None
    shown = screen(release.contract, waiting.beyond, source_text(release.source), parent)
    return shown if len(shown) <= MAX_SHOWN else None
