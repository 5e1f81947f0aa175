"""Errors as answers: `{"error": {"message", "kind"}}`, with a status that says whose fault it was."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from metier import schemas
from metier.errors import (
    ApprovalPending,
    MetierError,
    ModelError,
    Overloaded,
    PublishConflict,
    RunFailed,
    SetupMissing,
    UnknownCapability,
    UsageError,
)
from metier.web.guard import error_response

INTERNAL = "an internal error; see the server's log"
RETRY_SECONDS = "1"
"""When a request may come again that found too many runs waiting."""

STATUSES: tuple[tuple[type[MetierError], int, str], ...] = (
    (UsageError, 400, "usage"),
    (UnknownCapability, 404, "unknown_capability"),
    (PublishConflict, 409, "conflict"),
    (ApprovalPending, 403, "approval_pending"),
    (Overloaded, 503, "overloaded"),
    (SetupMissing, 503, "setup_missing"),
    (ModelError, 502, "model"),
    (MetierError, 500, "library"),
)
"""Statuses and kinds of the errors that the runtime raises; the first that fits holds. `RunFailed` has its own."""


class Refusal(Exception):
    """A request that cannot be carried out as it is."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


def told(error: MetierError) -> tuple[int, str, str]:
    """Status, kind and message of an error of the runtime's.

    An input against the contract, and a failure that the program itself reports, are for the caller to mend; a program
    that breaks its contract or a limit is not.
    """
    if isinstance(error, RunFailed):
        kind = error.outcome.kind
        return (422 if kind in ("input", "program") else 500), kind, str(error)
    return next((status, kind, str(error)) for type, status, kind in STATUSES if isinstance(error, type))


async def _metier_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, MetierError)
    more: dict[str, Any] = {}
    if isinstance(error, RunFailed):
        more = {"code": error.outcome.code, "run_id": error.outcome.run_id}
    response = error_response(*told(error), **more)
    if isinstance(error, Overloaded):
        response.headers["retry-after"] = RETRY_SECONDS
    return response


async def _bad_json(request: Request, error: Exception) -> Response:
    return error_response(400, "json", str(error))


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    response = error_response(error.status, error.kind, str(error))
    if error.status == 413:
        response.headers["connection"] = "close"
    return response


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = {404: "not_found", 405: "method"}.get(error.status_code, "http")
    what = f"{request.method} {request.url.path}"
    response = error_response(error.status_code, kind, f"{what}: {error.detail.lower()}; GET / lists what there is")
    response.headers.update(error.headers or {})
    return response


async def _bug(request: Request, error: Exception) -> Response:
    return error_response(500, "internal", INTERNAL)


HANDLERS = {
    MetierError: _metier_error,
    schemas.InvalidJson: _bad_json,
    Refusal: _refusal,
    HTTPException: _http_error,
    Exception: _bug,
}
"""What an application does with each kind of error."""
