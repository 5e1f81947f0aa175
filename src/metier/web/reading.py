"""Requests read within bounds of size and time, and held to their models."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from metier import schemas
from metier.capability import first_problem
from metier.web.errors import Refusal

MAX_BODY_BYTES = 8 * 2**20
BODY_SECONDS = 30.0
"""How long a body may take to come."""

Model = TypeVar("Model", bound=BaseModel)


async def json_of(request: Request) -> Any:
    """The body as a JSON value.

    Raises:
        Refusal: it is too large, takes too long, or breaks off.
        InvalidJson: it is no JSON.
    """
    return schemas.parse(await _body(request), what="the body")


def query(model: type[Model], request: Request) -> Model:
    """The parameters of the address. Raises Refusal where they are wrong, or one is given twice."""
    given = request.query_params.multi_items()
    names = [name for name, _ in given]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Refusal(400, "usage", f"{twice} is given more than once")
    return checked(model, dict(given))


def checked(model: type[Model], value: Any) -> Model:
    """A value held to a model. Raises Refusal with the first thing that is wrong."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Refusal(400, "usage", first_problem(error)) from None


async def _body(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise _too_large()
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                chunks.append(chunk)
    except TimeoutError:
        raise Refusal(408, "slow", f"the body did not come within {BODY_SECONDS:.0f} s") from None
    except ClientDisconnect:
        raise Refusal(400, "gone", "the client left before its body had come") from None
    return b"".join(chunks)


def _too_large() -> Refusal:
    return Refusal(413, "too_large", f"the body is larger than {MAX_BODY_BYTES} bytes")
