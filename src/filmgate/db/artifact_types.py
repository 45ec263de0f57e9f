"""Artifact types in the database: their integer keys and their projections."""

from collections.abc import Iterable

import psycopg

from filmgate.core.payloads.projection import Projection
from filmgate.db import projections
from filmgate.db.queries import queries


def prepare(
    connection: psycopg.Connection, names: Iterable[str], known: Iterable[Projection]
) -> None:
    """Create the keys of artifact types and the tables of their projections, before any write.

    `known` contains all registered projections. The function uses short separate transactions, and
    only one session at a time executes them: two sessions with new types would otherwise wait for
    each other. Before it creates a table, it waits for the runs that are being ingested.
    """
    sql, type_names = queries("ingest"), sorted(set(names))
    needed = [projection for projection in known if projection.artifact_type in type_names]
    parameters = {"artifact_types": type_names}
    (new,) = connection.execute(sql["new_types"], parameters).fetchone() or ([],)
    if new:
        with connection.transaction():
            connection.execute(sql["lock_types"])
            connection.execute(sql["add_types"], parameters)
    projections.make(connection, needed)
