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
        """Nothing beyond the manifest, for the rest is too large to hold; but every file has to
        be there, as long as it should be."""
        read.run.check_presence(read.manifest)
        return read

    def prepare(self, connection: psycopg.Connection, fetched: Read) -> None:
        """Tables of types that are new here."""
        PostgresResults(connection, self._registry).prepare(fetched.manifest)

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
