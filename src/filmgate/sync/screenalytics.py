"""Consumer stage `sync_screenalytics`: ingest manifests and summaries for another product."""

from dataclasses import dataclass

import psycopg

from filmgate.core.answers import Receipt
from filmgate.core.summaries import SummariesOf, SummaryRows
from filmgate.db.screenalytics import STAGE, ingest_summary
from filmgate.sync.published_run import VerifiedManifest
from filmgate.sync.verified_files import read_summaries


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A manifest and its summaries, which become rows."""

    verified: VerifiedManifest
    summaries: tuple[SummaryRows, ...]


class ScreenalyticsIngestor:
    """Implementation of the port `Ingestor` for the tables of the schema `screenalytics`."""

    name = STAGE
    is_small = True

    def __init__(self, summaries_of: SummariesOf) -> None:
        self._summaries_of = summaries_of

    def fetch(self, verified: VerifiedManifest) -> RunSummary:
        """Check that every file exists, and read the summaries.

        Raises Invalid if a file does not match the manifest.
        """
        verified.run.check_presence(verified.manifest)
        summaries = self._summaries_of(verified.manifest.pipeline)
        read = [summary for summary in summaries if summary.is_for_products]
        rows = read_summaries(verified.run, verified.manifest, read)
        return RunSummary(verified=verified, summaries=rows)

    def prepare(self, connection: psycopg.Connection, fetched: RunSummary) -> None:
        """Do nothing: the tables exist."""

    def ingest(self, connection: psycopg.Connection, fetched: RunSummary) -> Receipt:
        """Write the rows of the run to the schema `screenalytics`."""
        verified = fetched.verified
        return ingest_summary(
            connection, verified.manifest, verified.sha256, verified.run.origin, fetched.summaries
        )
