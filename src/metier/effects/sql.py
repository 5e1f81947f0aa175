"""SQL on the operator's stores. Needs `sql` permissions: every table with every verb, of every layer of the grant.

A statement is taken apart and refused unless all that it touches can be told and is allowed; parameters are bound,
never pasted in. On SQLite the database's own authorizer checks once more. What a run writes stands in one transaction a
store, which is committed when the run is.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import math
import os
import re
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from metier.effects.door import Context, EffectError, Operation
from metier.effects.statements import Statement, understood
from metier.sandbox.box import Budget

MAX_ROWS = 10_000
MAX_SECONDS = 30.0
SQLITE_FUNCTIONS = frozenset(
    """
    count sum total avg min max abs round lower upper length trim ltrim rtrim substr substring coalesce ifnull nullif
    replace instr group_concat string_agg like glob row_number rank dense_rank percent_rank ntile lag lead first_value
    last_value floor ceil ceiling sqrt pow power sign concat concat_ws iif printf
    """.split()
)


class SqlStores:
    """The operator's stores by name: SQLAlchemy URLs, in which `${env:NAME}` stands for an environment variable."""

    def __init__(self, urls: Mapping[str, str], folder: Path) -> None:
        self._urls = urls
        self._folder = folder

    def session(self) -> SqlSession:
        """What one run does with them."""
        return SqlSession(self)

    def open(self, name: str) -> tuple[Any, str]:
        """A connection of SQLAlchemy's to a store, and its dialect.

        Raises:
            EffectError: there is no such store, or it cannot be opened. The URL is in no message.
        """
        import sqlalchemy

        if name not in self._urls:
            raise EffectError("denied", f"there is no store {name!r}")
        try:
            text = re.sub(r"\$\{env:(\w+)\}", lambda m: os.environ[m[1]], self._urls[name])
            url = sqlalchemy.make_url(text)
            if url.get_backend_name() == "sqlite" and url.database:
                path = (self._folder / url.database).absolute()
                if not path.is_file():
                    raise EffectError("unavailable", f"the store {name} is not there")
                url = url.set(database=str(path))
            engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
            return engine.connect(), url.get_backend_name()
        except EffectError:
            raise
        except Exception as error:  # drivers raise what they like, with the URL in it
            raise EffectError("unavailable", f"the store {name} cannot be opened ({type(error).__name__})") from None


