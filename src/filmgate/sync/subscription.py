"""A subscription: one source of runs, and the consumer that ingests the runs from it."""

import time
from collections.abc import Iterator
from datetime import datetime

import psycopg

from filmgate.core.answers import SyncOutcome
from filmgate.core.objects import ObjectStore
from filmgate.db.deliveries import Deliveries
from filmgate.db.outbox import Outbox
from filmgate.sync.consumer import Consumer
from filmgate.sync.sources import DeliveryPage, OutboxSource, RunSource, StoreSource

LONGEST_WAIT_S = 60.0

Progress = tuple[int, SyncOutcome | None]
"""(number of new manifests, outcome of one manifest or None)."""


class Subscription:
    """A source and its consumer, over one database connection."""

    def __init__(
        self,
        connection: psycopg.Connection,
        run_source: RunSource,
        consumer: Consumer,
        deliveries: Deliveries,
        *,
        source: str | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        """Create a subscription.

        `source` is the URL of the only store whose manifests are ingested; None for all announced
        manifests. `outbox` ends a `wait` when it announces a run.
        """
        self.name = run_source.name
        self._connection = connection
        self._run_source = run_source
        self._consumer = consumer
        self._deliveries = deliveries
        self._source = source
        self._outbox = outbox
        self._poll_s = 0.0

    @classmethod
    def from_outbox(
        cls,
        connection: psycopg.Connection,
        events: psycopg.Connection,
        deliveries: Deliveries,
        consumer: Consumer,
        name: str,
    ) -> "Subscription":
        """Subscribe to an outbox; `events` is a connection to the database that contains it."""
        outbox = Outbox(events)
        run_source = OutboxSource(deliveries, outbox, name)
        return cls(connection, run_source, consumer, deliveries, outbox=outbox)

    @classmethod
    def from_store(
        cls,
        connection: psycopg.Connection,
        store: ObjectStore,
        deliveries: Deliveries,
        consumer: Consumer,
    ) -> "Subscription":
        """Subscribe to a store, which is listed on every run."""
        run_source = StoreSource(deliveries, store)
        return cls(connection, run_source, consumer, deliveries, source=store.url)

    def run(self) -> Iterator[Progress]:
        """Ingest all manifests that exist now. Earlier failures are retried at most once."""
        until = self._deliveries.now()
        self._poll_s = 0.0
        pages = self._run_source.poll()
        while (page := self._next_page(pages)) is not None:
            with self._connection.transaction():
                count = self._deliveries.add_notices(page.notices)
                self._deliveries.save_position(self.name, page.position)
            yield count, None
            yield from self._drain(until)
        yield from self._drain(until)

    def dry_run(self, *, retry: bool) -> Iterator[Progress]:
        """Yield the outcomes that `run` would have now; nothing is written."""
        for page in self._run_source.poll():
            for delivery in self._deliveries.find_new(page.notices):
                yield 1, self._consumer.dry_run(delivery)
        for delivery in self._deliveries.due(self._source, retry=retry):
            yield 0, self._consumer.dry_run(delivery)

    def count_known(self) -> int:
        """Return the total number of manifests that were found so far."""
        return self._deliveries.count(self._source)

    def retry(self) -> int:
        """Make refused manifests, and manifests of deleted runs, due again; return their number."""
        return self._deliveries.retry(self._source)

    def listen(self) -> None:
        """Start to listen for announcements; from then on, an announcement ends a `wait`."""
        if self._outbox is not None:
            self._outbox.listen()

    def wait(self, timeout_s: float) -> None:
        """Wait until a run is announced, at most `timeout_s` seconds.

        A store announces nothing: wait `timeout_s` seconds, or as long as its last listing took if
        that is longer. The time of the listing counts only up to `LONGEST_WAIT_S`.
        """
        if self._outbox is not None:
            self._outbox.wait(timeout_s)
        else:
            time.sleep(max(timeout_s, min(self._poll_s, LONGEST_WAIT_S)))

    def _next_page(self, pages: Iterator[DeliveryPage]) -> DeliveryPage | None:
        """Return the next page, or None at the end; add the time of this poll to `_poll_s`."""
        began = time.monotonic()
        page = next(pages, None)
        self._poll_s += time.monotonic() - began
        return page

    def _drain(self, until: datetime) -> Iterator[Progress]:
        while (outcomes := self._consumer.process_batch(self._source, until)) is not None:
            for outcome in outcomes:
                yield 0, outcome
