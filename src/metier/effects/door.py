"""Where a request is decoded, dispatched to its effect, and answered."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

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


EMPTY_TEXT: Final = 128
"""Bytes of memory, at most, of a text beside its characters."""


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
        answer = _answered(lambda: self._carry_out(request, budget))
        return answer if self._fits(answer) else _answered(lambda: self._refuse("the answer"))

    def _carry_out(self, request: str, budget: Budget) -> Any:
        if not self._fits(request):
            self._refuse("the request")
        asked = schemas.parse(request, what="the request", most=self._limits.json_bytes)
        if not isinstance(asked, dict) or not isinstance(asked.get("op"), str):
            raise EffectError("invalid", 'a request is a JSON object with "op"')
        name = asked["op"]
        if name in self._inside:
            return self._inside[name](self._context, budget, asked)
        if name in self._outside:
            return self._observed(self._outside[name], budget, asked)
        raise EffectError("denied", f"there is no effect named {name!r}")

    def _observed(self, operation: Operation, budget: Budget, asked: dict[str, Any]) -> Any:
        request = schemas.compact(asked)
        said = self._context.record.observe(request, lambda: _answered(lambda: operation(self._context, budget, asked)))
        told = json.loads(said)
        if "ok" not in told:
            raise EffectError(told["kind"], told["error"])
        return told["ok"]

    def _fits(self, text: str) -> bool:
        """Whether a text has no more bytes than an effect may have. One with a few wide characters among many narrow
        ones takes up to four times as much in memory; more than twice is too much."""
        most = self._limits.effect_bytes
        if len(text) > most or sys.getsizeof(text) > 2 * most + EMPTY_TEXT:
            return False
        return text.isascii() or len(text.encode("utf-8", "surrogatepass")) <= most

    def _refuse(self, what: str) -> NoReturn:
        raise EffectError("too_large", f"{what} is larger than {self._limits.effect_bytes} bytes")


def _answered(effect: Callable[[], Any]) -> str:
    try:
        return schemas.compact({"ok": effect()})
    except FileError as error:
        return schemas.compact({"error": str(error), "kind": error.problem})
    except EffectError as error:
        return schemas.compact({"error": str(error), "kind": error.kind})
    except schemas.InvalidJson as error:
        return schemas.compact({"error": str(error), "kind": "invalid"})
