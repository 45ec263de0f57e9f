"""Consumer stage `ingest`: ingest complete runs from a store, with all their artifacts."""

import psycopg

from filmgate.core.answers import Receipt
from filmgate.core.payloads.registry import Registry
from filmgate.core.receipts import INGEST_STAGE
from filmgate.core.summaries import SummariesOf
from filmgate.db.result_store import PostgresResults
from filmgate.sync.ingest import ingest_manifest
from filmgate.sync.published_run import VerifiedManifest


class ArchiveIngestor:
    """Implementation of the port `Ingestor` for complete runs.

    Files are streamed into the database, and are verified while they are read.
    """

    name = INGEST_STAGE
    is_small = False

    def __init__(self, registry: Registry, summaries_of: SummariesOf) -> None:
        self._registry = registry
        self._summaries_of = summaries_of

    def fetch(self, verified: VerifiedManifest) -> VerifiedManifest:
        """Check that every file exists with its size. The contents are too large to be fetched."""
        verified.run.check_presence(verified.manifest)
        return verified

    def prepare(self, connection: psycopg.Connection, fetched: VerifiedManifest) -> None:
        """Create the tables of artifact types that are new to the database."""
        PostgresResults(connection, self._registry).prepare(fetched.manifest)

    def ingest(self, connection: psycopg.Connection, fetched: VerifiedManifest) -> Receipt:
        """Ingest the run in the same way as a run of this installation."""
        results = PostgresResults(connection, self._registry)
        return ingest_manifest(
            fetched.manifest,
            fetched.sha256,
            fetched.run.origin,
            fetched.run,
            results,
            self._registry,
            summaries_of=self._summaries_of,
        )
