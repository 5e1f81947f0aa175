"""What a program may do beyond computing: the manifest, the operator's policy, and how they narrow each other.

A manifest (`Permissions`) lists effects; what it does not list is impossible. A `Grant` is a stack of such lists
and allows only what every one of them allows: manifest ∩ operator's policy ∩ caller's grant.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from metier.urls import canonical_path, parse_url

Access = Literal["read", "write"]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
CapabilityId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
CapabilityIdOrAny = Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_]{0,62}|\*)$")]
SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,100}$")]
Table = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]


def _path_glob(value: str) -> str:
    segments = value.split("/")
    if re.search(r"[\x00-\x1f\x7f]", value):  # people read these lines before they approve
        raise ValueError("must not have control characters")
    if "\\" in value or any(s in ("", ".", "..") for s in segments):
        raise ValueError("must be a relative path without '.', '..', '\\' or empty segments")
    if any("**" in s and (s != "**" or i != len(segments) - 1) for i, s in enumerate(segments)):
        raise ValueError("'**' may only be the last segment")
    if re.search(r"[\[\]?{}]", value):
        raise ValueError("only '*' within a segment and a trailing '**' are wildcards")
    return value


PathGlob = Annotated[str, AfterValidator(_path_glob)]


def _url_path_glob(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("must begin with '/'")
    if value != "/":
        _path_glob(value[1:].removesuffix("/"))
    if value != canonical_path(value):
        raise ValueError(f"a path is written as it is sent: {canonical_path(value)}")
    return value


UrlPathGlob = Annotated[str, AfterValidator(_url_path_glob)]
"""As PathGlob, but beneath "/", and it may be "/" or end in it."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FilePermission(_Strict):
    """Files under an operator's root. `write` includes `read`, creation and removal."""

    root: Name
    path: PathGlob
    access: Access

    def allows(self, root: str, path: str, access: Access) -> bool:
        return self.root == root and (access == "read" or self.access == "write") and glob_matches(self.path, path)

    def reaches(self, root: str, directory: str, access: Access) -> bool:
        wide_enough = self.access == "write" or access == "read"
        return self.root == root and wide_enough and glob_reaches(self.path, directory)

    def covers(self, other: FilePermission) -> bool:
        wide_enough = self.access == "write" or other.access == "read"
        return self.root == other.root and wide_enough and glob_covers(self.path, other.path)


def _origin(value: str) -> str:
    canonical = parse_url(value).origin
    if value != canonical:
        raise ValueError(f"an origin is scheme, host and port in their one form: {canonical}")
    return value


Origin = Annotated[str, AfterValidator(_origin)]


class HttpPermission(_Strict):
    origin: Origin
    methods: tuple[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], ...] = Field(min_length=1, strict=False)
    path: UrlPathGlob = "/**"
    secrets: tuple[SecretName, ...] = Field(default=(), strict=False)

    def allows(self, origin: str, method: str, path: str) -> bool:
        """For an origin and a path in their canonical form."""
        return self.origin == origin and method in self.methods and glob_matches(self.path[1:], path[1:])

    def covers(self, other: HttpPermission) -> bool:
        return (
            self.origin == other.origin
            and set(other.methods) <= set(self.methods)
            and glob_covers(self.path[1:], other.path[1:])
            and set(other.secrets) <= set(self.secrets)
        )

    def sentence(self) -> str:
        secrets = f" with {', '.join(self.secrets)}" if self.secrets else ""
        return f"{'/'.join(self.methods)} {self.origin}{self.path}{secrets}"


Verbs = Annotated[tuple[Literal["select", "insert", "update", "delete"], ...], Field(strict=False)]


class SqlPermission(_Strict):
    store: Name
    tables: dict[Table, Verbs]

    def covers(self, other: SqlPermission) -> bool:
        return self.store == other.store and all(
            set(verbs) <= set(self.tables.get(table, ())) for table, verbs in other.tables.items()
        )

    def sentence(self) -> str:
        tables = "; ".join(f"{', '.join(verbs)} {table}" for table, verbs in self.tables.items())
        return f"sql on {self.store}: {tables or 'no table'}"


class Permissions(_Strict):
    """The keys of `permissions` in meta.json and of `[policy]` in metier.toml. Unknown keys reject the whole."""

    files: tuple[FilePermission, ...] = Field(default=(), strict=False)
    http: tuple[HttpPermission, ...] = Field(default=(), strict=False)
    sql: tuple[SqlPermission, ...] = Field(default=(), strict=False)
    call: tuple[CapabilityIdOrAny, ...] = Field(default=(), strict=False)
    clock: Literal["fixed", "recorded"] = "fixed"
    random: Literal["seeded", "recorded"] = "seeded"
    env: dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = Field(default={})

    def beyond(self, other: Permissions) -> list[str]:
        """What this asks for that `other` does not give, each in plain words; empty means it is a subset."""
        extra = [f"{f.access} {f.root}/{f.path}" for f in self.files if not any(have.covers(f) for have in other.files)]
        extra += [h.sentence() for h in self.http if not any(have.covers(h) for have in other.http)]
        extra += [s.sentence() for s in self.sql if not any(have.covers(s) for have in other.sql)]
        extra += [f"call {c}" for c in self.call if c not in other.call and "*" not in other.call]
        if self.clock == "recorded" and other.clock != "recorded":
            extra.append("read the real clock")
        if self.random == "recorded" and other.random != "recorded":
            extra.append("read real randomness")
        extra += [f"environment {k}={v!r}" for k, v in self.env.items() if other.env.get(k) != v]
        return extra

    def sentences(self) -> list[str]:
        """The same in plain words, for people."""
        return self.beyond(Permissions())


