"""Notifications through PostgreSQL's `NOTIFY` about changed runs and changed access rights."""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Self

import psycopg

from filmgate.core.errors import FilmgateError
from filmgate.db.queries import queries
from filmgate.db.sessions import DatabaseSession

RUNS = "filmgate_runs"
"""The channel of changes of a run, or of a job on it; the payload is `asset/run`."""

ACCESS = "filmgate_access"
"""The channel of revoked tokens and ended sessions; the payload is empty."""

MIN_INTERVAL_S = 0.25
"""Minimum time between two notifications of a run. Listeners read the whole state, so more
frequent notifications would not help them."""


class RunNotifier:
    """An event sink that notifies listeners of a run's changes, from a separate thread and over a
    separate connection. Lost notifications do no harm: listeners read the run again at every
    notification and at intervals."""

    def __init__(
        self,
        session: Callable[[], AbstractContextManager[psycopg.Connection]],
        asset_id: str,
        run_id: str,
    ) -> None:
        self._session = session
        self._run = {"asset_id": asset_id, "run_id": run_id}
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._notify, name="run-notifier", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._changed.set()
        self._thread.join(timeout=5)

    def __call__(self, _event: Mapping[str, object]) -> None:
        """Receive an event of the run."""
        self._changed.set()

    def touch(self) -> None:
        """Trigger a notification without an event."""
        self._changed.set()

    def _notify(self) -> None:
        while not self._ended.is_set():
            with suppress(FilmgateError, OSError), self._session() as connection:
                session = DatabaseSession(connection)
                while not self._ended.is_set():
                    self._changed.wait()
                    self._changed.clear()
                    session.one(queries("jobs")["notify"], self._run)
                    self._ended.wait(MIN_INTERVAL_S)
                session.one(queries("jobs")["notify"], self._run)
            self._ended.wait(MIN_INTERVAL_S * 20)
