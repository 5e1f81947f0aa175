"""What a stream is made of: tasks that come in families, and for each family what an excellent author would write."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

State = Mapping[str, "Counter[tuple[str, ...]]"]
"""What the tables hold: by file, how often each row is there. The order of rows means nothing."""


@dataclass(frozen=True, slots=True)
class Family:
    """Tasks of one kind."""

    name: str
    draft: Mapping[str, Any]
    """The capability for all of them, as an author hands it in; the example of the task at hand is put in front."""
    sentence: Callable[[Any], str]
    """How a model words an output."""

    @property
    def capability(self) -> str:
        return str(self.draft["id"])


@dataclass(frozen=True, slots=True)
class Task:
    text: str
    family: str
    wording: str
    """The template that the text was made from."""
    file: str
    """The part of the data that it belongs to."""
    arguments: Mapping[str, Any]
    expected: State
    """What the tables hold when it is solved."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Data, tasks over it, and one moment in which all of them are asked."""

    root: str
    files: Mapping[str, str]
    """The tables, CSV with a header, by file name."""
    keys: Mapping[str, str]
    """The column of each table that numbers its rows, where it has one: new rows may have any number."""
    families: Mapping[str, Family]
    tasks: Sequence[Task]
    now: datetime

    def restore(self, folder: Path) -> None:
        """Puts the tables that were changed back."""
        for name, text in self.files.items():
            path = folder / name
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")

    def state(self, folder: Path) -> State:
        """What the tables in a folder hold now."""
        return self.state_of({name: (folder / name).read_text(encoding="utf-8") for name in self.files})

    def state_of(self, tables: Mapping[str, str]) -> State:
        return {name: self._rows(name, tables[name]) for name in self.files}

    def _rows(self, name: str, text: str) -> Counter[tuple[str, ...]]:
        key, known = self.keys.get(name), set()
        if key is not None:
            known = {row[key] for row in table(self.files[name])}
        rows = table(text)
        new = (row | {key: "new"} if key is not None and row[key] not in known else row for row in rows)
        return Counter(tuple(f"{column}={value}" for column, value in row.items()) for row in new)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def as_csv(columns: Sequence[str], rows: Sequence[Mapping[str, str] | Sequence[str]]) -> str:
    """A table as the text of a file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([row[column] for column in columns] if isinstance(row, Mapping) else row)
    return out.getvalue()


@dataclass(slots=True)
class Wordings:
    """Templates of texts with `{slots}`, and what stands in the slots of a text."""

    closed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """All that can stand in a slot, where that is known."""
    _compiled: dict[str, re.Pattern[str]] = field(default_factory=dict)

    def slots(self, wording: str, text: str) -> dict[str, str]:
        """What stands in each slot.

        Raises:
            ValueError: the text was not made from this template.
        """
        pattern = self._compiled.get(wording)
        if pattern is None:
            pattern = self._compiled[wording] = re.compile(_pattern(wording, self.closed), re.DOTALL)
        match = pattern.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} was not made from {wording!r}")
        return match.groupdict()


def _pattern(wording: str, closed: Mapping[str, Sequence[str]]) -> str:
    seen: set[str] = set()
    parts = []
    for part in re.split(r"(\{\w+\})", wording):
        name = part[1:-1]
        if not re.fullmatch(r"\{\w+\}", part):
            parts.append(re.escape(part))
        elif name in seen:
            parts.append(f"(?P={name})")
        else:
            seen.add(name)
            choices = "|".join(map(re.escape, closed.get(name, ()))) or ".+?"
            parts.append(f"(?P<{name}>{choices})")
    return "".join(parts)
