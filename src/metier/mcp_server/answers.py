"""What the tools answer: the models of what went well, and one clear line for what did not."""

from __future__ import annotations

from typing import Any, NoReturn

from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel

from metier import schemas
from metier.capability import Capability
from metier.errors import ApprovalPending, MetierError
from metier.outcomes import Failed, Mutation, NotMutated, Ran, Waits
from metier.printable import visible
from metier.prompts import MAX_GUEST_TEXT, clipped

MAX_OUTPUT = 60_000
"""Characters of an output that a client gets; of a longer one it gets the beginning and the end, as text."""
MAX_LINE = 2_000


class Found(BaseModel):
    """A capability that may fit the task. A schema or example that is null is too long to show."""

    id: str
    summary: str
    score: float
    effects: str
    input_schema: dict[str, Any] | None
    output_schema: dict[str, Any] | None
    example: dict[str, Any] | None = None


class Candidates(BaseModel):
    """The nearest capabilities, best first."""

    capabilities: list[Found]


class Run(BaseModel):
    """What a capability returned. `output` is null where it was too long; `clipped` is then its beginning and end."""

    capability_id: str
    version: int
    run_id: str
    output: Any
    clipped: str | None = None


class Published(BaseModel):
    """A capability that passed every check and can be run now."""

    capability_id: str
    version: int
    summary: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]


class NotDone(MetierError):
    """A call that came to nothing: one line, and what helps to do better, as data and as text."""

    def __init__(self, line: str, *, details: dict[str, Any] | None = None, more: str = "") -> None:
        super().__init__(line)
        self.details = details
        self.more = more


def failure(error: MetierError) -> CallToolResult:
    """An error as the result of a call, so that the protocol goes on."""
    content = [TextContent(type="text", text=line(str(error)))]
    if isinstance(error, NotDone) and error.more:
        content.append(TextContent(type="text", text=error.more))
    details = error.details if isinstance(error, NotDone) else None
    return CallToolResult(content=[*content], structured_content=details, is_error=True)


def found(capability: Capability, score: float) -> Found:
    shown = next((e for e in capability.examples if e.error is None), None)
    example = {"input": shown.input, "output": shown.output} if shown else None
    return Found(
        id=capability.id,
        summary=capability.summary,
        score=round(score, 4),
        effects=capability.effects,
        input_schema=_shown(capability.input_schema),
        output_schema=_shown(capability.output_schema),
        example=_shown(example) if example else None,
    )


def run_of(outcome: Ran) -> Run:
    text = outcome.output_text
    short = len(text) <= MAX_OUTPUT
    return Run(
        capability_id=outcome.capability,
        version=outcome.version,
        run_id=outcome.run_id,
        output=outcome.output if short else None,
        clipped=None if short else clipped(text, MAX_OUTPUT),
    )


def published(capability: Capability) -> Published:
    return Published(
        capability_id=capability.id,
        version=capability.version,
        summary=capability.summary,
        input_schema=capability.input_schema,
        output_schema=capability.output_schema,
    )


def published_or_refused(outcome: Mutation) -> Published:
    """Raises NotDone with what the checks found, or ApprovalPending with the id of the draft that waits."""
    if isinstance(outcome, NotMutated):
        _refuse_draft(outcome)
    if isinstance(outcome, Waits):
        asks = ", ".join(outcome.beyond)
        raise ApprovalPending(f"{outcome.capability} waits for a person to approve: {asks} (metier approve)")
    return published(outcome.capability)


def refuse_run(capability: Capability, failed: Failed) -> NoReturn:
    """Raises NotDone with how a run failed, and with the input schema where the input was at fault."""
    kind = f"{failed.kind}, {failed.code}" if failed.code else failed.kind
    details = {
        "capability_id": failed.capability,
        "version": failed.version,
        "run_id": failed.run_id,
        "kind": failed.kind,
        "code": line(failed.code),
        "error": line(failed.error),
    }
    schema = _shown(capability.input_schema) if failed.kind == "input" else None
    hint = f"Its input schema: {schemas.compact(schema)}" if schema else ""
    follows = f" ({failed.consequence})" if failed.consequence else ""
    raise NotDone(f"{failed.capability} failed ({kind}): {failed.error}{follows}", details=details, more=hint)


def line(text: str) -> str:
    """One line, cut to a length, with control characters made visible."""
    return visible(" ".join(clipped(text, MAX_LINE).split()))


def _refuse_draft(outcome: NotMutated) -> NoReturn:
    findings = [clipped(finding, MAX_GUEST_TEXT) for finding in outcome.findings]
    listed = "\n".join(f"{number}. {finding}" for number, finding in enumerate(findings, start=1))
    raise NotDone(f"Nothing was published: {outcome.reason}", details={"findings": findings}, more=listed)


def _shown(value: dict[str, Any]) -> dict[str, Any] | None:
    return value if len(schemas.compact(value)) <= MAX_GUEST_TEXT else None
