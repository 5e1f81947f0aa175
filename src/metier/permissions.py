"""What a program may do beyond computing: the manifest, the operator's policy, and how they narrow each other.

A manifest (`Permissions`) lists effects; what it does not list is impossible. A `Grant` is a stack of such lists
and allows only what every one of them allows: manifest ∩ operator's policy ∩ caller's grant.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

Access = Literal["read", "write"]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
CapabilityId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


def _path_glob(value: str) -> str:
    segments = value.split("/")
    if not value or "\0" in value or "\\" in value or any(s in ("", ".", "..") for s in segments):
        raise ValueError("must be a relative path without '.', '..', '\\' or empty segments")
    if any("**" in s and (s != "**" or i != len(segments) - 1) for i, s in enumerate(segments)):
        raise ValueError("'**' may only be the last segment")
    if re.search(r"[\[\]?{}]", value):
        raise ValueError("only '*' within a segment and a trailing '**' are wildcards")
    return value


PathGlob = Annotated[str, AfterValidator(_path_glob)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FilePermission(_Strict):
    """Files under an operator's root. `write` includes `read`, creation and removal."""

    root: Name
    path: PathGlob
    access: Access

    def allows(self, root: str, path: str, access: Access) -> bool:
        return self.root == root and (access == "read" or self.access == "write") and glob_matches(self.path, path)

    def covers(self, other: FilePermission) -> bool:
        wide_enough = self.access == "write" or other.access == "read"
        return self.root == other.root and wide_enough and glob_covers(self.path, other.path)


class HttpPermission(_Strict):
    origin: Annotated[str, StringConstraints(pattern=r"^https?://[a-z0-9.\-\[\]:]+$")]
    methods: tuple[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], ...] = Field(min_length=1, strict=False)
    path: Annotated[str, StringConstraints(pattern=r"^/")] = "/**"
    secrets: tuple[str, ...] = Field(default=(), strict=False)

    def covers(self, other: HttpPermission) -> bool:
        return (
            self.origin == other.origin
            and set(other.methods) <= set(self.methods)
            and glob_covers(self.path.lstrip("/") or "*", other.path.lstrip("/") or "*")
            and set(other.secrets) <= set(self.secrets)
        )


class SqlPermission(_Strict):
    store: Name
    tables: dict[str, tuple[Literal["select", "insert", "update", "delete"], ...]] = Field(strict=False)

    def covers(self, other: SqlPermission) -> bool:
        return self.store == other.store and all(
            set(verbs) <= set(self.tables.get(table, ())) for table, verbs in other.tables.items()
        )


class Permissions(_Strict):
    """The keys of `permissions` in meta.json and of `[policy]` in metier.toml. Unknown keys reject the whole."""

    files: tuple[FilePermission, ...] = Field(default=(), strict=False)
    http: tuple[HttpPermission, ...] = Field(default=(), strict=False)
    sql: tuple[SqlPermission, ...] = Field(default=(), strict=False)
    call: tuple[CapabilityId, ...] = Field(default=(), strict=False)
    clock: Literal["fixed", "recorded"] = "fixed"
    random: Literal["seeded", "recorded"] = "seeded"
    env: dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = Field(default={})

    def beyond(self, other: Permissions) -> list[str]:
        """What this asks for that `other` does not give, each in plain words; empty means it is a subset."""
        extra = [f"{f.access} {f.root}/{f.path}" for f in self.files if not any(have.covers(f) for have in other.files)]
        extra += [
            f"{'/'.join(h.methods)} {h.origin}{h.path}"
            for h in self.http
            if not any(have.covers(h) for have in other.http)
        ]
        extra += [f"sql on {s.store}" for s in self.sql if not any(have.covers(s) for have in other.sql)]
        extra += [f"call {c}" for c in self.call if c not in other.call and "*" not in other.call]
        if self.clock == "recorded" and other.clock != "recorded":
            extra.append("read the real clock")
        if self.random == "recorded" and other.random != "recorded":
            extra.append("read real randomness")
        extra += [f"environment {k}={v}" for k, v in self.env.items() if other.env.get(k) != v]
        return extra

    def sentences(self) -> list[str]:
        """The same in plain words, for people."""
        return self.beyond(Permissions())


@dataclass(frozen=True, slots=True)
class Grant:
    """Permissions that hold in a run: what every layer allows."""

    layers: tuple[Permissions, ...]

    def narrowed(self, by: Permissions) -> Grant:
        return Grant((*self.layers, by))

    def allows_file(self, root: str, path: str, access: Access) -> bool:
        return all(any(f.allows(root, path, access) for f in layer.files) for layer in self.layers)

    def may_hold_files(self, root: str, directory: str) -> bool:
        """Whether something beneath `directory` ("" is the root itself) could be allowed, so that it may be seen."""
        return all(
            any(f.root == root and glob_reaches(f.path, directory) for f in layer.files) for layer in self.layers
        )

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

    def allows_call(self, capability: str) -> bool:
        return all(capability in layer.call or "*" in layer.call for layer in self.layers)


def glob_matches(pattern: str, path: str) -> bool:
    """`*` matches within one segment, a trailing `**` one segment or more."""
    want, have = pattern.split("/"), path.split("/")
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


def parse_permissions(value: Any) -> Permissions:
    """The manifest in `value` (a decoded JSON object).

    Raises:
        pydantic.ValidationError: an unknown key or a value that does not parse; the whole manifest is then void.
    """
    return Permissions.model_validate(value)
