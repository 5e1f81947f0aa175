"""meta.json: a capability's contract and lineage, as frozen models.

Two forms load. The whole one has every key of the contract; the three-key form (`id`, `summary`, `binary`) is a
capability with no permissions whose input and output may be any JSON value. A form in between is an error, not a guess.
"""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from metier import schemas
from metier.errors import BrokenCapability
from metier.permissions import CapabilityId, Permissions

Language = Literal["python", "javascript", "rust", "go", "c", "cpp", "zig", "wat", "wasm"]
Effects = Literal["pure", "read", "write"]
Status = Literal["candidate", "active", "trusted", "quarantined", "superseded", "retired"]
LIVE: frozenset[Status] = frozenset({"candidate", "active", "trusted"})
"""States in which a capability is found and run."""

MAX_META_BYTES = 4 * 2**20
SKETCH_KEYS = frozenset({"id", "summary", "binary"})


def _relative_path(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or "\\" in value or "\0" in value or not path.parts:
        raise ValueError("must be a path inside the capability's own folder")
    return value


def _schema(value: dict[str, Any]) -> dict[str, Any]:
    problem = schemas.check_schema(value)
    if problem is not None:
        raise ValueError(problem)
    return value


Summary = Annotated[str, StringConstraints(min_length=1, max_length=1000, strip_whitespace=True)]
Schema = Annotated[dict[str, Any], AfterValidator(_schema)]
"""A JSON Schema that is known to be one. Checked where it is written; a stored one is covered by the content hash."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpectedError(_Strict):
    """What an example that must fail fails with: its kind, and words that the message holds."""

    kind: str | None = None
    message: str | None = None


class Example(_Strict):
    """One frozen example. `answer` is its sentence: a template over the output, `{salary}` or `{events.0.title}`."""

    task: str | None = None
    input: Any
    output: Any = None
    error: ExpectedError | None = None
    answer: str | None = None
    fixtures: dict[str, Any] | None = None
    """Files that stand in for the live ones, `{"root/path": content}`: a text, or a value to be written as JSON."""
    after: dict[str, Any] | None = None
    """What files hold when it has run, as the host reads them: `{"root/path": content}`, null for one that is gone."""

    @model_validator(mode="after")
    def _one_outcome(self) -> Self:
        if ("output" in self.model_fields_set) == (self.error is not None):
            raise ValueError("an example has an output or an error, one of the two")
        return self


class Provenance(_Strict):
    """Where a version came from."""

    author: str
    """A model's name, or "hand"."""
    created: str
    """ISO 8601, UTC."""
    prompt_sha256: str | None = None
    toolchain: str | None = None
    approved_by: str | None = None
    gates: dict[str, str] = Field(default_factory=dict)
    """What each gate saw, in a few words."""


class Contract(_Strict):
    """What a capability promises, without the program that keeps it."""

    id: CapabilityId
    summary: Summary
    language: Language = "wasm"
    input_schema: dict[str, Any] = Field(default_factory=dict)
    output_schema: dict[str, Any] = Field(default_factory=dict)
    effects: Effects = "pure"
    permissions: Permissions = Permissions()
    examples: tuple[Example, ...] = ()

    @model_validator(mode="after")
    def _effects_tell_permissions(self) -> Self:
        wants = self.permissions
        writes = any(f.access == "write" for f in wants.files) or any(
            verb != "select" for s in wants.sql for verbs in s.tables.values() for verb in verbs
        )
        writes = writes or any(set(h.methods) - {"GET", "HEAD"} for h in wants.http)
        if writes and self.effects != "write":
            raise ValueError(f'effects is "{self.effects}", but permissions ask to write; make it "write"')
        if self.effects == "pure" and (wants.files or wants.http or wants.sql or wants.call):
            raise ValueError('effects is "pure", but permissions ask for more; make it "read" or "write"')
        return self


class Capability(Contract):
    """One version of a capability, as its meta.json says."""

    binary: Annotated[str, AfterValidator(_relative_path)]
    version: Annotated[int, Field(ge=1, strict=True)] = 1
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    engine: str | None = None
    parent: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}@[0-9]+$")] | None = None
    replaced_by: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}@[0-9]+$")] | None = None
    replaced_with: dict[str, Any] | None = None
    """What its calls add to their input, where `replaced_by` answers them. Not part of the content hash."""
    status: Status = "active"
    pinned: Literal[True] | None = None
    """Set by a person: no mutation replaces, merges or retires it. Not part of the content hash."""
    provenance: Provenance | None = None

    @model_validator(mode="before")
    @classmethod
    def _whole_or_sketch(cls, value: Any) -> Any:
        if isinstance(value, dict):
            given = set(value)
            required = {"version", "sha256", "language", "input_schema", "output_schema", "effects", "permissions"}
            missing = sorted((required | {"examples", "status"} | SKETCH_KEYS) - given)
            if given - SKETCH_KEYS and missing:
                raise ValueError(f"missing {', '.join(missing)}")
        return value

    @property
    def name(self) -> str:
        """`id@version`, as lineage writes it."""
        return f"{self.id}@{self.version}"

    @property
    def live(self) -> bool:
        return self.status in LIVE


