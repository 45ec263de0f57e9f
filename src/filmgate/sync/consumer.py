"""A consumer: claims deliveries, reads what lies in the stores, takes it in exactly once."""

from collections.abc import Callable, Iterable, Sequence
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
from filmgate.db.connection import is_of_the_server, translated
from filmgate.db.deliveries import Deliveries, Settled
from filmgate.db.rows import identity_of
from filmgate.sync.published_run import Read, read_manifest

Fetched = TypeVar("Fetched")

ROUNDS = 4
"""So many times what is fetched at once is taken in by one transaction: a commit costs as much as
the rows of a run."""


class Stage(Protocol[Fetched]):
    """What a consumer makes of a run."""

    @property
    def name(self) -> str:
        """In receipts, and in `pipeline.run_stages`."""

    @property
    def is_small(self) -> bool:
        """Whether what it fetches of several runs may be held, and their rows made in one
        transaction."""

    def fetch(self, read: Read) -> Fetched:
        """Read what becomes rows, away from the database; several at a time."""

    def prepare(self, connection: psycopg.Connection, fetched: Fetched) -> None:
        """What has to be in the database before, in transactions of its own."""

    def take(self, connection: psycopg.Connection, fetched: Fetched) -> Receipt:
        """Make the rows, inside a transaction of the caller's; the same again makes none."""


@dataclass(kw_only=True)
class Attempt:
    """One try at a delivery."""

    delivery: Delivery
    read: Read | None = None
    fetched: Any = None
    error: FilmgateError | None = None
    told: Settled | None = None
    """Set where it was taken in."""

    @property
    def place(self) -> tuple[str, ...]:
        """Orders what is taken in together, so that no two consumers wait for each other."""
        run = identity_of(self.read.manifest) if self.read else {}
        return (*run.values(), self.delivery.origin.manifest_key)


