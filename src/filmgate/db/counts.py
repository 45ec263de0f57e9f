"""Counts of the rows in the database, for monitoring."""

import psycopg

from filmgate.db.queries import queries
from filmgate.db.sessions import DatabaseSession


def counts(connection: psycopg.Connection) -> dict[str, dict[tuple[str, ...], int]]:
    """Count the rows of `runs` (by pipeline and status), `stages` (by stage and status) and
    `ingest_receipts` (by consumer)."""
    session = DatabaseSession(connection)
    found: dict[str, dict[tuple[str, ...], int]] = {}
    for name, sql in queries("counts").items():
        found[name] = {tuple(row["labels"]): row["count"] for row in session.all(sql, {})}
    return found