class SqlSession:
    """One run's transactions, a store each."""

    def __init__(self, stores: SqlStores) -> None:
        self._stores = stores
        self._open: dict[str, tuple[Any, str]] = {}

    def query(self, context: Context, budget: Budget, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Carries out one statement."""
        store, text = asked.get("store"), asked.get("statement")
        parameters = asked.get("parameters") or []
        if not isinstance(store, str) or not isinstance(text, str) or not isinstance(parameters, (list, dict)):
            raise EffectError("invalid", "sql.query needs store, statement and parameters (a list or an object)")
        if not context.grant.knows_store(store):
            raise EffectError("denied", f"the store {store!r} is not allowed")
        connection, dialect = self._connection(store)
        statement = understood(text, parameters, "sqlite" if dialect == "sqlite" else "postgres")
        for table, verb in sorted(statement.touched):
            if not context.grant.allows_sql(store, table, verb):
                raise EffectError("denied", f"{verb} on {table} is not allowed")
        seconds = min(MAX_SECONDS, max(0.001, budget.seconds_left()))
        return self._run(connection, dialect, statement, seconds, context)

    def commit(self) -> None:
        """Makes what was written real, store after store. Raises what the driver raises."""
        for connection, _ in self._open.values():
            connection.commit()
        self.close()

    def close(self) -> None:
        """Lets go of everything; what was not committed is undone."""
        for connection, _ in self._open.values():
            try:
                connection.close()
            finally:
                connection.engine.dispose()
        self._open = {}

    def _connection(self, store: str) -> tuple[Any, str]:
        if store not in self._open:
            connection, dialect = self._stores.open(store)
            self._open[store] = (connection, dialect)
            if dialect == "sqlite":
                raw = connection.connection.driver_connection
                raw.isolation_level = None
                raw.execute("PRAGMA trusted_schema = OFF")
                raw.execute("BEGIN")
        return self._open[store]

    def _run(
        self, connection: Any, dialect: str, statement: Statement, seconds: float, context: Context
    ) -> dict[str, Any]:
        import sqlalchemy

        try:
            if dialect == "sqlite":
                _guard_sqlite(connection.connection.driver_connection, statement, seconds)
                return self._rows(connection, statement, context)
            with connection.begin_nested():  # a statement that fails takes itself back, not the run's transaction
                connection.execute(sqlalchemy.text(f"SET LOCAL statement_timeout = {int(seconds * 1000)}"))
                return self._rows(connection, statement, context)
        except sqlalchemy.exc.IntegrityError as error:
            raise EffectError("conflict", _said(error)) from None
        except sqlalchemy.exc.SQLAlchemyError as error:
            said = _said(error)
            late = "interrupt" in said or "statement timeout" in said
            kind = "timeout" if late else "denied" if "not authorized" in said or "prohibited" in said else "invalid"
            raise EffectError(kind, said) from None

    def _rows(self, connection: Any, statement: Statement, context: Context) -> dict[str, Any]:
        import sqlalchemy

        result = connection.execute(sqlalchemy.text(statement.sql), dict(statement.parameters))
        return _rows(result, context.limits.effect_bytes)


def query(context: Context, budget: Budget, asked: Mapping[str, Any]) -> dict[str, Any]:
    if context.sql is None:
        raise EffectError("denied", "there are no stores here")
    return context.sql.query(context, budget, asked)


OPERATIONS: Final[dict[str, Operation]] = {"sql.query": query}


def _guard_sqlite(raw: Any, statement: Statement, seconds: float) -> None:
    """Has SQLite itself refuse what the statement was not understood to touch, and stop in time."""
    import sqlite3

    tables = {table.rpartition(".")[2].casefold() for table, _ in statement.touched}
    verbs = {sqlite3.SQLITE_INSERT: "insert", sqlite3.SQLITE_UPDATE: "update", sqlite3.SQLITE_DELETE: "delete"}
    changed = {(table.rpartition(".")[2].casefold(), verb) for table, verb in statement.touched}

    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        name = (first or "").casefold()
        allowed = action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE)
        allowed = allowed or (action == sqlite3.SQLITE_READ and (name in tables or name == ""))
        allowed = allowed or (action in verbs and (name, verbs[action]) in changed)
        allowed = allowed or (action == sqlite3.SQLITE_FUNCTION and (second or "").casefold() in SQLITE_FUNCTIONS)
        allowed = allowed or action == sqlite3.SQLITE_TRANSACTION
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    until = time.monotonic() + seconds
    raw.set_authorizer(authorize)
    raw.set_progress_handler(lambda: int(time.monotonic() > until), 10_000)


def _rows(result: Any, most_bytes: int) -> dict[str, Any]:
    if not result.returns_rows:
        return {"columns": [], "rows": [], "row_count": result.rowcount}
    rows, size = [], 0
    while batch := result.fetchmany(500):
        for row in batch:
            rows.append([_plain(value) for value in row])
            size += sum(len(v) if isinstance(v, str) else 8 for v in rows[-1])
        if len(rows) > MAX_ROWS or size > most_bytes // 2:
            raise EffectError("too_large", f"more than {MAX_ROWS} rows or {most_bytes // 2} bytes; ask for less")
    return {"columns": list(result.keys()), "rows": rows, "row_count": len(rows)}


def _plain(value: Any) -> Any:
    """A value as JSON has it: exact decimals, dates and the like as text, bytes in base64."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (bytes, memoryview)):
        return {"base64": base64.b64encode(bytes(value)).decode("ascii")}
    return str(value)[:10_000]


def _said(error: Any) -> str:
    """What the database said, in a line, without statement and parameters."""
    return " ".join(str(getattr(error, "orig", error)).split())[:300]
