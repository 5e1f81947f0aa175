"""URLs in one canonical form: checks are made on it, and it is what is sent. What has two readings is refused."""

from __future__ import annotations

import ipaddress
import posixpath
import re
import urllib.parse
from dataclasses import dataclass

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_URL = 8_000
_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.IGNORECASE | re.DOTALL)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_UNCLEAR = re.compile(r"%(25)*(2f|5c|00)|%(25)+2e|%(?![0-9a-f]{2})|(^|/)\.\.?;", re.IGNORECASE)
"""What some servers read as a path of other segments: encoded slashes and dots, also encoded twice, and "..;"."""
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class InvalidUrl(ValueError):
    """It is not an http URL, or one that may be read in two ways."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in its one form. `path` begins with "/"; `query` is None where there is none."""

    scheme: str
    host: str
    """In lower case and ASCII, without a final dot; an IPv6 address without brackets."""
    port: int
    path: str
    query: str | None

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them: without the default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        return self.origin + self.target

    @property
    def target(self) -> str:
        """What the request line asks for."""
        return self.path if self.query is None else f"{self.path}?{self.query}"


def parse_url(url: str) -> Target:
    """The canonical form of a URL.

    Raises:
        InvalidUrl: it is not an http URL, or one that may be read in two ways.
    """
    if len(url) > MAX_URL or any(c in " \\" or not c.isprintable() for c in url):
        raise InvalidUrl("a URL may have no spaces, control characters or backslashes")
    found = _URL.fullmatch(url)
    if found is None:
        raise InvalidUrl("only http:// and https:// URLs can be asked for")
    scheme, authority, path, query = found[1].lower(), found[2], found[3], found[4]
    if "@" in authority:
        raise InvalidUrl("a URL may have no user name or password")
    host, port = _split_port(authority, DEFAULT_PORTS[scheme])
    return Target(scheme, _host(host), port, canonical_path(path), None if query is None else _quoted(query, "?"))


def _split_port(authority: str, default: int) -> tuple[str, int]:
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return authority, default
    if not port.isascii() or not port.isdecimal() or len(port) > 5 or not 0 < int(port) < 65536:
        raise InvalidUrl("the port of the URL is no port")
    return host, int(port)


def _host(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(text[1:-1])) if "%" not in text else _refused(text)
        except ValueError:
            return _refused(text)
    try:
        host = _ascii(text).lower().removesuffix(".")
    except UnicodeError:
        return _refused(text)
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return _refused(text)
    if _NUMERIC.fullmatch(labels[-1]):  # what ends in a number is an IPv4 address, in one spelling only
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            return _refused(text)
    return host


def _refused(text: str) -> str:
    raise InvalidUrl(f"{text[:100]!r} is no host name")


def _ascii(host: str) -> str:
    """As browsers spell it (IDNA 2008 after the mapping of UTS 46). Raises UnicodeError."""
    if host.isascii() and "xn--" not in host.lower():
        return host
    import idna

    return idna.encode(host, uts46=True, std3_rules=True).decode("ascii")


def canonical_path(text: str) -> str:
    """Without dot segments and needless escapes (RFC 3986, 6.2.2); the same for a glob of paths.

    Raises:
        InvalidUrl: servers may read it as another path.
    """
    plain = re.sub("%[0-9a-fA-F]{2}", _escape, text) or "/"
    if _UNCLEAR.search(plain):
        raise InvalidUrl("the path has an encoded slash, backslash, dot or NUL, '..;', or a broken escape")
    if "//" in plain:
        raise InvalidUrl("the path has an empty segment")
    whole = posixpath.normpath(plain)
    return _quoted(whole + "/" if plain.endswith(("/", "/.", "/..")) and whole != "/" else whole, "")


def _escape(found: re.Match[str]) -> str:
    character = chr(int(found[0][1:], 16))
    return character if character in _UNRESERVED else found[0].upper()


def _quoted(text: str, more: str) -> str:
    return urllib.parse.quote(text, safe=f"/%:@!$&'()*+,;=-._~{more}{{}}")
