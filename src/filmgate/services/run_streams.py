"""Streams of run events: pass the progress of a run to all clients that watch it.

Events are read from the logs and records of the run in the home. The database only sends
notifications that a run has changed (LISTEN/NOTIFY). A run is read once for all its watchers: after
a notification, and every ten seconds in case a notification was lost.
"""

import asyncio
import contextlib
import json
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import psycopg
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from filmgate.core.errors import FilmgateError, TooMany, Unavailable
from filmgate.core.jobs import JobAnswer
from filmgate.core.runs import StatusAnswer
from filmgate.db.notifications import ACCESS, RUNS
from filmgate.services.run_status import RunStatus
from filmgate.services.status_answers import status_answer
from filmgate.store.event_log import EventReader, LoggedLine, format_position
from filmgate.store.run_directory import FolderRun
from filmgate.wiring.clock import utc_now
from filmgate.wiring.database import Database

REFRESH_ALL_S = 10.0
"""Interval at which watched runs are read without a notification, in seconds."""

MIN_REFRESH_S = 0.25
"""Shortest time between two reads of a run, in seconds."""

BUFFERED_LINES = 1000
"""Number of log lines of a run in memory; a stream that needs older lines reads the log files."""

READ_BYTES = 64 * 1024
"""Number of bytes to read from each log at a time."""

KEEP_ALIVE_S = 15.0
"""Time without an event after which a keep-alive comment is sent, in seconds."""

MAX_STREAMS, MAX_STREAMS_PER_USER = 1000, 500
"""Maximum number of open streams, in total and per user."""


@dataclass(frozen=True, kw_only=True)
class RunEvent:
    """An event for a client; without a `kind` it only keeps the connection alive."""

    kind: str | None
    """`log`, `status`, `progress` or `end`."""
    data: str = ""
    """JSON text."""
    event_id: str | None = None
    """Position after this event, from which a stream can be resumed."""


KEEP_ALIVE = RunEvent(kind=None)

LatestJob = Callable[[str, str], JobAnswer | None]
"""Returns the latest job of a run, given its asset id and run id."""

IsPermitted = Callable[[], Awaitable[bool]]
"""Returns whether the client is still permitted to watch."""


