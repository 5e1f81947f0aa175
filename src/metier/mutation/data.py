"""What an author is shown of the data that a draft could be granted: files with samples, tables with columns."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metier import schemas
from metier.permissions import Grant, Permissions
from metier.runner import Runner
from metier.sandbox.files import FileError, HostFiles

MAX_FILES_SHOWN, MAX_FOLDERS_SHOWN = 40, 20
SAMPLE_BYTES, SAMPLE_LINES, SAMPLE_ITEMS, SAMPLE_KEYS = 1_200, 6, 2, 20
MAX_PARSED_BYTES = 4 * 2**20
MAX_READ_BYTES = 64 * 2**20


def describe_roots(roots: Mapping[str, Path], shown: Permissions, samples: Permissions) -> list[dict[str, Any]]:
    """What can be granted, for the prompt: each root with its files, with records of those in `samples`."""
    grant, open_ = Grant((shown,)), Grant((samples,))
    return [
        {"name": name, "files": _files(HostFiles({name: roots[name]}, MAX_READ_BYTES), name, grant, open_)}
        for name in grant.roots()
        if name in roots
    ]


def _files(host: HostFiles, root: str, grant: Grant, open_: Grant) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    folders = [""]
    for folder in folders:
        for name in _names(host, root, folder):
            if len(found) >= MAX_FILES_SHOWN:
                return found
            path = f"{folder}/{name}" if folder else name
            item = host.stat(root, path)
            if item is None:
                continue
            if item.kind == "directory":
                if grant.may_hold_files(root, path, "read") and len(folders) < MAX_FOLDERS_SHOWN:
                    folders.append(path)
            elif grant.allows_file(root, path, "read"):
                sample = _sample(host, root, path, whole=open_.allows_file(root, path, "read"))
                writable = grant.allows_file(root, path, "write")
                found.append({"path": path, "size": item.size, "writable": writable, "sample": sample})
    return found


def _names(host: HostFiles, root: str, folder: str) -> list[str]:
    try:
        return host.names(root, folder)
    except FileError:
        return []


def _sample(host: HostFiles, root: str, path: str, *, whole: bool) -> str:
    """What a file looks like: the first records or lines, or without `whole` only keys and kinds, or the first line."""
    try:
        data = host.read(root, path)
    except FileError:
        return ""
    if path.endswith(".json") and len(data) <= MAX_PARSED_BYTES:
        with contextlib.suppress(schemas.InvalidJson):
            value = schemas.parse(data, what=path)
            return json.dumps(_shortened(value) if whole else _shape(value), ensure_ascii=False)
    lines = data[:SAMPLE_BYTES].decode("utf-8", "replace").splitlines()[: SAMPLE_LINES if whole else 1]
    return "" if "\0" in "".join(lines) else "\n".join(lines)


def _shortened(value: Any) -> Any:
    """The same JSON with only the first items of each list of objects, and a word on how many there are."""
    if isinstance(value, list):
        shown = [_shortened(item) for item in value[:SAMPLE_ITEMS]]
        left_out = len(value) - len(shown)
        return [*shown, f"… and {left_out} more"] if left_out else shown
    if isinstance(value, dict):
        items = list(value.items())
        shown_keys = {key: _shortened(item) for key, item in items[:SAMPLE_KEYS]}
        left_out = len(items) - len(shown_keys)
        return {**shown_keys, "…": f"and {left_out} more keys"} if left_out else shown_keys
    return value


def _shape(value: Any) -> Any:
    """The keys of a JSON value and the kinds of what they hold, of a list its first item's; no value of it."""
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in list(value.items())[:SAMPLE_KEYS]}
    if isinstance(value, list):
        return [_shape(value[0]), f"… {len(value)} in all"] if value else []
    kinds = {bool: "true or false", int: "number", float: "number", str: "text"}
    return "null" if value is None else kinds[type(value)]


def describe_stores(runner: Runner, shown: Permissions) -> list[dict[str, Any]]:
    """The stores that can be granted, each with its readable tables and their columns, where the store answers."""
    return [
        {"name": s.store, "tables": {table: _columns(runner, s.store, table, shown) for table in sorted(s.tables)}}
        for s in shown.sql
    ]


def _columns(runner: Runner, store: str, table: str, shown: Permissions) -> list[str]:
    quoted = ".".join(f'"{part}"' for part in table.split("."))
    statement = f"SELECT * FROM {quoted} LIMIT 0"  # noqa: S608 - the operator's name of a table, checked at the door
    told = runner.observe({"op": "sql.query", "store": store, "statement": statement}, shown)
    return [str(name) for name in told["ok"]["columns"]] if "ok" in told else []


def read_lines(roots: Mapping[str, Path], root: str, path: str, start: int, limit: int) -> str:
    """At most `limit` characters of a text file from line `start` (1 is the first); empty where there is no text."""
    try:
        data = HostFiles({root: roots[root]}, MAX_READ_BYTES).read(root, path)
    except FileError:
        return ""
    text = data.decode("utf-8", "replace")
    return "" if "\0" in text else "\n".join(text.splitlines()[start - 1 :])[:limit]


def outline(roots: Mapping[str, Path], root: str, path: str) -> str:
    """What a file looks like, without a value of its records."""
    return _sample(HostFiles({root: roots[root]}, MAX_READ_BYTES), root, path, whole=False)
