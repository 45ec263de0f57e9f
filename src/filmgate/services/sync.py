"""Service that publishes runs and ingests runs that were published elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from filmgate.core.answers import (
    PublishedAnswer,
    ReceiptsAnswer,
    SyncAnswer,
    SyncOutcome,
    SyncStatusAnswer,
)
from filmgate.core.errors import (
    Conflict,
    FilmgateError,
    NotFound,
    NotPermitted,
    Unavailable,
    UsageError,
)
from filmgate.core.ids import parse_asset_id, parse_run_id
from filmgate.core.progress import ProgressCallback
from filmgate.db import deliveries
from filmgate.db.connection import redact_url
from filmgate.db.deliveries import Deliveries
from filmgate.db.outbox import Outbox
from filmgate.db.result_store import PostgresResults
from filmgate.store.home import Home
from filmgate.store.run_directory import HEAD, FolderRun
from filmgate.sync.archive import ArchiveIngestor
from filmgate.sync.consumer import Consumer
from filmgate.sync.publish import make_announcement, publish_run
from filmgate.sync.screenalytics import ScreenalyticsIngestor
from filmgate.sync.subscription import Subscription
from filmgate.wiring.artifact_types import registry
from filmgate.wiring.clock import utc_now
from filmgate.wiring.database import Database
from filmgate.wiring.pipelines import summaries_of
from filmgate.wiring.settings import Settings
from filmgate.wiring.stores import create_cached_opener, open_store

OutcomeCallback = Callable[[SyncOutcome], None]
"""Called with the outcome of each manifest."""

OUTBOX = "outbox"
MAX_PAUSE_S = 60.0
"""Longest pause after an error, in seconds; each pause is twice as long as the one before."""

STAGES = {"screenalytics": "sync_screenalytics", "archive": "ingest"}
"""Name of the consumer stage, by kind of consumer."""


class Sync:
    """Publishes runs of this installation, and ingests published runs into its database."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = Home(settings.home.expanduser())
        self._database = Database(settings)

    def publish(
        self,
        reference: str,
        to: str | None,
        report_progress: ProgressCallback,
        *,
        announce: bool = True,
    ) -> PublishedAnswer:
        """Copy a completed run to a store, seal it, and announce it in the outbox.

        A repeated call completes an interrupted copy. `to` is the address of the store; the default
        is the setting `publish_to`. Raises Unavailable also if the run was copied completely but
        could not be announced.
        """
        place = to or self._settings.publish_to
        if place is None:
            raise UsageError(
                "the target of the publication is missing",
                expected="--to s3://bucket/prefix, or --to FOLDER",
                got="neither that nor FILMGATE_PUBLISH_TO",
            )
        run = self._home.find(reference)
        store = open_store(self._settings, place, make=True)
        concurrency = self._settings.sync_concurrency
        published = publish_run(run, store, utc_now, report_progress, concurrency=concurrency)
        if not announce:
            return published
        try:
            self._announce(run, published)
        except Unavailable as error:
            raise Unavailable(
                f"the run was published to {published.source}, but could not be announced",
                expected=error.expected,
                got=error.got or error.message,
                hint="Publish the run again when the database is available; its files are complete",
            ) from error
        return published.model_copy(update={"is_announced": True})

    def run_once(
        self,
        source: str | None,
        kind: str,
        report_outcome: OutcomeCallback,
        *,
        retry: bool,
        dry_run: bool,
    ) -> SyncAnswer:
        """Ingest all runs that are published now.

        With `dry_run`, each run is ingested in a transaction that is rolled back. With `retry`,
        refused manifests are ingested again.
        """
        noticed, outcomes = 0, []
        with (
            self._database.session() as connection,
            self._subscribe(connection, source, kind) as subscription,
        ):
            if retry and not dry_run:
                subscription.retry()
            steps = subscription.dry_run(retry=retry) if dry_run else subscription.run()
            for count, outcome in steps:
                noticed += count
                if outcome is not None:
                    outcomes.append(outcome)
                    report_outcome(outcome)
            known = subscription.count_known()
        return SyncAnswer(
            stage=STAGES[kind],
            source=subscription.name,
            noticed=noticed,
            known=known,
            outcomes=tuple(outcomes),
            is_dry_run=dry_run,
        )

    def follow(
        self,
        source: str | None,
        kind: str,
        report_outcome: OutcomeCallback,
        report_error: Callable[[FilmgateError, float], None],
        *,
        retry: bool,
    ) -> None:
        """Ingest published runs, and later runs when they are published, until interrupted.

        If the database or the store is unavailable, the call retries. A store that refuses access
        or no longer exists is retried only if it was read before. `report_error` is called with
        each such error and the seconds until the next attempt.
        """
        pause = self._settings.sync_poll_s
        retryable: tuple[type[FilmgateError], ...] = (Unavailable, Conflict)
        while True:
            try:
                with (
                    self._database.session() as connection,
                    self._subscribe(connection, source, kind) as subscription,
                ):
                    subscription.listen()
                    if retry:
                        subscription.retry()
                        retry = False
                    while True:
                        for _, outcome in subscription.run():
                            if outcome is not None:
                                report_outcome(outcome)
                        pause = self._settings.sync_poll_s
                        retryable = (Unavailable, Conflict, NotFound, NotPermitted)
                        subscription.wait(self._settings.sync_poll_s)
            except retryable as error:
                report_error(error, pause)
                time.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE_S)

    def status(self) -> SyncStatusAnswer:
        """Summarise the manifests that were ingested, are due, or were refused."""
        with self._database.session() as connection:
            return deliveries.status(connection)

    def receipts(self, reference: str) -> ReceiptsAnswer:
        """List the receipts and refusals of a run, an asset, or the run in a folder.

        Raises NotFound if there are none.
        """
        asset, run = self._parse_reference(reference)
        with self._database.session() as connection:
            answer = deliveries.receipts(connection, asset, run)
        if not answer.receipts and not answer.refusals:
            raise NotFound(
                f"no receipt of {reference!r} exists",
                expected="asset/run, a run id or an asset with an ingested manifest",
                got="nothing",
                hint="See `filmgate sync status` for the last receipts and refusals",
            )
        return answer

    def _parse_reference(self, reference: str) -> tuple[str | None, str]:
        """Return asset id and run id; the asset id is None if `reference` is a single id.
        That id may be a run id or an asset id."""
        if (Path(reference) / HEAD).is_file():
            head = self._home.find(reference).head
            return head.asset.id, head.run_id
        asset, _, run = reference.rpartition("/")
        return (parse_asset_id(asset) if asset else None, parse_run_id(run))

    def _announce(self, run: FolderRun, published: PublishedAnswer) -> None:
        """Announce a published run; create its row in the database if it was never ingested."""
        with self._database.session() as connection, connection.transaction():
            results = PostgresResults(connection, registry())
            results.begin(run.head)
            results.end(run.fold_manifest(None))
            Outbox(connection).announce(make_announcement(published))

    @contextmanager
    def _subscribe(
        self, connection: psycopg.Connection, source: str | None, kind: str
    ) -> Iterator[Subscription]:
        """Open the subscription of a consumer to a source; default: the setting `sync_source`."""
        place = source or self._settings.sync_source
        ingestor = self._create_ingestor(kind)
        deliveries = Deliveries(connection, ingestor.name)
        open_cached = create_cached_opener(self._settings)
        with ExitStack() as stack:
            consumer = stack.enter_context(
                Consumer(
                    connection,
                    ingestor,
                    open_cached,
                    concurrency=self._settings.sync_concurrency,
                    lease_s=self._settings.sync_lease_s,
                )
            )
            if place == OUTBOX:
                yield Subscription.from_outbox(connection, connection, deliveries, consumer, OUTBOX)
            elif place.startswith(("postgres://", "postgresql://")):
                other = stack.enter_context(self._database.foreign_session(place))
                name = f"outbox of {redact_url(place)}"
                yield Subscription.from_outbox(connection, other, deliveries, consumer, name)
            else:
                store = open_cached(place)
                yield Subscription.from_store(connection, store, deliveries, consumer)

    def _create_ingestor(self, kind: str) -> ScreenalyticsIngestor | ArchiveIngestor:
        if kind not in STAGES:
            raise UsageError(
                f"consumer {kind!r} is unknown",
                expected=f"one of {', '.join(STAGES)}",
                got=repr(kind),
            )
        if kind == "screenalytics":
            return ScreenalyticsIngestor(summaries_of)
        return ArchiveIngestor(registry(), summaries_of)
