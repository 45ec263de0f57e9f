"""Notices: telling whoever listens that something of a run is new."""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Any, Self

import psycopg

from filmgate.core.errors import FilmgateError
from filmgate.db.queries import queries
from filmgate.db.sessions import Session

RUNS = "filmgate_runs"
"""The channel on which `asset/run` is told, where something of a run or of a job on it is new."""

ACCESS = "filmgate_access"
"""The channel on which is told that somebody may do less than before."""

EVERY_S = 0.25
"""Telling more often would tell nobody more."""


class Herald:
    """A sink for a run's events: says over a connection of its own, from a
    thread of its own, that there is news. What is lost is no matter: who listens looks anew
    whenever told, and from time to time."""

    def __init__(
        self,
        session: Callable[[], AbstractContextManager[psycopg.Connection]],
        asset_id: str,
        run_id: str,
    ) -> None:
        self._session = session
        self._run = {"asset_id": asset_id, "run_id": run_id}
        self._news = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="herald", daemon=True)

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
        self._news.set()
        self._thread.join(timeout=5)

    def __call__(self, _event: Mapping[str, Any]) -> None:
        """Something happened."""
        self._news.set()

    def touch(self) -> None:
        """Something is further than before."""
        self._news.set()

    def _tell(self) -> None:
        while not self._ended.is_set():
            with suppress(FilmgateError, OSError), self._session() as connection:
                session = Session(connection)
                while not self._ended.is_set():
                    self._news.wait()
                    self._news.clear()
                    session.one(queries("jobs")["tell"], self._run)
                    self._ended.wait(EVERY_S)
                session.one(queries("jobs")["tell"], self._run)
            self._ended.wait(EVERY_S * 20)
