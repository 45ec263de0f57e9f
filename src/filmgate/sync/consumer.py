"""A consumer: claims deliveries, reads what lies in the stores, takes it in exactly once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import psycopg

from filmgate.core.answers import Receipt, SyncOutcome
from filmgate.core.errors import FilmgateError
from filmgate.core.intake import Delivery, Refusal
from filmgate.core.objects import ObjectStore
from filmgate.db.connection import is_of_the_server, translated
from filmgate.db.deliveries import Deliveries
from filmgate.db.rows import identity_of
from filmgate.sync.published_run import Read, read_manifest

Fetched = TypeVar("Fetched")


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

    def take(self, connection: psycopg.Connection, fetched: Fetched) -> Receipt:
        """Make the rows, inside a transaction of the caller's; the same again makes none."""


@dataclass(kw_only=True)
class Attempt:
    """One try at a delivery."""

    delivery: Delivery
    read: Read | None = None
    fetched: Any = None
    error: FilmgateError | None = None

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
    ) -> None:
        """`store_at` opens the store at an address. `concurrency`: so many manifests are fetched
        at once, and taken in by one transaction, where the stage's are small."""
        self._connection = connection
        self._stage = stage
        self._store_at = store_at
        self._concurrency = concurrency
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="fetch")
        self._deliveries = Deliveries(connection, stage.name)

    def __enter__(self) -> "Consumer":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def work(self, source: str | None) -> list[SyncOutcome]:
        """Take in some of what is due (from one store); nothing where nothing is due.

        What is refused leaves no row but the reason. Where the database goes away nothing is
        changed, and the same deliveries are due again.
        """
        limit = self._concurrency if self._stage.is_small else 1
        with self._connection.transaction():
            claimed = self._deliveries.claim(limit, source)
            attempts = list(self._pool.map(self._attempt, claimed))
            return [self._settle(each) for each in sorted(attempts, key=lambda each: each.place)]

    def _attempt(self, delivery: Delivery) -> Attempt:
        """Read a manifest and what belongs to it; whatever is wrong with it is kept."""
        attempt = Attempt(delivery=delivery)
        try:
            store = self._store_at(delivery.origin.source)
            attempt.read = read_manifest(store, delivery)
            attempt.fetched = self._stage.fetch(attempt.read)
        except FilmgateError as error:
            attempt.error = error
        except Exception as error:  # noqa: BLE001 - one bad manifest must not stop the others
            attempt.error = _unforeseen(error)
        return attempt

    def _settle(self, attempt: Attempt) -> SyncOutcome:
        if attempt.read is None or attempt.error is not None:
            return self._refuse(attempt)
        try:
            with self._connection.transaction():
                receipt = self._stage.take(self._connection, attempt.fetched)
        except FilmgateError as error:
            attempt.error = error
        except psycopg.Error as error:
            if is_of_the_server(error):
                raise
            attempt.error = translated(error)
        except Exception as error:  # noqa: BLE001 - likewise
            attempt.error = _unforeseen(error)
        else:
            read = attempt.read
            self._deliveries.succeed(attempt.delivery, identity_of(read.manifest), read.sha256)
            return self._outcome(attempt.delivery, receipt=receipt)
        return self._refuse(attempt)

    def _refuse(self, attempt: Attempt) -> SyncOutcome:
        """Nothing was written; note why."""
        assert attempt.error is not None
        delivery, read = attempt.delivery, attempt.read
        refusal = Refusal.of(attempt.error, delivery.origin.manifest_key)
        run = identity_of(read.manifest) if read else None
        at = self._deliveries.fail(delivery, refusal, run, read.sha256 if read else None)
        return self._outcome(delivery, refusal=refusal, next_attempt_at=at)

    def _outcome(self, delivery: Delivery, **told: Any) -> SyncOutcome:
        facts = {"receipt": None, "refusal": None, "next_attempt_at": None, **told}
        origin = delivery.origin
        return SyncOutcome(source=origin.source, manifest_key=origin.manifest_key, **facts)


def _unforeseen(error: Exception) -> FilmgateError:
    return FilmgateError(
        f"{type(error).__name__}: {error}",
        hint="This is a fault of Filmgate; tell its makers",
        reason="internal",
    )
