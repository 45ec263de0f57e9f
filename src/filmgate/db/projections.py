"""Projections: the tables that serving reads, filled from artifacts by set-based SQL."""

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg import sql

from filmgate.core.errors import Invalid
from filmgate.core.payloads.projection import KEY, Projection
from filmgate.db.queries import queries
from filmgate.db.sessions import Session

MARK = "projection of "
"""How the comment on a projection's table begins."""


def missing(connection: psycopg.Connection, projections: Iterable[Projection]) -> list[Projection]:
    """Those without a table; Invalid where a table of that name is no such projection."""
    lacking = []
    for projection in projections:
        found = connection.execute(
            queries("projections")["table"], {"name": projection.name}
        ).fetchone()
        if found is None:
            lacking.append(projection)
        elif found != (MARK + projection.artifact_type, _columns(projection)):
            raise Invalid(
                f"the table {projection.name} is not the projection of that name",
                expected=f"{MARK}{projection.artifact_type}: {', '.join(_columns(projection))}",
                got=f"{found[0] or 'a table of something else'}: {', '.join(found[1])}",
                hint="Give the projection a name of its own; a changed one is a new one",
            )
    return lacking


def make(connection: psycopg.Connection, projections: Iterable[Projection]) -> None:
    """Make the tables that no migration made, one session at a time."""
    wanted = tuple(projections)
    if missing(connection, wanted):
        with connection.transaction():
            connection.execute(queries("ingest")["lock_types"])
            for projection in missing(connection, wanted):
                connection.execute(definition(projection))


def fill(
    connection: psycopg.Connection, projections: Iterable[Projection], keys: Mapping[str, Any]
) -> int:
    """Give artifacts their rows in every projection; how many.

    Those of an asset (`asset_key`), of one of its runs (`run_key`), or some of them
    (`ordinals`).
    """
    count = 0
    for projection in projections:
        try:
            count += connection.execute(_filling(projection, keys), keys).rowcount
        except (psycopg.DataError, psycopg.ProgrammingError, psycopg.IntegrityError) as error:
            raise Invalid(
                f"the projection {projection.name} cannot be filled",
                expected=f"columns that follow from every {projection.artifact_type}",
                got=str(error).partition("\n")[0],
                hint="Nothing was half-written; mend the package that declares it",
            ) from error
    return count


def clear(
    connection: psycopg.Connection, projections: Iterable[Projection], keys: Mapping[str, Any]
) -> None:
    """Take the rows of the same artifacts out of every projection."""
    for projection in projections:
        statement = sql.SQL("delete from {} o where {}").format(
            sql.Identifier(projection.name), _which(keys)
        )
        connection.execute(statement, keys)


def rebuild(connection: psycopg.Connection, projections: Iterable[Projection]) -> dict[str, int]:
    """Make every projection again, and what is served with them; how many rows each has.

    Asset by asset, each in a transaction of its own: whoever asks meanwhile is answered from the
    old ones or the new ones of that asset, and runs of others go on coming in.
    """
    wanted = tuple(projections)
    make(connection, wanted)
    counts = dict.fromkeys((projection.name for projection in wanted), 0)
    assets = connection.execute("select asset_id from assets order by asset_key").fetchall()
    for (asset_id,) in assets:
        with connection.transaction():
            keys = Session(connection).need(queries("ingest")["lock_asset"], {"asset_id": asset_id})
            clear(connection, wanted, keys)
            for projection in wanted:
                counts[projection.name] += fill(connection, [projection], keys)
            connection.execute(queries("projections")["forget_words"], keys)
            connection.execute(queries("ingest")["refresh_served"], keys)
    return counts


def definition(projection: Projection) -> sql.Composed:
    """The table, as the migrations write those of the built-in ones."""
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
        comment=sql.Literal(MARK + projection.artifact_type),
    )


def _columns(projection: Projection) -> list[str]:
    return [f"{column.name} {column.type}" for column in projection.columns]


def _filling(projection: Projection, keys: Mapping[str, Any]) -> sql.Composed:
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
        which=_which(keys),
        where=_expression(projection.where),
        type=sql.Literal(projection.artifact_type),
    )


def _which(keys: Mapping[str, Any]) -> sql.SQL:
    which = "o.asset_key = %(asset_key)s"
    which += " and o.run_key = %(run_key)s" if "run_key" in keys else ""
    which += " and o.ordinal = any(%(ordinals)s)" if "ordinals" in keys else ""
    return sql.SQL(which)


def _expression(text: str) -> sql.SQL:
    """What whoever declared the projection wrote as SQL: code, like the rest of its package."""
    return sql.SQL(text.replace("%", "%%"))
