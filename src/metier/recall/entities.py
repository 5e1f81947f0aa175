"""What the data that a capability declares calls things: the values that a word of a task may stand for.

Read by the host, never more than the capability and the operator's policy allow, and again only when a file changed.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import threading
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metier.capability import Capability
from metier.outcomes import Ran
from metier.permissions import Grant, Permissions
from metier.recall.words import phrase
from metier.sandbox.files import FileError, HostFiles

MAX_BYTES = 8 * 2**20
MAX_VALUES = 50_000
"""Of one source; of a larger one nothing is known, so that nothing is taken for the whole."""
MAX_CHARACTERS, MAX_PHRASE = 80, 10
"""A longer value is a text and names nothing; in words."""
BUSY_SECONDS = 0.05

Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """The names in one file or table: by their words, each column that has it, with the values that it names there."""

    shape: str
    """Its columns: other ones make other data of it."""
    names: Mapping[Phrase, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    longest: int = 0


NOTHING = Source("unreadable")
EMPTY = json.dumps([])
"""The shape of data without a column."""


class Entities:
    """The names in the data of one library. Threads may share it."""

    def __init__(
        self, roots: Mapping[str, Path], stores: Mapping[str, str], library: Path, policy: Permissions
    ) -> None:
        self._roots, self._policy = roots, policy
        self._stores = {name: path for name, url in stores.items() if (path := _sqlite_path(url, library)) is not None}
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Any, Source]] = {}

    def sources(self, capability: Capability) -> list[tuple[str, Source]]:
        """The sources that a capability declares and may read, each with its name."""
        grant = Grant((capability.permissions, self._policy))
        found = []
        for root, path in self._paths(capability, grant):
            found.append((f"{root}/{path}", self._file(root, path)))
        for permission in capability.permissions.sql:
            for table in sorted(permission.tables):
                if permission.store in self._stores and grant.allows_sql(permission.store, table, "select"):
                    found.append((f"{permission.store}.{table}", self._table(permission.store, table)))
        return found

    def _paths(self, capability: Capability, grant: Grant) -> Iterator[tuple[str, str]]:
        for file in capability.permissions.files:
            named = "*" not in file.path and file.path.endswith((".json", ".csv"))
            if named and file.root in self._roots and grant.allows_file(file.root, file.path, "read"):
                yield file.root, file.path

    def _file(self, root: str, path: str) -> Source:
        place = self._roots[root] / path
        stamp = _stamp(place)
        host = HostFiles({root: self._roots[root]}, MAX_BYTES)
        return self._kept(f"{root}/{path}", stamp, lambda: _file_source(host, root, path))

    def _table(self, store: str, table: str) -> Source:
        path = self._stores[store]
        stamp = (_stamp(path), _stamp(path.with_name(path.name + "-wal")))
        return self._kept(f"{store}.{table}", stamp, lambda: _table_source(path, table))

    def _kept(self, name: str, stamp: Any, read: Any) -> Source:
        with self._lock:
            known = self._known.get(name)
            if known is None or known[0] != stamp:
                known = self._known[name] = (stamp, read())
            return known[1]


class AsRead:
    """The names in the data as a run read them, before it changed anything; in files that it did not read, as now."""

    def __init__(self, entities: Entities, ran: Ran) -> None:
        self._entities = entities
        self._read: dict[str, Source] = {}
        for effect in ran.effects:
            look = effect.look
            content = ran.blobs.get(json.loads(effect.answer).get("ok")) if look[:1] == ("files.read",) else None
            if content is not None:
                self._read.setdefault("/".join(look[1:]), _parsed(content, look[2]))

    def sources(self, capability: Capability) -> list[tuple[str, Source]]:
        """As `Entities.sources`."""
        return [(name, self._read.get(name, source)) for name, source in self._entities.sources(capability)]


def entity_at(
    sources: Sequence[tuple[str, Source]], words: Phrase, begin: int
) -> Iterator[tuple[int, str, frozenset[str]]]:
    """Each name that begins at a word: where it ends, `column` with its source, and the values that it names there."""
    for name, source in sources:
        for end in range(begin + 1, min(begin + source.longest, len(words)) + 1):
            for column, values in source.names.get(words[begin:end], {}).items():
                yield end, f"{name} {column}", values


def _stamp(path: Path) -> Any:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _sqlite_path(url: str, library: Path) -> Path | None:
    _, mark, path = url.partition(":///")
    return library / path if mark and url.startswith("sqlite") and path else None


def _file_source(host: HostFiles, root: str, path: str) -> Source:
    try:
        return _parsed(host.read(root, path), path)
    except FileError:
        return NOTHING


def _parsed(content: bytes, path: str) -> Source:
    try:
        text = content.decode("utf-8")
        if path.endswith(".json"):
            return _source(_json_columns(json.loads(text)))
        rows = list(csv.reader(io.StringIO(text)))
    except (ValueError, csv.Error, RecursionError):
        return NOTHING
    return _tabular(rows[0] if rows else [], rows[1:])


def _table_source(path: Path, table: str) -> Source:
    quoted = ".".join('"' + part.replace('"', '""') + '"' for part in table.split("."))
    where = f"file:{urllib.parse.quote(str(path))}?mode=ro"
    try:
        with closing(sqlite3.connect(where, uri=True, timeout=BUSY_SECONDS)) as connection:
            cursor = connection.execute(f"SELECT * FROM {quoted} LIMIT ?", (MAX_VALUES + 1,))  # noqa: S608 - a name of the manifest, quoted
            return _tabular([column[0] for column in cursor.description], cursor.fetchall())
    except (sqlite3.Error, ValueError):
        return NOTHING


def _tabular(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Source:
    columns: dict[str, set[str]] = {name: set() for name in header}
    for row in rows[: MAX_VALUES + 1]:
        for name, value in zip(header, row, strict=False):
            if isinstance(value, str):
                columns[name].add(value)
    return _source(columns)


def _json_columns(value: Any) -> dict[str, set[str]]:
    """The texts in a JSON value by the keys that lead to them, a list's items all in one."""
    columns: dict[str, set[str]] = {}
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, dict):
            stack.extend((f"{path}.{key}" if path else str(key), inner) for key, inner in item.items())
        elif isinstance(item, list):
            stack.extend((path, inner) for inner in item)
        else:
            texts = columns.setdefault(path, set())
            if isinstance(item, str):
                texts.add(item)
    return columns


