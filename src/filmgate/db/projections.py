"""Projections: the tables that serving reads, filled from artifacts by set-based SQL."""

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg import sql

from filmgate.core.payloads.projection import Projection

KEY = ("asset_key", "run_key", "ordinal", "span_start_ms", "span_end_ms")


def fill(
    connection: psycopg.Connection, projections: Iterable[Projection], keys: Mapping[str, Any]
) -> None:
    """Put the artifacts of one run into every projection; those of its own types have rows."""
    for projection in projections:
        _make(connection, projection)
        one_run = sql.SQL("o.asset_key = %(asset_key)s and o.run_key = %(run_key)s")
        connection.execute(_filling(projection, one_run), keys)


def clear(
    connection: psycopg.Connection, projections: Iterable[Projection], keys: Mapping[str, Any]
) -> None:
    """Take the artifacts of one run out of every projection."""
    for projection in projections:
        _make(connection, projection)
        statement = sql.SQL(
            "delete from {} where asset_key = %(asset_key)s and run_key = %(run_key)s"
        )
        connection.execute(statement.format(sql.Identifier(projection.name)), keys)


def rebuild(connection: psycopg.Connection, projections: Iterable[Projection]) -> dict[str, int]:
    """Make every projection again, and what is served with them; how many rows each has.

    One transaction: whoever asks meanwhile is answered from the old ones.
    """
    counts = {}
    with connection.transaction():
        for projection in projections:
            _make(connection, projection)
            table = sql.Identifier(projection.name)
            connection.execute(sql.SQL("delete from {}").format(table))
            filled = connection.execute(_filling(projection, sql.SQL("true")), {})
            counts[projection.name] = filled.rowcount
        connection.execute("delete from served_words")
        connection.execute("select refresh_served(asset_key) from assets order by asset_key")
    return counts


def _make(connection: psycopg.Connection, projection: Projection) -> None:
    """Make the table of a projection that no migration made."""
    row = connection.execute(
        "select to_regclass(quote_ident(%s)) is not null", [projection.name]
    ).fetchone()
    if row is None or not row[0]:
        connection.execute(definition(projection))


def definition(projection: Projection) -> sql.Composed:
    """The table, as the migrations write those of the built-in ones."""
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type))
        for column in projection.columns
    ]
    key = ["asset_key", "run_key", *projection.by, "span_start_ms", "ordinal"]
    return sql.SQL(
        "create table if not exists {table} ("
        " asset_key integer not null, run_key integer not null, ordinal integer not null,"
        " span_start_ms bigint not null, span_end_ms bigint not null, {columns},"
        " primary key ({key}), foreign key (asset_key, run_key) references runs on delete cascade)"
    ).format(
        table=sql.Identifier(projection.name),
        columns=sql.SQL(", ").join(columns),
        key=sql.SQL(", ").join(map(sql.Identifier, key)),
    )


def _filling(projection: Projection, which: sql.Composable) -> sql.Composed:
    """The statement that fills a projection."""
    names = (*KEY, *(column.name for column in projection.columns))
    values = [_expression(column.value) for column in projection.columns]
    own = (sql.SQL("o.{}").format(sql.Identifier(name)) for name in KEY)
    return sql.SQL(
        "insert into {table} ({names}) select {values} from artifact_rows o"
        " join artifact_files f using (asset_key, run_key, type_key)"
        " where {which} and ({where})"
        " and o.type_key = (select type_key from artifact_types where artifact_type = {type})"
    ).format(
        table=sql.Identifier(projection.name),
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        values=sql.SQL(", ").join([*own, *values]),
        which=which,
        where=_expression(projection.where),
        type=sql.Literal(projection.artifact_type),
    )


def _expression(text: str) -> sql.SQL:
    """What whoever declared the projection wrote as SQL: code, like the rest of its package."""
    return sql.SQL(text.replace("%", "%%"))