def parse_meta(text: str | bytes, *, where: Path) -> Capability:
    """The capability that a meta.json describes.

    Raises:
        BrokenCapability: one line with the file, what is wrong and what to do.
    """
    if len(text) > MAX_META_BYTES:
        raise BrokenCapability(f"{where}: larger than {MAX_META_BYTES} bytes")
    try:
        return Capability.model_validate(schemas.parse(text, what="the file"))
    except schemas.InvalidJson as error:
        raise BrokenCapability(f"{where}: {error}; restore it from versions/ or from git") from None
    except ValidationError as error:
        raise BrokenCapability(f"{where}: {first_problem(error)}") from None


def first_problem(error: ValidationError) -> str:
    """pydantic's findings in one line: the first, and how many more."""
    findings = error.errors(include_url=False, include_input=False, include_context=False)
    first, more = findings[0], len(findings) - 1
    where = ".".join(str(step) for step in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "is not a key that Metier knows"
    line = " ".join(f"{where} {message}".split())
    return f"{line} (and {more} more)" if more else line


def content_hash(contract: Contract, wasm: bytes, source: dict[str, bytes]) -> str:
    """SHA-256 over contract, examples, wasm and source files: two versions with the same hash behave the same."""
    parts = {
        "contract": contract_json(contract),
        "wasm": hashlib.sha256(wasm).hexdigest(),
        "source": {path: hashlib.sha256(content).hexdigest() for path, content in source.items()},
    }
    return hashlib.sha256(schemas.canonical(parts).encode("utf-8")).hexdigest()


def unpublished(contract: Contract) -> Capability:
    """A contract as the capability that it would be, to run its program before it is one."""
    return Capability.model_construct(
        **contract_fields(contract), binary=f"{contract.id}.wasm", version=1, sha256=None, status="candidate"
    )


def contract_fields(contract: Contract) -> dict[str, Any]:
    """The keys of the contract as they are, of a contract itself or of a whole capability."""
    return {name: getattr(contract, name) for name in Contract.model_fields}


def contract_json(contract: Contract) -> dict[str, Any]:
    """The contract's keys as JSON values, in the order of the model, without keys that were never set."""
    whole = contract.model_dump(mode="json", include=set(Contract.model_fields), exclude={"permissions", "examples"})
    whole["permissions"] = contract.permissions.model_dump(mode="json", exclude_unset=True)
    whole["examples"] = [example.model_dump(mode="json", exclude_unset=True) for example in contract.examples]
    return whole


def meta_json(capability: Capability) -> dict[str, Any]:
    """The whole meta.json of a capability, in the order that reads best."""
    own = capability.model_dump(mode="json", exclude=set(Contract.model_fields), exclude_none=True)
    contract = contract_json(capability)
    head = {"id": capability.id, "summary": capability.summary, "binary": capability.binary}
    if capability.provenance is not None:
        own["provenance"] = capability.provenance.model_dump(mode="json", exclude_defaults=True)
    own["sha256"] = capability.sha256  # null where it was never published, but never absent: it makes the file whole
    return head | own | {key: value for key, value in contract.items() if key not in head}
