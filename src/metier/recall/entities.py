"""What the data that a capability declares calls things: the values that a word of a task may stand for.

Read by the host, never more than the capability and the operator's policy allow, and again only when a file changed.
Of what changed only the values that are new are taken apart into words.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import sqlite3
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
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
SETTLED_NS = 100_000_000
"""Age of a change from which on a file's stamp tells the next one: file systems count time in ticks of some 10 ms."""

Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """The names in one file or table: by their words, each column that has it, with the values that it names there."""

    shape: str
    """Its columns: other ones make other data of it."""
    names: Mapping[Phrase, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    longest: int = 0
    """Words that a name has at most."""
    columns: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    """The texts in each column; none where the names are not kept."""


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
        self._known: dict[str, tuple[_Stamp | None, bytes | None, Source]] = {}

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
        host = HostFiles({root: self._roots[root]}, MAX_BYTES)

        def read(digest: bytes | None, before: Source) -> tuple[bytes | None, Source]:
            try:
                content = host.read(root, path)
            except FileError:
                return None, NOTHING
            now = hashlib.sha256(content).digest()
            return now, before if now == digest else _parsed(content, path, before)

        return self._kept(f"{root}/{path}", (self._roots[root] / path,), read)

    def _table(self, store: str, table: str) -> Source:
        path = self._stores[store]
        files = (path, path.with_name(path.name + "-wal"))
        return self._kept(f"{store}.{table}", files, lambda _, before: (None, _table_source(path, table, before)))

    def _kept(self, name: str, files: Sequence[Path], read: _Read) -> Source:
        """A source as its files have it now; read again when their stamp changed, or may not show the last change."""
        with self._lock:
            stamp = tuple(_stamp(file) for file in files)
            known, digest, source = self._known.get(name, (None, None, NOTHING))
            if known != stamp:
                settled = time.time_ns() - max(found[0] for found in stamp) > SETTLED_NS
                digest, source = read(digest, source)
                self._known[name] = (stamp if settled else None, digest, source)
            return source


class AtOnce:
    """The names in the data as one decision finds them, each capability's read once."""

    def __init__(self, entities: Entities) -> None:
        self._entities = entities
        self._sources: dict[str, list[tuple[str, Source]]] = {}

    def sources(self, capability: Capability) -> list[tuple[str, Source]]:
        """As `Entities.sources`."""
        key = f"{capability.id}@{capability.version}"
        if key not in self._sources:
            self._sources[key] = self._entities.sources(capability)
        return self._sources[key]


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


_Stamp = tuple[tuple[int, int, int], ...]
"""Of each file when it was changed, its size and its number; zeros where there is none."""
_Read = Callable[[bytes | None, Source], tuple[bytes | None, Source]]
"""What a source is now, with a digest of its bytes, from the digest and the source that were known."""


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return max(status.st_mtime_ns, status.st_ctime_ns), status.st_size, status.st_ino


def _sqlite_path(url: str, library: Path) -> Path | None:
    _, mark, path = url.partition(":///")
    return library / path if mark and url.startswith("sqlite") and path else None


def _parsed(content: bytes, path: str, before: Source = NOTHING) -> Source:
    try:
        text = content.decode("utf-8")
        if path.endswith(".json"):
            return _source(_json_columns(json.loads(text)), before)
        rows = list(csv.reader(io.StringIO(text)))
    except (ValueError, csv.Error, RecursionError):
        return NOTHING
    return _tabular(rows[0] if rows else [], rows[1:], before)


def _table_source(path: Path, table: str, before: Source) -> Source:
    quoted = ".".join('"' + part.replace('"', '""') + '"' for part in table.split("."))
    where = f"file:{urllib.parse.quote(str(path))}?mode=ro"
    try:
        with closing(sqlite3.connect(where, uri=True, timeout=BUSY_SECONDS)) as connection:
            cursor = connection.execute(f"SELECT * FROM {quoted} LIMIT ?", (MAX_VALUES + 1,))  # noqa: S608 - a name of the manifest, quoted
            return _tabular([column[0] for column in cursor.description], cursor.fetchall(), before)
    except (sqlite3.Error, ValueError):
        return NOTHING


def _tabular(header: Sequence[str], rows: Sequence[Sequence[Any]], before: Source) -> Source:
    columns: dict[str, set[str]] = {name: set() for name in header}
    counted = rows[: MAX_VALUES + 1]
    if all(len(row) == len(header) for row in counted):
        for name, values in zip(header, zip(*counted, strict=True), strict=False):
            columns[name].update(value for value in values if isinstance(value, str))
        return _source(columns, before)
    for row in counted:
        for name, value in zip(header, row, strict=False):
            if isinstance(value, str):
                columns[name].add(value)
    return _source(columns, before)


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


def _source(columns: Mapping[str, set[str]], before: Source) -> Source:
    """The names in columns, made of those that the same data had `before` and of what is new or gone in it."""
    shape = json.dumps(sorted(columns))
    if sum(len(values) for values in columns.values()) > MAX_VALUES:
        return Source(shape)
    changed: dict[Phrase, dict[str, set[str]]] = {}
    longest = before.longest if before.names else 0
    for column in columns.keys() | before.columns.keys():
        now, then = columns.get(column, set()), before.columns.get(column, set())
        for value in now ^ then:
            for way, words in _names_of(value):
                if words not in changed:
                    changed[words] = {key: set(values) for key, values in before.names.get(words, {}).items()}
                values = changed[words].setdefault(f"{column} {way}", set())
                if value in now:
                    values.add(value)
                    longest = max(longest, len(words))
                else:
                    values.discard(value)
    names = dict(before.names)
    for words, where in changed.items():
        names[words] = {column: frozenset(values) for column, values in where.items() if values}
        if not names[words]:
            del names[words]
    return Source(shape, names, longest, columns)


_LETTER = re.compile("[A-Za-z]")


def _names_of(value: str) -> Iterator[tuple[str, Phrase]]:
    """The words by which a value may be called: all of it, or a person's first or last name, also of an address."""
    if not value or len(value) > MAX_CHARACTERS or "\n" in value:
        return
    if value.isascii() and _LETTER.search(value) is None:
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