def _source(columns: Mapping[str, set[str]]) -> Source:
    shape = json.dumps(sorted(columns))
    if sum(len(values) for values in columns.values()) > MAX_VALUES:
        return Source(shape)
    names: dict[Phrase, dict[str, set[str]]] = {}
    longest = 0
    for column, values in columns.items():
        for value in values:
            for way, words in _names_of(value):
                names.setdefault(words, {}).setdefault(f"{column} {way}", set()).add(value)
                longest = max(longest, len(words))
    frozen = {words: {column: frozenset(found) for column, found in where.items()} for words, where in names.items()}
    return Source(shape, frozen, longest)


def _names_of(value: str) -> Iterator[tuple[str, Phrase]]:
    """The words by which a value may be called: all of it, or a person's first or last name, also of an address."""
    if not value or len(value) > MAX_CHARACTERS or "\n" in value:
        return
    whole = phrase(value)
    if whole and len(whole) <= MAX_PHRASE and any(word[0].isalpha() for word in whole):
        yield "whole", whole
    local, at, _ = value.partition("@")
    if at and " " not in value:
        pieces = local.replace("_", ".").replace("-", ".").split(".")
    else:
        pieces = value.split() if 2 <= len(value.split()) <= 3 and value.istitle() else []
    if len(pieces) > 1 and all(piece.isalpha() for piece in pieces):
        yield "first", (pieces[0].casefold(),)
        yield "last", (pieces[-1].casefold(),)
        if at:
            yield "full", tuple(piece.casefold() for piece in pieces)
