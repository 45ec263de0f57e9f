"""Projections: tables that queries read, filled from artifacts with one statement each."""

from collections.abc import Iterable

import psycopg
from psycopg import sql

from filmgate.core.database import Parameters
from filmgate.core.errors import Invalid
from filmgate.core.payloads.projection import KEY, Projection
from filmgate.db.queries import queries
from filmgate.db.sessions import DatabaseSession

COMMENT_PREFIX = "projection of "
"""The beginning of the SQL comment on a projection's table; the artifact type follows."""


def missing(connection: psycopg.Connection, projections: Iterable[Projection]) -> list[Projection]:
    """Return the projections without a table. Raises Invalid if a table of that name exists
    and is not the same projection."""
    lacking = []
    for projection in projections:
        found = connection.execute(
            queries("projections")["table"], {"name": projection.name}
        ).fetchone()
        if found is None:
            lacking.append(projection)
        elif found != (COMMENT_PREFIX + projection.artifact_type, _columns(projection)):
            raise Invalid(
                f"the table {projection.name} does not match the projection of that name",
                expected=f"{COMMENT_PREFIX}{projection.artifact_type}: "
                f"{', '.join(_columns(projection))}",
                got=f"{found[0] or 'another table'}: {', '.join(found[1])}",
                hint="Give the projection an unused name; a changed projection needs a new name",
            )
    return lacking


def make(connection: psycopg.Connection, projections: Iterable[Projection]) -> None:
    """Create the missing tables; only one session at a time does so."""
    wanted = tuple(projections)
    if missing(connection, wanted):
        with connection.transaction():
            connection.execute(queries("ingest")["lock_types"])
            for projection in missing(connection, wanted):
                connection.execute(definition(projection))


def fill(
    connection: psycopg.Connection, projections: Iterable[Projection], keys: Parameters
) -> int:
    """Write the rows of artifacts in every projection; return how many.

    `keys` choose the artifacts of an asset (`asset_key`), of one of its runs (`run_key`), or with
    given `ordinals`. Raises Invalid if a declared expression fails.
    """
    count = 0
    for projection in projections:
        try:
            count += connection.execute(_fill_statement(projection, keys), keys).rowcount
        except (psycopg.DataError, psycopg.ProgrammingError, psycopg.IntegrityError) as error:
            raise Invalid(
                f"the projection {projection.name} cannot be filled",
                expected=f"columns that can be computed from every {projection.artifact_type}",
                got=str(error).partition("\n")[0],
                hint="Correct the package that declares it; the transaction was rolled back",
            ) from error
    return count


def clear(
    connection: psycopg.Connection, projections: Iterable[Projection], keys: Parameters
) -> None:
    """Delete the rows of artifacts from every projection; `keys` as in `fill`."""
    for projection in projections:
        statement = sql.SQL("delete from {} o where {}").format(
            sql.Identifier(projection.name), _condition(keys)
        )
        connection.execute(statement, keys)


def rebuild(connection: psycopg.Connection, projections: Iterable[Projection]) -> dict[str, int]:
    """Rebuild every projection and the served runs; return the number of rows per projection.

    Each asset has its own transaction: queries meanwhile see either the old or the new rows of an
    asset, and runs of other assets can be ingested.
    """
    wanted = tuple(projections)
    make(connection, wanted)
    counts = dict.fromkeys((projection.name for projection in wanted), 0)
    assets = connection.execute("select asset_id from assets order by asset_key").fetchall()
    for (asset_id,) in assets:
        with connection.transaction():
            keys = DatabaseSession(connection).one_required(
                queries("ingest")["lock_asset"], {"asset_id": asset_id}
            )
            clear(connection, wanted, keys)
            for projection in wanted:
                counts[projection.name] += fill(connection, [projection], keys)
            connection.execute(queries("projections")["delete_words"], keys)
            connection.execute(queries("ingest")["refresh_served"], keys)
    return counts


def definition(projection: Projection) -> sql.Composed:
    """Return the DDL of a projection's table, in the form that migrations use for built-in ones."""
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type))
        for column in projection.columns
    ]
    key = ["asset_key", "run_key", *projection.by, "span_start_ms", "ordinal"]
    return sql.SQL(
        "create table {table} ("
        " asset_key integer not null, run_key integer not null, ordinal integer not null,"
        " type_key smallint not null, span_start_ms bigint not null,"
        " span_end_ms bigint not null, {columns}, primary key ({key}),"
        " foreign key (asset_key, run_key, type_key) references artifact_files"
        " on delete cascade);"
        " comment on table {table} is {comment}"
    ).format(
        table=sql.Identifier(projection.name),
        columns=sql.SQL(", ").join(columns),
        key=sql.SQL(", ").join(map(sql.Identifier, key)),
        comment=sql.Literal(COMMENT_PREFIX + projection.artifact_type),
    )


def _columns(projection: Projection) -> list[str]:
    return [f"{column.name} {column.type}" for column in projection.columns]


def _fill_statement(projection: Projection, keys: Parameters) -> sql.Composed:
    names = (*KEY, *(column.name for column in projection.columns))
    values = [_expression(column.value) for column in projection.columns]
    key_values = (sql.SQL("o.{}").format(sql.Identifier(name)) for name in KEY)
    return sql.SQL(
        "insert into {table} ({names}) select {values} from artifact_rows o"
        " join artifact_files f using (asset_key, run_key, type_key)"
        " where {condition} and ({where})"
        " and o.type_key = (select type_key from artifact_types where artifact_type = {type})"
    ).format(
        table=sql.Identifier(projection.name),
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        values=sql.SQL(", ").join([*key_values, *values]),
        condition=_condition(keys),
        where=_expression(projection.where),
        type=sql.Literal(projection.artifact_type),
    )


def _condition(keys: Parameters) -> sql.SQL:
    condition = "o.asset_key = %(asset_key)s"
    condition += " and o.run_key = %(run_key)s" if "run_key" in keys else ""
    condition += " and o.ordinal = any(%(ordinals)s)" if "ordinals" in keys else ""
    return sql.SQL(condition)


def _expression(text: str) -> sql.SQL:
    """Return a SQL expression of a projection's declaration. It is trusted code, like the package
    that declares it."""
    return sql.SQL(text.replace("%", "%%"))
