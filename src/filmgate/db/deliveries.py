"""Deliveries: manifests that a source listed for a consumer stage, with their status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg.types.json import Jsonb

from filmgate.core.answers import (
    ReceiptEntry,
    ReceiptsAnswer,
    RefusalEntry,
    SyncedSource,
    SyncStatusAnswer,
)
from filmgate.core.database import Row
from filmgate.core.intake import (
    FIRST_RETRY_S,
    LONGEST_RETRY_S,
    Delivery,
    Notice,
    Refusal,
    retry_after,
)
from filmgate.core.publishing import ManifestLocation, parse_manifest_key
from filmgate.db.queries import queries
from filmgate.db.sessions import DatabaseSession

OVERVIEW_LIMIT = 20
"""Maximum number of refusals, and of receipts, in an overview."""


@dataclass(frozen=True, kw_only=True)
class Settled:
    """An ingested delivery: its run and the digest of its manifest."""

    delivery: Delivery
    run: Mapping[str, str]
    manifest_sha256: str


class Deliveries:
    """Stores the deliveries of one consumer stage, over one connection."""

    def __init__(self, connection: psycopg.Connection, stage: str) -> None:
        self._session = DatabaseSession(connection)
        self._stage = {"stage": stage}

    def position(self, source: str) -> str | None:
        """Return how far the stage has read a source; None at the beginning."""
        row = self._session.one(queries("sync")["position"], self._stage | {"source": source})
        return row["position"] or None if row else None

    def save_position(self, source: str, position: str) -> None:
        """Store how far the stage has read a source; an empty position is the beginning."""
        row = {"source": source, "position": position}
        self._session.execute(queries("sync")["save_position"], self._stage | row)

    def add_notices(self, notices: Sequence[Notice]) -> int:
        """Store the manifests that a source lists; return how many are new.

        A known manifest changes only if its bytes, or its announced digest, differ from before.
        """
        if not notices:
            return 0
        sql, parameters = queries("sync"), self._stage | {"notices": Jsonb(_rows(notices))}
        count = self._session.execute(sql["add_notices"], parameters)
        if any(notice.mark is not None for notice in notices):
            self._session.execute(sql["update_marks"], parameters)
        if any(notice.announced_sha256 is not None for notice in notices):
            self._session.execute(sql["update_announced"], parameters)
        return count

    def find_new(self, notices: Sequence[Notice]) -> list[Delivery]:
        """Return the deliveries that `add_notices` would make due; nothing is written."""
        parameters = self._stage | {"notices": Jsonb(_rows(notices))}
        return [
            _delivery(row) for row in self._session.all(queries("sync")["find_new"], parameters)
        ]

    def due(self, source: str | None, *, retry: bool) -> list[Delivery]:
        """Return known deliveries that are due, with `retry` also those that `retry` would make
        due; nothing is written. `source` as in `claim`."""
        parameters = self._stage | {"source": source, "retry": retry}
        return [_delivery(row) for row in self._session.all(queries("sync")["due"], parameters)]

    def now(self) -> datetime:
        """Return the time of the database's clock."""
        at: datetime = self._session.one_required(queries("sync")["clock"], {})["now"]
        return at

    def claim(
        self, limit: int, source: str | None, *, lease_s: float, until: datetime | None
    ) -> list[Delivery]:
        """Claim up to `limit` due deliveries for `lease_s` seconds; count an attempt at each.

        The deliveries are those of `source`, or without `source` those of all announced manifests.
        Deliveries that were attempted before must have been due at `until`. A delivery whose last
        attempt did not end is claimed alone, and only if no other delivery is due.
        """
        sql = queries("sync")["claim_announced" if source is None else "claim_of_source"]
        waits = {"lease": lease_s, "first": FIRST_RETRY_S, "longest": LONGEST_RETRY_S}
        intervals = {name: timedelta(seconds=seconds) for name, seconds in waits.items()}
        for count, has_ended in ((limit, True), (1, False)):
            choice = {"source": source, "limit": count, "has_ended": has_ended, "until": until}
            if rows := self._session.all(sql, {**self._stage, **intervals, **choice}):
                return [_delivery(row) for row in rows]
        return []

    def lock(self, deliveries: Sequence[Delivery]) -> set[ManifestLocation]:
        """Lock claimed deliveries until the transaction ends; return the locations of those that
        no other consumer has claimed since."""
        keys = [
            {
                "source": delivery.origin.source,
                "manifest_key": delivery.origin.manifest_key,
                "claims": delivery.claims,
            }
            for delivery in deliveries
        ]
        rows = self._session.all(queries("sync")["lock"], self._stage | {"keys": Jsonb(keys)})
        return {
            ManifestLocation(source=row["source"], manifest_key=row["manifest_key"]) for row in rows
        }

    def succeed(self, settled: Sequence[Settled]) -> None:
        """Record that deliveries were ingested, in this call or an earlier one."""
        if not settled:
            return
        rows = [
            {
                "source": ingested.delivery.origin.source,
                "manifest_key": ingested.delivery.origin.manifest_key,
                "manifest_sha256": ingested.manifest_sha256,
                **ingested.run,
            }
            for ingested in settled
        ]
        self._session.execute(queries("sync")["succeed"], self._stage | {"settled": Jsonb(rows)})

    def fail(
        self,
        delivery: Delivery,
        refusal: Refusal,
        run: Mapping[str, str] | None,
        manifest_sha256: str | None,
    ) -> datetime | None:
        """Record that a delivery was refused; return when it is due again, or None for never."""
        row = self._session.one_required(
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

    def count(self, source: str | None) -> int:
        """Count the known deliveries. `source` as in `claim`."""
        row = self._session.one_required(queries("sync")["count"], self._stage | {"source": source})
        return int(row["count"])

    def retry(self, source: str | None) -> int:
        """Make all deliveries due that were refused, or whose run was deleted after the ingest;
        return how many. `source` as in `claim`."""
        return self._session.execute(queries("sync")["retry"], self._stage | {"source": source})

    def _row(self, delivery: Delivery) -> Row:
        return self._stage | {
            "source": delivery.origin.source,
            "manifest_key": delivery.origin.manifest_key,
            "attempt": delivery.attempt,
        }


def status(connection: psycopg.Connection) -> SyncStatusAnswer:
    """Return the state of all consumers: sources, latest refusals and latest receipts."""
    session = DatabaseSession(connection)
    sources = session.all(queries("sync")["overview"], {})
    latest = session.all(queries("receipts")["latest"], {"limit": OVERVIEW_LIMIT})
    refused = session.all(queries("sync")["refusals"], {"limit": OVERVIEW_LIMIT})
    return SyncStatusAnswer(
        sources=tuple(SyncedSource.model_validate(row) for row in sources),
        refusals=tuple(RefusalEntry.model_validate(row) for row in refused),
        latest=tuple(ReceiptEntry.model_validate(row) for row in latest),
    )


def receipts(connection: psycopg.Connection, asset_id: str | None, name: str) -> ReceiptsAnswer:
    """List the receipts and refusals of a run.

    Without an asset, those of all runs whose run id or asset id is `name`.
    """
    session = DatabaseSession(connection)
    if asset_id is None:
        parameters, which = {"name": name}, "of_name"
    else:
        parameters, which = {"asset_id": asset_id, "run_id": name}, "of_run"
    rows = session.all(queries("receipts")[which], parameters)
    refused = session.all(queries("sync")[f"refusals_{which}"], parameters)
    return ReceiptsAnswer(
        receipts=tuple(ReceiptEntry.model_validate(row) for row in rows),
        refusals=tuple(RefusalEntry.model_validate(row) for row in refused),
    )


def _rows(notices: Sequence[Notice]) -> list[dict[str, str | None]]:
    """Build one row per manifest; the last notice of a manifest wins."""
    rows = {}
    for notice in notices:
        asset, run = parse_manifest_key(notice.origin.manifest_key) or (None, None)
        rows[notice.origin] = {
            "source": notice.origin.source,
            "manifest_key": notice.origin.manifest_key,
            "mark": notice.mark,
            "announced_sha256": notice.announced_sha256,
            "asset_id": asset,
            "run_id": run,
        }
    return list(rows.values())


def _delivery(row: Row) -> Delivery:
    return Delivery(
        origin=ManifestLocation(source=row["source"], manifest_key=row["manifest_key"]),
        announced_sha256=row["announced_sha256"],
        attempt=row["attempt"],
        last_ended_attempt=row["told_attempt"],
        claims=row["claims"],
    )
