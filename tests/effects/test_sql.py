"""SQL touches what the permission names and nothing else, whatever the statement looks like."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from metier.effects import INSIDE, OUTSIDE, Context, Door, EffectError, SqlStores
from metier.effects.sqlite import SqliteConnection
from metier.effects.statements import Statement, understood
from metier.outcomes import Failed, Ran
from metier.permissions import Grant, Permissions
from metier.record import LiveRecord, ReplayedRecord
from metier.runner import Loaded, Runner
from metier.sandbox.box import Box
from metier.sandbox.files import FileSystem, HostFiles
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
    """Runs statements in a capability that may touch `tables`."""

    def __init__(self, box: Box, folder: Path, tables: dict[str, list[str]] = TABLES, effects: str = "write") -> None:
        allowed = permissions(tables)
        stores = SqlStores({"hr": "sqlite:///hr.db"}, folder)
        self.runner = Runner(box, roots={}, policy=allowed, limits=Limits(), stores=stores)
        loaded = capability(permissions=allowed, effects=effects)
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


# The database's own guards, beneath the reading of statements.


def connection(folder: Path, **limits: Any) -> SqliteConnection:
    opened = SqliteConnection(folder / "hr.db", writes=True, seconds=1, limits=Limits(**limits))
    opened.begin(write=True)
    return opened


def connection_to_read(folder: Path) -> SqliteConnection:
    opened = SqliteConnection(folder / "hr.db", writes=False, seconds=1, limits=Limits())
    opened.begin(write=False)
    return opened


def smuggled(sql: str, *touched: tuple[str, str]) -> Statement:
    """A statement that passed for one that touches something else."""
    rows = sql.startswith(("SELECT", "WITH"))
    return Statement(sql, frozenset(touched or {("notes", "select")}), {}, rows, (), frozenset())


def only_notes(table: str, verb: str) -> bool:
    return table == "notes"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT value FROM secrets",
        "SELECT count(*) FROM secrets",
        "SELECT 1 FROM secrets",
        "SELECT * FROM notes WHERE EXISTS (SELECT 1 FROM secrets)",
        "SELECT * FROM leak",
        "SELECT name FROM sqlite_master",
        "SELECT count(*) FROM sqlite_schema",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM pragma_table_info('secrets')",
        "SELECT load_extension('x')",
        "SELECT random()  + sqlite_compileoption_used('x')",
        "PRAGMA writable_schema = ON",
        "PRAGMA query_only = OFF",
        "PRAGMA database_list",
        "ATTACH ':memory:' AS x",
        "SAVEPOINT x",
        "ROLLBACK",
        "COMMIT",
        "CREATE TABLE x (a)",
        "CREATE TEMP TABLE notes (a)",
        "DROP TABLE notes",
        "ALTER TABLE notes RENAME TO n",
        "REINDEX",
        "ANALYZE",
        "DELETE FROM secrets",
    ],
)
@pytest.mark.parametrize("writes", [False, True])
def test_sqlite_itself_refuses_what_was_smuggled_past_the_parser(folder: Path, statement: str, writes: bool) -> None:
    opened = connection(folder)
    verbs = {("notes", "select"), ("notes", "insert")} if writes else {("notes", "select")}
    with pytest.raises(EffectError) as caught:
        opened.run(smuggled(statement, *verbs), 1, only_notes)
    assert caught.value.kind in ("denied", "invalid")
    assert "not authorized" in str(caught.value) or "prohibited" in str(caught.value), str(caught.value)
    opened.close()


def test_a_read_cannot_write_whatever_is_allowed(folder: Path) -> None:
    for opened in (connection(folder), connection_to_read(folder)):
        with pytest.raises(EffectError, match="readonly") as caught:
            opened.run(smuggled("INSERT INTO notes (text) VALUES ('x')"), 1, lambda table, verb: True)
        assert caught.value.kind == "denied"
        opened.close()


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "


def test_a_statement_without_end_is_stopped_in_time(folder: Path) -> None:
    opened = connection_to_read(folder)
    found = understood(ENDLESS + "SELECT count(*) AS n FROM n", [], "sqlite")
    started = time.monotonic()
    with pytest.raises(EffectError) as caught:
        opened.run(found, 0.1, only_notes)
    assert caught.value.kind == "timeout"
    assert time.monotonic() - started < 1
    assert opened.run(understood("SELECT 1 AS one", [], "sqlite"), 1, only_notes)["rows"] == [[1]]
    opened.close()


def test_a_change_that_is_stopped_loses_the_transaction_and_says_so(folder: Path) -> None:
    opened = connection(folder)
    opened.run(understood("INSERT INTO notes (text) VALUES ('a')", [], "sqlite"), 1, only_notes)
    endless = understood(f"{ENDLESS} INSERT INTO notes (text) SELECT i FROM n", [], "sqlite")
    with pytest.raises(EffectError) as caught:
        opened.run(endless, 0.1, only_notes)
    assert caught.value.kind == "timeout"
    with pytest.raises(EffectError, match="undone by an earlier failure"):  # and is not made outside of a transaction
        opened.run(understood("INSERT INTO notes (text) VALUES ('b')", [], "sqlite"), 1, only_notes)
    with pytest.raises(sqlite3.Error):
        opened.commit()
    opened.close()
    assert notes(folder) == []


def test_answers_are_bounded_and_a_change_whose_answer_is_too_large_is_undone(folder: Path) -> None:
    opened = connection(folder, effect_bytes=3_000)
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
    for text in (
        f"{many} SELECT i FROM n",
        f"{many} INSERT INTO notes (text) SELECT i FROM n RETURNING text",
        "SELECT '" + "x" * 2_000 + "' || '" + "x" * 2_000 + "'",
        f"{many} SELECT group_concat(i) FROM n",
    ):
        with pytest.raises(EffectError) as caught:
            opened.run(understood(text, [], "sqlite"), 5, only_notes)
        assert caught.value.kind == "too_large", text
    assert opened.run(understood("SELECT count(*) AS n FROM notes", [], "sqlite"), 1, only_notes)["rows"] == [[0]]
    opened.close()


def test_a_database_grows_no_further_than_a_run_may_write(folder: Path) -> None:
    opened = connection(folder, overlay_bytes=100_000)
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
    with pytest.raises(EffectError) as caught:
        opened.run(understood(f"{many} INSERT INTO notes (text) SELECT hex(i) FROM n", [], "sqlite"), 5, only_notes)
    assert caught.value.kind == "too_large"
    opened.close()
    assert (folder / "hr.db").stat().st_size < 200_000


def test_a_store_that_someone_else_writes_to_is_unavailable(folder: Path) -> None:
    other = sqlite3.connect(folder / "hr.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    opened = SqliteConnection(folder / "hr.db", writes=True, seconds=0.05, limits=Limits())
    with pytest.raises(EffectError) as caught:
        opened.begin(write=True)
    assert (caught.value.kind, str(caught.value)) == ("unavailable", "database is locked")
    opened.close()
    reading = connection_to_read(folder)
    assert reading.run(understood("SELECT name FROM people", [], "sqlite"), 1, lambda *_: True)["row_count"] == 2
    reading.close()
    other.close()


def test_a_run_sees_one_snapshot(folder: Path) -> None:
    with sqlite3.connect(folder / "hr.db") as db:
        db.execute("PRAGMA journal_mode = WAL")
    db.close()
    opened = connection_to_read(folder)
    count = understood("SELECT count(*) AS n FROM notes", [], "sqlite")
    assert opened.run(count, 1, only_notes)["rows"] == [[0]]
    with sqlite3.connect(folder / "hr.db") as db:
        db.execute("INSERT INTO notes (text) VALUES ('later')")
    db.close()
    assert opened.run(count, 1, only_notes)["rows"] == [[0]]
    opened.close()


def test_views_triggers_and_cascades_need_what_they_reach(folder: Path, box: Box) -> None:
    with sqlite3.connect(folder / "hr.db") as db:
        db.executescript("""
            CREATE TABLE audit (at TEXT DEFAULT CURRENT_TIMESTAMP, text TEXT);
            CREATE TRIGGER kept AFTER DELETE ON notes BEGIN INSERT INTO audit (text) VALUES (old.text); END;
            CREATE TABLE parts (id INTEGER PRIMARY KEY, person INTEGER REFERENCES people (id) ON DELETE CASCADE);
            INSERT INTO notes (text) VALUES ('a');
            INSERT INTO parts VALUES (1, 1);
        """)
    db.close()
    base = {"notes": ["select", "delete"], "people": ["select", "delete"], "leak": ["select"], "parts": ["insert"]}
    narrow, wide = (
        Sql(box, folder, base),
        Sql(box, folder, {**base, "audit": ["insert"], "secrets": ["select"], "parts": ["insert", "delete"]}),
    )
    asked = "SELECT text FROM leak", "DELETE FROM notes", "DELETE FROM people WHERE id = 1"
    assert narrow(*asked) == ["denied", "denied", "denied"]
    assert [answer["row_count"] for answer in wide(*asked)] == [1, 1, 1]
    assert narrow("INSERT INTO parts VALUES (2, 2)")[0]["row_count"] == 1  # a check of a key is no reading
    assert narrow("INSERT INTO parts VALUES (3, 99)") == ["conflict"]


def test_names_that_only_look_alike_are_others(sql: Sql, folder: Path) -> None:
    with sqlite3.connect(folder / "hr.db") as db:
        db.execute('CREATE TABLE "реople" (x)')  # Cyrillic
    db.close()
    assert sql("SELECT * FROM реople") == ["denied"]
    assert sql('SELECT count(*) AS n FROM "PeOpLe"')[0]["rows"] == [[2]]


def test_an_unknown_name_in_double_quotes_is_no_text(sql: Sql) -> None:
    assert sql('SELECT "nothing" FROM people') == ["invalid"]
    assert sql("SELECT * FROM notes WHERE text = 'a'", "SELECT nothing FROM people")[1] == "invalid"


def test_values_come_back_as_json_has_them(sql: Sql) -> None:
    text = "SELECT 1.5, 'é', NULL, TRUE, CAST(:b AS BLOB), :b, 9e999, CAST(:bad AS TEXT), 9007199254740993"
    (answer,) = sql((text, {"b": {"base64": "AP8="}, "bad": {"base64": "/w=="}}))
    binary, bad = {"base64": "AP8="}, {"base64": "/w=="}
    assert answer["rows"] == [[1.5, "é", None, 1, binary, binary, "Infinity", bad, 9007199254740993]]
    assert answer["columns"][:4] == ["1.5", "'é'", "NULL", "TRUE"]


def test_reading_capabilities_do_not_write(box: Box, folder: Path) -> None:
    reading = Sql(box, folder, effects="read")
    assert reading("INSERT INTO notes (text) VALUES ('a')", "SELECT count(*) AS n FROM notes")[0] == "denied"
    assert notes(folder) == []


def test_a_missing_table_is_not_found_and_a_missing_store_too(box: Box, folder: Path) -> None:
    sql = Sql(box, folder, {"gone": ["select"]})
    assert sql("SELECT * FROM gone") == ["not_found"]
    stores = SqlStores({}, folder)
    with pytest.raises(EffectError, match="there is no store 'hr'"):
        stores.open("hr", writes=False, seconds=1, limits=Limits())


@pytest.mark.parametrize(
    "request_",
    [{}, {"store": "hr"}, {"store": 1, "statement": "SELECT 1"}, {"store": "hr", "statement": 1}]
    + [{"store": "hr", "statement": "SELECT 1", "parameters": wrong} for wrong in ("x", 1, True)],
)
def test_requests_of_another_shape_are_invalid(folder: Path, request_: dict[str, Any]) -> None:
    grant = Grant((permissions(TABLES),))
    context = Context(FileSystem(HostFiles({}, 1), grant, Limits(), None), grant, Limits(), LiveRecord())
    session = SqlStores({"hr": "sqlite:///hr.db"}, folder).session(writes=False)
    for sql in (session, None):
        door = Door(INSIDE, OUTSIDE, dataclasses.replace(context, sql=sql))
        said = json.loads(door.call(json.dumps({"op": "sql.query", **request_}), Forever()))
        assert said["kind"] == ("invalid" if sql else "denied")
    session.close()


class Forever:
    """A budget that does not end."""

    def fuel_left(self) -> int:
        return 10**9

    def burn(self, fuel: int) -> None:
        pass

    def seconds_left(self) -> float:
        return 30.0


CALLER = """
import host

