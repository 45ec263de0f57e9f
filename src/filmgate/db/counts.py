"""Counts: what there is in the database, for those who watch it."""

import psycopg

from filmgate.db.queries import queries
from filmgate.db.sessions import Session


def counts(connection: psycopg.Connection) -> dict[str, dict[tuple[str, ...], int]]:
    """How many `runs` (by pipeline and status), `stages` (by stage and status) and
    `ingest_receipts` (by consumer) there are."""
    session = Session(connection)
    found: dict[str, dict[tuple[str, ...], int]] = {}
    for name, sql in queries("counts").items():
        found[name] = {tuple(row["labels"]): row["count"] for row in session.all(sql, {})}
    return found
