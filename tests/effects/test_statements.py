"""Statements are taken apart completely, or refused for a reason that is told."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metier.effects import EffectError
from metier.effects.statements import Dialect, Statement, ascii_lower, understood

DIALECTS: list[Dialect] = ["sqlite", "postgresql"]


def touched(text: str, dialect: Dialect = "sqlite", values: Any = ()) -> set[tuple[str, str]]:
    return set(understood(text, values, dialect).touched)


def refusal(text: str, dialect: Dialect, values: Any = ()) -> str:
    with pytest.raises(EffectError) as caught:
        understood(text, values, dialect)
    return f"{caught.value.kind}: {caught.value}"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT 1", ""),
        ("SELECT * FROM a, b CROSS JOIN c", "a.select b.select c.select"),
        ("SELECT (SELECT max(x) FROM b) FROM a WHERE y IN (SELECT z FROM c)", "a.select b.select c.select"),
        ("SELECT x FROM a GROUP BY x HAVING x > (SELECT 1 FROM b) ORDER BY (SELECT 1 FROM c)",
         "a.select b.select c.select"),
        ("SELECT x FROM a LIMIT (SELECT 1 FROM b) OFFSET (SELECT 2 FROM c)", "a.select b.select c.select"),
        ("SELECT sum(x) OVER (PARTITION BY (SELECT 1 FROM b)) FROM a", "a.select b.select"),
        ("SELECT count(*) FILTER (WHERE x IN (SELECT 1 FROM b)) FROM a", "a.select b.select"),
        ("SELECT CASE WHEN EXISTS (SELECT 1 FROM b) THEN 1 END FROM a JOIN c ON c.x = (SELECT 1 FROM d)",
         "a.select b.select c.select d.select"),
        ("WITH t AS (SELECT * FROM a) SELECT * FROM t", "a.select"),
        ("WITH t AS (SELECT * FROM a), u AS (SELECT * FROM t) SELECT * FROM u, b", "a.select b.select"),
        ("WITH RECURSIVE t AS (SELECT 1 AS n UNION SELECT n + 1 FROM t) SELECT * FROM t", ""),
        ("SELECT * FROM (WITH t AS (SELECT * FROM a) SELECT * FROM t) AS x", "a.select"),
        ("SELECT x FROM a UNION SELECT x FROM b INTERSECT SELECT x FROM c", "a.select b.select c.select"),
        ("SELECT * FROM a AS b", "a.select"),
        ("INSERT INTO a (x) VALUES (1)", "a.insert"),
        ("INSERT INTO a SELECT * FROM b", "a.insert b.select"),
        ("INSERT INTO a SELECT * FROM a", "a.insert a.select"),
        ("INSERT INTO a (x) VALUES ((SELECT x FROM b)) RETURNING y", "a.insert a.select b.select"),
        ("WITH t AS (SELECT 1 AS x) INSERT INTO a SELECT x FROM t", "a.insert"),
        ("WITH a AS (SELECT 1 AS x) INSERT INTO a SELECT x FROM a", "a.insert"),
        ("INSERT INTO a (x) VALUES (1) ON CONFLICT DO NOTHING", "a.insert"),
        ("INSERT INTO a (x) VALUES (1) ON CONFLICT (x) DO NOTHING", "a.insert a.select"),
        ("INSERT INTO a (x) VALUES (1) ON CONFLICT (x) DO UPDATE SET y = (SELECT 1 FROM b)",
         "a.insert a.update a.select b.select"),
        ("UPDATE a SET x = 1", "a.update"),
        ("UPDATE a SET x = 1 WHERE y = 2", "a.update a.select"),
        ("UPDATE a SET x = x + 1", "a.update a.select"),
        ("UPDATE a SET x = 1 RETURNING x", "a.update a.select"),
        ("UPDATE a SET x = b.x FROM b WHERE a.id = b.id", "a.update a.select b.select"),
        ("DELETE FROM a", "a.delete"),
        ("DELETE FROM a WHERE x IN (SELECT x FROM b)", "a.delete a.select b.select"),
        ("DELETE FROM a RETURNING *", "a.delete a.select"),
        ("SELECT 'it''s; DROP TABLE b' FROM a -- FROM c", "a.select"),
        ("SELECT x FROM a /* FROM b */;", "a.select"),
    ],
)  # fmt: skip
def test_every_table_is_found_with_its_verbs(statement: str, expected: str, dialect: Dialect) -> None:
    assert touched(statement, dialect) == {(pair.split(".")[0], pair.split(".")[1]) for pair in expected.split()}


SMUGGLED = """
stacked | SELECT 1; SELECT 2 | denied: exactly one statement
stacked write | SELECT 1; DROP TABLE a | denied: exactly one statement
after comment | SELECT 1 /* ; */ ; DELETE FROM a | denied: exactly one statement
nothing | -- SELECT 1 | denied: exactly one statement
values | VALUES (1) | denied: only SELECT
explain | EXPLAIN SELECT 1 | denied: only SELECT
analyze | EXPLAIN ANALYZE DELETE FROM a | denied: only SELECT
create | CREATE TABLE x (a INT) | denied: only SELECT
create as | CREATE TABLE x AS SELECT * FROM a | denied: only SELECT
drop | DROP TABLE a | denied: only SELECT
alter | ALTER TABLE a RENAME TO b | denied: only SELECT
truncate | TRUNCATE TABLE a | denied: only SELECT
merge | MERGE INTO a USING b ON a.x = b.x WHEN MATCHED THEN DELETE | denied: only SELECT
begin | BEGIN | denied: only SELECT
commit | COMMIT | denied: only SELECT
rollback | ROLLBACK | denied: only SELECT
grant | GRANT SELECT ON a TO x | denied: only SELECT
set | SET x = 1 | denied: only SELECT
call | CALL f(1) | denied:
execute | EXECUTE f | denied:
vacuum | VACUUM | denied:
analyze alone | ANALYZE | denied: only SELECT
pragma | PRAGMA writable_schema | denied: only SELECT
attach | ATTACH DATABASE 'x' AS y | denied: only SELECT
copy | COPY a TO '/tmp/x' | denied: only SELECT
copy program | COPY a FROM PROGRAM 'id' | denied: only SELECT
into | SELECT * INTO x FROM a | denied: SELECT * INTO|CREATE TABLE
for update | SELECT * FROM a FOR UPDATE | denied: SELECT * FROM a
for share | SELECT * FROM a FOR SHARE | denied: SELECT * FROM a
in a with | WITH t AS (DELETE FROM a RETURNING *) SELECT * FROM t | denied: a change may not stand
insert in with | WITH t AS (INSERT INTO a VALUES (1) RETURNING *) SELECT * FROM t | denied: a change may not stand
own name | WITH a AS (SELECT * FROM a) SELECT * FROM a | denied: a is the name of two
earlier | WITH t AS (SELECT * FROM a), a AS (SELECT 1) SELECT * FROM t | denied: a is the name of two
out of scope | SELECT * FROM a WHERE (WITH a AS (SELECT 1 AS x) SELECT x FROM a) = 1 | denied: a is the name of two
beside | SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) AS t, a | denied: a is the name of two
in a union | SELECT * FROM a UNION SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) AS t | denied: a is the name
twice | WITH a AS (SELECT 1), a AS (SELECT 2) SELECT * FROM a | denied: a is the name of two
two levels | WITH a AS (SELECT 1) SELECT * FROM (WITH a AS (SELECT 2) SELECT * FROM a) AS t | denied: a is the name
table function | SELECT * FROM generate_series(1, 2) | denied: the function generate_series
lateral | SELECT * FROM a, LATERAL (SELECT * FROM b) AS t | denied: LATERAL
sample | SELECT * FROM a TABLESAMPLE SYSTEM (1) | denied: a
fetch | SELECT * FROM a FETCH FIRST 1 ROWS ONLY | denied: FETCH
qualify | SELECT * FROM a QUALIFY row_number() OVER () = 1 | denied: SELECT
except columns | SELECT * EXCLUDE (x) FROM a | denied: *
group all | SELECT x FROM a GROUP BY ALL | denied: GROUP BY ALL
catalog | SELECT * FROM other.main.a | denied:
column schema | SELECT main.a.x FROM main.a | denied: main.a.x
composite | SELECT (a).x FROM a | denied: (a).x
quoted func | SELECT "lower"('x') | denied: the function lower
qualified func | SELECT pg_catalog.lower('x') | denied:
unknown func | SELECT evil(x) FROM a | denied: the function evil
upper func | SELECT PG_SLEEP(10) | denied: the function PG_SLEEP
read file | SELECT pg_read_file('/etc/passwd') | denied: the function pg_read_file
list | SELECT pg_ls_dir('/') | denied: the function pg_ls_dir
import | SELECT lo_import('/etc/passwd') | denied: the function lo_import
export | SELECT lo_export(1, '/tmp/x') | denied: the function lo_export
dblink | SELECT dblink('host=x', 'SELECT 1') | denied: the function dblink
config | SELECT set_config('x', 'y', false) | denied: the function set_config
settings | SELECT current_setting('data_directory') | denied: the function current_setting
sequence | SELECT nextval('s') | denied: the function nextval
last value | SELECT currval('s') | denied: the function currval
xml | SELECT query_to_xml('SELECT 1', true, true, '') | denied: the function query_to_xml
terminate | SELECT pg_terminate_backend(1) | denied: the function pg_terminate
notify | SELECT pg_notify('a', 'b') | denied: the function pg_notify
lock | SELECT pg_advisory_lock(1) | denied: the function pg_advisory_lock
extension | SELECT load_extension('x') | denied: the function load_extension
readfile | SELECT readfile('/etc/passwd') | denied: the function readfile
writefile | SELECT writefile('/tmp/x', 'y') | denied: the function writefile
much | SELECT repeat('x', 1000000000) | denied: the function repeat
zeroes | SELECT zeroblob(1000000000) | denied: the function zeroblob
padding | SELECT lpad('x', 1000000000) | denied: the function lpad
randomness | SELECT random() | denied: the function random
now | SELECT now() | denied: the function now
clock | SELECT CURRENT_TIMESTAMP | denied: CURRENT_TIMESTAMP
user | SELECT CURRENT_USER | denied: CURRENT_USER
version | SELECT version() | denied: the function version
cast catalog | SELECT CAST('a' AS regclass) | denied:
cast own | SELECT CAST(1 AS evil) | denied:
cast xml | SELECT CAST('<a/>' AS xml) | denied: the type XML|xml (DataType with kind)
padded type | SELECT CAST('x' AS CHAR(100000000)) | denied: the type CHAR|the type TEXT(
replace | INSERT OR REPLACE INTO a VALUES (1) | denied: INSERT
rollback on | INSERT OR ROLLBACK INTO a VALUES (1) | denied: INSERT
bytes | SELECT x'41' | denied: x'41'
national | SELECT N'x' | denied:
unknown word | SELEC * FROM a | denied: only SELECT|invalid
half | SELECT * FROM | invalid: the statement does not
unclosed | SELECT 'x | invalid: the statement does not
"""
ROWS = [[part.strip() for part in line.split(" | ")] for line in SMUGGLED.strip().splitlines()]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("statement", "reason"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_may_do_more_is_refused_for_its_reason(statement: str, reason: str, dialect: Dialect) -> None:
    said = refusal(statement, dialect)
    kind, *starts = [reason.partition(": ")[0].rstrip(":"), *reason.partition(": ")[2].split("|")]
    unknown_here = said.startswith("invalid: the statement does not parse")
    assert unknown_here or (said.startswith(kind) and any(start in said for start in starts)), said


@pytest.mark.parametrize(
    ("dialect", "statement", "reason"),
    [
        ("sqlite", "SELECT * FROM sqlite_master", "own tables"),
        ("sqlite", "SELECT * FROM SQLITE_SCHEMA", "own tables"),
        ("sqlite", "SELECT * FROM [sqlite_temp_master]", "own tables"),
        ("sqlite", "SELECT * FROM main.sqlite_master", "own tables"),
        ("sqlite", "SELECT * FROM temp.a", "own tables"),
        ("sqlite", "SELECT * FROM other.a", "own tables"),
        ("sqlite", "SELECT * FROM pragma_database_list", "own tables"),
        ("sqlite", "SELECT * FROM pragma_table_info('a')", "the function"),
        ("sqlite", "SELECT * FROM json_each('[1]')", "the function"),
        ("sqlite", "INSERT INTO sqlite_master VALUES (1)", "own tables"),
        ("sqlite", "UPDATE sqlite_sequence SET seq = 1", "own tables"),
        ("sqlite", "SELECT * FROM a INDEXED BY i", "Table with indexed"),
        ("sqlite", "SELECT * FROM a WHERE x MATCH 'y'", "Match"),
        ("sqlite", "SELECT date()", "tell the time"),
        ("sqlite", "SELECT datetime('now')", "tell the time"),
        ("sqlite", "SELECT strftime('%s', ' NOW ')", "tell the time"),
        ("sqlite", "SELECT CURRENT_DATE", "CURRENT_DATE"),
        ("sqlite", "SELECT RAISE(ABORT, 'x')", "the function RAISE"),
        ("postgresql", "SELECT * FROM pg_catalog.pg_user", "own tables"),
        ("postgresql", "SELECT * FROM pg_class", "own tables"),
        ("postgresql", "SELECT * FROM PG_SHADOW", "own tables"),
        ("postgresql", 'SELECT * FROM "pg_authid"', "own tables"),
        ("postgresql", "SELECT * FROM information_schema.tables", "own tables"),
        ("postgresql", "SELECT * FROM Information_Schema.tables", "own tables"),
        ("postgresql", "SELECT * FROM pg_temp.a", "own tables"),
        ("postgresql", "SELECT * FROM ONLY a", "Table with only"),
        ("postgresql", "SELECT $$a$$", "RawString"),
        ("postgresql", "SELECT e'\\x41'", "ByteString"),
        ("postgresql", "SELECT u&'\\0041'", "UnicodeString"),
        ("postgresql", "SELECT b'01'", "BitString"),
        ("postgresql", "SELECT ARRAY[1]", "Array"),
        ("postgresql", "SELECT x[1] FROM a", "Bracket"),
        ("postgresql", "SELECT 'a'::regclass", "REGCLASS"),
        ("postgresql", "SELECT * FROM a WHERE x ~ '(a+)+$'", "RegexpLike"),
        ("postgresql", "SELECT * FROM a WHERE x SIMILAR TO 'y'", "SimilarTo"),
        ("postgresql", "SELECT age(x) FROM a", "tell the time"),
        ("postgresql", f"SELECT * FROM {'a' * 64}", "63 bytes"),
        ("postgresql", "SELECT * FROM " + '"' + "é" * 32 + '"', "63 bytes"),
        ("postgresql", "SELECT * FROM a FOR NO KEY UPDATE", ""),
        ("postgresql", "DO $$ BEGIN PERFORM 1; END $$", ""),
        ("postgresql", "SELECT * FROM ROWS FROM (f(1))", ""),
        ("postgresql", "INSERT INTO a VALUES (1) ON CONFLICT ON CONSTRAINT c DO NOTHING", "OnConflict"),
    ],
)
def test_what_one_database_has_is_refused_there(dialect: Dialect, statement: str, reason: str) -> None:
    assert reason in refusal(statement, dialect)


@pytest.mark.parametrize(
    ("dialect", "name", "table"),
    [
        ("sqlite", "People", "people"),
        ("sqlite", '"PEOPLE"', "people"),
        ("sqlite", "[People]", "people"),
        ("sqlite", "`pEOPLE`", "people"),
        ("sqlite", "main.People", "main.people"),
        ("sqlite", "реople", "реople"),  # Cyrillic
        ("sqlite", "\u212a", "\u212a"),  # the Kelvin sign is no k, though casefold says so
        ("sqlite", '"ÄB"', "Äb"),
        ("postgresql", "People", "people"),
        ("postgresql", '"People"', "People"),
        ("postgresql", "public.People", "public.people"),
        ("postgresql", "\u212a", "\u212a"),
    ],
)
def test_names_are_those_that_the_database_sees(dialect: Dialect, name: str, table: str) -> None:
    assert touched(f"SELECT * FROM {name}", dialect) == {(table, "select")}


def test_a_dot_within_a_name_is_no_schema() -> None:
    for name in ('"public.people"', '"a.b".c', 'a."b.c"'):
        assert "has a dot in its name" in refusal(f"SELECT * FROM {name}", "postgresql")


def test_what_runs_is_generated_and_has_no_text_of_the_statement() -> None:
    text = "SELECT name /* x */ FROM People WHERE name = 'O''Hara %s :p9 \"' AND pay > 1.5 -- end"
    sqlite, postgresql = (understood(text, [], dialect) for dialect in DIALECTS)
    assert sqlite.sql == "SELECT `name` FROM `People` WHERE `name` = :p0 AND `pay` > 1.5"
    assert postgresql.sql == 'SELECT "name" FROM "people" WHERE "name" = %(p0)s AND "pay" > 1.5'
    assert sqlite.parameters == postgresql.parameters == {"p0": "O'Hara %s :p9 \""}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_parameters_keep_the_order_of_the_text(dialect: Dialect) -> None:
    text = "WITH t AS (SELECT ? AS a) SELECT ? AS b, a FROM t WHERE a = ? AND 'x?' <> ? ORDER BY ? LIMIT ? OFFSET ?"
    found = understood(text, [0, 1, 2, 3, 4, 5, 6], dialect)
    marks = [found.sql.index(f":{name}" if dialect == "sqlite" else f"%({name})s") for name in found.parameters]
    in_text = [value for _, value in sorted(zip(marks, found.parameters.values(), strict=True))]
    assert [value for value in in_text if value != "x?"] == [0, 1, 2, 3, 4, 5, 6]


def test_the_same_name_and_the_same_text_are_one_parameter() -> None:
    found = understood("SELECT :a, :a, 'x', 'x' FROM t", {"a": "y"}, "postgresql")
    assert sorted(found.parameters.values()) == ["x", "y"]


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("SELECT ?", []),
        ("SELECT ?", [1, 2]),
        ("SELECT 1", [1]),
        ("SELECT :a", {}),
        ("SELECT :a", {"a": 1, "b": 2}),
        ("SELECT :a", ["x"]),
        ("SELECT ?", {"a": 1}),
        ("SELECT ?, :a", [1]),
        ("SELECT ?", [[1]]),
        ("SELECT ?", [{"a": 1}]),
        ("SELECT ?", [2**63]),
        ("SELECT ?", [{"base64": "!"}]),
        ("SELECT ?", [{"base64": "é"}]),
        ("SELECT ?1", [1]),
        ("SELECT @a", {"a": 1}),
        ("SELECT $1", [1]),
        ("SELECT * FROM ?", ["a"]),
        ("SELECT * FROM :t", {"t": "a"}),
        ("SELECT '\0'", []),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, []),
        ("SELECT '" + "x" * 60_000 + "'", []),
        ("SELECT " + "1," * 5_000 + "1", []),
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_parameters_must_fit(statement: str, values: Any, dialect: Dialect) -> None:
    assert refusal(statement, dialect, values).startswith(("invalid: ", "denied: "))


def test_bytes_come_in_base64() -> None:
    assert understood("SELECT ?", [{"base64": "AP8="}], "sqlite").parameters == {"p0": b"\x00\xff"}


# The database itself as the judge: whatever tables SQLite reads must have been found.

names = st.sampled_from(["a", "b", "c", "A", '"b"', "[c]"])
aliases = st.sampled_from(["a", "b", "c", "t"])


def queries(depth: int) -> st.SearchStrategy[str]:
    """SELECTs in which common table expressions and aliases have the names of tables."""
    simple = names.map("SELECT x FROM {}".format)
    if depth == 0:
        return simple
    inner = queries(depth - 1)
    return st.one_of(
        simple,
        st.builds("SELECT x FROM {} AS {}".format, names, aliases),
        st.builds("SELECT x FROM ({}) AS {}".format, inner, aliases),
        st.builds("SELECT {1}.x FROM {0} AS {1} WHERE {1}.x IN ({2})".format, names, aliases, inner),
        st.builds("SELECT ({}) AS x FROM {}".format, inner, names),
        st.builds("WITH {} AS ({}) SELECT x FROM {}".format, aliases, inner, names),
        st.builds("WITH RECURSIVE {} AS ({} UNION {}) {}".format, aliases, inner, inner, inner),
        st.builds("WITH {} AS ({}), {} AS ({}) {}".format, aliases, inner, aliases, inner, inner),
        st.builds("SELECT x FROM ({}) AS q UNION {}".format, inner, inner),
        st.builds("SELECT x FROM {} WHERE EXISTS ({}) ORDER BY ({})".format, names, inner, inner),
    )


def changes() -> st.SearchStrategy[str]:
    inner = queries(2)
    return st.one_of(
        st.builds("INSERT INTO {} {}".format, names, inner),
        st.builds("WITH {} AS ({}) INSERT INTO {} {} RETURNING x".format, aliases, inner, names, inner),
        st.builds("WITH {} AS ({}) UPDATE {} SET x = ({})".format, aliases, inner, names, inner),
        st.builds("UPDATE {} SET x = q.x FROM ({}) AS q".format, names, inner),
        st.builds("WITH {} AS ({}) DELETE FROM {} WHERE x IN ({})".format, aliases, inner, names, inner),
    )


def seen_by_sqlite(statement: Statement) -> set[tuple[str, str]]:
    verbs = {
        sqlite3.SQLITE_READ: "select",
        sqlite3.SQLITE_INSERT: "insert",
        sqlite3.SQLITE_UPDATE: "update",
        sqlite3.SQLITE_DELETE: "delete",
    }
    seen: set[tuple[str, str]] = set()

    def authorize(action: int, table: str | None, column: str | None, database: str | None, _: str | None) -> int:
        if action in verbs and database == "main":
            seen.add((ascii_lower(table or ""), verbs[action]))
        return sqlite3.SQLITE_OK

    database = sqlite3.connect(":memory:")
    try:
        database.executescript("CREATE TABLE a (x); CREATE TABLE b (x); CREATE TABLE c (x)")
        database.set_authorizer(authorize)
        database.execute("EXPLAIN " + statement.sql, dict(statement.parameters))
    except sqlite3.Error:
        return set()  # it does not run, so nothing is reached
    finally:
        database.close()
    return seen


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(queries(3), changes()))
def test_sqlite_reaches_no_table_that_was_not_found(text: str) -> None:
    try:
        statement = understood(text, [], "sqlite")
    except EffectError:
        return
    seen = seen_by_sqlite(statement)
    written = {table for table, verb in seen if verb != "select"}
    reads_itself = {(table, "select") for table in written}  # as an UPDATE does of the column that it sets
    assert seen - statement.touched <= reads_itself, (text, statement.sql)


words = st.sampled_from(
    r"""SELECT FROM WHERE a b c x , ( ) ; * = ' " ` [ ] 1 'x' :p ? -- /* */ WITH AS UNION ALL INSERT INTO VALUES
    UPDATE SET DELETE RETURNING ON CONFLICT DO NOTHING sqlite_master pg_class count lower( CASE WHEN THEN END NOT IN
    EXISTS $$ ~ :: . CAST( INT) -> ->> || OVER( LIMIT ORDER BY PRAGMA ATTACH \ é K""".split()
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.lists(words, max_size=25).map(" ".join), st.text(max_size=60)), st.sampled_from(DIALECTS))
def test_any_text_is_understood_or_refused(text: str, dialect: Dialect) -> None:
    try:
        found = understood(text, [1] * text.count("?"), dialect)
    except EffectError as error:
        assert error.kind in ("denied", "invalid")
        return
    if dialect == "sqlite":  # what was generated means the same
        again = understood(found.sql, dict(found.parameters), dialect)
        assert again.touched == found.touched
