"""The names in data: what changed in a file is known at the next look, and nothing of what it had before."""

from __future__ import annotations

import csv
import random
from pathlib import Path

from metier.capability import Capability
from metier.permissions import Permissions
from metier.recall.entities import Entities, Source, entity_at

CAPABILITY = Capability.model_validate(
    {
        "id": "people",
        "summary": "People.",
        "language": "wasm",
        "input_schema": {},
        "output_schema": {},
        "effects": "read",
        "examples": [],
        "binary": "people.wasm",
        "version": 1,
        "sha256": None,
        "status": "active",
        "permissions": {"files": [{"root": "office", "path": "people.csv", "access": "read"}]},
    }
)
POLICY = Permissions.model_validate({"files": [{"root": "office", "path": "**", "access": "write"}]})
NAMES = ["Ada Lovelace", "Ada Byron", "Mary Major", "mary.major@atlas.com", "US", "us", "Total visits", "42", "4 May"]


def entities(folder: Path) -> Entities:
    return Entities({"office": folder}, {}, folder, POLICY)


def source(known: Entities) -> Source:
    ((_, found),) = known.sources(CAPABILITY)
    return found


def write(folder: Path, header: list[str], rows: list[list[str]]) -> None:
    with (folder / "people.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def test_after_any_edits_the_names_are_those_of_the_file_as_it_is(tmp_path: Path) -> None:
    known, draw = entities(tmp_path), random.Random(7)
    for _ in range(60):
        header = draw.choice([["name", "of"], ["name"], ["of", "name"], ["name", "name"]])
        rows = [[draw.choice(NAMES) for _ in header] for _ in range(draw.randrange(6))]
        if draw.random() < 0.2:
            rows.append([draw.choice(NAMES)])
        write(tmp_path, header, rows)
        found, fresh = source(known), source(entities(tmp_path))
        assert found.names == fresh.names
        assert found.shape == fresh.shape
        assert found.longest >= fresh.longest


def test_an_edit_of_the_same_size_right_after_another_is_noticed(tmp_path: Path) -> None:
    known = entities(tmp_path)
    for number in range(200):
        name = f"Person{chr(97 + number % 26)}"
        (tmp_path / "people.csv").write_text(f"name\n{name}\n", encoding="utf-8")
        assert [*entity_at([("people", source(known))], (name.casefold(),), 0)]


def test_the_same_bytes_written_again_are_not_taken_apart_again(tmp_path: Path) -> None:
    known = entities(tmp_path)
    write(tmp_path, ["name"], [["Ada Lovelace"]])
    before = source(known)
    write(tmp_path, ["name"], [["Ada Lovelace"]])
    assert source(known) is before


def test_a_file_that_is_gone_names_nothing_and_one_that_is_back_does(tmp_path: Path) -> None:
    known = entities(tmp_path)
    write(tmp_path, ["name"], [["Ada Lovelace"]])
    assert source(known).names
    (tmp_path / "people.csv").unlink()
    assert not source(known).names
    write(tmp_path, ["name"], [["Ada Lovelace"]])
    assert ("ada", "lovelace") in source(known).names
