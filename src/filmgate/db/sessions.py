"""Database sessions: prepared statements on a connection, and values that PostgreSQL can store."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, LiteralString
from weakref import WeakKeyDictionary

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

Statement = Any
"""A named query (a literal), or one composed of literals."""

Parameters = Mapping[str, Any]


class Plans(StrEnum):
    """How PostgreSQL plans prepared statements: the values of `plan_cache_mode`."""

    AUTO = "auto"
    """PostgreSQL decides: the first five executions have custom plans, then a generic plan is used
    if its estimated cost is not higher. Every connection starts with this."""
    GENERIC = "force_generic_plan"
    """One plan for all parameters: for short statements that are sent repeatedly and find their
    rows by keys. Medians with the questions of `benchmarks/store.py` and 1,000,000 artifacts, this
    and AUTO: jump 0.23 and 0.37 ms, search 1.1 and 1.8 ms; find and list do not differ."""
    CUSTOM = "force_custom_plan"
    """A plan for the parameters of each execution: for statements whose good plan depends on them.
    `benchmarks/ask.py` compares it with GENERIC."""


_plans: WeakKeyDictionary[psycopg.Connection[Any], Plans] = WeakKeyDictionary()
"""The current mode of each connection, if it is not AUTO."""


def use_plans(connection: psycopg.Connection[Any], plans: Plans) -> None:
    """Set how the statements that follow are planned. A statement is sent only if the mode changes.

    Inside a transaction the mode does not change, because a rollback would undo it unnoticed.
    """
    if _plans.get(connection, Plans.AUTO) is plans:
        return
    is_idle = connection.info.transaction_status is TransactionStatus.IDLE
    if is_idle and connection.autocommit:
        connection.execute(f"set plan_cache_mode = {plans.value}")
        _plans[connection] = plans


class DatabaseSession:
    """A connection used for one task; its opener closes it. `plans` sets how its statements are
    planned."""

    def __init__(self, connection: psycopg.Connection, plans: Plans = Plans.AUTO) -> None:
        self.connection = connection
        self._plans = plans

    def all(self, statement: Statement, parameters: Parameters) -> list[dict[str, Any]]:
        """Return all rows. The statement is prepared: the same few are executed repeatedly."""
        use_plans(self.connection, self._plans)
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(
                statement, storable_parameters(parameters), prepare=True
            ).fetchall()

    def one(self, statement: Statement, parameters: Parameters) -> dict[str, Any] | None:
        """Return the first row; None if the result is empty."""
        use_plans(self.connection, self._plans)
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(
                statement, storable_parameters(parameters), prepare=True
            ).fetchone()

    def one_required(self, statement: Statement, parameters: Parameters) -> dict[str, Any]:
        """Return the first row of a statement that always returns one."""
        row = self.one(statement, parameters)
        if row is None:
            raise RuntimeError("a statement that must return a row returned none")
        return row

    def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Execute a statement; return how many rows it affected."""
        use_plans(self.connection, self._plans)
        return self.connection.execute(statement, storable_parameters(parameters)).rowcount


def compose(template: LiteralString, **parts: sql.Composable) -> sql.Composed:
    """Fill in the `{parts}` of a query of this package."""
    return sql.SQL(template).format(**parts)


def storable_parameters(parameters: Parameters) -> dict[str, Any]:
    """Replace characters that PostgreSQL cannot store in the parameters: NUL and lone
    surrogates."""
    return {name: storable_value(value) for name, value in parameters.items()}


def storable_value(value: Any) -> Any:
    """Replace characters that PostgreSQL cannot store in a value or a list of values."""
    if isinstance(value, str):
        return storable_text(value)
    return [storable_value(item) for item in value] if isinstance(value, list) else value


def storable_text(text: str) -> str:
    """Replace characters that PostgreSQL cannot store in a text."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
