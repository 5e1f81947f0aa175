"""Where a request really goes: URLs in one canonical form, and which addresses a name may stand for.

Checks are made on the canonical form, and it is what is sent. What has more than one reading is refused.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
import socket
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from metier.effects.door import EffectError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_URL = 8_000
_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.IGNORECASE | re.DOTALL)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_TRANSITION = [ipaddress.ip_network(n) for n in ("2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48", "::/96")]
"""IPv6 ranges that stand for IPv4 addresses (6to4, Teredo, NAT64, the compatible ones): nobody means them."""


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
        EffectError: it is not an http URL, or one that may be read in two ways.
    """
    if len(url) > MAX_URL or any(ord(c) <= 0x20 or ord(c) == 0x7F or c == "\\" for c in url):
        raise EffectError("invalid", "a URL may have no spaces, control characters or backslashes")
    found = _URL.fullmatch(url)
    if found is None:
        raise EffectError("invalid", "only http:// and https:// URLs can be asked for")
    scheme, authority, path, query = found[1].lower(), found[2], found[3], found[4]
    if "@" in authority:
        raise EffectError("invalid", "a URL may have no user name or password")
    host, port = _split_port(authority, DEFAULT_PORTS[scheme])
    return Target(scheme, _host(host), port, _path(path), None if query is None else _quoted(query, "?"))


def _split_port(authority: str, default: int) -> tuple[str, int]:
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return authority, default
    if not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536 or len(port) > 5:
        raise EffectError("invalid", "the port of the URL is no port")
    return host, int(port)


def _host(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(text[1:-1])) if "%" not in text else _refused(text)
        except ValueError:
            return _refused(text)
    try:
        host = (text if text.isascii() else text.encode("idna").decode("ascii")).lower().removesuffix(".")
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
    raise EffectError("invalid", f"{text[:100]!r} is no host name")


def _path(text: str) -> str:
    if re.search(r"%(2f|5c|00)|%(?![0-9a-f]{2})", text, re.IGNORECASE):
        raise EffectError("invalid", "the path has an encoded slash, backslash or NUL, or a broken escape")
    plain = re.sub("%2e", ".", text, flags=re.IGNORECASE) or "/"
    if "//" in plain:
        raise EffectError("invalid", "the path has an empty segment")
    whole = posixpath.normpath(plain)
    return _quoted(whole + "/" if plain.endswith(("/", "/.", "/..")) and whole != "/" else whole, "")


def _quoted(text: str, more: str) -> str:
    return urllib.parse.quote(text, safe=f"/%:@!$&'()*+,;=-._~{more}{{}}")


def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a name, as the system resolves it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def reachable(target: Target, networks: Sequence[Network], resolver: Resolver) -> list[str]:
    """The addresses that a request may connect to; all that the name has, or it is refused.

    Raises:
        EffectError: the name has none, or one that is neither public nor in a network that the operator named.
    """
    try:
        addresses = [ipaddress.ip_address(a) for a in resolver(target.host, target.port)]
    except (OSError, ValueError, UnicodeError):
        addresses = []
    if not addresses:
        raise EffectError("unreachable", f"{target.host} cannot be reached")
    if not all(_is_open(address, networks) for address in addresses):
        raise EffectError("denied", f"{target.host} is not on a network that may be reached")
    return [str(address) for address in addresses]


def _is_open(address: Address, networks: Sequence[Network]) -> bool:
    if any(address in network for network in networks if network.version == address.version):
        return True
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None or any(address in network for network in _TRANSITION):
            return False
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
