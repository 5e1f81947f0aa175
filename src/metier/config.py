"""metier.toml: the operator's settings for one library. Nothing that a model or a guest says changes them."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyNetwork, StringConstraints, ValidationError

from metier.capability import first_problem
from metier.errors import UsageError
from metier.permissions import HttpPermission, Name, Permissions, SecretName
from metier.sandbox.limits import Limits

FILE_NAME = "metier.toml"
STATE_FOLDER = ".metier"
"""Derived and local: index, journal, task memory. Never in git, rebuilt when it is gone."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Policy(Permissions):
    """The most that any capability may do here, and what a new draft gets of it without a person being asked."""

    unasked: Permissions = Permissions()

    @property
    def ceiling(self) -> Permissions:
        """The policy as the permissions that bound every run."""
        return Permissions.model_construct(
            self.model_fields_set - {"unasked"}, **{name: getattr(self, name) for name in Permissions.model_fields}
        )


class ModelSettings(_Strict):
    """Which models do the work, as `provider:name`; what is absent comes from the environment."""

    chat: str | None = None
    mutation: str | None = None
    """Writes capabilities; the chat model where it is absent."""
    tester: str | None = None
    """Writes tests for what was written, without seeing it; the model that writes where it is absent."""
    embedding: str = "wordllama"
    timeout_seconds: Annotated[float, Field(gt=0)] = 120.0
    retries: Annotated[int, Field(ge=0, le=10)] = 3


class AgentSettings(_Strict):
    """How far one task may go."""

    candidates: Annotated[int, Field(ge=1, le=64)] = 4
    steps: Annotated[int, Field(ge=1, le=200)] = 16
    """Requests to the model for one task, mutations not counted."""
    mutation_rounds: Annotated[int, Field(ge=1, le=20)] = 5
    """Drafts that an author may hand in for one capability."""
    mutation_steps: Annotated[int, Field(ge=1, le=500)] = 40
    """Requests to the author for one capability, drafts included."""
    mutation_tokens: Annotated[int, Field(ge=1)] = 1_000_000
    """Tokens, of prompts and replies together, after which an author is not asked again for one capability."""
    independence: Literal["required", "wanted", "off"] = "wanted"
    """Whether a tester, who sees the contract and not the source, has to agree. What it does not agree with is never
    published; what it has no strong tests for is, where they are only wanted."""
    tester_requests: Annotated[int, Field(ge=1, le=50)] = 6
    """Requests to the tester for one capability."""
    samples: bool = False
    """Whether an author sees the first records of every file that may be granted, and not of its parent's files only.
    Of the others it sees the shape."""
    recall_writes: bool = False
    """Whether a task that changes data may be repeated from memory without asking."""


class RecallSettings(_Strict):
    """When memory does a task without a model."""

    delta: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """The share of checks in which memory may have been wrong, by route; above it a route needs more agreements."""
    shadow: Annotated[float, Field(ge=0, le=1)] = 0.005
    """The share of tasks that memory could do and that go to the model all the same, to compare."""


class HttpSettings(_Strict):
    """What requests of programs may reach beyond the public network."""

    networks: tuple[IPvAnyNetwork, ...] = ()
    """Such as "127.0.0.0/8" or "10.1.0.0/16"."""


class ResearchSettings(_Strict):
    """What an author may look up while it writes. Nothing, unless it is said here."""

    http: tuple[HttpPermission, ...] = ()
    """Only GET is sent, and it goes through the same checks as requests of programs."""
    search: Annotated[str, StringConstraints(pattern=r"^https?://[^{}]*\{query\}[^{}]*$")] | None = None
    """The URL of a search with `{query}` in it; `http` has to allow it too."""


class JournalSettings(_Strict):
    """How much of what was done is kept."""

    runs: Annotated[int, Field(ge=0)] = 100_000
    """The latest so many; 0 keeps none."""


class TelemetrySettings(_Strict):
    """What OpenTelemetry gets to see; where it goes is up to the process's SDK."""

    traces: bool = False
    contents: bool = False
    """Whether spans hold tasks, inputs, outputs and the words of errors, too."""


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return value


