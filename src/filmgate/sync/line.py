"""A line: one feed, and the consumer that takes in what it brings."""

import time
from collections.abc import Iterator

import psycopg

from filmgate.core.answers import SyncOutcome
from filmgate.core.objects import ObjectStore
from filmgate.db.deliveries import Deliveries
from filmgate.db.outbox import Outbox
from filmgate.sync.consumer import Consumer
from filmgate.sync.feeds import Feed, OutboxFeed, StoreFeed


class Line:
    """Over one connection."""

    def __init__(
        self,
        name: str,
        feed: Feed,
        consumer: Consumer,
        deliveries: Deliveries,
        *,
        source: str | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        """`source`: the only store whose manifests are taken in; None for all that are known."""
        self.name = name
        self._feed = feed
        self._consumer = consumer
        self._deliveries = deliveries
        self._source = source
        self._outbox = outbox

    @classmethod
    def of_outbox(
        cls,
        connection: psycopg.Connection,
        events: psycopg.Connection,
        deliveries: Deliveries,
        consumer: Consumer,
        name: str,
    ) -> "Line":
        """Fed by an outbox, in this database or in another."""
        outbox = Outbox(events)
        feed = OutboxFeed(connection, deliveries, outbox, name)
        return cls(name, feed, consumer, deliveries, outbox=outbox)

    @classmethod
    def of_store(
        cls,
        connection: psycopg.Connection,
        store: ObjectStore,
        deliveries: Deliveries,
        consumer: Consumer,
    ) -> "Line":
        """Fed by looking into a store."""
        feed = StoreFeed(connection, deliveries, store)
        return cls(store.url, feed, consumer, deliveries, source=store.url)

    def run(self) -> Iterator[tuple[int, SyncOutcome | None]]:
        """Take in all that there is now: how many manifests were new, and what came of each."""
        for count in self._feed.pages():
            yield count, None
            yield from self._drain()
        yield from self._drain()

    def retry(self) -> int:
        """Take in again what was refused, too."""
        return self._deliveries.retry(self._source)

    def listen(self) -> None:
        """From now on, what is announced ends a wait."""
        if self._outbox is not None:
            self._outbox.listen()

    def wait(self, timeout_s: float) -> None:
        """Until something is announced, or so long."""
        if self._outbox is not None:
            self._outbox.wait(timeout_s)
        else:
            time.sleep(timeout_s)

    def _drain(self) -> Iterator[tuple[int, SyncOutcome]]:
        while outcomes := self._consumer.work(self._source):
            for outcome in outcomes:
                yield 0, outcome
