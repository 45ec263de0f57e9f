"""The outbox: announcements of published runs, in the order in which they were made."""

from typing import NamedTuple

import psycopg

from filmgate.core.publishing import Announcement, ManifestLocation
from filmgate.db.queries import queries
from filmgate.db.sessions import DatabaseSession

CHANNEL = "filmgate_outbox"


class OutboxEvent(NamedTuple):
    """The announcement of a published run."""

    event_id: int
    origin: ManifestLocation
    manifest_sha256: str


class Outbox:
    """The outbox over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._session = DatabaseSession(connection)

    def announce(self, announcement: Announcement) -> bool:
        """Mark a run as published and announce it, in one transaction; return False if it was
        announced before."""
        sql = queries("sync")
        row = {
            "producer": announcement.producer,
            "asset_id": announcement.asset_id,
            "run_id": announcement.run_id,
            "source": announcement.origin.source,
            "manifest_key": announcement.origin.manifest_key,
            "manifest_sha256": announcement.manifest_sha256,
        }
        with self._connection.transaction():
            self._session.execute(sql["lock_outbox"], {})
            self._session.execute(sql["mark_published"], row)
            event = self._session.one(sql["announce"], row)
            if event is not None:
                self._session.execute(sql["notify"], event)
        return event is not None

    def after(self, event_id: int, limit: int) -> list[OutboxEvent]:
        """List up to `limit` events after `event_id`, by ascending number."""
        parameters = {"after": event_id, "limit": limit}
        return [
            OutboxEvent(
                row["event_id"],
                ManifestLocation(source=row["source"], manifest_key=row["manifest_key"]),
                row["manifest_sha256"],
            )
            for row in self._session.all(queries("sync")["events"], parameters)
        ]

    def newest(self) -> int:
        """Return the number of the last event; 0 if the outbox is empty."""
        row = self._session.one_required(queries("sync")["newest"], {})
        return int(row["event_id"])

    def listen(self) -> None:
        """Receive notifications of announcements from now on."""
        self._connection.execute(f"listen {CHANNEL}")

    def wait(self, timeout_s: float) -> None:
        """Wait until a run is announced, or for `timeout_s` seconds."""
        for _ in self._connection.notifies(timeout=timeout_s, stop_after=1):
            pass
