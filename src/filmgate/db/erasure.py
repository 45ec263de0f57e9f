"""Erasure of a person from the database: rows, then the bytes that deleted rows leave in files.

PostgreSQL keeps the bytes of deleted rows in the files of a table until VACUUM FULL rewrites it, in
the statistics of the planner until the table is analysed, and in the write-ahead log until its
segments are removed.
"""

from collections.abc import Iterable

import psycopg
from psycopg import sql

from filmgate.core.answers import PublishedCopy
from filmgate.db.people import PeopleStore
from filmgate.db.queries import queries
from filmgate.db.sessions import DatabaseSession

TABLES = ("people", "people_references", "product_person_metrics")
"""Tables that contain names or vectors of people."""

WAL_ROUNDS = 2
"""Number of checkpoints after which no earlier segment of the write-ahead log is left. The first
one may only mark a segment as no longer needed."""


class ErasureStore:
    """Erases people over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._session = DatabaseSession(connection)
        self._sql = queries("people")

    def was_ingested(self, asset_id: str, run_id: str) -> bool:
        """Whether the database contains results of a run."""
        row = {"asset_id": asset_id, "run_id": run_id}
        return bool(self._session.one_required(self._sql["was_ingested"], row)["found"])

    def published_copies(self, asset_id: str, run_id: str) -> list[PublishedCopy]:
        """List the stores that are known to have a copy of a run."""
        run = {"asset_id": asset_id, "run_id": run_id}
        rows = self._session.all(self._sql["published_copies"], run)
        return [PublishedCopy(**run, **row) for row in rows]

    def ingested_folders(self, pipelines: Iterable[str]) -> list[tuple[str, str, str]]:
        """List the runs of some pipelines that were ingested from a folder, as asset id, run id and
        the folder's address."""
        rows = self._session.all(self._sql["ingested_folders"], {"pipelines": list(pipelines)})
        return [(row["asset_id"], row["run_id"], row["source"]) for row in rows]

    def runs_with_person(self, person_id: str) -> list[tuple[str, str]]:
        """List the runs, as asset id and run id, whose rows of screen time name a person."""
        rows = self._session.all(self._sql["runs_with_person"], {"person_id": person_id})
        return [(row["asset_id"], row["run_id"]) for row in rows]

    def remove(self, person_id: str) -> None:
        """Delete a person with all vectors, and the person's name in rows of screen time."""
        with self._connection.transaction():
            row = {"person_id": person_id}
            self._session.execute(self._sql["erase_from_screen_times"], row)
            PeopleStore(self._connection).remove_id(person_id)

    def compact(self, asset_ids: Iterable[str]) -> tuple[str, ...]:
        """Rewrite the tables that contained data of the person; return what could not be rewritten.

        These are the tables with people, and those with artifacts of the assets. Each is locked
        while it is rewritten.
        """
        row = {"asset_ids": list(asset_ids)}
        found = self._session.all(self._sql["tables_of_artifacts"], row)
        names = [sql.SQL(each["name"]) for each in found]
        tables = [*(sql.Identifier(name) for name in TABLES), *names]
        with _WithoutTimeout(self._connection):
            for table in tables:
                self._connection.execute(sql.SQL("vacuum (full, analyze) {}").format(table))
            try:
                self._connection.execute("vacuum (full) pg_catalog.pg_statistic")
            except psycopg.errors.InsufficientPrivilege:
                return ("pg_catalog.pg_statistic",)
        return ()

    def remove_write_ahead_log(self) -> None:
        """Remove the segments of the write-ahead log that were written before.

        Only for a server that nothing replicates from, and whose role may change settings.
        """
        run = self._connection.execute
        with _WithoutTimeout(self._connection):
            run("alter system set wal_recycle = off")
            run("select pg_reload_conf()")
            try:
                for _ in range(WAL_ROUNDS):
                    run("select pg_switch_wal()")
                    run("checkpoint")
            finally:
                run("alter system reset wal_recycle")
                run("select pg_reload_conf()")


class _WithoutTimeout:
    """Lets statements on a connection take any time in a block."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._before = ""

    def __enter__(self) -> None:
        row = self._connection.execute("show statement_timeout").fetchone()
        self._before = str(row[0]) if row else "0"
        self._connection.execute("set statement_timeout = 0")

    def __exit__(self, *_: object) -> None:
        statement = sql.SQL("set statement_timeout = {}").format(sql.Literal(self._before))
        if not self._connection.broken:
            self._connection.execute(statement)
