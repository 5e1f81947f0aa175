"""Signing in and out, where the server has a token."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from metier.web.guard import PAGES, SIGN_IN
from metier.web.pages.site import Form, Site
from metier.web.sessions import COOKIE, SESSION_SECONDS


class EntryPages:
    def __init__(self, site: Site) -> None:
        self._site = site

    def sign_in(self, request: Request) -> Response:
        return self._site.page(request, "sign_in", problem=None)

    def signed_in(self, request: Request, form: Form) -> Response:
        session = self._site.sessions.begin(form.get("token", "").strip())
        if session is None:
            return self._site.page(request, "sign_in", 403, problem="That is not this server's token.")
        response = RedirectResponse(f"{PAGES}/", 303)
        response.set_cookie(
            COOKIE,
            session,
            max_age=SESSION_SECONDS,
            path=PAGES,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    def sign_out(self, request: Request, form: Form) -> Response:
        response = RedirectResponse(SIGN_IN, 303)
        response.delete_cookie(COOKIE, path=PAGES, httponly=True, samesite="strict")
        return response
