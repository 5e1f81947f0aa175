"""The formats that are held to, as the standard library reads them; others say something to people only."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any


def _read_by(reader: Callable[[str], Any]) -> Callable[[str], bool]:
    def reads(text: str) -> bool:
        try:
            reader(text)
        except ValueError:
            return False
        return True

    return reads


FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _read_by(date.fromisoformat),
    "date-time": _read_by(datetime.fromisoformat),
    "time": _read_by(time.fromisoformat),
    "ipv4": _read_by(ipaddress.IPv4Address),
    "ipv6": _read_by(ipaddress.IPv6Address),
    "uuid": _read_by(uuid.UUID),
    "email": lambda text: "@" in text[1:-1],
}
"""What tells whether a text is one."""
