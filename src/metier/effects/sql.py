"""SQL on the operator's stores. Needs `sql` permissions: every table with every verb, of every layer of the grant.

A statement is taken apart and refused unless all that it touches can be told and is allowed (see statements.py). The
database checks once more: on SQLite its authorizer, which also sees what views, triggers and foreign keys reach; on
PostgreSQL read-only transactions. What a run writes stands in one transaction of one store, for no two databases can be
committed as one; it is committed with the run (see commits.py).
"""

from __future__ import annotations

import contextlib
import os
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from metier.effects import postgresql, sqlite
from metier.effects.answers import Answer
from metier.effects.decisions import Undecided
from metier.effects.door import Context, EffectError, Operation
from metier.effects.postgresql import PostgresqlConnection
from metier.effects.sqlite import SqliteConnection
from metier.effects.statements import Dialect, Statement, ascii_lower, understood
from metier.sandbox.box import Budget
from metier.sandbox.limits import Limits

Connection = SqliteConnection | PostgresqlConnection
_PLACEHOLDER = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


class SqlStores:
    """The operator's stores by name: SQLAlchemy URLs, of SQLite files (relative ones beneath `folder`) and PostgreSQL.

    `${env:NAME}` in one stands for a variable of the environment, taken when the store is opened. No message has a URL.
    """

    def __init__(self, urls: Mapping[str, str], folder: Path) -> None:
        self._urls = urls
        self._folder = folder

    def session(self, *, writes: bool) -> SqlSession:
        """What one run does with them; without `writes` nothing is changed by it."""
        return SqlSession(self, writes=writes)

    def dialect(self, name: str) -> Dialect:
        """What a store speaks.

        Raises:
            EffectError: there is no such store, or its URL cannot be told.
        """
        return "sqlite" if self._url(name).drivername.startswith("sqlite") else "postgresql"

    def open(self, name: str, *, writes: bool, seconds: float, limits: Limits) -> Connection:
        """A connection to a store.

        Raises:
            EffectError: there is no such store, or it cannot be opened.
        """
        with _reasons_kept_back(name):
            where = self._where(name)
            if isinstance(where, Path):
                return SqliteConnection(where, writes=writes, seconds=seconds, limits=limits)
            return PostgresqlConnection(where, writes=writes, seconds=seconds, limits=limits)

    def committed(self, name: str, identity: Mapping[str, str]) -> bool:
        """Whether a store committed the transaction that `SqlSession.prepare` named so.

        Raises:
            Undecided: it cannot be told now.
        """
        try:
            if identity["as"] != self._as_written(name):
                raise Undecided("metier.toml leads to another database than it did")
            with _reasons_kept_back(name):
                where = self._where(name)
        except EffectError as error:
            raise Undecided(str(error)) from None
        if isinstance(where, Path):
            return sqlite.committed(where, identity)
        return postgresql.committed(where, identity)

    def _where(self, name: str) -> Path | dict[str, Any]:
        """The file of an SQLite store, or what PostgreSQL is connected to with."""
        url = self._url(name)
        if url.drivername in ("sqlite", "sqlite+pysqlite"):
            path = (self._folder / (url.database or "")).absolute()
            if not path.is_file() or url.query:
                raise EffectError("unavailable", f"the store {name} is not a file that is there")
            return path
        if url.drivername in ("postgresql", "postgresql+psycopg"):
            _, arguments = url.set(drivername="postgresql+psycopg").get_dialect()().create_connect_args(url)
            return dict(arguments)
        raise EffectError("unavailable", f"the store {name} is neither sqlite:/// nor postgresql://")

    def _as_written(self, name: str) -> str:
        """The database as metier.toml names it: relative to the library that may move, and without a password."""
        url = self._url(name)
        return f"{url.drivername.partition('+')[0]}:{url.database}"

    def _url(self, name: str) -> Any:
        """Values that stand for a part of a URL are quoted in it, so that any password will do."""
        if name not in self._urls:
            raise EffectError("not_found", f"there is no store {name!r}")
        template = self._urls[name]

        def value(found: re.Match[str]) -> str:
            value = os.environ.get(found[1])
            if value is None:
                raise EffectError("unavailable", f"the environment has no variable {found[1]}")
            return value if found[0] == template else urllib.parse.quote(value, safe="")

        with _reasons_kept_back(name):
            import sqlalchemy

            return sqlalchemy.make_url(_PLACEHOLDER.sub(value, template))


