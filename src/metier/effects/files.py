"""Files under the operator's roots. Needs `files` permissions; every path is checked by the run's own filesystem."""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Mapping
from typing import Any, Final

from metier.effects.door import Context, EffectError, Operation, base64_bytes
from metier.sandbox.box import Budget
from metier.sandbox.files import FileError

CONTROLS: Final = bytes(range(0x20))
"""What JSON writes in six characters, or for some in two."""


def read(context: Context, budget: Budget, asked: Mapping[str, Any]) -> dict[str, str]:
    data = bytes(context.files.open(_path(asked, "path")).data)
    if _said_bytes(data) > context.limits.effect_bytes:
        raise EffectError("too_large", f"the content as JSON is larger than {context.limits.effect_bytes} bytes")
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def write(context: Context, budget: Budget, asked: Mapping[str, Any]) -> dict[str, Any]:
    path, data = _path(asked, "path"), _content(asked)
    if asked.get("mode") == "create" and context.files.exists(path):
        raise FileError("exists", path)
    context.files.must_be_writable(path)
    node = context.files.open(path) if context.files.exists(path) else context.files.create(path)
    context.files.resize(node, 0)
    context.files.write(node, 0, data)
    return {}


def stat(context: Context, budget: Budget, asked: Mapping[str, Any]) -> dict[str, Any]:
    found = context.files.stat(_path(asked, "path"))
    return {"kind": found.kind, "size": found.size}


def names(context: Context, budget: Budget, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    path = _path(asked, "path")
    within = [(name, posixpath.join(path, name)) for name in context.files.names(path)]
    found = [(name, context.files.stat(inner)) for name, inner in within if context.files.exists(inner)]
    return [{"name": name, "kind": item.kind, "size": item.size} for name, item in found]


def remove(context: Context, budget: Budget, asked: Mapping[str, Any]) -> dict[str, Any]:
    context.files.remove(_path(asked, "path"))
    return {}


def make_directory(context: Context, budget: Budget, asked: Mapping[str, Any]) -> dict[str, Any]:
    context.files.make_directory(_path(asked, "path"))
    return {}


def remove_directory(context: Context, budget: Budget, asked: Mapping[str, Any]) -> dict[str, Any]:
    context.files.remove_directory(_path(asked, "path"))
    return {}


def rename(context: Context, budget: Budget, asked: Mapping[str, Any]) -> dict[str, Any]:
    context.files.rename(_path(asked, "path"), _path(asked, "to"))
    return {}


OPERATIONS: Final[dict[str, Operation]] = {
    "files.read": read,
    "files.write": write,
    "files.stat": stat,
    "files.list": names,
    "files.remove": remove,
    "files.mkdir": make_directory,
    "files.rmdir": remove_directory,
    "files.rename": rename,
}


def _said_bytes(data: bytes) -> int:
    """How long a text is as JSON, or what is none as base64 at least: known before either is made."""
    escaped = len(data) - len(data.translate(None, CONTROLS))
    quoted = data.count(b'"') + data.count(b"\\")
    return len(data) + 5 * escaped + quoted


def _path(asked: Mapping[str, Any], key: str) -> str:
    value = asked.get(key)
    if not isinstance(value, str) or not value or "\0" in value or len(value) > 4096:
        raise EffectError("invalid", f"{key} must be a path")
    return "/" + posixpath.normpath("/" + value).lstrip("/")


def _content(asked: Mapping[str, Any]) -> bytes:
    text, encoded = asked.get("text"), asked.get("base64")
    if isinstance(text, str) and encoded is None:
        return text.encode("utf-8", "surrogatepass")
    if isinstance(encoded, str) and text is None:
        return base64_bytes(encoded)
    raise EffectError("invalid", "a write has text or base64, one of the two")
