"""Database sessions: prepared statements on a connection, and values that PostgreSQL can store."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from weakref import WeakKeyDictionary

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from filmgate.core.database import Parameters, Plans, ReadSession, Row

_plans: WeakKeyDictionary[psycopg.Connection, Plans] = WeakKeyDictionary()
"""The current mode of each connection, if it is not AUTO."""


def use_plans(connection: psycopg.Connection, plans: Plans) -> None:
    """Set how later statements are planned; sends `set plan_cache_mode` only if the mode changes.

    Inside a transaction the mode does not change, because a rollback would undo it unnoticed.
    """
    if _plans.get(connection, Plans.AUTO) is plans:
        return
    is_idle = connection.info.transaction_status is TransactionStatus.IDLE
    if is_idle and connection.autocommit:
        connection.execute(f"set plan_cache_mode = {plans.value}")
        _plans[connection] = plans


Statement = str | sql.Composed


class DatabaseSession:
    """A connection used for one task; its opener closes it. `plans` sets how its statements are
    planned."""

    def __init__(self, connection: psycopg.Connection, plans: Plans = Plans.AUTO) -> None:
        self.connection = connection
        self._plans = plans

    def all(self, statement: Statement, parameters: Parameters) -> list[Row]:
        """Return all rows. The statement is prepared, because it is executed repeatedly."""
        use_plans(self.connection, self._plans)
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(
                _encode(statement), storable_parameters(parameters), prepare=True
            ).fetchall()

    def one(self, statement: Statement, parameters: Parameters) -> Row | None:
        """Return the first row; None if the result is empty."""
        use_plans(self.connection, self._plans)
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(
                _encode(statement), storable_parameters(parameters), prepare=True
            ).fetchone()

    def one_required(self, statement: Statement, parameters: Parameters) -> Row:
        """Return the first row of a statement that always returns one."""
        row = self.one(statement, parameters)
        if row is None:
            raise RuntimeError("a statement that must return a row returned none")
        return row

    def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Execute a statement; return how many rows it affected."""
        use_plans(self.connection, self._plans)
        return self.connection.execute(_encode(statement), storable_parameters(parameters)).rowcount

    def copy(self, statement: Statement, rows: Iterable[Sequence[object]]) -> None:
        """Write rows with a statement `copy … from stdin`."""
        with self.connection.cursor() as cursor, cursor.copy(_encode(statement)) as copy:
            for row in rows:
                copy.write_row([storable_value(value) for value in row])

    def transaction(self) -> AbstractContextManager[object]:
        """Execute a block in a transaction, or in a savepoint of the open transaction."""
        return self.connection.transaction()

    def planned(self, plans: Plans) -> "DatabaseSession":
        """Return a session on the same connection whose statements are planned in this way."""
        return DatabaseSession(self.connection, plans)


def connection_of(session: ReadSession) -> psycopg.Connection:
    """Return the connection of a session, for code that needs more than the port offers."""
    if not isinstance(session, DatabaseSession):
        raise TypeError(f"a session of PostgreSQL is needed, not {type(session).__name__}")
    return session.connection


def _encode(statement: Statement) -> bytes | sql.Composed:
    """Encode a statement: the driver's types accept a `str` only if it is a `LiteralString`."""
    return statement.encode() if isinstance(statement, str) else statement


def compose(template: str, **parts: sql.Composable) -> sql.Composed:
    """Fill in the `{parts}` of a query of this package."""
    return sql.SQL(template).format(**parts)


def storable_parameters(parameters: Parameters) -> dict[str, object]:
    """Replace characters that PostgreSQL cannot store in the parameters: NUL and lone
    surrogates."""
    return {name: storable_value(value) for name, value in parameters.items()}


def storable_value(value: object) -> object:
    """Replace characters that PostgreSQL cannot store in a value or a list of values."""
    if isinstance(value, str):
        return storable_text(value)
    return [storable_value(item) for item in value] if isinstance(value, list) else value


def storable_text(text: str) -> str:
    """Replace characters that PostgreSQL cannot store in a text."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
