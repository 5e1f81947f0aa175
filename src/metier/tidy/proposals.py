"""What tidying proposes, and the list that was shown last, so that its numbers mean the same when they are applied."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from metier import schemas

FILE_NAME = "tidy.json"
Kind = Literal["alias", "merge", "generalize", "retire"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """One thing to do. Capabilities are named as they were looked at, `id@version`."""

    kind: Kind
    retires: tuple[str, ...]
    why: str
    """A sentence for a person."""
    kept: str | None = None
    """What answers the calls of those that are retired; of a generalization the one that it starts from."""
    agreed: int | None = None
    """On how many different inputs they came to the same."""
    given: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of a generalization, by id: what the calls of an original add to their input."""
    order: str = ""
    """Of a generalization: what an author is told to write."""

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values; what it does not have is left out."""
        return {key: value for key, value in asdict(self).items() if value not in (None, {}, "")}


class Proposals:
    """The proposals that were shown last, in a library's state folder."""

    def __init__(self, state: Path | None) -> None:
        self._path = state / FILE_NAME if state is not None else None

    def keep(self, shown: Sequence[Proposal]) -> None:
        """Keeps them in place of the earlier ones; nothing where the folder cannot be written."""
        if self._path is None:
            return
        staged = self._path.with_name(f"{FILE_NAME}.{secrets.token_hex(4)}")
        with contextlib.suppress(OSError):
            staged.write_text(schemas.compact([asdict(p) for p in shown]), encoding="utf-8")
            staged.replace(self._path)

    def shown(self) -> list[Proposal]:
        """Those that were kept; none where there are none that can be read."""
        try:
            text = self._path.read_text(encoding="utf-8") if self._path is not None else "[]"
            return TypeAdapter(list[Proposal]).validate_json(text)
        except (OSError, ValueError, ValidationError):
            return []
