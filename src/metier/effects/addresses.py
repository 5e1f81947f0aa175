"""Where a request really goes: which addresses a name may stand for, looked up once."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence

from metier.effects.door import EffectError
from metier.urls import InvalidUrl, Target
from metier.urls import parse_url as canonical

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
__all__ = ["Network", "Resolver", "Target", "is_literal", "is_open", "parse_url", "reachable", "resolve"]

Resolver = Callable[[str, int], Sequence[str]]

_RESERVED = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    "168.63.129.16/32",  # what Azure's virtual machines ask about themselves
    *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
)
"""What is not for everybody in IPv4 and in 2000::/3, of the IANA special-purpose address registries, as of 2025.
Spelled out, because what `ipaddress` calls global differs between versions of Python."""
NOT_PUBLIC: tuple[Network, ...] = tuple(map(ipaddress.ip_network, _RESERVED))
GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 as a network that has only IPv6 reaches it (RFC 6052); the last 32 bits are the address."""


def parse_url(url: str) -> Target:
    """The canonical form of a URL that a program asks for. Raises EffectError."""
    try:
        return canonical(url)
    except InvalidUrl as error:
        raise EffectError("invalid", str(error)) from None


def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a name, as the system resolves it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def reachable(target: Target, networks: Sequence[Network], resolver: Resolver, seconds: float = 30.0) -> list[str]:
    """The addresses that a request may connect to; all that the name has, or it is refused.

    A name that leads inside fails in the same words as one that does not exist, so nobody can ask for inside names.

    Raises:
        EffectError: the name has none, or one that is neither public nor in a network that the operator named.
    """
    found = _look_up(target, resolver, seconds)
    try:
        addresses = [ipaddress.ip_address(a) for a in found]
    except ValueError:
        addresses = []
    if addresses and all(is_open(address, networks) for address in addresses):
        return [str(address) for address in addresses]
    if is_literal(target.host):
        raise EffectError("denied", f"{target.host} is not on a network that may be reached")
    raise EffectError(
        "unreachable",
        f"{target.host} has no address that may be reached; those that are not public need a network under [http]",
    )


def _look_up(target: Target, resolver: Resolver, seconds: float) -> Sequence[str]:
    """What the resolver says, or nothing. On a thread of its own, because the system's cannot be interrupted."""
    found: list[str] = []

    def ask() -> None:
        try:
            found.extend(resolver(target.host, target.port))
        except (OSError, UnicodeError):
            found.clear()

    asking = threading.Thread(target=ask, name="metier-resolve", daemon=True)
    asking.start()
    asking.join(max(0.0, seconds))
    if asking.is_alive():
        raise EffectError("timeout", f"{target.host} was not resolved in time")
    return found


def is_open(address: Address, networks: Sequence[Network]) -> bool:
    """Whether a request may connect to it: it is public, or the operator named a network that it is in."""
    if any(address in network for network in networks if network.version == address.version):
        return True
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            return is_open(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF), ())
        if address not in GLOBAL_IPV6:
            return False
    return not any(address in network for network in NOT_PUBLIC)


def is_literal(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False
