"""A store in PostgreSQL, through psycopg: one transaction with fixed settings, read-only wherever it can be."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

from metier import schemas
from metier.effects.answers import Answer, answer, said
from metier.effects.decisions import ASK_SECONDS, Undecided
from metier.effects.door import EffectError
from metier.effects.statements import Statement
from metier.effects.watch import WATCH
from metier.sandbox.limits import Limits

if TYPE_CHECKING:
    import psycopg

SETTINGS: Final = {
    "search_path": "pg_catalog, public, pg_temp",  # temporary tables last, or they would shadow others
    "standard_conforming_strings": "on",
    "TimeZone": "'UTC'",
    "DateStyle": "'ISO, YMD'",
    "IntervalStyle": "'iso_8601'",
    "bytea_output": "'hex'",
    "extra_float_digits": "1",
    "row_security": "on",
}
KINDS: Final = {
    "23": "conflict",  # integrity constraints
    "40": "conflict",  # another transaction changed the same rows
    "57014": "timeout",
    "42P01": "not_found",
    "42501": "denied",
    "25006": "denied",
    "54": "too_large",
    "53": "unavailable",
    "57": "unavailable",
    "58": "unavailable",
    "08": "unavailable",
}
"""Kinds of EffectError by SQLSTATE or its class; "invalid" for the others."""
CONNECT_SECONDS: Final = 10
GRACE_SECONDS: Final = 0.25
"""How long the server may be late to end a statement, before the connection is cut."""
LOOK_AGAIN_SECONDS: Final = 0.05
IDENTITY: Final = """SELECT current_database()::text,
    CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END,
    has_function_privilege('pg_control_system()', 'execute')"""
CLUSTER: Final = "SELECT system_identifier::text FROM pg_control_system()"
"""What transaction numbers mean something in: database, timeline (another one after a failover or a restored backup),
and the cluster, where a role may ask for it."""


TOO_LARGE: Final = "metier: the row is too large"
"""How the server says so."""


class PostgresqlConnection:
    """One transaction on one database. `writes`: whether the run may change data at all."""

    dialect: Final = "postgresql"

    def __init__(self, arguments: dict[str, Any], *, writes: bool, seconds: float, limits: Limits) -> None:
        import psycopg

        patience = {"connect_timeout": max(1, min(CONNECT_SECONDS, int(seconds))), "tcp_user_timeout": 30_000}
        self._raw = psycopg.connect(
            **{**patience, **arguments, "client_encoding": "UTF8"}, autocommit=True, prepare_threshold=None
        )
        self._limits = limits
        self._writes = writes
        _load_as_json(self._raw)

    def begin(self, *, write: bool) -> None:
        access = "READ WRITE" if self._writes else "READ ONLY"
        settings = [f"SET LOCAL {name} = {value}" for name, value in SETTINGS.items()]
        self._own(f"BEGIN ISOLATION LEVEL REPEATABLE READ {access}", *settings)

    def run(self, statement: Statement, seconds: float, allows: Callable[[str, str], bool]) -> Answer:
        """Carries out a statement; one that fails leaves nothing behind.

        Raises:
            EffectError: the database refused it, or its answer is too large.
        """
        import psycopg

        if not self._in_transaction():
            raise EffectError("unavailable", "the transaction was undone by an earlier failure")
        try:
            with self._guarded(statement, seconds):
                return self._answer(statement)
        except psycopg.Error as error:
            raise _translated(error) from None
        except (OverflowError, UnicodeError, ValueError) as error:
            raise EffectError("invalid", said(error)) from None

    @contextmanager
    def _guarded(self, statement: Statement, seconds: float) -> Iterator[None]:
        self._own("SAVEPOINT metier_statement", f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}")
        undo = ("ROLLBACK TO SAVEPOINT metier_statement", "RELEASE SAVEPOINT metier_statement")
        if not statement.writes and self._writes:
            self._own("SET LOCAL transaction_read_only = on")  # until the savepoint is rolled back
        try:
            # PostgreSQL looks at no clock within a function; the search for a long text in another can take hours.
            with WATCH.over(time.monotonic() + seconds + GRACE_SECONDS, self._cut) as watched:
                yield
        except BaseException as error:
            if not self._raw.closed:
                self._own(*undo)
            elif watched.is_over():
                raise EffectError("timeout", "the database did not end the statement in time") from error
            raise
        self._own(*(undo[1:] if statement.writes else undo))

    def _cut(self) -> None:
        with socket.socket(fileno=os.dup(self._raw.fileno())) as connection:
            connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, statement: Statement) -> Answer:
        with self._raw.cursor() as cursor:
            if not statement.returns_rows:
                cursor.execute(statement.sql.encode(), statement.parameters)
                return {"columns": [], "rows": [], "row_count": max(0, cursor.rowcount)}
            sql = _rows_bounded(statement, 2 * self._limits.effect_bytes)
            stream: Any = cursor.stream(sql.encode(), statement.parameters)  # a generator, by its code
            with closing(stream) as rows:
                first = next(rows, None)
                if first is not None:
                    columns = [column.name for column in cursor.description or ()]
                    return answer(columns, itertools.chain([first], rows), self._limits.effect_bytes)
            return answer(self._columns(statement), [], self._limits.effect_bytes)

    def _columns(self, statement: Statement) -> list[str]:
        """Of a statement that gave no rows, for then psycopg's stream does not tell. Not those of `RETURNING *`."""
        if statement.writes:
            return list(statement.returned)
        with self._raw.cursor() as cursor:
            empty = f"SELECT * FROM ({statement.sql}) AS nothing LIMIT 0"  # noqa: S608  (of a checked statement)
            cursor.execute(empty.encode(), statement.parameters)
            return [column.name for column in cursor.description or ()]

    def savepoint(self, name: str) -> None:
        if self._in_transaction():
            self._own(f"SAVEPOINT {name}")

    def release(self, name: str, *, undo: bool) -> None:
        if self._in_transaction():
            self._own(*([f"ROLLBACK TO SAVEPOINT {name}"] if undo else []), f"RELEASE SAVEPOINT {name}")

    def prepare(self, library: str, store: str, run: str) -> dict[str, str]:
        """The number of the transaction; what `committed` can be asked with. Raises psycopg.Error."""
        self._must_be_in_transaction()
        # A commit that may be lost with the server's memory decides nothing; whatever is stricter stays.
        self._own(
            "SELECT set_config('synchronous_commit', 'local', true) WHERE current_setting('synchronous_commit') = 'off'"
        )
        return {"transaction": _one(self._raw, "SELECT pg_current_xact_id()::text")[0], "place": _place(self._raw)}

    def commit(self) -> None:
        """Raises psycopg.Error if what was written cannot be kept."""
        self._must_be_in_transaction()
        self._own("COMMIT")

    def _must_be_in_transaction(self) -> None:
        import psycopg

        if not self._in_transaction():  # COMMIT would end a failed transaction without a word
            raise psycopg.OperationalError("the transaction was undone by an earlier failure")

    def close(self) -> None:
        self._raw.close()

    def _in_transaction(self) -> bool:
        import psycopg

        return not self._raw.closed and self._raw.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS

    def _own(self, *statements: str) -> None:
        """Carries out statements of our own, in one exchange."""
        self._raw.execute("; ".join(statements).encode())