@dataclass(frozen=True, slots=True)
class Grant:
    """Permissions that hold in a run: what every layer allows. Without layers there is nothing to allow it."""

    layers: tuple[Permissions, ...]

    def narrowed(self, by: Permissions) -> Grant:
        return Grant((*self.layers, by))

    def allows_file(self, root: str, path: str, access: Access) -> bool:
        return self._all_say(lambda layer: any(f.allows(root, path, access) for f in layer.files))

    def may_hold_files(self, root: str, directory: str, access: Access) -> bool:
        """Whether something beneath `directory` ("" is the root itself) could be allowed, so that it may be seen."""
        return self._all_say(lambda layer: any(f.reaches(root, directory, access) for f in layer.files))

    def roots(self) -> tuple[str, ...]:
        named = [{f.root for f in layer.files} for layer in self.layers]
        return tuple(sorted(set.intersection(*named))) if named else ()

    @property
    def clock(self) -> Literal["fixed", "recorded"]:
        return "recorded" if self.layers and all(p.clock == "recorded" for p in self.layers) else "fixed"

    @property
    def random(self) -> Literal["seeded", "recorded"]:
        return "recorded" if self.layers and all(p.random == "recorded" for p in self.layers) else "seeded"

    @property
    def environ(self) -> dict[str, str]:
        first, *rest = self.layers or (Permissions(),)
        return {k: v for k, v in first.env.items() if all(layer.env.get(k) == v for layer in rest)}

    def http_secrets(self, origin: str, method: str, path: str) -> frozenset[str] | None:
        """The secrets that may go with a request; None where it may not be made at all."""
        found: frozenset[str] | None = None
        for layer in self.layers:
            matching = [h for h in layer.http if h.allows(origin, method, path)]
            if not matching:
                return None
            named = frozenset(secret for h in matching for secret in h.secrets)
            found = named if found is None else found & named
        return found

    def knows_store(self, store: str) -> bool:
        return self._all_say(lambda layer: any(s.store == store for s in layer.sql))

    def allows_sql(self, store: str, table: str, verb: str, *, fold: Callable[[str], str] = str) -> bool:
        """For a table as the database resolves its name; `fold` makes one of names that are one to the database."""

        def allows(layer: Permissions) -> bool:
            granted = [s.tables.items() for s in layer.sql if s.store == store]
            return any(verb in verbs and fold(name) == fold(table) for tables in granted for name, verbs in tables)

        return self._all_say(allows)

    @property
    def secrets(self) -> frozenset[str]:
        """All that some request may carry."""
        named = [frozenset(secret for h in layer.http for secret in h.secrets) for layer in self.layers]
        return frozenset.intersection(*named) if named else frozenset()

    def allows_call(self, capability: str) -> bool:
        return self._all_say(lambda layer: capability in layer.call or "*" in layer.call)

    def _all_say(self, allows: Callable[[Permissions], bool]) -> bool:
        return bool(self.layers) and all(map(allows, self.layers))


def glob_matches(pattern: str, path: str) -> bool:
    """`*` matches within one segment, a trailing `**` one segment or more; "." and ".." match nothing."""
    want, have = pattern.split("/"), path.split("/")
    if "." in have or ".." in have:
        return False
    if want[-1] == "**":
        return len(have) >= len(want) and all(map(_segment_matches, want[:-1], have))
    return len(want) == len(have) and all(map(_segment_matches, want, have))


def glob_covers(wide: str, narrow: str) -> bool:
    """Whether every path that `narrow` matches, `wide` matches too. Exact, because `*` is the only wildcard:
    a segment pattern contains another iff it matches it with the other's `*` read as a letter of its own."""
    a, b = wide.split("/"), narrow.split("/")
    if a[-1] == "**":
        return len(b) >= len(a) and all(map(_segment_covers, a[:-1], b))
    return b[-1] != "**" and len(a) == len(b) and all(map(_segment_covers, a, b))


def glob_reaches(pattern: str, directory: str) -> bool:
    """Whether `pattern` could match something beneath `directory`."""
    if directory == "":
        return True
    want, have = pattern.split("/"), directory.split("/")
    if want[-1] == "**":
        return all(map(_segment_matches, want[:-1], have))
    return len(want) > len(have) and all(map(_segment_matches, want, have))


def _segment_matches(pattern: str, segment: str) -> bool:
    return pattern == segment or fnmatch.fnmatchcase(segment, pattern)


def _segment_covers(wide: str, narrow: str) -> bool:
    return _segment_matches(wide, narrow.replace("*", "\0"))
