"""Where a request is decoded, dispatched to its effect, and answered."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from metier import schemas
from metier.permissions import Grant
from metier.record import Record
from metier.sandbox.box import Budget
from metier.sandbox.files import FileError, FileSystem
from metier.sandbox.limits import Limits
from metier.sandbox.wasi import LimitReached

if TYPE_CHECKING:
    from metier.effects.http import HttpService
    from metier.effects.sql import SqlSession


class Caller(Protocol):
    """Runs another capability on behalf of a run, and returns its output. Raises EffectError."""

    def __call__(self, context: Context, budget: Budget, capability: str, input: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Context:
    """What the effects of one run have at their disposal."""

    files: FileSystem
    grant: Grant
    limits: Limits
    record: Record
    call: Caller | None = None
    http: HttpService | None = None
    sql: SqlSession | None = None
    depth: int = 0
    """How many runs this one is nested in."""


Operation = Callable[[Context, Budget, Mapping[str, Any]], Any]
"""Carries out one kind of request. Raises EffectError or FileError for what the program should be told."""


class EffectError(Exception):
    """An effect that did not happen; `kind` is what a program can decide by."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def base64_bytes(text: Any) -> bytes:
    """What a program gives as base64. Raises EffectError where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError):  # binascii.Error is one; a plain one is raised for what is not ASCII
        raise EffectError("invalid", "base64 does not decode") from None


class Door:
    """The door of one run.

    Operations `inside` work on the run's own state, and what they look at outside is observed where they look; the
    answer of one `outside` is observed as a whole, so a replay takes it from the record.
    """

    def __init__(self, inside: Mapping[str, Operation], outside: Mapping[str, Operation], context: Context) -> None:
        self._inside = inside
        self._outside = outside
        self._context = context
        self._limits = context.limits
        self.count = 0

    def call(self, request: str, budget: Budget) -> str:
        """The answer to one request, as JSON text.

        Raises:
            LimitReached: the run has had all the effects that it may have.
        """
        self.count += 1
        if self.count > self._limits.effects:
            raise LimitReached("effects", f"the program asked for more than {self._limits.effects} effects")
        return _answered(lambda: self._carry_out(request, budget))

    def _carry_out(self, request: str, budget: Budget) -> Any:
        if len(request) > self._limits.effect_bytes:
            raise EffectError("invalid", f"a request may have {self._limits.effect_bytes} bytes")
        asked = schemas.parse(request, what="the request")
        if not isinstance(asked, dict) or not isinstance(asked.get("op"), str):
            raise EffectError("invalid", 'a request is a JSON object with "op"')
        name = asked["op"]
        if name in self._inside:
            return self._inside[name](self._context, budget, asked)
        if name in self._outside:
            return self._observed(self._outside[name], budget, asked)
        raise EffectError("denied", f"there is no effect named {name!r}")

    def _observed(self, operation: Operation, budget: Budget, asked: dict[str, Any]) -> Any:
        said = self._context.record.observe(
            schemas.compact(asked), lambda: _answered(lambda: operation(self._context, budget, asked))
        )
        told = json.loads(said)
        if "ok" not in told:
            raise EffectError(told["kind"], told["error"])
        if len(said) > self._limits.effect_bytes:
            raise EffectError("no_space", f"the answer is larger than {self._limits.effect_bytes} bytes")
        return told["ok"]


def _answered(effect: Callable[[], Any]) -> str:
    try:
        return schemas.compact({"ok": effect()})
    except FileError as error:
        return schemas.compact({"error": str(error), "kind": error.problem})
    except EffectError as error:
        return schemas.compact({"error": str(error), "kind": error.kind})
    except schemas.InvalidJson as error:
        return schemas.compact({"error": str(error), "kind": "invalid"})
