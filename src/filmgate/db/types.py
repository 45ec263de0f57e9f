"""Types of artifacts as the database knows them: a small key each, and their projections."""

from collections.abc import Iterable

import psycopg

from filmgate.core.payloads.projection import Projection
from filmgate.db import projections
from filmgate.db.queries import queries


def prepare(
    connection: psycopg.Connection, names: Iterable[str], known: Iterable[Projection]
) -> None:
    """Give types their keys, and their projections their tables, before any is written to.

    In short transactions of their own, one session at a time: two that bring new types at once
    would otherwise wait for each other. A new table waits for the runs that are just coming in.
    """
    sql, wanted = queries("ingest"), sorted(set(names))
    concerned = [each for each in known if each.artifact_type in wanted]
    asked = {"artifact_types": wanted}
    (new,) = connection.execute(sql["new_types"], asked).fetchone() or ([],)
    if new:
        with connection.transaction():
            connection.execute(sql["lock_types"])
            connection.execute(sql["add_types"], asked)
    projections.make(connection, concerned)