class MemorySettings(_Strict):
    """What is kept of solved tasks, to answer them without a model."""

    keep: bool = True
    """Whether anything is kept, and looked up. The examples of capabilities count in either case."""
    answers: bool = True
    """Whether outputs and answers are kept as well. Without them a recalled answer is the output as it is."""
    never: tuple[Annotated[str, StringConstraints(min_length=1), AfterValidator(_pattern)], ...] = ()
    """Regular expressions, case aside. A task with a match in its words, arguments, output or answer is not kept, and
    the journal has neither its words nor its answer."""
    tasks: Annotated[int, Field(ge=0)] = 100_000
    """The latest so many."""
    days: Annotated[float, Field(gt=0)] | None = None
    """What was solved longer ago goes; never, where it is absent."""


class LifecycleSettings(_Strict):
    """How a version earns its states, and what follows when it fails."""

    active_after: Annotated[int, Field(ge=1)] = 1
    """Different inputs beyond its own examples on which a candidate has to run well, to become active."""
    trusted_after: Annotated[int, Field(ge=1)] = 5
    """The same, to become trusted."""
    recorded_inputs: Annotated[int, Field(ge=0, le=1000)] = 50
    """The latest different inputs from the journal on which a replacement has to do what its parent did."""
    trial_tasks: Annotated[int, Field(ge=1)] = 100
    """Tasks, and calls outside of tasks, that a capability may be there for without serving one, before `metier tidy`
    proposes to retire it."""
    repair: Literal["ask", "auto", "off"] = "ask"
    """What follows on a broken contract: `metier repair` when a person asks for it, at once, or nothing."""


class ApprovalSettings(_Strict):
    mode: Literal["ask", "auto", "deny"] = "ask"
    """For drafts that ask for more than their parent has and `[policy.unasked]` gives: a person decides, they get what
    the policy allows at all, or they get nothing more."""


class ToolchainSettings(_Strict):
    """How sources are built."""

    unlocked: bool = False
    """Whether compilers may run without a lock around them where the system has none. They read what a source tells
    them to, so a draft could then bring this machine's files into a capability."""


def _store_url(value: str) -> str:
    if not re.match(r"sqlite(\+pysqlite)?:///|postgresql(\+psycopg)?://|\$\{env:\w+\}$", value):
        raise ValueError("must be sqlite:///FILE, postgresql://… or ${env:NAME}")
    return value


StoreUrl = Annotated[str, AfterValidator(_store_url)]


class Settings(_Strict):
    """metier.toml. Roots are folders, relative ones beneath the file's own folder."""

    roots: dict[Name, str] = Field(default_factory=dict)
    secrets: dict[SecretName, Annotated[str, StringConstraints(pattern=r"^(env|file):.+$")]] = Field(
        default_factory=dict
    )
    """Where the value of each is: `env:NAME`, or `file:PATH` beneath the file's own folder. Read when it is used."""
    http: HttpSettings = HttpSettings()
    stores: dict[Name, StoreUrl] = Field(default_factory=dict, repr=False)
    """SQLAlchemy URLs of SQLite files, relative ones beneath the file's own folder, and of PostgreSQL. `${env:NAME}`
    stands for a variable, as a password should; it is read when the store is opened."""
    policy: Policy = Policy()
    approval: ApprovalSettings = ApprovalSettings()
    model: ModelSettings = ModelSettings()
    agent: AgentSettings = AgentSettings()
    recall: RecallSettings = RecallSettings()
    limits: Limits = Limits()
    research: ResearchSettings = ResearchSettings()
    journal: JournalSettings = JournalSettings()
    memory: MemorySettings = MemorySettings()
    toolchains: ToolchainSettings = ToolchainSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    telemetry: TelemetrySettings = TelemetrySettings()


def load_settings(library: Path) -> Settings:
    """The settings of the library at `library`; defaults where it has no metier.toml.

    Raises:
        UsageError: the file is not TOML, has a key that is not known, or a value of the wrong kind.
    """
    path = library / FILE_NAME
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path}: {error}") from None
    except RecursionError:
        raise UsageError(f"{path}: nested too deep") from None
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise UsageError(f"{path}: {first_problem(error)}") from None


def root_paths(library: Path, settings: Settings) -> dict[str, Path]:
    """Where each root is on this machine, absolute."""
    return {name: (library / folder).absolute() for name, folder in settings.roots.items()}


def secret_readers(library: Path, settings: Settings) -> dict[str, Callable[[], str | None]]:
    """For each secret what reads its value; None where it is not there."""

    def reader(place: str) -> Callable[[], str | None]:
        kind, _, where = place.partition(":")

        def read() -> str | None:
            if kind == "env":
                return os.environ.get(where)
            try:
                return (library / where).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                return None

        return read

    return {name: reader(place) for name, place in settings.secrets.items()}
