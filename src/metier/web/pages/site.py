"""What all pages share: templates, forms that only our own pages can send, and errors as pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from metier.errors import (
    ApprovalPending,
    MetierError,
    Overloaded,
    PublishConflict,
    RunFailed,
    SetupMissing,
    UnknownCapability,
    UsageError,
)
from metier.runtime import Runtime
from metier.web.guard import PAGES, session_of
from metier.web.pages import showing
from metier.web.sessions import Sessions

MAX_FORM_BYTES = 2 * 2**20
MAX_FIELDS = 500
TOKEN_FIELD, TOKEN_HEADER = "form_token", "x-form-token"  # names of fields
STATUSES: tuple[tuple[type[MetierError], int], ...] = (
    (UsageError, 400),
    (UnknownCapability, 404),
    (PublishConflict, 409),
    (ApprovalPending, 403),
    (Overloaded, 503),
    (SetupMissing, 503),
    (RunFailed, 422),
)
DONE = {
    "retired": "Retired. Nothing finds or runs it any more; its versions stay.",
    "restored": "Taken back into use.",
    "pinned": "Pinned. No mutation replaces, merges or retires it.",
    "unpinned": "Not pinned any more.",
    "rolled_back": "The earlier version was published again, as the next one.",
    "approved": "Approved and published.",
    "rejected": "Rejected; the draft is gone.",
    "modified": "The draft passed the gates as you changed it, and waits for your decision.",
}
"""What a page says after a change, by the word that the redirect to it carries."""

Form = Mapping[str, str]


class Refused(Exception):
    """A request that cannot be carried out as it is."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Site:
    """The pages over one runtime."""

    def __init__(self, runtime: Runtime, sessions: Sessions) -> None:
        self.runtime = runtime
        self.sessions = sessions
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("metier.web.pages"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            finalize=showing.shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(showing.FILTERS)
        self._templates.globals.update(base=PAGES, STATES=showing.STATES)

    def page(self, request: Request, name: str, status: int = 200, **values: Any) -> Response:
        """The template `name` as an answer."""
        return HTMLResponse(self.render(request, name, **values), status)

    def render(self, request: Request, name: str, **values: Any) -> str:
        session = session_of(request.scope)
        inside = not self.sessions.needed or self.sessions.holds(session)
        return self._templates.get_template(f"{name}.html.j2").render(
            path=request.url.path.removeprefix(PAGES),
            library=self.runtime.library.path.name if inside else None,
            done=DONE.get(request.query_params.get("done", "")),
            form_token=self.sessions.form_token(session),
            signed_in=self.sessions.needed and inside,
            **values,
        )

    def posted(self, handler: Callable[[Request, Form], Response]) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint for a form: checked, read, and handled in a thread."""

        async def endpoint(request: Request) -> Response:
            return await run_in_threadpool(handler, request, await self.form(request))

        return endpoint

    async def form(self, request: Request) -> Form:
        """The fields of a form that one of our own pages sent.

        Raises:
            Refused: it comes from elsewhere, or is too large.
        """
        origin = request.headers.get("origin")  # the guard has held it against Host
        if origin is None:
            raise Refused(403, "the request says no Origin; browsers do")
        chunks, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_FORM_BYTES:
                raise Refused(413, f"the form is larger than {MAX_FORM_BYTES} bytes")
            chunks.append(chunk)
        try:
            text = b"".join(chunks).decode("utf-8")
            fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"))
        except ValueError:
            raise Refused(400, "the form cannot be read") from None
        token = fields.pop(TOKEN_FIELD, None) or request.headers.get(TOKEN_HEADER, "")
        if not self.sessions.is_form_token(session_of(request.scope), token):
            raise Refused(403, "the page that sent this is out of date; load it again and send it once more")
        return fields

    def back(self, path: str, done: str) -> Response:
        """To a page, after a change; it says what was `done`."""
        return RedirectResponse(f"{PAGES}{path}?done={done}", 303)

    async def metier_error(self, request: Request, error: Exception) -> Response:
        status = next((status for type, status in STATUSES if isinstance(error, type)), 500)
        return self._error(request, status, str(error))

    async def refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return self._error(request, error.status, str(error))

    async def http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = "there is no such page" if error.status_code == 404 else error.detail.lower()
        response = self._error(request, error.status_code, message)
        response.headers.update(error.headers or {})
        return response

    async def bug(self, request: Request, error: Exception) -> Response:
        return self._error(request, 500, "an internal error; see the server's log")

    def _error(self, request: Request, status: int, message: str) -> Response:
        return self.page(request, "error", status, code=status, message=message)


def number(request: Request, name: str, usual: int, most: int = 10**9) -> int:
    """A whole number of at least 1 in the query. Raises Refused where it is none."""
    text = request.query_params.get(name, "")
    if not text:
        return usual
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:10]) <= most:
        raise Refused(400, f"{name} is a number from 1 to {most}")
    return int(text)


def choice(request: Request, name: str, choices: Any) -> str:
    """One of the choices in the query, or "". Raises Refused where it is another."""
    text = request.query_params.get(name, "")
    if text and text not in choices:
        raise Refused(400, f"{name} is one of {', '.join(choices)}")
    return text