def committed(arguments: dict[str, Any], identity: Mapping[str, str]) -> bool:
    """Whether the transaction that `prepare` named was committed. One that is being ended is waited for.

    Raises:
        Undecided: the server cannot be asked, knows it no more, or is not the one that it was.
    """
    import psycopg

    try:
        with psycopg.connect(**{"connect_timeout": ASK_SECONDS, **arguments}, autocommit=True) as connection:
            if _place(connection) != identity["place"]:
                raise Undecided("it is not the database, or not the history of it, that the run changed")
            until, status = time.monotonic() + ASK_SECONDS, "in progress"
            while status == "in progress" and time.monotonic() < until:
                (status,) = _one(connection, "SELECT pg_xact_status(%s::xid8)", identity["transaction"])
                time.sleep(LOOK_AGAIN_SECONDS if status == "in progress" else 0)
    except psycopg.Error as error:
        raise Undecided(f"it cannot be asked ({type(error).__name__})") from None
    if status not in ("committed", "aborted"):
        raise Undecided(
            "the transaction is still in progress" if status else "it does not know the transaction any more"
        )
    return status == "committed"


def _place(connection: psycopg.Connection[Any]) -> str:
    database, timeline, may_ask = _one(connection, IDENTITY)
    return "/".join((database, timeline, *(_one(connection, CLUSTER) if may_ask else ())))


def _one(connection: psycopg.Connection[Any], query: str, *parameters: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(query.encode(), parameters or None).fetchone()
    assert row is not None
    return row


def _load_as_json(connection: psycopg.Connection[Any]) -> None:
    """Has values come as JSON can hold them: exact, and never out of the range of Python's own types."""
    from psycopg.adapt import Buffer, Loader

    class Text(Loader):
        def load(self, data: Buffer) -> Any:
            return bytes(data).decode("utf-8")

    class Moment(Text):
        def load(self, data: Buffer) -> Any:
            text: str = super().load(data)
            return text.replace(" ", "T", 1) + (":00" if text.endswith("+00") else "")

    class Json(Text):
        def load(self, data: Buffer) -> Any:
            text: str = super().load(data)
            try:
                return schemas.parse(text, what="the value")
            except schemas.InvalidJson:
                return text

    for loader, names in (
        (Text, "numeric date time timetz interval uuid inet cidr"),
        (Moment, "timestamp timestamptz"),
        (Json, "json jsonb"),
    ):
        for name in names.split():
            connection.adapters.register_loader(name, loader)


def _rows_bounded(statement: Statement, most_bytes: int) -> str:
    """A statement that reads, with rows beyond so many bytes of text refused by the server: here they come whole.

    The error is that of a text which is no number; it hangs on the row, or the planner would raise it at once. The
    order stays, since a subquery that sorts is not taken apart.
    """
    if statement.writes or not statement.sql.lstrip().upper().startswith(("SELECT", "WITH")):
        return statement.sql
    row = "CAST(ROW(metier_row.*) AS text)"
    refusal = f"CAST('{TOO_LARGE}' || left({row}, 0) AS integer) = 0"
    return (
        f"SELECT metier_row.* FROM ({statement.sql}) AS metier_row "  # noqa: S608  (of a checked statement)
        f"WHERE CASE WHEN octet_length({row}) > {most_bytes} THEN {refusal} ELSE true END"
    )


def _translated(error: psycopg.Error) -> EffectError:
    """Without details: they quote rows that need not be the program's to read."""
    state = error.sqlstate
    if TOO_LARGE in (error.diag.message_primary or ""):
        return EffectError("too_large", "a row is larger than an answer may be")
    if state is None:
        lost = type(error).__name__ in ("OperationalError", "InterfaceError")
        return EffectError("unavailable" if lost else "invalid", f"the database failed ({type(error).__name__})")
    kind = KINDS.get(state) or KINDS.get(state[:2], "invalid")
    return EffectError(kind, said(error.diag.message_primary or type(error).__name__))
