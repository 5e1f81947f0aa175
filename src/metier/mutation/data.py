"""What an author is shown of the data that a draft could be granted: files with samples, tables with columns."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metier import schemas
from metier.permissions import Grant, Permissions
from metier.runner import Runner
from metier.sandbox.files import FileError, HostFiles

MAX_FILES_SHOWN, MAX_FOLDERS_SHOWN = 40, 20
SAMPLE_BYTES, SAMPLE_LINES, SAMPLE_ITEMS, SAMPLE_KEYS, SHAPED_ITEMS = 1_200, 6, 2, 20, 1_000
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
    """The keys of a JSON value and the kinds of what they hold, a list's items all in one; no value of it."""
    return _joint_shape([value])


def _joint_shape(values: Sequence[Any]) -> Any:
    """The shape of what can stand in one place: "text or null"; a key that some objects lack ends in "?"."""
    dicts = [v for v in values if isinstance(v, dict)]
    lists = [v for v in values if isinstance(v, list)]
    kinds = sorted({_kind(v) for v in values if not isinstance(v, dict | list)})
    if dicts and not lists and not kinds:
        keys = list(dict.fromkeys(key for v in dicts for key in v))[:SAMPLE_KEYS]
        return {
            key if all(key in v for v in dicts) else f"{key}?": _joint_shape([v[key] for v in dicts if key in v])
            for key in keys
        }
    if lists and not dicts and not kinds:
        items = [item for v in lists for item in v[:SHAPED_ITEMS]]
        return (
            [_joint_shape(items), f"… {len(lists[0])} in all"]
            if items and len(lists) == 1
            else ([_joint_shape(items)] if items else [])
        )
    return " or ".join([*kinds, *(["a list"] if lists else []), *(["an object"] if dicts else [])])


def _kind(value: Any) -> str:
    """What a value is, of a text also whether it is a date."""
    if isinstance(value, str):
        found = re.fullmatch(r"\d{4}-\d\d-\d\d(?P<time>[T ]\d\d:\d\d.*)?", value)
        return "text" if found is None else "date and time as text" if found["time"] else "date as text"
    return {bool: "true or false", int: "number", float: "number", type(None): "null"}[type(value)]


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
