"""Requests over HTTP. Needs `http` permissions: origin, methods and path, of every layer of the grant.

canonical URL → permission → all addresses of the name → a connection to one of just these; a redirect goes through all
of it again. No proxy, no cookies, no credentials of this machine. Secrets are put in at the last moment and masked in
what comes back, so neither the program nor the record ever holds one.
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from metier.effects.addresses import Network, Resolver, Target, parse_url, reachable, resolve
from metier.effects.door import Context, EffectError, Operation
from metier.sandbox.box import Budget

if TYPE_CHECKING:
    import httpcore2

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 5
MAX_SECONDS = 30.0
MAX_HEADERS, MAX_HEADER_CHARACTERS = 64, 8_000
HOP_BY_HOP = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect"}
    | {"accept-encoding", "proxy-authorization", "proxy-connection", "proxy-authenticate"}
)
CREDENTIALS = frozenset({"authorization", "cookie", "x-api-key", "api-key"})
PLACEHOLDER = re.compile(r"\{\{secret:([A-Za-z0-9_]+)\}\}")
MIN_SECRET = 4
"""Shorter values are not masked: they would hide half of every page."""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    target: Target
    headers: dict[str, str]
    body: bytes


class HttpService:
    """What requests of all runs share: the networks and secrets that the operator named."""

    def __init__(
        self,
        *,
        networks: Sequence[Network] = (),
        secrets: Mapping[str, Callable[[], str | None]] | None = None,
        resolver: Resolver = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._networks = networks
        self._secrets = secrets or {}
        self._resolver = resolver
        self._tls = tls

    def request(self, context: Context, budget: Budget, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Carries out one request with its redirects."""
        request = _checked(asked)
        until = time.monotonic() + min(MAX_SECONDS, max(0.0, budget.seconds_left()))
        used: dict[str, str] = {}
        for _ in range(MAX_REDIRECTS + 1):
            allowed = context.grant.http_secrets(request.target.origin, request.method, request.target.path)
            if allowed is None:
                wish = f"{request.method} {request.target.origin}{request.target.path}"
                raise EffectError("denied", f"{wish} is not allowed")
            addresses = reachable(request.target, self._networks, self._resolver)
            filled = self._with_secrets(request, allowed, used)
            status, headers, body = self._send(filled, addresses, until, context.limits.effect_bytes // 2)
            location = headers.get("location")
            if status not in REDIRECTS or location is None:
                return _answer(request, status, headers, body, used)
            request = _redirected(request, status, _masked(location.encode("latin-1"), used).decode("latin-1"))
        raise EffectError("unreachable", f"more than {MAX_REDIRECTS} redirects")

    def _with_secrets(self, request: _Request, allowed: frozenset[str], used: dict[str, str]) -> _Request:
        """The request as it is sent, with the placeholders replaced; keeps which values were put in."""

        def value(name: str) -> str:
            if name not in allowed:
                raise EffectError("denied", f"the secret {name} is not allowed here")
            found = self._secrets[name]() if name in self._secrets else None
            if not found:
                raise EffectError("unavailable", f"the secret {name} is not set")
            used[name] = found
            return found

        target = request.target
        if PLACEHOLDER.search(target.path):
            raise EffectError("invalid", "a secret may stand in headers, query and body, not in the path")
        query = target.query
        if query is not None:
            query = PLACEHOLDER.sub(lambda m: urllib.parse.quote(value(m[1]), safe=""), query)
        headers = {name: PLACEHOLDER.sub(lambda m: value(m[1]), text) for name, text in request.headers.items()}
        body = request.body
        if PLACEHOLDER.search(body.decode("latin-1")):
            body = PLACEHOLDER.sub(lambda m: value(m[1]), body.decode("utf-8", "surrogateescape")).encode(
                "utf-8", "surrogateescape"
            )
        if any("\r" in text or "\n" in text for text in headers.values()):
            raise EffectError("unavailable", "a secret holds a line break and cannot stand in a header")
        return _Request(
            request.method, Target(target.scheme, target.host, target.port, target.path, query), headers, body
        )

    def _send(
        self, request: _Request, addresses: Sequence[str], until: float, most: int
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in lower case) and body of one exchange with one of the addresses."""
        import httpcore2

        target = request.target
        headers = [("Host", target.authority), ("Accept-Encoding", "identity"), *request.headers.items()]
        if request.body or request.method in ("POST", "PUT", "PATCH"):
            headers.append(("Content-Length", str(len(request.body))))
        pool = httpcore2.ConnectionPool(
            ssl_context=self._tls or ssl.create_default_context(), network_backend=_pinned(addresses, until)
        )
        left = max(0.001, until - time.monotonic())
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), left)
        try:
            with (
                pool,
                pool.stream(
                    request.method,
                    httpcore2.URL(
                        scheme=target.scheme.encode(),
                        host=target.host.encode(),
                        port=target.port,
                        target=target.target.encode("ascii"),
                    ),
                    headers=[(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers],
                    content=request.body,
                    extensions={"timeout": timeouts},
                ) as response,
            ):
                return response.status, _headers(response), _body(response, until, most)
        except httpcore2.TimeoutException:
            raise EffectError("timeout", f"{target.host} did not answer in time") from None
        except ssl.SSLError:
            raise EffectError("tls", f"{target.host} has no certificate that is trusted") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.UnsupportedProtocol, OSError) as error:
            if "CERTIFICATE" in str(error).upper() or "SSL" in str(error).upper():
                raise EffectError("tls", f"{target.host} has no certificate that is trusted") from None
            raise EffectError("unreachable", f"{target.host} cannot be reached") from None


def request(context: Context, budget: Budget, asked: Mapping[str, Any]) -> dict[str, Any]:
    if context.http is None:
        raise EffectError("denied", "there is no HTTP here")
    return context.http.request(context, budget, asked)


OPERATIONS: Final[dict[str, Operation]] = {"http.request": request}


def _checked(asked: Mapping[str, Any]) -> _Request:
    method, url, headers = asked.get("method"), asked.get("url"), asked.get("headers") or {}
    if not isinstance(method, str) or method.upper() not in METHODS:
        raise EffectError("invalid", f"the method must be one of {', '.join(sorted(METHODS))}")
    if not isinstance(url, str):
        raise EffectError("invalid", "url must be a text")
    if not isinstance(headers, dict) or len(headers) > MAX_HEADERS:
        raise EffectError("invalid", f"headers must be an object of at most {MAX_HEADERS}")
    for name, value in headers.items():
        _check_header(name, value)
    target = parse_url(url)
    body = _body_of(asked)
    if body and method.upper() in ("GET", "HEAD"):
        raise EffectError("invalid", f"{method.upper()} has no body")
    return _Request(method.upper(), target, dict(headers), body)


def _check_header(name: Any, value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", str(name)):
        raise EffectError("invalid", f"{str(name)[:60]!r} is no header")
    if name.lower() in HOP_BY_HOP or name.lower().startswith("proxy-"):
        raise EffectError("invalid", f"the header {name} is not for programs to set")
    if len(value) > MAX_HEADER_CHARACTERS or not all(
        c == "\t" or 0x20 <= ord(c) < 0x7F or 0xA0 <= ord(c) <= 0xFF for c in value
    ):
        raise EffectError("invalid", f"the header {name} is too long, or has characters that no header has")


def _body_of(asked: Mapping[str, Any]) -> bytes:
    body, encoded = asked.get("body"), asked.get("base64")
    if encoded is not None:
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise EffectError("invalid", "base64 does not decode") from None
    if body is not None and not isinstance(body, str):
        raise EffectError("invalid", "body must be a text")
    return (body or "").encode("utf-8", "surrogatepass")


def _redirected(request: _Request, status: int, location: str) -> _Request:
    """The request that follows a redirect; across origins without what is meant for the first one alone."""
    if PLACEHOLDER.search(location):
        raise EffectError("denied", "a server may not say where a secret goes")
    target = parse_url(urllib.parse.urljoin(request.target.url, location))
    method, body, headers = request.method, request.body, request.headers
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", b""
        headers = {name: value for name, value in headers.items() if not name.lower().startswith("content-")}
    if target.origin != request.target.origin:
        if PLACEHOLDER.search(body.decode("latin-1")):
            raise EffectError("denied", f"{target.origin} is another origin than the secret was meant for")
        headers = {
            name: value
            for name, value in headers.items()
            if name.lower() not in CREDENTIALS and not PLACEHOLDER.search(value)
        }
    return _Request(method, target, headers, body)


def _answer(
    request: _Request, status: int, headers: Mapping[str, str], body: bytes, used: Mapping[str, str]
) -> dict[str, Any]:
    shown = {name: _masked(text.encode("latin-1"), used).decode("latin-1") for name, text in headers.items()}
    content = _masked(body, used)
    answer = {"status": status, "url": request.target.url, "headers": shown}
    try:
        return {**answer, "body": content.decode("utf-8")}
    except UnicodeDecodeError:
        return {**answer, "base64": base64.b64encode(content).decode("ascii")}


def _masked(data: bytes, used: Mapping[str, str]) -> bytes:
    """`data` without the secrets that were put in, in the forms in which servers echo what they got."""
    for value in used.values():
        raw = value.encode("utf-8")
        if len(raw) < MIN_SECRET:
            continue
        encoded = base64.b64encode(raw).rstrip(b"=")
        forms = {raw, urllib.parse.quote(value, safe="").encode(), urllib.parse.quote_plus(value).encode(), encoded}
        forms |= {base64.urlsafe_b64encode(raw).rstrip(b"="), raw.hex().encode()}
        for form in sorted(forms, key=len, reverse=True):
            data = data.replace(form, b"***")
    return data


def _headers(response: httpcore2.Response) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _body(response: httpcore2.Response, until: float, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    for part in response.iter_stream():
        size += len(part)
        if size > most:
            raise EffectError("too_large", f"the answer is larger than {most} bytes")
        if time.monotonic() > until:
            raise EffectError("timeout", "the answer took too long")
        parts.append(part)
    return b"".join(parts)


def _pinned(addresses: Sequence[str], until: float) -> httpcore2.NetworkBackend:
    """Connects to these addresses, whatever the name says by now, and lets nothing take longer than `until`."""
    import httpcore2

    def left() -> float:
        return max(0.001, until - time.monotonic())

    class Timed(httpcore2.NetworkStream):
        def __init__(self, stream: httpcore2.NetworkStream) -> None:
            self._stream = stream

        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            return self._stream.read(max_bytes, left())

        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            self._stream.write(buffer, left())

        def close(self) -> None:
            self._stream.close()

        def start_tls(
            self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
        ) -> httpcore2.NetworkStream:
            return Timed(self._stream.start_tls(ssl_context, server_hostname, left()))

        def get_extra_info(self, info: str) -> Any:
            return self._stream.get_extra_info(info)

    class Pinned(httpcore2.SyncBackend):
        def connect_tcp(self, host: str, port: int, *arguments: Any, **options: Any) -> httpcore2.NetworkStream:
            failure: Exception = httpcore2.ConnectError("no address")
            for address in addresses:
                try:
                    return Timed(super().connect_tcp(address, port, **options | {"timeout": left()}))
                except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                    failure = error
            raise failure

    return Pinned()
