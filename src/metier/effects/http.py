"""Requests over HTTP. Needs `http` permissions: origin, methods and path, of every layer of the grant.

canonical URL → permission → all addresses of the name → a connection to one of just these; a redirect goes through all
of it again. No proxy, no cookies, no credentials of this machine. Secrets are put in at the last moment and masked in
what comes back, so neither the program nor the record ever holds one.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import re
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from metier import schemas
from metier.effects.addresses import Network, Resolver, is_literal, parse_url, reachable, resolve
from metier.effects.door import Context, EffectError, Operation, base64_bytes
from metier.effects.secrets import (
    IN_QUERY,
    PLACEHOLDER,
    Readers,
    Secrets,
    Veil,
    filled_body,
    filled_header,
    filled_query,
)
from metier.sandbox.box import Budget
from metier.urls import InvalidUrl, Target

if TYPE_CHECKING:
    import ssl

    from metier.effects.exchange import Reply

KEYS = frozenset({"op", "method", "url", "headers", "body", "base64", "secrets"})
READING = frozenset({"GET", "HEAD"})
METHODS = READING | {"POST", "PUT", "PATCH", "DELETE"}
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 5
MAX_SECONDS = 30.0
MAX_HEADERS, MAX_HEADER_CHARACTERS = 64, 8_000
NOT_FOR_PROGRAMS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect"}
    | {"accept-encoding"}
    # With these a server may carry out another method or path than the one that was checked.
    | {"x-http-method", "x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url"}
)
CREDENTIALS = frozenset({"authorization", "cookie", "x-api-key", "api-key"})
RANGES = frozenset({"range", "if-range"})


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    target: Target
    headers: dict[str, str]
    body: bytes
    secrets: frozenset[str] | None = None
    """Whose placeholders are replaced; None means all."""
    redirected: bool = False


class HttpService:
    """What requests of all runs share: the networks and secrets that the operator named.

    `secrets` has for each name what reads its value. `resolver` gives all addresses of a name. Safe to use from several
    threads.
    """

    def __init__(
        self,
        *,
        networks: Sequence[Network] = (),
        secrets: Readers | None = None,
        resolver: Resolver = resolve,
        tls: ssl.SSLContext | None = None,
        methods: frozenset[str] = METHODS,
    ) -> None:
        self._networks = networks
        self._secrets = Secrets(secrets or {})
        self._resolver = resolver
        self._given_tls = tls
        self._methods = methods

    @functools.cached_property
    def only_reading(self) -> HttpService:
        """The same for rehearsals, which must change nothing: only GET and HEAD are sent."""
        limited = HttpService(
            networks=self._networks, resolver=self._resolver, tls=self._given_tls, methods=self._methods & READING
        )
        limited._secrets = self._secrets
        return limited

    def request(self, context: Context, budget: Budget, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Carries out one request with its redirects. Raises EffectError."""
        request = _checked(asked)
        until = time.monotonic() + min(MAX_SECONDS, budget.seconds_left())
        veil = self._secrets.veil(context.grant.secrets)
        for _ in range(MAX_REDIRECTS + 1):
            reply = self._sent(context, request, until)
            location = reply.headers.get("location")
            if reply.status not in REDIRECTS or location is None:
                return _answer(request, reply, veil, context.limits.effect_bytes)
            request = _redirected(request, reply.status, location, veil)
        raise EffectError("unreachable", f"more than {MAX_REDIRECTS} redirects")

    def _sent(self, context: Context, request: _Request, until: float) -> Reply:
        """The reply to one request, after every check on it."""
        from metier.effects.exchange import exchange  # loads the client

        target = request.target
        allowed = context.grant.http_secrets(target.origin, request.method, target.path)
        if allowed is None:
            raise EffectError("denied", f"{request.method} {_place(request)} is not allowed")
        if request.method not in self._methods:
            raise EffectError("denied", f"a rehearsal sends no {request.method}: it must change nothing")
        if allowed and RANGES & {name.lower() for name in request.headers}:
            raise EffectError("denied", "where secrets may be sent, a part of an answer cannot be asked for")
        addresses = reachable(target, self._networks, self._resolver, until - time.monotonic())
        outgoing = self._with_secrets(request, allowed)
        most = context.limits.effect_bytes
        return exchange(
            outgoing.method, outgoing.target, _sent_headers(outgoing), outgoing.body, addresses, self._tls, until, most
        )

    def _with_secrets(self, request: _Request, allowed: frozenset[str]) -> _Request:
        """The request as it is sent, with the placeholders replaced."""

        def value(name: str) -> str:
            if request.secrets is not None and name not in request.secrets:
                return f"{{{{secret:{name}}}}}"
            if name not in allowed:
                raise EffectError("denied", f"the secret {name} is not allowed here")
            return self._secrets.value(name)

        target = request.target
        if IN_QUERY.search(target.path):
            raise EffectError("invalid", "a secret may stand in headers, query and body, not in the path")
        content_type = next((v for n, v in request.headers.items() if n.lower() == "content-type"), "")
        return dataclasses.replace(
            request,
            target=dataclasses.replace(target, query=target.query and filled_query(target.query, value)),
            headers={name: filled_header(text, value) for name, text in request.headers.items()},
            body=filled_body(request.body, content_type, value),
        )

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext:
        import httpcore2

        return self._given_tls or httpcore2.default_ssl_context()