def run(input: dict) -> dict:
    told = []
    host.sql("hr", "INSERT INTO notes (text) VALUES ('before')")
    for fail in (False, True):
        try:
            told.append(host.call("inner", {"statements": [
                ["INSERT INTO notes (text) VALUES (?)", [f"inner {fail}"]],
                ["SELECT text FROM notes ORDER BY id", []],
                ["SELECT name FROM people", []],
            ], "fail": fail}))
        except host.Error as error:
            told.append(error.kind)
    told.append(host.sql("hr", "SELECT text FROM notes ORDER BY id")["rows"])
    if input.get("fail"):
        raise host.Error("no", kind="wanted")
    return {"told": told}
"""


def nesting(box: Box, folder: Path) -> tuple[Runner, Loaded, Loaded]:
    outer_may, inner_may = permissions({"notes": ["select", "insert"]}), permissions(TABLES)
    policy = Permissions.model_validate({**permissions(TABLES).model_dump(mode="json"), "call": ["inner"]})
    calling = Permissions.model_validate({**outer_may.model_dump(mode="json"), "call": ["inner"]})
    stores = SqlStores({"hr": "sqlite:///hr.db"}, folder)
    loaded: dict[str, Loaded] = {}
    runner = Runner(
        box, roots={}, policy=policy, limits=Limits(), stores=stores, resolve=lambda id, version: loaded[id]
    )
    for id, may, source in (("outer", calling, CALLER), ("inner", inner_may, SOURCE)):
        loaded[id] = runner.load(capability(id=id, permissions=may, effects="write"), python.build(source, box))
    return runner, loaded["outer"], loaded["inner"]


def test_nested_runs_share_the_transaction_and_undo_only_themselves(box: Box, folder: Path) -> None:
    runner, outer, _ = nesting(box, folder)
    ran = runner.run(outer, {})
    assert isinstance(ran, Ran), ran
    (answers,), failed, left = [ran.output["told"][0].values()], *ran.output["told"][1:]
    assert next(iter(answers))[1]["rows"] == [["before"], ["inner False"]]
    assert next(iter(answers))[2] == "denied"  # callee and caller must both be allowed
    assert (failed, left) == ("wanted", [["before"], ["inner False"]])
    assert notes(folder) == ["before", "inner False"]
    (folder / "hr.db").unlink()
    again = runner.replay(outer, {}, ran.grant, ReplayedRecord(ran.effects, ran.blobs))
    assert isinstance(again, Ran)
    assert (again.output_text, again.fuel) == (ran.output_text, ran.fuel)


def test_a_run_that_fails_takes_back_what_nested_runs_wrote(box: Box, folder: Path) -> None:
    runner, outer, _ = nesting(box, folder)
    assert isinstance(runner.run(outer, {"fail": True}), Failed)
    assert isinstance(runner.rehearse(outer, {}), Ran)
    assert notes(folder) == []


def test_a_store_first_opened_by_a_nested_run_is_undone_with_it(box: Box, folder: Path) -> None:
    session = SqlStores({"hr": "sqlite:///hr.db"}, folder).session(writes=True)
    grant = Grant((permissions(TABLES),))
    files = FileSystem(HostFiles({}, 1), grant, Limits(), None)
    context = Context(files, grant, Limits(), LiveRecord(), sql=session)
    asked = {"store": "hr", "statement": "INSERT INTO notes (text) VALUES ('inner')"}
    with pytest.raises(ZeroDivisionError), session.nested(), session.nested():
        session.query(context, Forever(), asked)
        raise ZeroDivisionError
    assert session.query(context, Forever(), {**asked, "statement": "SELECT * FROM notes"})["rows"] == []
    with session.nested(), session.nested():
        session.query(context, Forever(), asked)
    session.commit()
    assert notes(folder) == ["inner"]


def test_an_output_that_breaks_the_contract_commits_nothing(box: Box, folder: Path) -> None:
    sql = Sql(box, folder)
    schema = {"type": "object", "required": ["nothing"]}
    loaded = Loaded(sql.loaded.capability.model_copy(update={"output_schema": schema}), sql.loaded.program)
    ended = sql.runner.run(loaded, {"statements": [["INSERT INTO notes (text) VALUES ('a')", []]]})
    assert isinstance(ended, Failed) and ended.kind == "contract"
    assert notes(folder) == []


def test_a_url_may_be_relative_and_hold_variables(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_FILE", "hr.db")
    monkeypatch.setenv("DB_URL", f"sqlite:///{folder}/hr.db")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    for url in ("sqlite:///hr.db", "sqlite:///${env:DB_FILE}", "${env:DB_URL}", f"sqlite:///{folder}/hr.db"):
        SqlStores({"hr": url}, folder).open("hr", writes=False, seconds=1, limits=Limits()).close()
    for url in ("sqlite:///${env:NOT_SET}", "sqlite://", "sqlite:///:memory:", "sqlite:///hr.db?mode=memory"):
        with pytest.raises(EffectError) as caught:
            SqlStores({"hr": url}, folder).open("hr", writes=False, seconds=1, limits=Limits())
        assert caught.value.kind == "unavailable"


def test_nothing_of_sql_is_imported_before_it_is_used() -> None:
    code = "import sys, metier.runtime; assert not {'sqlglot', 'sqlalchemy', 'psycopg'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
