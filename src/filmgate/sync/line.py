"""A line: one feed, and the consumer that takes in what it brings."""

import time
from collections.abc import Iterator
from datetime import datetime

import psycopg

from filmgate.core.answers import SyncOutcome
from filmgate.core.objects import ObjectStore
from filmgate.db.deliveries import Deliveries
from filmgate.db.outbox import Outbox
from filmgate.sync.consumer import Consumer
from filmgate.sync.feeds import Feed, OutboxFeed, Page, StoreFeed

LONGEST_WAIT_S = 60.0

Told = tuple[int, SyncOutcome | None]
"""How many manifests were new, or what came of one."""


class Line:
    """Over one connection."""

    def __init__(
        self,
        connection: psycopg.Connection,
        feed: Feed,
        consumer: Consumer,
        deliveries: Deliveries,
        *,
        source: str | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        """`source`: the only store whose manifests are taken in; None for all announced ones."""
        self.name = feed.name
        self._connection = connection
        self._feed = feed
        self._consumer = consumer
        self._deliveries = deliveries
        self._source = source
        self._outbox = outbox
        self._look_s = 0.0

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
        feed = OutboxFeed(deliveries, outbox, name)
        return cls(connection, feed, consumer, deliveries, outbox=outbox)

    @classmethod
    def of_store(
        cls,
        connection: psycopg.Connection,
        store: ObjectStore,
        deliveries: Deliveries,
        consumer: Consumer,
    ) -> "Line":
        """Fed by looking into a store."""
        feed = StoreFeed(deliveries, store)
        return cls(connection, feed, consumer, deliveries, source=store.url)

    def run(self) -> Iterator[Told]:
        """Take in all that there is now. What was tried before is tried once at most."""
        until = self._deliveries.now()
        self._look_s = 0.0
        pages = self._feed.pages()
        while (page := self._look(pages)) is not None:
            with self._connection.transaction():
                count = self._deliveries.notice(page.notices)
                self._deliveries.move(self.name, page.position)
            yield count, None
            yield from self._drain(until)
        yield from self._drain(until)

    def rehearse(self, *, retry: bool) -> Iterator[Told]:
        """What would come of all that there is now; nothing is written."""
        for page in self._feed.pages():
            for delivery in self._deliveries.unseen(page.notices):
                yield 1, self._consumer.rehearse(delivery)
        for delivery in self._deliveries.due(self._source, retry=retry):
            yield 0, self._consumer.rehearse(delivery)

    def known(self) -> int:
        """How many manifests were ever seen."""
        return self._deliveries.known(self._source)

    def retry(self) -> int:
        """Take in again what was refused, or deleted since, too."""
        return self._deliveries.retry(self._source)

    def listen(self) -> None:
        """From now on, what is announced ends a wait."""
        if self._outbox is not None:
            self._outbox.listen()

    def wait(self, timeout_s: float) -> None:
        """Until something is announced, or so long; before another look into a store, as long as
        the last look took, a minute at most."""
        if self._outbox is not None:
            self._outbox.wait(timeout_s)
        else:
            time.sleep(max(timeout_s, min(self._look_s, LONGEST_WAIT_S)))

    def _look(self, pages: Iterator[Page]) -> Page | None:
        """The next page; None at the end. Only looking is counted, not what comes of it."""
        began = time.monotonic()
        page = next(pages, None)
        self._look_s += time.monotonic() - began
        return page

    def _drain(self, until: datetime) -> Iterator[Told]:
        while (outcomes := self._consumer.work(self._source, until)) is not None:
            for outcome in outcomes:
                yield 0, outcome
