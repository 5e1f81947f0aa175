"""What goes over HTTP, as models: the OpenAPI document is made of these, and requests are held to them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from metier.capability import Status

RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{1,40}$")]


def _whole(value: Any) -> Any:
    """JSON has one kind of number, so 3.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


VersionNumber = Annotated[int, Field(ge=1, le=10**9), BeforeValidator(_whole)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# Asked


class TaskBody(_Strict):
    task: str = Field(min_length=1, max_length=100_000, pattern=r"\S")
    allow_writes: bool = Field(False, description="Lets memory repeat a task that changes data.")


class DecisionBody(_Strict):
    approve: bool
    seen: str = Field(description="`fingerprint` of the draft that was looked at, so that no other one is decided on.")


class RollbackBody(_Strict):
    version: VersionNumber


class StatusBody(_Strict):
    status: Literal["active", "retired"]


class PinBody(_Strict):
    pinned: bool


class NoQuery(_Query):
    pass


class SearchQuery(_Query):
    task: str = Field(min_length=1, max_length=4000)
    k: int = Field(4, ge=1, le=64)


class RunsQuery(_Query):
    limit: int = Field(20, ge=1, le=1000)
    capability: str | None = Field(None, description="Only runs of this one.", max_length=100)
    failed: Literal["true", "false"] | None = Field(None, description="Only those that failed, or that did not.")
    before: RunId | None = Field(None, description="Only runs older than this one, to page on.")


class VersionQuery(_Query):
    version: int | None = Field(None, ge=1, le=10**9, description="An earlier one; else the current.")


class DiffQuery(_Query):
    old: int = Field(ge=1, le=10**9)
    new: int = Field(ge=1, le=10**9)


class StatsQuery(_Query):
    since: AwareDatetime | None = Field(None, description="Counts tasks and runs from here on.")


# Answered


class ErrorDetail(BaseModel):
    model_config = ConfigDict(extra="allow")

    message: str
    kind: str


class ErrorAnswer(BaseModel):
    """What went wrong, in a line; `kind` is for programs. A run that failed has `code` and `run_id` too."""

    error: ErrorDetail


class Index(BaseModel):
    name: str
    version: str
    endpoints: dict[str, str]


class Health(BaseModel):
    status: Literal["ok"]
    version: str
    capabilities: int
    broken: int
    model: str | None
    workers: int


class Summary(BaseModel):
    id: str
    summary: str
    version: int
    status: Status
    language: str
    effects: Literal["pure", "read", "write"]


class BrokenFolder(BaseModel):
    folder: str
    problem: str


class Capabilities(BaseModel):
    capabilities: list[Summary]
    broken: list[BrokenFolder]


class Move(BaseModel):
    """A version went from one state to another."""

    at: float
    was: str
    became: str
    reason: str
    run_id: str | None


class Version(BaseModel):
    id: str
    version: int
    sha256: str | None
    status: Status
    parent: str | None
    replaced_by: str | None
    summary: str
    pinned: bool | None
    provenance: dict[str, Any] | None
    children: list[str]
    moves: list[Move]


class Versions(BaseModel):
    versions: list[Version]


class Source(BaseModel):
    files: dict[str, str]


class Diff(BaseModel):
    """The lines of a unified diff of each part that differs."""

    old: str
    new: str
    changes: dict[str, list[str]]


class Scored(BaseModel):
    id: str
    score: float
    summary: str


class State(BaseModel):
    """Where a capability stands now."""

    id: str
    version: int
    status: Status
    pinned: bool


class Answered(BaseModel):
    """The end of a task: what `metier run --json` prints."""

    answer: str
    run_id: str
    route: Literal["recall", "model"]
    candidates: list[dict[str, Any]]
    used: list[dict[str, Any]]
    created: list[str]
    waiting: list[str]
    withheld: list[str]
    model_calls: int
    tokens: int


class Run(BaseModel):
    run_id: str
    at: float = Field(description="Seconds since 1970.")
    capability: str
    version: int
    input: Any
    output: Any
    error: str | None
    kind: str | None = Field(description="Null for a run that ended well.")
    fuel: int
    seconds: float
    task: str | None
    route: str | None
    answer: str | None
    ok: bool


class Runs(BaseModel):
    runs: list[Run]


class Effect(BaseModel):
    """One request that went through the door, and what was answered."""

    request: Any
    answer: Any


class RunDetail(Run):
    effects: list[Effect]


class Replayed(BaseModel):
    run_id: str
    capability: str
    version: int
    identical: bool
    difference: str | None


class Draft(BaseModel):
    """A draft that waits for a person, without what it is made of."""

    id: str
    summary: str
    beyond: list[str]


class Drafts(BaseModel):
    approvals: list[Draft]


class DraftDetail(Draft):
    contract: dict[str, Any]
    source: dict[str, str]
    parent: str | None
    author: str
    created: datetime | str
    fingerprint: str


class Decided(BaseModel):
    id: str
    decision: Literal["published", "rejected"]
    version: int | None


class Stats(BaseModel):
    since: str | None
    tasks: dict[str, Any]
    models: dict[str, Any]
    library: dict[str, Any]
    regression: dict[str, Any]
    capabilities: list[dict[str, Any]]
