"""The outbox: published runs, in the order in which that became known."""

from typing import NamedTuple

import psycopg

from filmgate.core.publishing import Announcement, Origin
from filmgate.db.queries import queries
from filmgate.db.sessions import Session

CHANNEL = "filmgate_outbox"


class Event(NamedTuple):
    """A published run, as the outbox tells of it."""

    event_id: int
    origin: Origin
    manifest_sha256: str


class Outbox:
    """Over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._session = Session(connection)

    def announce(self, told: Announcement) -> bool:
        """Mark a run as published and tell of it, in one transaction; False where that was done
        before."""
        sql = queries("sync")
        row = {
            "producer": told.producer,
            "asset_id": told.asset_id,
            "run_id": told.run_id,
            "source": told.origin.source,
            "manifest_key": told.origin.manifest_key,
            "manifest_sha256": told.manifest_sha256,
        }
        with self._connection.transaction():
            self._session.do(sql["lock_outbox"], {})
            self._session.do(sql["mark_published"], row)
            event = self._session.one(sql["announce"], row)
            if event is not None:
                self._session.do(sql["notify"], event)
        return event is not None

    def after(self, event_id: int, limit: int) -> list[Event]:
        """The events that follow one, in order, so many at most."""
        asked = {"after": event_id, "limit": limit}
        return [
            Event(
                row["event_id"],
                Origin(source=row["source"], manifest_key=row["manifest_key"]),
                row["manifest_sha256"],
            )
            for row in self._session.all(queries("sync")["events"], asked)
        ]

    def newest(self) -> int:
        """The number of the last event; 0 where there is none."""
        row = self._session.need(queries("sync")["newest"], {})
        return int(row["event_id"])

    def listen(self) -> None:
        """Hear from now on when something is announced."""
        self._connection.execute(f"listen {CHANNEL}")

    def wait(self, timeout_s: float) -> None:
        """Wait until something is announced, or so long."""
        for _ in self._connection.notifies(timeout=timeout_s, stop_after=1):
            pass