@dataclass
class WatchedRun:
    """A run with at least one stream, and its latest events."""

    run: FolderRun
    reader: EventReader
    watchers: int = 0
    """Number of open streams of the run."""
    first_number: int = 0
    """Number of the oldest line in `recent`."""
    recent: deque[LoggedLine] = field(default_factory=deque)
    latest: dict[str, str] = field(default_factory=dict)
    """JSON of the latest `status` and `progress` events, by kind."""
    has_ended: bool = False
    updated: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at every update, and then replaced by a new event."""
    refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_stale: bool = True
    """Whether there was a notification since the last read."""

    @property
    def next_number(self) -> int:
        """Number of the next log line."""
        return self.first_number + len(self.recent)

    def lines_from(self, number: int) -> list[LoggedLine] | None:
        """Return the log lines from this number on; None if some are no longer in memory."""
        if number < self.first_number:
            return None
        return list(self.recent)[number - self.first_number :]


class Hub:
    """Reads all watched runs and wakes their streams. Use it on one event loop only."""

    def __init__(self, database: Database, latest_job: LatestJob) -> None:
        self._database = database
        self._latest_job = latest_job
        self._watched: dict[str, WatchedRun] = {}
        self._streams_of_user: Counter[str] = Counter()
        self._closing = asyncio.Event()
        self._generation = 0
        """Counter of permission changes; after each, all streams check their permission again."""
        self._log: FilteringBoundLogger = structlog.get_logger()
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """End every stream."""
        self._closing.set()
        for watched in self._watched.values():
            watched.updated.set()

    async def listen(self, on_access: Callable[[], None]) -> None:
        """Receive notifications until cancelled; reconnect after a failure.

        `on_access` is called when a caller may have lost a permission.
        """

        def on_access_change() -> None:
            on_access()
            self._generation += 1
            for watched in self._watched.values():
                _notify(watched)

        while True:
            try:
                await self._receive_notifications(on_access_change)
            except Exception as error:  # noqa: BLE001 - any failure is followed by a new connection
                self._log.warning("live.deaf", error=str(error))
            on_access_change()
            self._refresh_all()
            await asyncio.sleep(1.0)

    async def watch(
        self,
        run: FolderRun,
        after: str | None,
        user: str,
        is_permitted: IsPermitted,
    ) -> AsyncIterator[RunEvent] | None:
        """Return the events of a run, from a position in its logs to its end.

        `after`: id of the last event that the client received; None for all events. Returns None if
        that was the last event of a run that has ended.

        Raises TooMany if too many streams are open. The returned iterator must be iterated or
        closed.
        """
        if (
            self._streams_of_user.total() >= MAX_STREAMS
            or self._streams_of_user[user] >= MAX_STREAMS_PER_USER
        ):
            raise TooMany(
                "too many streams are open",
                expected=f"up to {MAX_STREAMS_PER_USER} for a user and {MAX_STREAMS} in total",
                got="more",
                retry_after_s=10,
            )
        name = _notification_name(run)
        position = EventReader(run, run.head.stages, after).position
        watched = self._watched.setdefault(
            name, WatchedRun(run=run, reader=EventReader(run, run.head.stages))
        )
        stream = self._counted_stream(watched, name, position, user, is_permitted)
        await anext(
            stream
        )  # starts the generator, which counts the stream and so keeps the run in `_watched`
        try:
            if not watched.latest:
                await self._refresh(watched)
            if after is not None and watched.has_ended and watched.reader.position == position:
                await stream.aclose()
                return None
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def _counted_stream(
        self,
        watched: WatchedRun,
        name: str,
        position: list[int],
        user: str,
        is_permitted: IsPermitted,
    ) -> AsyncGenerator[RunEvent, None]:
        watched.watchers += 1
        self._streams_of_user[user] += 1
        try:
            yield KEEP_ALIVE
            async for event in self._stream(watched, list(position), is_permitted):
                yield event
        finally:
            watched.watchers -= 1
            self._streams_of_user[user] -= 1
            if watched.watchers == 0 and self._watched.get(name) is watched:
                del self._watched[name]

    async def _stream(
        self, watched: WatchedRun, position: list[int], is_permitted: IsPermitted
    ) -> AsyncIterator[RunEvent]:
        yield KEEP_ALIVE
        next_number = -1
        loop = asyncio.get_running_loop()
        generation, check_at = self._generation, loop.time() + KEEP_ALIVE_S
        sent: dict[str, str] = {}
        while not self._closing.is_set():
            updated, has_ended = watched.updated, watched.has_ended
            lines = watched.lines_from(next_number)
            if lines is None:
                next_number = watched.next_number
                async for logged in self._read_logs(watched.run, position):
                    yield _log_event(logged, position)
                continue
            next_number += len(lines)
            for logged in _lines_after(lines, position):
                yield _log_event(logged, position)
            latest = dict(watched.latest)
            for kind in sorted(latest, reverse=True):  # status before progress
                if sent.get(kind) != latest[kind]:
                    yield RunEvent(kind=kind, data=latest[kind])
            sent = latest
            if has_ended:
                data = watched.latest["status"]
                yield RunEvent(kind="end", data=data, event_id=format_position(position))
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(updated.wait(), KEEP_ALIVE_S)
            if generation != self._generation or loop.time() > check_at:
                generation, check_at = self._generation, loop.time() + KEEP_ALIVE_S
                if not await is_permitted():
                    return
                yield KEEP_ALIVE

    @staticmethod
    async def _read_logs(run: FolderRun, position: list[int]) -> AsyncIterator[LoggedLine]:
        """Read the lines after a position from the log files, `READ_BYTES` at a time."""
        reader = EventReader(run, run.head.stages, format_position(position))
        while lines := await to_thread.run_sync(reader.read, READ_BYTES):
            for logged in lines:
                yield logged

    async def _receive_notifications(self, on_access_change: Callable[[], None]) -> None:
        url = await to_thread.run_sync(self._database.reachable_url)
        connection = await psycopg.AsyncConnection.connect(
            url, autocommit=True, application_name="filmgate", connect_timeout=10
        )
        async with connection:
            await connection.execute(f"listen {RUNS}; listen {ACCESS}")
            self._refresh_all()
            while True:
                async for notice in connection.notifies(timeout=REFRESH_ALL_S):
                    if notice.channel == ACCESS:
                        on_access_change()
                    elif (watched := self._watched.get(notice.payload)) is not None:
                        self._schedule_refresh(watched)
                await asyncio.wait_for(connection.execute("select 1"), REFRESH_ALL_S)
                self._refresh_all()

    def _refresh_all(self) -> None:
        for watched in self._watched.values():
            self._schedule_refresh(watched)

    def _schedule_refresh(self, watched: WatchedRun) -> None:
        watched.is_stale = True
        if watched.refreshing.locked():
            return
        task = asyncio.create_task(self._refresh(watched))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _refresh(self, watched: WatchedRun) -> None:
        """Read a run, for all its watchers, until it is no longer stale."""
        async with watched.refreshing:
            while watched.is_stale:
                watched.is_stale = False
                await self._read_run(watched)
                await asyncio.sleep(MIN_REFRESH_S if watched.is_stale else 0.0)

    async def _read_run(self, watched: WatchedRun) -> None:
        try:
            # Status before lines: if the status says that the run has ended, all lines exist.
            answer, is_job_known = await to_thread.run_sync(self._status, watched.run)
            while lines := await to_thread.run_sync(watched.reader.read, READ_BYTES):
                self._buffer(watched, lines)
        except (FilmgateError, OSError) as error:
            self._log.warning(
                "live.cannot_look", run=_notification_name(watched.run), error=str(error)
            )
            return
        watched.latest = _status_events(answer)
        is_job_over = answer.job is None or answer.job.state.is_over
        watched.has_ended = is_job_known and is_job_over and not answer.is_at_work
        _notify(watched)

    @staticmethod
    def _buffer(watched: WatchedRun, lines: list[LoggedLine]) -> None:
        watched.recent.extend(lines)
        while len(watched.recent) > BUFFERED_LINES:
            watched.recent.popleft()
            watched.first_number += 1

    def _status(self, run: FolderRun) -> tuple[StatusAnswer, bool]:
        """Return the status of a run, and whether its job could be read from the database."""
        status = RunStatus.of(run, utc_now())
        try:
            job = self._latest_job(run.head.asset.id, run.head.run_id)
        except Unavailable:
            return status_answer(status, None), False
        return status_answer(status, job), True


def _status_events(answer: StatusAnswer) -> dict[str, str]:
    """Return the JSON of the `status` event and, while stages run, of the `progress` event.

    The `status` event contains no fields that change with the progress of a stage.
    """
    progress = {
        name: {"done": stage.done, "total": stage.total}
        for name, stage in answer.stages.items()
        if stage.done is not None
    }
    stages = {
        name: stage.model_copy(update={"done": None, "total": None})
        for name, stage in answer.stages.items()
    }
    steady = answer.model_copy(update={"stages": stages, "silence_s": None})
    events = {"status": steady.model_dump_json(by_alias=True)}
    return events | ({"progress": json.dumps(progress)} if progress else {})


def _notify(watched: WatchedRun) -> None:
    """Wake all streams of a run."""
    updated, watched.updated = watched.updated, asyncio.Event()
    updated.set()


def _notification_name(run: FolderRun) -> str:
    """Return the name of a run in notifications of the database: `asset/run`."""
    return f"{run.head.asset.id}/{run.head.run_id}"


def _lines_after(lines: list[LoggedLine], position: list[int]) -> Iterator[LoggedLine]:
    """Yield the lines after a position, which may advance during the iteration."""
    return (logged for logged in lines if logged.end > position[logged.stage])


def _log_event(logged: LoggedLine, position: list[int]) -> RunEvent:
    """Return a log line as an event, and advance the position of the stream past the line."""
    position[logged.stage] = logged.end
    line = logged.line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return RunEvent(kind="log", data=line, event_id=format_position(position))
