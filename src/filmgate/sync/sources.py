"""Sources of published runs: an outbox, or a listing of an object store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from filmgate.core.intake import Notice
from filmgate.core.objects import ObjectEntry, ObjectStore
from filmgate.core.publishing import RUNS, ManifestLocation, parse_manifest_key
from filmgate.db.deliveries import Deliveries
from filmgate.db.outbox import Outbox

EVENTS_PER_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class DeliveryPage:
    """Manifests that a source has found, and its position after them."""

    notices: Sequence[Notice]
    position: str


class RunSource(Protocol):
    """Finds manifests of published runs."""

    @property
    def name(self) -> str:
        """The name under which its position is stored."""

    def poll(self) -> Iterator[DeliveryPage]:
        """Yield all manifests that exist now and are after the stored position, in pages.

        The caller stores each page and its position in one transaction; if it is then killed at any
        point, no manifest is lost.
        """


class OutboxSource:
    """Source that reads every event of an outbox once."""

    def __init__(self, deliveries: Deliveries, outbox: Outbox, name: str) -> None:
        self.name = name
        self._deliveries = deliveries
        self._outbox = outbox

    def poll(self) -> Iterator[DeliveryPage]:
        """Yield the events after the stored position.

        If the newest event is before that position, the outbox was recreated. It is then read from
        its start; no run is ingested twice.
        """
        after = int(self._deliveries.position(self.name) or 0)
        if self._outbox.newest() < after:
            after = 0
        while events := self._outbox.after(after, EVENTS_PER_PAGE):
            notices = [
                Notice(origin=event.origin, announced_sha256=event.manifest_sha256)
                for event in events
            ]
            after = events[-1].event_id
            yield DeliveryPage(notices=notices, position=str(after))


class StoreSource:
    """Source that lists the manifests in a store.

    Each poll lists all of them, because keys are not sorted by time.
    """

    def __init__(self, deliveries: Deliveries, store: ObjectStore) -> None:
        self.name = store.url
        self._deliveries = deliveries
        self._store = store

    def poll(self) -> Iterator[DeliveryPage]:
        """List the whole store.

        After an interruption, the listing first resumes at its position and runs to the end. Then
        it runs from the start to that position, so that no key is left out.
        """
        start = self._deliveries.position(self.name)
        for entries in self._store.pages(RUNS, start):
            yield DeliveryPage(notices=self._find_manifests(entries), position=entries[-1].key)
        if start is not None:
            for entries in self._store.pages(RUNS):
                early = [entry for entry in entries if entry.key <= start]
                if early:
                    notices = self._find_manifests(early)
                    yield DeliveryPage(notices=notices, position=early[-1].key)
                if len(early) < len(entries):
                    break
        yield DeliveryPage(notices=(), position="")

    def _find_manifests(self, entries: Sequence[ObjectEntry]) -> list[Notice]:
        return [
            Notice(
                origin=ManifestLocation(source=self.name, manifest_key=entry.key), mark=entry.mark
            )
            for entry in entries
            if parse_manifest_key(entry.key) is not None
        ]
