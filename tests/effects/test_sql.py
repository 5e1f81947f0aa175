"""SQL touches what the permission names and nothing else, whatever the statement looks like."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from metier.effects import EffectError, SqlStores
from metier.effects.statements import understood
from metier.outcomes import Failed, Ran
from metier.permissions import Permissions
from metier.record import ReplayedRecord
from metier.runner import Runner
from metier.sandbox.box import Box
from metier.sandbox.limits import Limits
from metier.toolchains import python
from tests.conftest import capability

SOURCE = """
import host

def run(input: dict) -> dict:
    answers = []
    for statement, parameters in input["statements"]:
        try:
            answers.append(host.sql("hr", statement, parameters))
        except host.Error as error:
            answers.append(error.kind)
    if input.get("fail"):
        raise host.Error("no", kind="wanted")
    return {"answers": answers}
"""
TABLES = {"people": ["select"], "notes": ["select", "insert", "update", "delete"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "hr.db") as db:
        db.executescript("""
            CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, pay REAL);
            CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT UNIQUE);
            CREATE TABLE secrets (value TEXT);
            CREATE VIEW leak AS SELECT value AS text FROM secrets;
            INSERT INTO people VALUES (1, 'John', 85000.5), (2, 'Jane', NULL);
            INSERT INTO secrets VALUES ('hunter2');
        """)
    db.close()
    return tmp_path


def permissions(tables: dict[str, list[str]]) -> Permissions:
    return Permissions.model_validate({"sql": [{"store": "hr", "tables": tables}]})


class Sql:
    """Runs statements in a capability that may touch TABLES."""

    def __init__(self, box: Box, folder: Path) -> None:
        allowed = permissions(TABLES)
        stores = SqlStores({"hr": "sqlite:///hr.db"}, folder)
        self.runner = Runner(box, roots={}, policy=allowed, limits=Limits(), stores=stores)
        loaded = capability(permissions=allowed, effects="write")
        self.loaded = self.runner.load(loaded, python.build(SOURCE, box))

    def __call__(self, *statements: Any, fail: bool = False) -> list[Any]:
        pairs = [s if isinstance(s, tuple) else (s, []) for s in statements]
        ended = self.runner.run(self.loaded, {"statements": pairs, "fail": fail})
        if isinstance(ended, Failed):
            return [ended.code]
        answers: list[Any] = ended.output["answers"]
        return answers


@pytest.fixture
def sql(box: Box, folder: Path) -> Sql:
    return Sql(box, folder)


def notes(folder: Path) -> list[Any]:
    with sqlite3.connect(folder / "hr.db") as db:
        rows = db.execute("SELECT text FROM notes ORDER BY id").fetchall()
    db.close()
    return [row[0] for row in rows]


def test_rows_come_back_with_their_columns(sql: Sql) -> None:
    (answer,) = sql(("SELECT name, pay FROM people WHERE id = ? OR name = ? ORDER BY id", [1, "Jane"]))
    assert answer == {"columns": ["name", "pay"], "rows": [["John", 85000.5], ["Jane", None]], "row_count": 2}
    (named,) = sql(("SELECT count(*) AS n FROM people WHERE name LIKE :pattern", {"pattern": "J%"}))
    assert named["rows"] == [[2]]


def test_ordinary_queries_are_understood(sql: Sql) -> None:
    answers = sql(
        "WITH rich AS (SELECT * FROM people WHERE pay > 10) SELECT upper(name) FROM rich",
        "SELECT p.name, n.text FROM people p LEFT JOIN notes AS n ON n.id = p.id ORDER BY 1 LIMIT 5",
        "SELECT name, row_number() OVER (ORDER BY id) FROM people",
        "SELECT CASE WHEN pay IS NULL THEN 'none: at all' ELSE 'some' END FROM people ORDER BY id",
        "SELECT name FROM people UNION SELECT text FROM notes",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n",
    )
    assert [a if isinstance(a, str) else "rows" for a in answers] == ["rows"] * 6
    assert answers[3]["rows"] == [["some"], ["none: at all"]]
    assert answers[5]["rows"] == [[15]]


def test_writes_stand_when_the_run_does(sql: Sql, folder: Path) -> None:
    written, seen = sql(("INSERT INTO notes (text) VALUES (?)", ["it's; -- mine"]), "SELECT text FROM notes")
    assert (written["row_count"], seen["rows"]) == (1, [["it's; -- mine"]])
    assert notes(folder) == ["it's; -- mine"]
    sql("UPDATE notes SET text = 'new' WHERE id = 1", "INSERT INTO notes (text) VALUES ('two')")
    sql("DELETE FROM notes WHERE text = 'two'")
    assert notes(folder) == ["new"]


def test_writes_are_undone_when_the_run_fails_or_is_a_rehearsal(sql: Sql, folder: Path) -> None:
    assert sql("INSERT INTO notes (text) VALUES ('a')", fail=True) == ["wanted"]
    rehearsed = sql.runner.rehearse(sql.loaded, {"statements": [["INSERT INTO notes (text) VALUES ('b')", []]]})
    assert isinstance(rehearsed, Ran)
    assert notes(folder) == []


def test_a_conflict_is_named(sql: Sql) -> None:
    insert = "INSERT INTO notes (text) VALUES ('a')"
    assert sql(insert, insert)[1] == "conflict"


SMUGGLED = [
    "SELECT * FROM secrets",
    'SELECT * FROM "secrets"',
    "SELECT * FROM SeCrEtS",
    "SELECT * FROM [secrets]",
    "SELECT * FROM `secrets`",
    "SELECT * FROM main.secrets",
    "SELECT * FROM main.people",
    "SELECT * FROM people, secrets",
    "SELECT * FROM people JOIN secrets ON 1 = 1",
    "SELECT * FROM people WHERE name IN (SELECT value FROM secrets)",
    "SELECT (SELECT value FROM secrets)",
    "SELECT * FROM people ORDER BY (SELECT value FROM secrets)",
    "SELECT * FROM people LIMIT (SELECT count(*) FROM secrets)",
    "SELECT * FROM people WHERE EXISTS (SELECT 1 FROM secrets)",
    "SELECT name FROM people UNION SELECT value FROM secrets",
    "SELECT name FROM people EXCEPT SELECT value FROM secrets",
    "WITH people AS (SELECT * FROM secrets) SELECT * FROM people",
    "WITH secrets AS (SELECT * FROM secrets) SELECT * FROM secrets",
    "WITH a AS (SELECT * FROM secrets), secrets AS (SELECT 1) SELECT * FROM a",
    "SELECT * FROM secrets WHERE (WITH secrets AS (SELECT 1 AS x) SELECT x FROM secrets) = 1",
    "SELECT * FROM (WITH secrets AS (SELECT 1) SELECT * FROM secrets) AS t, secrets",
    "SELECT * FROM leak",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM sqlite_schema",
    "SELECT * FROM pragma_table_info('people')",
    "SELECT load_extension('x')",
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('/tmp/x', 'y')",
    "SELECT edit('x')",
    "SELECT fts3_tokenizer('x')",
    "SELECT random()",
    "SELECT randomblob(10)",
    "SELECT zeroblob(1000000000)",
    "SELECT datetime('now')",
    "SELECT CURRENT_TIMESTAMP",
    "SELECT last_insert_rowid()",
    "SELECT sqlite_version()",
    "PRAGMA table_info(people)",
    "PRAGMA writable_schema = ON",
    "ATTACH DATABASE '/etc/passwd' AS x",
    "DETACH DATABASE main",
    "VACUUM",
    "VACUUM INTO '/tmp/copy.db'",
    "REINDEX",
    "ANALYZE",
    "EXPLAIN SELECT * FROM people",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT x",
    "CREATE TABLE x (a)",
    "CREATE TEMP TABLE x AS SELECT * FROM people",
    "CREATE VIEW v AS SELECT * FROM secrets",
    "CREATE TRIGGER t AFTER INSERT ON notes BEGIN SELECT 1; END",
    "DROP TABLE people",
    "ALTER TABLE people RENAME TO p",
    "INSERT INTO people (name) VALUES ('x')",
    "INSERT INTO secrets VALUES ('x')",
    "INSERT INTO notes (text) SELECT value FROM secrets",
    "REPLACE INTO people (id) VALUES (1)",
    "INSERT OR REPLACE INTO people (id) VALUES (1)",
    "UPDATE people SET pay = 1",
    "UPDATE notes SET text = (SELECT value FROM secrets)",
    "UPDATE notes SET text = s.value FROM secrets AS s",
    "DELETE FROM people",
    "DELETE FROM notes WHERE text IN (SELECT value FROM secrets)",
    "SELECT 1; DELETE FROM notes",
    "SELECT 1; SELECT * FROM secrets",
    "SELECT * FROM people; -- \nDROP TABLE people",
    "SELECT * FROM people /* ; */ ; DELETE FROM notes",
    "SELECT * FROM people FOR UPDATE",
    "SELECT * INTO x FROM people",
    "MERGE INTO notes USING secrets ON 1 = 1 WHEN MATCHED THEN DELETE",
    "VALUES (1)",
    "TABLE people",
    "",
    "-- nothing",
    "SELECT * FROM people WHERE name = '\0'",
    "SELECT * FRM people",
    "SELECT " + "(" * 3000 + "1" + ")" * 3000,
    "SELECT '" + "x" * 60_000 + "'",
]


@pytest.mark.parametrize("statement", SMUGGLED)
def test_what_is_not_allowed_or_cannot_be_told_is_refused(sql: Sql, folder: Path, statement: str) -> None:
    before = (folder / "hr.db").read_bytes()
    (answer,) = sql(statement)
    assert answer in ("denied", "invalid"), answer
    assert "hunter2" not in json.dumps(answer)
    assert (folder / "hr.db").read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        ("SELECT ?", []),
        ("SELECT ?", [1, 2]),
        ("SELECT :a", {}),
        ("SELECT :a", {"a": 1, "b": 2}),
        ("SELECT ?", [[1]]),
        ("SELECT :a", ["x"]),
        ("SELECT 1", [1]),
    ],
)
def test_parameters_must_fit(sql: Sql, statement: str, parameters: Any) -> None:
    assert sql((statement, parameters)) == ["invalid"]


def test_too_many_rows_are_refused(sql: Sql) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    assert sql(endless) == ["too_large"]


def test_another_store_and_a_missing_one_are_not_there(box: Box, sql: Sql, folder: Path) -> None:
    (folder / "hr.db").unlink()
    assert sql("SELECT 1") == ["unavailable"]
    assert not (folder / "hr.db").exists()


def test_every_layer_must_allow_table_and_verb(box: Box, folder: Path) -> None:
    stores = SqlStores({"hr": "sqlite:///hr.db"}, folder)
    wide, narrow = permissions({"people": ["select"], "notes": ["select"]}), permissions({"people": ["select"]})
    runner = Runner(box, roots={}, policy=narrow, limits=Limits(), stores=stores)
    loaded = runner.load(capability(permissions=wide, effects="read"), python.build(SOURCE, box))
    ended = runner.run(loaded, {"statements": [["SELECT 1 FROM notes", []], ["SELECT count(*) AS n FROM people", []]]})
    assert isinstance(ended, Ran)
    assert ended.output["answers"] == ["denied", {"columns": ["n"], "rows": [[2]], "row_count": 1}]


def test_a_run_replays_without_the_database(sql: Sql, folder: Path) -> None:
    value = {"statements": [["SELECT name FROM people ORDER BY id", []], ["SELECT * FROM secrets", []]]}
    ran = sql.runner.run(sql.loaded, value)
    assert isinstance(ran, Ran)
    (folder / "hr.db").unlink()
    again = sql.runner.replay(sql.loaded, value, ran.grant, ReplayedRecord(ran.effects, ran.blobs))
    assert isinstance(again, Ran)
    assert (again.output_text, again.fuel) == (ran.output_text, ran.fuel)


def test_a_password_is_in_no_message(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    for url in (
        "postgresql+nodriver://u:${env:DB_PASSWORD}@h/db",
        "sqlite:///missing-${env:DB_PASSWORD}.db",
        "nonsense",
    ):
        with pytest.raises(EffectError) as caught:
            SqlStores({"hr": url}, folder).open("hr", writes=False, seconds=1, limits=Limits())
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_sleep(10)",
        "SELECT * FROM pg_catalog.pg_user",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM generate_series(1, 10)",
        "SELECT lo_import('/etc/passwd')",
        "SELECT set_config('a', 'b', true)",
        "SELECT query_to_xml('select 1', true, true, '')",
        "SELECT nextval('x')",
        "SELECT current_user",
        "SELECT now()",
        "COPY people TO '/tmp/x'",
        "DO $$ BEGIN END $$",
        "SET search_path = x",
        "SELECT $$a$$ || (SELECT value FROM secrets)",
        "WITH d AS (DELETE FROM notes RETURNING *) SELECT * FROM d",
        "SELECT * FROM ONLY secrets",
        "SELECT * FROM people TABLESAMPLE SYSTEM (1)",
        "SELECT people FROM people CROSS JOIN LATERAL (SELECT * FROM secrets) s",
    ],
)
def test_postgres_statements_are_refused_or_touch_what_they_say(statement: str) -> None:
    try:
        found = understood(statement, [], "postgresql")
    except EffectError as error:
        assert error.kind in ("denied", "invalid")
    else:
        assert {table for table, _ in found.touched} - {"people", "notes"}, found.touched
