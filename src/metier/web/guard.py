"""Who may talk to the server at all, decided before any handler sees a request.

Programs on this machine may; so may whoever has the token. Web pages of other sites may not, also not by way of a name
of theirs that resolves to this machine (DNS rebinding): their requests carry their own name in Host or Origin.

The pages for people lie under /ui. There a browser that has signed in needs no header; everywhere else its cookie
counts for nothing, so no request that a browser makes by itself reaches the API of a server that has a token.
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from metier.web.sessions import COOKIE, Sessions

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
HARMLESS = frozenset({"GET", "HEAD"})
PAGES = "/ui"
SIGN_IN = f"{PAGES}/sign-in"
OPEN = (SIGN_IN, f"{PAGES}/static/")
"""What a browser that has not signed in gets to see."""
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
API_HEADERS = (
    *HEADERS,
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
PAGE_HEADERS = (
    *HEADERS,
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"same-origin"),  # with no-referrer, browsers send forms with `Origin: null`
)


class Guard:
    """ASGI middleware. `hosts` are the names that the server goes by, beside those of loopback.

    With `any_address`, for a server that listens on all interfaces, every IP address is a name too: a page that was
    loaded from a foreign name cannot have one as its Host.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str | None = None,
        hosts: Iterable[str] = (),
        any_address: bool = False,
        sessions: Sessions | None = None,
    ) -> None:
        self._app = app
        self._token = token.encode("utf-8") if token else None
        self._sessions = sessions or Sessions(token)
        self._hosts = LOOPBACK_NAMES | {host.lower() for host in hosts}
        self._any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *(PAGE_HEADERS if _is_page(scope) else API_HEADERS)]
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return error_response(403, "host", "this server does not go by the name in the Host header")
        if origins and not _same_place(origins, hosts[0]):
            return error_response(403, "origin", "requests from pages of other sites are refused")
        crossing = {b"cross-site", b"same-site"} & set(_raw(scope, b"sec-fetch-site"))
        if crossing and scope["method"] not in HARMLESS:
            return error_response(403, "origin", "requests from pages of other sites are refused")
        if self._token is not None and not self._has_token(scope) and not self._is_signed_in(scope):
            if _is_page(scope):
                return RedirectResponse(SIGN_IN, 303)
            response = error_response(401, "token", "the Authorization header must be `Bearer` and the METIER_TOKEN")
            response.headers["www-authenticate"] = "Bearer"
            return response
        return None

    def _is_ours(self, host: str) -> bool:
        name = _host_name(host)
        return name is not None and (name in self._hosts or (self._any_address and _is_address(name)))

    def _is_signed_in(self, scope: Scope) -> bool:
        return _is_page(scope) and (scope["path"].startswith(OPEN) or self._sessions.holds(session_of(scope)))

    def _has_token(self, scope: Scope) -> bool:
        assert self._token is not None
        given = _raw(scope, b"authorization")
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return hmac.compare_digest(token.strip(), self._token) and scheme.lower() == b"bearer"


def error_response(status: int, kind: str, message: str, **more: Any) -> JSONResponse:
    """An error as every answer of this server gives it: `{"error": {"message", "kind"}}`, with `more` beside them."""
    return JSONResponse({"error": {"message": message, "kind": kind, **more}}, status)


def session_of(scope: Scope) -> str:
    """The session that a request names; "" for none."""
    cookies = SimpleCookie()
    with contextlib.suppress(CookieError):
        for value in _raw(scope, b"cookie"):
            cookies.load(value.decode("latin-1"))
    return cookies[COOKIE].value if COOKIE in cookies else ""


def _is_page(scope: Scope) -> bool:
    return str(scope["path"]).startswith(f"{PAGES}/")


def _raw(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for value in _raw(scope, name)]


def _host_name(host: str) -> str | None:
    """The name or address in a Host header, without brackets and port; None where it is not well-formed."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises where it is no number
        return parts.hostname if parts.netloc == host and "@" not in host else None
    except ValueError:
        return None


def _same_place(origins: list[str], host: str) -> bool:
    scheme, _, place = origins[0].partition("://")
    return len(origins) == 1 and scheme in ("http", "https") and place == host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
