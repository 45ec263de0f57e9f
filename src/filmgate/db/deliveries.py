"""Deliveries: the manifests that one consumer was told of, and what came of them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from filmgate.core.answers import (
    ReceiptEntry,
    ReceiptsAnswer,
    RefusalEntry,
    SyncedSource,
    SyncStatusAnswer,
)
from filmgate.core.intake import Delivery, Refusal, retry_after
from filmgate.core.publishing import Origin
from filmgate.db.queries import queries
from filmgate.db.receipts import receipts_of
from filmgate.db.sessions import Session

SHOWN = 20
"""So many refusals and receipts stand in an overview."""


class Deliveries:
    """Those of one consumer stage, over one connection."""

    def __init__(self, connection: psycopg.Connection, stage: str) -> None:
        self._session = Session(connection)
        self._stage = {"stage": stage}

    def position(self, source: str) -> str | None:
        """How far the stage has read a source; None where it begins."""
        row = self._session.one(queries("sync")["position"], self._stage | {"source": source})
        return row["position"] or None if row else None

    def move(self, source: str, position: str) -> None:
        """Remember how far; an empty position is the beginning."""
        mark = {"source": source, "position": position}
        self._session.do(queries("sync")["move"], self._stage | mark)

    def notice(self, noticed: Iterable[tuple[Origin, str | None, str | None]]) -> int:
        """Note manifests with what a listing says of their bytes, or what was announced; those
        that are due now and were not before are counted. Known ones change nothing."""
        rows = {
            origin: {
                "source": origin.source,
                "manifest_key": origin.manifest_key,
                "mark": mark,
                "announced_sha256": announced,
            }
            for origin, mark, announced in noticed
        }
        if not rows:
            return 0
        asked = self._stage | {"noticed": Jsonb(list(rows.values()))}
        sql = queries("sync")
        return self._session.do(sql["notice"], asked) + self._session.do(sql["notice_again"], asked)

    def claim(self, limit: int, source: str | None) -> list[Delivery]:
        """Some that are due and that nobody else is at; they are the caller's until the
        transaction ends."""
        asked = self._stage | {"limit": limit, "source": source}
        return [
            Delivery(
                origin=Origin(source=row["source"], manifest_key=row["manifest_key"]),
                announced_sha256=row["announced_sha256"],
                attempt=row["attempt"],
            )
            for row in self._session.all(queries("sync")["claim"], asked)
        ]

    def succeed(self, delivery: Delivery, run: Mapping[str, str], manifest_sha256: str) -> None:
        """It was taken in, now or before."""
        told = {**run, "manifest_sha256": manifest_sha256}
        self._session.do(queries("sync")["succeed"], self._row(delivery) | told)

    def fail(
        self,
        delivery: Delivery,
        refusal: Refusal,
        run: Mapping[str, str] | None,
        manifest_sha256: str | None,
    ) -> datetime | None:
        """It was refused; when it is due again, if ever."""
        row = self._session.need(
            queries("sync")["fail"],
            self._row(delivery)
            | {"producer": None, "asset_id": None, "run_id": None, **(run or {})}
            | {
                "manifest_sha256": manifest_sha256,
                "error_details": Jsonb(refusal.model_dump(mode="json")),
                "retry_after": retry_after(refusal, delivery.attempt),
            },
        )
        at: datetime | None = row["next_attempt_at"]
        return at

    def retry(self, source: str | None) -> int:
        """Make everything due again that was refused; how much that is."""
        return self._session.do(queries("sync")["retry"], self._stage | {"source": source})

    def _row(self, delivery: Delivery) -> dict[str, Any]:
        return self._stage | {
            "source": delivery.origin.source,
            "manifest_key": delivery.origin.manifest_key,
            "attempt": delivery.attempt,
        }


def status(connection: psycopg.Connection) -> SyncStatusAnswer:
    """How far all consumers are."""
    session = Session(connection)
    sources = session.all(queries("sync")["overview"], {})
    latest = session.all(queries("receipts")["latest"], {"limit": SHOWN})
    return SyncStatusAnswer(
        sources=tuple(SyncedSource.model_validate(row) for row in sources),
        refusals=_refusals(session, None, None, SHOWN),
        latest=tuple(ReceiptEntry.model_validate(row) for row in latest),
    )


def receipts(connection: psycopg.Connection, asset_id: str, run_id: str) -> ReceiptsAnswer:
    """What came of a run here; without an asset, of all runs or the asset called `run_id`."""
    session = Session(connection)
    return ReceiptsAnswer(
        receipts=receipts_of(session, asset_id, run_id),
        refusals=_refusals(session, asset_id, run_id, None),
    )


def _refusals(
    session: Session, asset_id: str | None, run_id: str | None, limit: int | None
) -> tuple[RefusalEntry, ...]:
    asked = {"asset_id": asset_id, "run_id": run_id, "limit": limit}
    rows = session.all(queries("sync")["refusals"], asked)
    return tuple(RefusalEntry.model_validate(row) for row in rows)
