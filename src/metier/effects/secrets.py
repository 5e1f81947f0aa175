"""Secrets at the edge: put into a request as it leaves, hidden in whatever comes back.

Programs and records hold placeholders, `{{secret:NAME}}`. Values are read when they are used.
"""

from __future__ import annotations

import base64
import html
import json
import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping

from metier.effects.door import EffectError

PLACEHOLDER = re.compile(r"\{\{secret:([A-Za-z_][A-Za-z0-9_]*)\}\}")
IN_BODY = re.compile(PLACEHOLDER.pattern.encode())
IN_QUERY = re.compile(r"(?:\{\{|(?i:%7b%7b))secret(?::|(?i:%3a))([A-Za-z_][A-Za-z0-9_]*)(?:\}\}|(?i:%7d%7d))")
"""The same, also as a program's own URL encoding leaves it."""
MIN_SECRET = 8
"""Characters. A shorter value could be guessed: of many guesses that a server echoes, only the right one is masked."""

Readers = Mapping[str, Callable[[], str | None]]
Value = Callable[[str], str]


class Secrets:
    """The operator's secrets, each with what reads its value."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def value(self, name: str) -> str:
        """Raises EffectError, which names the secret and never holds its value."""
        found = self._readers[name]() if name in self._readers else None
        if not found:
            raise EffectError("unavailable", f"the secret {name} is not set")
        if not found.isprintable():  # a line break would end a header, half a surrogate pair has no UTF-8
            raise EffectError("unavailable", f"the secret {name} has control characters, or is no text")
        if len(found) < MIN_SECRET:
            raise EffectError(
                "unavailable", f"the secret {name} has less than {MIN_SECRET} characters, too few to hide"
            )
        return found

    def veil(self, names: Iterable[str]) -> Veil:
        """What hides these secrets, as far as they are set."""
        values = {name: self._readers[name]() for name in sorted(names) if name in self._readers}
        return Veil({name: value for name, value in values.items() if value and len(value) >= MIN_SECRET})


class Veil:
    """Hides values in bytes, in every form in which servers usually echo what they got."""

    def __init__(self, values: Mapping[str, str]) -> None:
        forms = {form: name for name, value in values.items() for form in _forms(value)}
        self._forms = sorted(forms.items(), key=lambda item: len(item[0]), reverse=True)

    def hide(self, data: bytes) -> bytes:
        for form, _ in self._forms:
            data = data.replace(form, b"***")
        return data

    def named(self, text: str) -> str:
        """With placeholders in the place of the values."""
        data = text.encode("utf-8", "surrogateescape")
        for form, name in self._forms:
            data = data.replace(form, f"{{{{secret:{name}}}}}".encode())
        return data.decode("utf-8", "surrogateescape")


def filled_header(text: str, value: Value) -> str:
    """Raises EffectError: a value that no header can hold."""

    def fill(found: re.Match[str]) -> str:
        secret = value(found[1])
        if not secret.isascii():
            raise EffectError("unavailable", f"the secret {found[1]} has characters that no header holds")
        return secret

    return PLACEHOLDER.sub(fill, text)


def filled_query(text: str, value: Value) -> str:
    return IN_QUERY.sub(lambda found: urllib.parse.quote(value(found[1]), safe=""), text)


def filled_body(body: bytes, content_type: str, value: Value) -> bytes:
    """A value is escaped as the content type needs it."""
    kind = content_type.partition(";")[0].strip().lower()

    def fill(found: re.Match[bytes]) -> bytes:
        secret = value(found[1].decode())
        if kind == "application/json" or kind.endswith("+json"):
            secret = json.dumps(secret, ensure_ascii=False)[1:-1]
        elif kind == "application/x-www-form-urlencoded":
            secret = urllib.parse.quote_plus(secret)
        return secret.encode("utf-8", "surrogateescape")

    return IN_BODY.sub(fill, body)


def _forms(value: str) -> set[bytes]:
    raw = value.encode("utf-8", "surrogateescape")
    quoted = {urllib.parse.quote(raw, safe=""), urllib.parse.quote(raw), urllib.parse.quote_plus(raw)}
    quoted |= {re.sub("%..", lambda found: found[0].lower(), text) for text in quoted}
    spelled = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    spelled |= {text.replace("/", "\\/") for text in spelled}
    spelled |= {html.escape(value), html.escape(value, quote=False)}
    texts = {text.encode("utf-8", "surrogateescape") for text in quoted | spelled}
    wide = {value.encode(name, "replace") for name in ("latin-1", "utf-16-le", "utf-16-be")}
    return texts | wide | {raw, raw.hex().encode(), raw.hex().upper().encode()} | _base64_forms(raw)


def _base64_forms(raw: bytes) -> set[bytes]:
    """What of `raw` shows in base64 wherever it begins within three bytes, as after "user:" in basic authentication."""
    forms = set()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw)
        own = encoded[(0, 2, 3)[before] : (before + len(raw)) * 8 // 6]
        forms |= {own, own.translate(bytes.maketrans(b"+/", b"-_"))}
    return forms
