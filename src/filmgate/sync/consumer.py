"""The consumer: claims deliveries, reads their runs from stores, and ingests each exactly once."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

import psycopg

from filmgate.core.answers import Receipt, SyncOutcome
from filmgate.core.errors import FilmgateError
from filmgate.core.intake import Delivery, Refusal
from filmgate.core.objects import ObjectStore
from filmgate.core.receipts import identity_of
from filmgate.db.connection import is_server_error, translate_error
from filmgate.db.deliveries import Deliveries, Settled
from filmgate.db.statistics import refresh_statistics
from filmgate.sync.published_run import VerifiedManifest, read_manifest

Fetched = TypeVar("Fetched")

BATCH_FACTOR = 4
"""A transaction ingests up to this number times the manifests that are fetched concurrently. It
ingests several, because a commit costs as much as the rows of a run."""


class Ingestor(Protocol[Fetched]):
    """Port for one kind of ingest: which data of a run is read, and which rows are written."""

    @property
    def name(self) -> str:
        """Name of the stage in receipts and in `pipeline.run_stages`."""

    @property
    def is_small(self) -> bool:
        """Whether the fetched data of several runs fits in memory.

        If it does, one transaction may ingest several runs.
        """

    def fetch(self, verified: VerifiedManifest) -> Fetched:
        """Read the data of a run without the database; called in several threads."""

    def prepare(self, connection: psycopg.Connection, fetched: Fetched) -> None:
        """Prepare the database for the rows, in separate transactions."""

    def ingest(self, connection: psycopg.Connection, fetched: Fetched) -> Receipt:
        """Write the rows of a run, in a transaction of the caller. Idempotent."""


@dataclass(kw_only=True)
class DeliveryAttempt:
    """One attempt to ingest a delivery."""

    delivery: Delivery
    verified: VerifiedManifest | None = None
    fetched: Any = None
    error: FilmgateError | None = None
    settled: Settled | None = None
    """Set once the run is ingested."""

    @property
    def sort_key(self) -> tuple[str, ...]:
        """Sort key of the runs in a transaction; the same in all consumers, to avoid deadlocks."""
        run = identity_of(self.verified.manifest) if self.verified else {}
        return (*run.values(), self.delivery.origin.manifest_key)


class Consumer:
    """A context manager that ingests deliveries with one `Ingestor`, over one connection."""

    def __init__(
        self,
        connection: psycopg.Connection,
        ingestor: Ingestor[Any],
        store_at: Callable[[str], ObjectStore],
        *,
        concurrency: int,
        lease_s: float,
    ) -> None:
        """Create a consumer.

        `store_at` opens the store at a URL. `concurrency` is the number of manifests that are
        fetched at once; a transaction ingests `BATCH_FACTOR` times as many if they are small, else
        one. `lease_s` must exceed the time to read a batch; after that time, other consumers claim
        the deliveries of a consumer that died.
        """
        self._connection = connection
        self._ingestor = ingestor
        self._store_at = store_at
        self._lease_s = lease_s
        self._limit = concurrency * BATCH_FACTOR if ingestor.is_small else 1
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="fetch")
        self._deliveries = Deliveries(connection, ingestor.name)
        self._next_batch: list[Future[DeliveryAttempt]] = []

    def __enter__(self) -> "Consumer":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def process_batch(
        self, source: str | None, until: datetime | None = None
    ) -> list[SyncOutcome] | None:
        """Ingest a batch of due deliveries.

        `source` is the store whose deliveries are ingested; None for all announced deliveries.
        `until` excludes retries that become due after this time (None: now). Returns the outcomes,
        without those of deliveries that another consumer has claimed meanwhile; None if no
        delivery is due.

        An attempt is counted before it is made. Of a refused run, only the reason is stored. If the
        database fails, nothing is changed, and the same deliveries are soon due again.
        """
        batch = self._next_batch or self._start_batch(source, until)
        if not batch:
            return None
        self._next_batch = self._start_batch(source, until) if self._ingestor.is_small else []
        attempts = sorted(
            (future.result() for future in batch), key=lambda attempt: attempt.sort_key
        )
        for attempt in attempts:
            self._prepare(attempt)
        try:
            outcomes = self._settle_batch(attempts, in_savepoints=not self._ingestor.is_small)
        except BatchFailed:
            outcomes = self._settle_batch(attempts, in_savepoints=True)
        refresh_statistics(self._connection)
        return outcomes

    def dry_run(self, delivery: Delivery) -> SyncOutcome:
        """Return the outcome that a delivery would have: ingest it, then roll back."""
        attempt = self._start_attempt(delivery)
        with self._connection.transaction(force_rollback=True):
            self._prepare(attempt)
            return self._settle(attempt, is_dry_run=True)

    def _settle_batch(
        self, attempts: Sequence[DeliveryAttempt], *, in_savepoints: bool
    ) -> list[SyncOutcome]:
        """Settle the deliveries that this consumer can lock, in one transaction.

        With `in_savepoints`, each delivery has its own savepoint; without, the transaction is
        faster, but fails if one delivery fails.
        """
        with self._connection.transaction():
            locked = self._deliveries.lock([attempt.delivery for attempt in attempts])
            locked_attempts = [attempt for attempt in attempts if attempt.delivery.origin in locked]
            outcomes = [self._settle(a, in_savepoint=in_savepoints) for a in locked_attempts]
            self._deliveries.succeed([a.settled for a in locked_attempts if a.settled is not None])
        return outcomes

    def _start_batch(
        self, source: str | None, until: datetime | None
    ) -> list[Future[DeliveryAttempt]]:
        """Claim a batch, and start to read it in threads."""
        lease_s = self._lease_s
        claimed = self._deliveries.claim(self._limit, source, lease_s=lease_s, until=until)
        return [self._pool.submit(self._start_attempt, delivery) for delivery in claimed]

    def _prepare(self, attempt: DeliveryAttempt) -> None:
        if attempt.error is None:
            self._try(attempt, lambda a: self._ingestor.prepare(self._connection, a.fetched))

    def _start_attempt(self, delivery: Delivery) -> DeliveryAttempt:
        """Read a manifest and its data; an error is stored in the attempt."""
        attempt = DeliveryAttempt(delivery=delivery)
        if delivery.is_poison:
            attempt.error = _poison_error(delivery)
        else:
            self._try(attempt, self._read)
        return attempt

    def _read(self, attempt: DeliveryAttempt) -> None:
        store = self._store_at(attempt.delivery.origin.source)
        attempt.verified = read_manifest(store, attempt.delivery)
        attempt.fetched = self._ingestor.fetch(attempt.verified)

    def _try(self, attempt: DeliveryAttempt, work: Callable[[DeliveryAttempt], None]) -> bool:
        """Do one step of an attempt; return whether it succeeded.

        An error is stored in the attempt, so that one bad manifest does not stop the others. Only
        an error of the database server is raised.
        """
        try:
            work(attempt)
        except FilmgateError as error:
            attempt.error = error
        except psycopg.Error as error:
            if is_server_error(error):
                raise
            attempt.error = translate_error(error)
        except Exception as error:  # noqa: BLE001 - one bad manifest must not stop the others
            attempt.error = FilmgateError(
                f"{type(error).__name__}: {error}",
                hint="Report this bug to the maintainers of Filmgate",
                reason="internal",
            )
        return attempt.error is None

    def _settle(
        self, attempt: DeliveryAttempt, *, in_savepoint: bool = True, is_dry_run: bool = False
    ) -> SyncOutcome:
        """Write the rows of a run, or the reason of its refusal.

        Without a savepoint, an error raises BatchFailed, because it aborts the whole transaction.
        """
        receipts: list[Receipt] = []
        attempt.settled = None

        def ingest(attempt: DeliveryAttempt) -> None:
            with self._connection.transaction() if in_savepoint else nullcontext():
                receipts.append(self._ingestor.ingest(self._connection, attempt.fetched))

        if attempt.error is None and not self._try(attempt, ingest) and not in_savepoint:
            attempt.error = None
            raise BatchFailed
        delivery, verified = attempt.delivery, attempt.verified
        refusal, next_attempt_at = None, None
        run = identity_of(verified.manifest) if verified else None
        if attempt.error is not None:
            refusal = Refusal.from_error(attempt.error, delivery.origin.manifest_key)
            if not is_dry_run:
                sha256 = verified.sha256 if verified else None
                next_attempt_at = self._deliveries.fail(delivery, refusal, run, sha256)
        elif verified is not None and run is not None:
            attempt.settled = Settled(delivery=delivery, run=run, manifest_sha256=verified.sha256)
        return SyncOutcome(
            source=delivery.origin.source,
            manifest_key=delivery.origin.manifest_key,
            receipt=receipts[0] if refusal is None else None,
            refusal=refusal,
            next_attempt_at=next_attempt_at,
        )


class BatchFailed(Exception):
    """One run of a batch without savepoints could not be ingested."""


def _poison_error(delivery: Delivery) -> FilmgateError:
    died = delivery.attempt - delivery.last_ended_attempt - 1
    return FilmgateError(
        f"{died} consumers died while they ingested this manifest",
        expected="a manifest that can be read with the available memory and time",
        got="no result of any attempt",
        hint="Check the logs of the consumers, and the files that the manifest names",
        reason="consumer_died",
    )