class SqlSession:
    """One run's transactions, a store each, shared with the runs that are nested in it. One store may be changed."""

    def __init__(self, stores: SqlStores, *, writes: bool) -> None:
        self._stores = stores
        self._writes = writes
        self._open: dict[str, Connection] = {}
        self._marks: list[str] = []
        self.written: str | None = None
        """The store that it changed."""

    def query(self, context: Context, budget: Budget, asked: Mapping[str, Any]) -> Answer:
        """Carries out one statement.

        Raises:
            EffectError: it is not allowed, not understood, or fails.
        """
        store, text, parameters = asked.get("store"), asked.get("statement"), asked.get("parameters") or []
        if not isinstance(store, str) or not isinstance(text, str) or not isinstance(parameters, (list, dict)):
            raise EffectError("invalid", "sql.query needs store, statement and parameters (a list or an object)")
        if not context.grant.knows_store(store):
            raise EffectError("denied", f"the store {store!r} is not allowed")
        dialect = self._stores.dialect(store)
        statement = understood(text, parameters, dialect)

        def allows(table: str, verb: str) -> bool:
            return context.grant.allows_sql(store, table, verb, fold=ascii_lower if dialect == "sqlite" else str)

        for table, verb in sorted(statement.touched):
            if not allows(table, verb):
                raise EffectError("denied", f"{verb} on {table} is not allowed")
        if statement.writes and not self._writes:
            raise EffectError("denied", "only a capability whose effects are 'write' may change data")
        if statement.writes and self.written not in (None, store):
            raise EffectError(
                "denied",
                f"this run changed the store {self.written!r}, and no two stores can be committed as one; "
                f"change {store!r} in a run of its own",
            )
        seconds = max(0.001, budget.seconds_left())
        connection = self._connection(store, statement, seconds, context.limits)
        if statement.writes:
            self.written = store
        return connection.run(statement, seconds, allows)

    @contextmanager
    def nested(self) -> Iterator[None]:
        """What is done within is undone if it ends with an exception."""
        mark, written = f"metier_run_{len(self._marks)}", self.written
        self._marks.append(mark)
        for connection in self._open.values():
            connection.savepoint(mark)
        undo = True
        try:
            yield
            undo = False
        finally:
            self._marks.pop()
            self.written = written if undo else self.written
            for connection in self._open.values():
                try:
                    connection.release(mark, undo=undo)
                except Exception:  # what cannot be undone must not be committed: a closed connection never is
                    connection.close()

    def prepare(self, library: str, run: str) -> dict[str, str]:
        """Makes the transaction of the store that was changed one that `SqlStores.committed` can be asked about.

        Raises what the drivers raise.
        """
        assert self.written is not None
        identity = self._open[self.written].prepare(library, self.written, run)
        return identity | {"as": self._stores._as_written(self.written)}

    def commit(self) -> None:
        """Makes what was written real. Raises what the drivers raise."""
        if self.written is not None:
            self._open[self.written].commit()
        self.close()

    def close(self) -> None:
        """Lets go of everything; what was not committed is undone."""
        connections, self._open = self._open, {}
        for connection in connections.values():
            with contextlib.suppress(Exception):  # the other end undoes it all the same
                connection.close()

    def _connection(self, store: str, statement: Statement, seconds: float, limits: Limits) -> Connection:
        if store not in self._open:
            connection = self._stores.open(store, writes=self._writes, seconds=seconds, limits=limits)
            try:
                with _reasons_kept_back(store):
                    connection.begin(write=statement.writes)
                    for mark in self._marks:
                        connection.savepoint(mark)
            except BaseException:
                connection.close()
                raise
            self._open[store] = connection
        return self._open[store]


def query(context: Context, budget: Budget, asked: Mapping[str, Any]) -> Answer:
    if context.sql is None:
        raise EffectError("denied", "there are no stores here")
    return context.sql.query(context, budget, asked)


OPERATIONS: Final[dict[str, Operation]] = {"sql.query": query}


@contextmanager
def _reasons_kept_back(store: str) -> Iterator[None]:
    """Drivers raise what they like, with hosts, users and whole URLs in it."""
    try:
        yield
    except EffectError:
        raise
    except ModuleNotFoundError:
        raise EffectError("unavailable", f"the store {store} needs: pip install 'metier[postgres]'") from None
    except Exception as error:
        raise EffectError("unavailable", f"the store {store} cannot be opened ({type(error).__name__})") from None
