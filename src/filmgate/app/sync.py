"""Handing runs on: publishing them, and taking in what others published."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filmgate.app.artifact_types import registry
from filmgate.app.clock import utc_now
from filmgate.app.database import Database
from filmgate.app.settings import Settings
from filmgate.app.stores import open_store, stores
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
from filmgate.store.home import Home
from filmgate.store.run_directory import HEAD

if TYPE_CHECKING:
    import psycopg

    from filmgate.store.run_directory import FolderRun
    from filmgate.sync.consumer import Stage
    from filmgate.sync.line import Line

Told = Callable[[float, float], None]
Heard = Callable[[SyncOutcome], None]
"""Hears what came of each manifest."""

OUTBOX = "outbox"
LONGEST_PAUSE_S = 60.0
AS = {"screenalytics": "sync_screenalytics", "archive": "ingest"}
"""What a consumer can be, and how its stage is called."""


class Sync:
    """Publishing and syncing with these settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = Home(settings.home.expanduser())
        self._database = Database(settings)

    def publish(
        self, reference: str, to: str | None, told: Told, *, announce: bool = True
    ) -> PublishedAnswer:
        """Put a completed run into a store, seal it, and tell of it by the outbox.

        The same again completes what was broken off. Raises Unavailable where the run lies whole
        in the store, but could not be announced.
        """
        from filmgate.sync.publish import publish_run  # heavy

        place = to or self._settings.publish_to
        if place is None:
            raise UsageError(
                "it is not said where to publish",
                expected="--to s3://bucket/prefix, or --to FOLDER",
                got="neither that nor FILMGATE_PUBLISH_TO",
            )
        run = self._home.find(reference)
        store = open_store(self._settings, place, make=True)
        concurrency = self._settings.sync_concurrency
        published = publish_run(run, store, utc_now, told, concurrency=concurrency)
        if not announce:
            return published
        try:
            self._announce(run, published)
        except Unavailable as error:
            raise Unavailable(
                f"the run lies whole in {published.source}, but could not be announced",
                expected=error.expected,
                got=error.got or error.message,
                hint="Publish it again when the database is back: only that is left to do",
            ) from error
        return published.model_copy(update={"is_announced": True})

    def once(
        self, source: str | None, kind: str, heard: Heard, *, retry: bool, dry_run: bool
    ) -> SyncAnswer:
        """Take in everything that there is now; with `dry_run` only to see what would come of it:
        each run is taken in, and that is undone at once."""
        noticed, outcomes = 0, []
        with self._database.session() as connection, self._line(connection, source, kind) as line:
            if retry and not dry_run:
                line.retry()
            for count, outcome in line.rehearse(retry=retry) if dry_run else line.run():
                noticed += count
                if outcome is not None:
                    outcomes.append(outcome)
                    heard(outcome)
            known = line.known()
        return SyncAnswer(
            stage=AS[kind],
            source=line.name,
            noticed=noticed,
            known=known,
            outcomes=tuple(outcomes),
            is_dry_run=dry_run,
        )

    def follow(
        self,
        source: str | None,
        kind: str,
        heard: Heard,
        trouble: Callable[[FilmgateError, float], None],
        *,
        retry: bool,
    ) -> None:
        """Take in what there is, and then whatever comes, until a signal ends it.

        A database that is away is waited for, and so is a store that is away, refuses or is gone,
        once it was looked into; `trouble` hears of it, and how many seconds later it is tried
        again.
        """
        pause = self._settings.sync_poll_s
        waited_for: tuple[type[FilmgateError], ...] = (Unavailable, Conflict)
        while True:
            try:
                with (
                    self._database.session() as connection,
                    self._line(connection, source, kind) as line,
                ):
                    line.listen()
                    if retry:
                        line.retry()
                        retry = False
                    while True:
                        for _, outcome in line.run():
                            if outcome is not None:
                                heard(outcome)
                        pause = self._settings.sync_poll_s
                        waited_for = (Unavailable, Conflict, NotFound, NotPermitted)
                        line.wait(self._settings.sync_poll_s)
            except waited_for as error:
                trouble(error, pause)
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)

    def status(self) -> SyncStatusAnswer:
        """What was taken in from elsewhere, what is to come, and what was refused."""
        from filmgate.db import deliveries  # slow

        with self._database.session() as connection:
            return deliveries.status(connection)

    def receipts(self, reference: str) -> ReceiptsAnswer:
        """What came of a run here: `reference` is asset/run, a run id, an asset, or a folder.

        Raises NotFound where nothing of it was ever taken in or refused.
        """
        from filmgate.db import deliveries  # slow

        asset, run = self._meant(reference)
        with self._database.session() as connection:
            answer = deliveries.receipts(connection, asset, run)
        if not answer.receipts and not answer.refusals:
            raise NotFound(
                f"no receipt of {reference!r}",
                expected="asset/run, a run id or an asset of which something was taken in",
                got="nothing",
                hint="`filmgate sync status` shows what came last, and what was refused",
            )
        return answer

    def _meant(self, reference: str) -> tuple[str | None, str]:
        """The asset and the run that are meant; without an asset, a name of either."""
        if (Path(reference) / HEAD).is_file():
            head = self._home.find(reference).head
            return head.asset.id, head.run_id
        asset, _, run = reference.rpartition("/")
        return (parse_asset_id(asset) if asset else None, parse_run_id(run))

    def _announce(self, run: "FolderRun", published: PublishedAnswer) -> None:
        """Mark the run as published and tell of it; a run that was never taken in gets its row."""
        from filmgate.db.outbox import Outbox
        from filmgate.db.result_store import PostgresResults
        from filmgate.sync.publish import announcement_of

        with self._database.session() as connection, connection.transaction():
            results = PostgresResults(connection, registry())
            results.begin(run.head)
            results.end(run.refold(None))
            Outbox(connection).announce(announcement_of(published))

    @contextmanager
    def _line(
        self, connection: "psycopg.Connection", source: str | None, kind: str
    ) -> "Iterator[Line]":
        """A consumer and what feeds it."""
        from filmgate.db.connection import redacted
        from filmgate.db.deliveries import Deliveries
        from filmgate.sync.consumer import Consumer
        from filmgate.sync.line import Line

        place = source or self._settings.sync_source
        stage = self._stage(kind)
        deliveries = Deliveries(connection, stage.name)
        store_at = stores(self._settings)
        with ExitStack() as stack:
            consumer = stack.enter_context(
                Consumer(
                    connection,
                    stage,
                    store_at,
                    concurrency=self._settings.sync_concurrency,
                    lease_s=self._settings.sync_lease_s,
                )
            )
            if place == OUTBOX:
                yield Line.of_outbox(connection, connection, deliveries, consumer, OUTBOX)
            elif place.startswith(("postgres://", "postgresql://")):
                other = stack.enter_context(self._database.elsewhere(place))
                name = f"outbox of {redacted(place)}"
                yield Line.of_outbox(connection, other, deliveries, consumer, name)
            else:
                store = store_at(place)
                yield Line.of_store(connection, store, deliveries, consumer)

    def _stage(self, kind: str) -> "Stage[Any]":
        from filmgate.sync.archive import SyncArchive
        from filmgate.sync.screenalytics import SyncScreenalytics

        if kind not in AS:
            raise UsageError(
                f"no consumer {kind!r}", expected=f"one of {', '.join(AS)}", got=repr(kind)
            )
        return SyncScreenalytics() if kind == "screenalytics" else SyncArchive(registry())
