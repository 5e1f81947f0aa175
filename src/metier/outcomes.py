"""What a run or a mutation came to: values, because the model and the caller both go on from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from metier.capability import Capability
    from metier.permissions import Permissions

FailureKind = Literal[
    "input",  # the input does not match the contract; never held against the capability
    "program",  # the program ended with an error of its own
    "contract",  # exit 0, but the output is not what the contract says
    "check",  # the input or output cannot be held to its schema within the limit of steps
    "trap",  # the program did something that WebAssembly forbids
    "fuel",
    "time",
    "memory",
    "table",
    "stack",
    "output",
    "effects",
    "module",  # the stored module cannot be run at all
    "lost",  # the process that ran it ended, and nobody knows how the run would have
]


@dataclass(frozen=True, slots=True)
class Effect:
    """One request that went through the effect door, and what was answered. Both are JSON text."""

    request: str
    answer: str

    @property
    def look(self) -> tuple[str, ...]:
        """What the run looked at by itself, as ("files.read", root, path) or ("call", id); empty for a request to the
        outside, which is an object."""
        request = json.loads(self.request)
        return tuple(request) if isinstance(request, list) else ()


@dataclass(frozen=True, slots=True)
class Ran:
    """A run that ended with exit status 0 and an output that matches the contract."""

    capability: str
    version: int
    input: Any
    output: Any
    output_text: str
    """The bytes that the program wrote, as text: what determinism is judged by."""
    stderr: str
    fuel: int
    seconds: float
    effects: tuple[Effect, ...] = ()
    blobs: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Contents that effects name by their SHA-256."""
    grant: tuple[Permissions, ...] = ()
    """The layers of permissions that it ran under."""
    changed: Mapping[str, bytes | None] = field(default_factory=dict, repr=False)
    """Of a rehearsal: the files that it would have changed, `root/path`, with what they would hold; None: removed."""
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """A run that did not. `error` is one line for a reader; `code` is the program's own kind where it gave one."""

    capability: str
    version: int
    input: Any
    kind: FailureKind
    error: str
    code: str = ""
    stderr: str = ""
    fuel: int = 0
    seconds: float = 0.0
    effects: tuple[Effect, ...] = ()
    blobs: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Contents that effects name by their SHA-256."""
    grant: tuple[Permissions, ...] = ()
    """The layers of permissions that it ran under."""
    run_id: str = ""
    consequence: str = ""
    """What followed for the version, in a line: that it is quarantined, and what serves in its place."""


@dataclass(frozen=True, slots=True)
class Mutated:
    """A new version in the library, ready to run. `rounds` counts the drafts that it took."""

    capability: Capability
    rounds: int
    sibling_of: tuple[str, ...] = ()
    """Why it did not become a version of its parent, whose id the draft had; empty where that was not tried."""


@dataclass(frozen=True, slots=True)
class Waits:
    """A draft that passed every check and waits for a person, because of what it asks for `beyond` the usual."""

    capability: str
    beyond: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """Nothing was written: this capability of the library does it already."""

    capability: Capability


@dataclass(frozen=True, slots=True)
class NotMutated:
    """No draft passed. `findings` are those of the last one; the library is as it was."""

    reason: str
    rounds: int
    findings: tuple[str, ...] = ()


Mutation = Mutated | Exists | Waits | NotMutated
"""What an order for a new capability came to."""
