"""What every part of the database floor does with its connection."""

from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

Statement = Any
"""A query by name (a literal), or one composed of literals."""

Parameters = Mapping[str, Any]


class Session:
    """One connection, for one task; whoever opened it closes it."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection

    def all(self, statement: Statement, parameters: Parameters) -> list[dict[str, Any]]:
        """Every row. The statement is prepared, since the same few are asked again and again."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, storable(parameters), prepare=True).fetchall()

    def one(self, statement: Statement, parameters: Parameters) -> dict[str, Any] | None:
        """The first row; None where there is none."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, storable(parameters), prepare=True).fetchone()

    def need(self, statement: Statement, parameters: Parameters) -> dict[str, Any]:
        """The first row of a statement that always has one."""
        row = self.one(statement, parameters)
        if row is None:
            raise RuntimeError("a statement that always answers did not")
        return row

    def do(self, statement: Statement, parameters: Parameters) -> int:
        """Run it; how many rows it concerned."""
        return self.connection.execute(statement, storable(parameters)).rowcount


def composed(template: LiteralString, **parts: sql.Composable) -> sql.Composed:
    """A query of this package with its `{parts}` filled in."""
    return sql.SQL(template).format(**parts)


def storable(parameters: Parameters) -> dict[str, Any]:
    """The parameters without what PostgreSQL cannot hold: NUL, and halves of surrogate pairs."""
    return {name: storable_value(value) for name, value in parameters.items()}


def storable_value(value: Any) -> Any:
    """A value, or a list of them, without what PostgreSQL cannot hold."""
    if isinstance(value, str):
        return storable_text(value)
    return [storable_value(each) for each in value] if isinstance(value, list) else value


def storable_text(text: str) -> str:
    """The text without what PostgreSQL cannot hold."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
