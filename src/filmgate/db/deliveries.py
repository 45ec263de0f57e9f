"""Deliveries: the manifests that one consumer was told of, and what came of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
from filmgate.core.intake import (
    FIRST_RETRY_S,
    LONGEST_RETRY_S,
    Delivery,
    Notice,
    Refusal,
    retry_after,
)
from filmgate.core.publishing import Origin, run_at
from filmgate.db.queries import queries
from filmgate.db.sessions import Session

SHOWN = 20
"""So many refusals and receipts stand in an overview."""


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A delivery that was taken in: whose run it is, and by which manifest."""

    delivery: Delivery
    run: Mapping[str, str]
    manifest_sha256: str


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

    def notice(self, notices: Sequence[Notice]) -> int:
        """Note what a feed brings; how many of them were not known. Known ones change nothing,
        unless they have other bytes, or are announced with another digest, than before."""
        if not notices:
            return 0
        sql, asked = queries("sync"), self._stage | {"noticed": Jsonb(_rows(notices))}
        count = self._session.do(sql["notice"], asked)
        if any(each.mark is not None for each in notices):
            self._session.do(sql["notice_marks"], asked)
        if any(each.announced_sha256 is not None for each in notices):
            self._session.do(sql["notice_announced"], asked)
        return count

    def unseen(self, notices: Sequence[Notice]) -> list[Delivery]:
        """What of it would be noticed; nothing is written."""
        asked = self._stage | {"noticed": Jsonb(_rows(notices))}
        return [_delivery(row) for row in self._session.all(queries("sync")["unseen"], asked)]

    def due(self, source: str | None, *, retry: bool) -> list[Delivery]:
        """Known ones that would be tried now, with `retry` those that were refused, too; nothing
        is written. `source` as in `claim`."""
        asked = self._stage | {"source": source, "retry": retry}
        return [_delivery(row) for row in self._session.all(queries("sync")["due"], asked)]

    def now(self) -> datetime:
        """What the database's clock says."""
        at: datetime = self._session.need(queries("sync")["clock"], {})["now"]
        return at

    def claim(
        self, limit: int, source: str | None, *, lease_s: float, until: datetime | None
    ) -> list[Delivery]:
        """Some that are due and that nobody else is at, from one store, or of all that were
        announced; of those that were tried before, what was due at `until`. One of which a try
        did not come to an end comes alone.

        Their try is counted from now on, whatever becomes of it, and they are nobody else's for
        `lease_s`.
        """
        sql = queries("sync")["claim_announced" if source is None else "claim_of_source"]
        waits = {"lease": lease_s, "first": FIRST_RETRY_S, "longest": LONGEST_RETRY_S}
        asked = {name: timedelta(seconds=seconds) for name, seconds in waits.items()}
        for count, is_told in ((limit, True), (1, False)):
            wanted = {"source": source, "limit": count, "is_told": is_told, "until": until}
            if rows := self._session.all(sql, {**self._stage, **asked, **wanted}):
                return [_delivery(row) for row in rows]
        return []

    def hold(self, deliveries: Sequence[Delivery]) -> set[Origin]:
        """Keep others away from what was claimed until the transaction ends; those that are not
        somebody else's by now."""
        keys = [
            {
                "source": each.origin.source,
                "manifest_key": each.origin.manifest_key,
                "claims": each.claims,
            }
            for each in deliveries
        ]
        rows = self._session.all(queries("sync")["hold"], self._stage | {"keys": Jsonb(keys)})
        return {Origin(source=row["source"], manifest_key=row["manifest_key"]) for row in rows}

    def succeed(self, settled: Sequence[Settled]) -> None:
        """They were taken in, now or before."""
        if not settled:
            return
        rows = [
            {
                "source": each.delivery.origin.source,
                "manifest_key": each.delivery.origin.manifest_key,
                "manifest_sha256": each.manifest_sha256,
                **each.run,
            }
            for each in settled
        ]
        self._session.do(queries("sync")["succeed"], self._stage | {"settled": Jsonb(rows)})

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

    def known(self, source: str | None) -> int:
        """How many there are, from one store or announced."""
        row = self._session.need(queries("sync")["known"], self._stage | {"source": source})
        return int(row["count"])

    def retry(self, source: str | None) -> int:
        """Make everything due again that was refused, or taken in and deleted since; how much
        that is. `source` as in `claim`."""
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
    refused = session.all(queries("sync")["refusals"], {"limit": SHOWN})
    return SyncStatusAnswer(
        sources=tuple(SyncedSource.model_validate(row) for row in sources),
        refusals=tuple(RefusalEntry.model_validate(row) for row in refused),
        latest=tuple(ReceiptEntry.model_validate(row) for row in latest),
    )


def receipts(connection: psycopg.Connection, asset_id: str | None, name: str) -> ReceiptsAnswer:
    """What came of a run here; without an asset, of all runs or the asset of that name."""
    session = Session(connection)
    if asset_id is None:
        asked, which = {"name": name}, "of_name"
    else:
        asked, which = {"asset_id": asset_id, "run_id": name}, "of_run"
    rows = session.all(queries("receipts")[which], asked)
    refused = session.all(queries("sync")[f"refusals_{which}"], asked)
    return ReceiptsAnswer(
        receipts=tuple(ReceiptEntry.model_validate(row) for row in rows),
        refusals=tuple(RefusalEntry.model_validate(row) for row in refused),
    )


def _rows(notices: Sequence[Notice]) -> list[dict[str, str | None]]:
    """Of each manifest one."""
    rows = {}
    for each in notices:
        asset, run = run_at(each.origin.manifest_key) or (None, None)
        rows[each.origin] = {
            "source": each.origin.source,
            "manifest_key": each.origin.manifest_key,
            "mark": each.mark,
            "announced_sha256": each.announced_sha256,
            "asset_id": asset,
            "run_id": run,
        }
    return list(rows.values())


def _delivery(row: Mapping[str, Any]) -> Delivery:
    return Delivery(
        origin=Origin(source=row["source"], manifest_key=row["manifest_key"]),
        announced_sha256=row["announced_sha256"],
        attempt=row["attempt"],
        told_attempt=row["told_attempt"],
        claims=row["claims"],
    )