def request(context: Context, budget: Budget, asked: Mapping[str, Any]) -> dict[str, Any]:
    if context.http is None:
        raise EffectError("denied", "there is no HTTP here")
    return context.http.request(context, budget, asked)


OPERATIONS: Final[dict[str, Operation]] = {"http.request": request}


def _checked(asked: Mapping[str, Any]) -> _Request:
    if unknown := set(asked) - KEYS:
        raise EffectError("invalid", f"a request has no {min(unknown)[:60]!r}")
    method, url, secrets = asked.get("method"), asked.get("url"), asked.get("secrets")
    if not isinstance(method, str) or method.upper() not in METHODS:
        raise EffectError("invalid", f"the method must be one of {', '.join(sorted(METHODS))}")
    if not isinstance(url, str):
        raise EffectError("invalid", "url must be a text")
    if secrets is not None and not (isinstance(secrets, list) and all(isinstance(name, str) for name in secrets)):
        raise EffectError("invalid", "secrets must be a list of names")
    body = _body_of(asked)
    if body and method.upper() in READING:
        raise EffectError("invalid", f"{method.upper()} has no body")
    narrowed = None if secrets is None else frozenset(secrets)
    return _Request(method.upper(), parse_url(url), _headers_of(asked), body, narrowed)


def _headers_of(asked: Mapping[str, Any]) -> dict[str, str]:
    headers = asked.get("headers") or {}
    if not isinstance(headers, dict) or len(headers) > MAX_HEADERS:
        raise EffectError("invalid", f"headers must be an object of at most {MAX_HEADERS}")
    for name, value in headers.items():
        _check_header(name, value)
    if len({name.lower() for name in headers}) < len(headers):
        raise EffectError("invalid", "a header may be given once")
    return {name: value.strip(" \t") for name, value in headers.items()}


def _check_header(name: str, value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}", name):
        raise EffectError("invalid", f"{name[:60]!r} is no header")
    known_as = name.lower().replace("_", "-")  # some servers read one for the other
    if known_as in NOT_FOR_PROGRAMS or known_as.startswith("proxy-"):
        raise EffectError("invalid", f"the header {name} is not for programs to set")
    if len(value) > MAX_HEADER_CHARACTERS or not all(
        c == "\t" or 0x20 <= ord(c) < 0x7F or 0xA0 <= ord(c) <= 0xFF for c in value
    ):
        raise EffectError("invalid", f"the header {name} is too long, or has characters that no header has")


def _body_of(asked: Mapping[str, Any]) -> bytes:
    body, encoded = asked.get("body"), asked.get("base64")
    if body is not None and encoded is not None:
        raise EffectError("invalid", "a request has body or base64, one of the two")
    if encoded is not None:
        return base64_bytes(encoded)
    if body is not None and not isinstance(body, str):
        raise EffectError("invalid", "body must be a text")
    return (body or "").encode("utf-8", "surrogatepass")


def _sent_headers(request: _Request) -> list[tuple[str, str]]:
    own = [("Host", request.target.authority), ("Accept-Encoding", "identity")]
    if request.body or request.method not in READING | {"DELETE"}:
        own.append(("Content-Length", str(len(request.body))))
    return [*own, *request.headers.items()]


def _redirected(request: _Request, status: int, location: str, veil: Veil) -> _Request:
    """The request that follows a redirect; across origins without what is meant for the first one alone."""
    location = location.encode("latin-1").decode("utf-8", "surrogateescape")
    if IN_QUERY.search(location):
        raise EffectError("denied", "a server may not say where a secret goes")
    target = _led_to(request.target, veil.named(location))
    method, body, headers = request.method, request.body, request.headers
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", b""
        headers = {name: value for name, value in headers.items() if not name.lower().startswith("content-")}
    if target.origin != request.target.origin:
        if IN_QUERY.search(target.target) or PLACEHOLDER.search(body.decode("latin-1")):
            raise EffectError("denied", "a redirect would take a secret to another origin")
        headers = {
            name: value
            for name, value in headers.items()
            if name.lower() not in CREDENTIALS and not PLACEHOLDER.search(value)
        }
    return _Request(method, target, headers, body, request.secrets, redirected=True)


def _led_to(target: Target, location: str) -> Target:
    try:
        return parse_url(urllib.parse.urljoin(target.url, location))
    except (EffectError, InvalidUrl, ValueError):  # urljoin raises ValueError as well
        raise EffectError("invalid", f"{target.host} redirects to what is no URL that can be asked for") from None


def _place(request: _Request) -> str:
    """For messages: a server may redirect to an address inside, and the program is not told which."""
    target = request.target
    hidden = request.redirected and is_literal(target.host)
    return "where it was redirected to" if hidden else target.origin + target.path


def _answer(request: _Request, reply: Reply, veil: Veil, most: int) -> dict[str, Any]:
    shown = {
        veil.hide(name.encode("latin-1")).decode("latin-1"): veil.hide(text.encode("latin-1")).decode("latin-1")
        for name, text in reply.headers.items()
    }
    content = veil.hide(reply.body)
    if content != reply.body:
        shown.pop("content-length", None)  # it would tell how long the secret is
    answer = {"status": reply.status, "url": request.target.url, "headers": shown}
    try:
        answer["body"] = content.decode("utf-8")
    except UnicodeDecodeError:
        answer["base64"] = base64.b64encode(content).decode("ascii")
    if len(schemas.compact(answer)) > most - 100:  # what the door puts around it
        raise EffectError("too_large", f"the answer is larger than {most} bytes")
    return answer
