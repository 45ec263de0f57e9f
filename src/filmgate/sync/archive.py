"""Stage `ingest` over a store: whole runs, with all their artifacts, by the one way in."""

import psycopg

from filmgate.core.answers import Receipt
from filmgate.core.payloads.registry import Registry
from filmgate.db.result_store import STAGE, PostgresResults
from filmgate.sync.ingest import take_in
from filmgate.sync.published_run import Read


class SyncArchive:
    """The stage. Files are streamed into the database, verified on the way."""

    name = STAGE
    is_small = False

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def fetch(self, read: Read) -> Read:
        """Nothing beyond the manifest: the rest is too large to hold."""
        return read

    def take(self, connection: psycopg.Connection, fetched: Read) -> Receipt:
        """As a run of one's own is taken in."""
        results = PostgresResults(connection, self._registry)
        return take_in(
            fetched.manifest,
            fetched.sha256,
            fetched.run.origin,
            fetched.run,
            results,
            self._registry,
        )
