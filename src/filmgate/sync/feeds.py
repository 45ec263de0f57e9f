"""Feeds: how a consumer learns of published runs. By an outbox, or by looking into a store."""

from collections.abc import Iterator
from typing import Protocol

import psycopg

from filmgate.core.objects import ObjectStore
from filmgate.core.publishing import RUNS, Origin, is_manifest_key
from filmgate.db.deliveries import Deliveries
from filmgate.db.outbox import Outbox

EVENTS = 1000
"""Read at once."""


class Feed(Protocol):
    """Notes what there is to take in."""

    def pages(self) -> Iterator[int]:
        """Note everything that there is now, a page at a time; how many were not known.

        Each page is noted in a transaction, together with how far that is: whoever is killed
        goes on from there.
        """


class OutboxFeed:
    """The events of an outbox, each once."""

    def __init__(
        self, connection: psycopg.Connection, deliveries: Deliveries, outbox: Outbox, name: str
    ) -> None:
        """`name`: what the outbox is remembered by. It may be in another database."""
        self._connection = connection
        self._deliveries = deliveries
        self._outbox = outbox
        self._name = name

    def pages(self) -> Iterator[int]:
        """The events since the last one that was noted."""
        while True:
            with self._connection.transaction():
                after = int(self._deliveries.position(self._name) or 0)
                events = self._outbox.after(after, EVENTS)
                noticed = [(each.origin, None, each.manifest_sha256) for each in events]
                count = self._deliveries.notice(noticed)
                if events:
                    self._deliveries.move(self._name, str(events[-1].event_id))
            if not events:
                return
            yield count


class StoreFeed:
    """The manifests in a store: all of them each time, known ones at no cost but the listing."""

    def __init__(
        self, connection: psycopg.Connection, deliveries: Deliveries, store: ObjectStore
    ) -> None:
        self._connection = connection
        self._deliveries = deliveries
        self._store = store

    def pages(self) -> Iterator[int]:
        """A full round over the store. One that was broken off is gone on with from where it
        was, up to its end and then from the beginning, so that no key is left out."""
        start = self._deliveries.position(self._store.url)
        yield from self._stretch(start, None)
        if start is not None:
            yield from self._stretch(None, start)
        self._deliveries.move(self._store.url, "")

    def _stretch(self, after: str | None, until: str | None) -> Iterator[int]:
        for page in self._store.pages(RUNS, after):
            found = [
                (Origin(source=self._store.url, manifest_key=entry.key), entry.mark, None)
                for entry in page
                if is_manifest_key(entry.key) and (until is None or entry.key <= until)
            ]
            with self._connection.transaction():
                count = self._deliveries.notice(found)
                self._deliveries.move(self._store.url, page[-1].key)
            yield count
            if until is not None and page[-1].key > until:
                return
