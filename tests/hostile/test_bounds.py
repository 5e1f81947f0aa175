"""What one call of a host function may cost: a program asks once, and the host would work for hours or fill a disk."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metier.effects import EffectError
from metier.effects import sqlite as stores
from metier.effects.sqlite import SqliteConnection, longest_value
from metier.effects.statements import understood
from metier.outcomes import Failed
from metier.permissions import Permissions
from metier.runner import Runner
from metier.sandbox.box import Box
from metier.sandbox.limits import MIB, Limits
from metier.toolchains import python
from tests.conftest import capability
from tests.hostile.corpus import LIMITS

COUNT = "WITH RECURSIVE n(i, x) AS (SELECT 1, :x UNION ALL SELECT i + 1, x FROM n) "
DOUBLE = "WITH RECURSIVE n(i, x) AS (SELECT 1, 'a' UNION ALL SELECT i + 1, x || x FROM n WHERE i < 24) "


def test_a_listing_of_many_names_ends_at_the_deadline(box: Box, tmp_path: Path) -> None:
    names = 20_000
    for number in range(names):
        os.close(os.open(tmp_path / f"{number}", os.O_CREAT | os.O_WRONLY))
    reading = Permissions.model_validate({"files": [{"root": "docs", "path": "**", "access": "read"}]})
    limits = Limits.model_validate({**LIMITS, "overlay_bytes": 64 * MIB, "seconds": 0.05})
    runner = Runner(box, roots={"docs": tmp_path}, policy=reading, limits=limits)
    source = "import os\ndef run(input):\n    return len(os.listdir('/docs'))\n"
    ended = runner.run(runner.load(capability(permissions=reading, effects="read"), python.build(source, box)), {})
    assert isinstance(ended, Failed)
    assert ended.kind == "time"
    assert len(ended.effects) < names  # each name that it came to is a look, and is recorded


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    with sqlite3.connect(tmp_path / "hr.db") as db:
        db.execute("CREATE TABLE notes (text TEXT)")
        db.execute("INSERT INTO notes VALUES (?)", ["needle " * 100_000])
    db.close()
    connection = SqliteConnection(tmp_path / "hr.db", writes=False, seconds=10, limits=Limits())
    connection.begin(write=False)

    def ask(text: str, **values: Any) -> Any:
        return connection.run(understood(text, values, "sqlite"), 10, lambda *_: True)["rows"]

    yield ask
    connection.close()


@pytest.mark.parametrize(
    "text",
    [
        "SELECT instr(:hay, :needle)",
        "SELECT replace(:hay, :needle, '')",
        "SELECT trim(:hay, :needle)",
        "SELECT ltrim(:hay, 'x' || :needle)",
        "SELECT count(*) FROM notes WHERE :hay LIKE '%' || :needle",
        "SELECT glob(:needle, :hay)",
        "SELECT instr(:hay, lower(:needle))",
        "SELECT instr(:hay, (SELECT :needle))",
        DOUBLE + "SELECT max(instr(x, x || 'b')) FROM n",
        DOUBLE + "SELECT max(rtrim(x, 'b' || x)) FROM n",
    ],
)
def test_a_search_that_would_take_hours_is_refused(store: Any, text: str) -> None:
    with pytest.raises(EffectError) as refused:
        store(text, **({"hay": "a" * 5 * MIB, "needle": "a" * 2 * MIB + "b"} if ":hay" in text else {}))
    assert refused.value.kind in ("too_large", "invalid")


@pytest.mark.parametrize("what", ["lower(x)", "x || 'b'", "x"])
def test_a_row_of_many_large_values_takes_little_memory(store: Any, what: str) -> None:
    text = f"{DOUBLE} SELECT {', '.join([what] * 150)} FROM n"
    assert longest_value(understood(text, {}, "sqlite")) * 150 <= 64 * MIB
    with pytest.raises(EffectError) as refused:
        store(text)
    assert refused.value.kind == "too_large"


def test_what_is_usual_still_works_on_long_texts(store: Any) -> None:
    assert store("SELECT count(*) FROM notes WHERE text LIKE '%' || :word || '%'", word="needle") == [[1]]
    assert store("SELECT length(replace(text, 'needle ', '')), instr(text, 'edl') FROM notes") == [[0, 3]]
    assert store("SELECT length(:long)", long="a" * 7 * MIB) == [[7 * MIB]]


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux tells what a thread writes")
@pytest.mark.parametrize(
    "text",
    [COUNT + "SELECT i FROM n ORDER BY x, i", COUNT.replace("ALL", "") + "SELECT max(i) FROM n"],
)
def test_a_statement_does_not_fill_the_disk(store: Any, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "SCRATCH_BYTES", 16 * MIB)
    with pytest.raises(EffectError, match="on disk") as refused:
        store(text, x="a" * 100_000)
    assert refused.value.kind == "too_large"
    assert store("SELECT 1") == [[1]]
