"""Feeds: how a consumer learns of published runs. By an outbox, or by looking into a store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from filmgate.core.intake import Notice
from filmgate.core.objects import ObjectEntry, ObjectStore
from filmgate.core.publishing import RUNS, Origin, run_at
from filmgate.db.deliveries import Deliveries
from filmgate.db.outbox import Outbox

EVENTS = 1000
"""Read at once."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a feed brings at once, and where it is then."""

    notices: Sequence[Notice]
    position: str


class Feed(Protocol):
    """Tells of what there is to take in."""

    @property
    def name(self) -> str:
        """What its position is remembered by."""

    def pages(self) -> Iterator[Page]:
        """Everything that there is now and was not told yet, a page at a time.

        Whoever notes a page and its position in one transaction can be killed anywhere.
        """


class OutboxFeed:
    """The events of an outbox, each once."""

    def __init__(self, deliveries: Deliveries, outbox: Outbox, name: str) -> None:
        self.name = name
        self._deliveries = deliveries
        self._outbox = outbox

    def pages(self) -> Iterator[Page]:
        """The events since the last one that was noted. An outbox that is behind that was made
        anew: it is read from its beginning, for nothing is taken in twice."""
        after = int(self._deliveries.position(self.name) or 0)
        if self._outbox.newest() < after:
            after = 0
        while events := self._outbox.after(after, EVENTS):
            notices = [
                Notice(origin=each.origin, announced_sha256=each.manifest_sha256) for each in events
            ]
            after = events[-1].event_id
            yield Page(notices=notices, position=str(after))


class StoreFeed:
    """The manifests in a store: all of them each time, since keys come in no order of time."""

    def __init__(self, deliveries: Deliveries, store: ObjectStore) -> None:
        self.name = store.url
        self._deliveries = deliveries
        self._store = store

    def pages(self) -> Iterator[Page]:
        """A full round over the store. One that was broken off is gone on with from where it
        was, up to its end and then from the beginning, so that no key is left out."""
        start = self._deliveries.position(self.name)
        for entries in self._store.pages(RUNS, start):
            yield Page(notices=self._manifests(entries), position=entries[-1].key)
        if start is not None:
            for entries in self._store.pages(RUNS):
                early = [each for each in entries if each.key <= start]
                if early:
                    yield Page(notices=self._manifests(early), position=early[-1].key)
                if len(early) < len(entries):
                    break
        yield Page(notices=(), position="")

    def _manifests(self, entries: Sequence[ObjectEntry]) -> list[Notice]:
        return [
            Notice(origin=Origin(source=self.name, manifest_key=entry.key), mark=entry.mark)
            for entry in entries
            if run_at(entry.key) is not None
        ]
