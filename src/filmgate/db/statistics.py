"""Planner statistics: refreshed right after many rows were committed.

Autovacuum refreshes them too, but late or at the wrong moment. An embedded server often stops
before autovacuum runs. Autovacuum never analyses a partitioned table as a whole. And if it runs
during an ingest, it counts none of the rows of that ingest: with nine books counted as no rows,
`filmgate ask` took 9 s instead of 0.04 s (PostgreSQL 18, generic plans).
"""

import psycopg
from psycopg.pq import TransactionStatus

from filmgate.db.queries import queries

LEAST_ROWS = 1000
"""Fewer changed rows are left to autovacuum. Measured: an ingest of 1,000 artifacts takes 40 ms and
ANALYZE 4 ms; with 100,000 artifacts it is 1.6 s and 0.2 s. The check itself takes 1 ms."""

LEAST_SHARE = 0.5
"""The least ratio of changed rows to known rows. Plans depend on the order of magnitude, not on a
few percent. While `benchmarks/ask.py` ingests 50 books one by one, the 8 tables of the corpus are
analysed 44 times in total, which takes 3% of the time."""


def refresh_statistics(connection: psycopg.Connection) -> tuple[str, ...]:
    """Analyse the tables in which many rows changed since they were last analysed; return their
    names.

    Call it after the commit. Inside a transaction it does nothing, because the rows of an open
    transaction are not counted yet. Errors of the server are logged and not raised: the rows are
    committed. Tables that another session is analysing are skipped.
    """
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        return ()
    sql = queries("statistics")
    parameters = {"least": LEAST_ROWS, "share": LEAST_SHARE}
    try:
        connection.execute(sql["flush"])
        due = [name for (name,) in connection.execute(sql["due"], parameters, prepare=True)]
        if due:
            connection.execute(f"analyze (skip_locked) {', '.join(due)}")
    except psycopg.Error as error:
        import structlog  # slow, and rarely needed

        structlog.get_logger().warning("statistics.failed", error=str(error))
        return ()
    return tuple(due)