class Consumer:
    """One stage at work, over one connection, for as long as its block lasts."""

    def __init__(
        self,
        connection: psycopg.Connection,
        stage: Stage[Any],
        store_at: Callable[[str], ObjectStore],
        *,
        concurrency: int,
        lease_s: float,
    ) -> None:
        """`store_at` opens the store at an address. `concurrency`: so many manifests are fetched
        at once; four times as many are taken in by one transaction, where the stage's are small.
        `lease_s`: reading them takes less; who dies at it leaves them to others after that."""
        self._connection = connection
        self._stage = stage
        self._store_at = store_at
        self._lease_s = lease_s
        self._limit = concurrency * ROUNDS if stage.is_small else 1
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="fetch")
        self._deliveries = Deliveries(connection, stage.name)
        self._ahead: list[Future[Attempt]] = []

    def __enter__(self) -> "Consumer":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def work(self, source: str | None, until: datetime | None = None) -> list[SyncOutcome] | None:
        """Take in some of what is due, from one store or of all that were announced; what came of
        those that nobody else took meanwhile. None where nothing is due: nothing new, and nothing
        tried before that was due at `until` (None: now).

        A try is counted before it is made. What is refused leaves no row but the reason. Where
        the database goes away nothing is changed, and the same deliveries are due again soon.
        """
        batch = self._ahead or self._begun(source, until)
        if not batch:
            return None
        self._ahead = self._begun(source, until) if self._stage.is_small else []
        attempts = _ordered(each.result() for each in batch)
        for attempt in attempts:
            self._prepare(attempt)
        try:
            return self._settled(attempts, apart=not self._stage.is_small)
        except _Spoiled:
            return self._settled(attempts, apart=True)

    def rehearse(self, delivery: Delivery) -> SyncOutcome:
        """What would come of it: it is taken in, and that is undone at once."""
        attempt = self._attempt(delivery)
        with self._connection.transaction(force_rollback=True):
            self._prepare(attempt)
            return self._settle(attempt, is_kept=False)

    def _settled(self, attempts: Sequence[Attempt], *, apart: bool) -> list[SyncOutcome]:
        """Settle what is still ours, in one transaction: each `apart` from the others, or together,
        which is quicker while nothing goes wrong."""
        with self._connection.transaction():
            held = self._deliveries.hold([each.delivery for each in attempts])
            mine = [each for each in attempts if each.delivery.origin in held]
            outcomes = [self._settle(each, apart=apart) for each in mine]
            self._deliveries.succeed([each.told for each in mine if each.told is not None])
        return outcomes

    def _begun(self, source: str | None, until: datetime | None) -> list[Future[Attempt]]:
        """Claim some, and begin to read them while others are taken in."""
        lease_s = self._lease_s
        claimed = self._deliveries.claim(self._limit, source, lease_s=lease_s, until=until)
        return [self._pool.submit(self._attempt, delivery) for delivery in claimed]

    def _prepare(self, attempt: Attempt) -> None:
        if attempt.error is None:
            self._try(attempt, lambda a: self._stage.prepare(self._connection, a.fetched))

    def _attempt(self, delivery: Delivery) -> Attempt:
        """Read a manifest and what belongs to it; whatever is wrong with it is kept."""
        attempt = Attempt(delivery=delivery)
        if delivery.is_deadly:
            attempt.error = _deadly(delivery)
        else:
            self._try(attempt, self._read)
        return attempt

    def _read(self, attempt: Attempt) -> None:
        store = self._store_at(attempt.delivery.origin.source)
        attempt.read = read_manifest(store, attempt.delivery)
        attempt.fetched = self._stage.fetch(attempt.read)

    def _try(self, attempt: Attempt, work: Callable[[Attempt], None]) -> bool:
        """Do a part of it, and say whether that went well; what goes wrong is kept, unless the
        server is at fault: one bad manifest must not stop the others."""
        try:
            work(attempt)
        except FilmgateError as error:
            attempt.error = error
        except psycopg.Error as error:
            if is_of_the_server(error):
                raise
            attempt.error = translated(error)
        except Exception as error:  # noqa: BLE001 - likewise
            attempt.error = FilmgateError(
                f"{type(error).__name__}: {error}",
                hint="This is a fault of Filmgate; tell its makers",
                reason="internal",
            )
        return attempt.error is None

    def _settle(self, attempt: Attempt, *, apart: bool = True, is_kept: bool = True) -> SyncOutcome:
        """Make its rows, or note why not; not `apart` from others, what goes wrong spoils all."""
        receipts: list[Receipt] = []
        attempt.told = None

        def take(attempt: Attempt) -> None:
            with self._connection.transaction() if apart else nullcontext():
                receipts.append(self._stage.take(self._connection, attempt.fetched))

        if attempt.error is None and not self._try(attempt, take) and not apart:
            attempt.error = None
            raise _Spoiled
        delivery, read = attempt.delivery, attempt.read
        refusal, at = None, None
        run = identity_of(read.manifest) if read else None
        if attempt.error is not None:
            refusal = Refusal.of(attempt.error, delivery.origin.manifest_key)
            if is_kept:
                sha256 = read.sha256 if read else None
                at = self._deliveries.fail(delivery, refusal, run, sha256)
        elif read is not None and run is not None:
            attempt.told = Settled(delivery=delivery, run=run, manifest_sha256=read.sha256)
        return SyncOutcome(
            source=delivery.origin.source,
            manifest_key=delivery.origin.manifest_key,
            receipt=receipts[0] if refusal is None else None,
            refusal=refusal,
            next_attempt_at=at,
        )


class _Spoiled(Exception):
    """One of several that were taken in together could not be."""


def _ordered(attempts: Iterable[Attempt]) -> list[Attempt]:
    return sorted(attempts, key=lambda each: each.place)


def _deadly(delivery: Delivery) -> FilmgateError:
    return FilmgateError(
        f"{delivery.attempt - delivery.told_attempt - 1} consumers ended while they were at it",
        expected="a manifest that can be read in the memory and time there is",
        got="no word of any try",
        hint="Look at their logs and at what it names",
        reason="consumer_died",
    )
