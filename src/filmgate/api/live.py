"""Live: what happens to a run, told to all who watch it, as it happens.

The logs of the run and its records are what is told; they lie in the home. The database only says
that there is news (LISTEN/NOTIFY), so that nobody looks for it again and again: a run is looked at
once for all who watch it, when there is news, and every ten seconds in case some was lost.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog
from anyio import to_thread
from fastapi.sse import format_sse_event

from filmgate.app.clock import utc_now
from filmgate.app.database import Database
from filmgate.app.jobs import Jobs
from filmgate.app.run_status import RunStatus
from filmgate.app.status_answers import status_answer
from filmgate.app.system import System
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import FilmgateError, TooMany, Unavailable
from filmgate.core.runs import StatusAnswer
from filmgate.store.event_log import EventReader, LoggedLine, place_text
from filmgate.store.run_directory import FolderRun

RUNS, ACCESS = "filmgate_runs", "filmgate_access"
LOOK_ANYWAY_S = 10.0
AT_MOST_EVERY_S = 0.25
KEPT = 1000
"""Lines that are kept for those who are a little behind; who is further back reads the logs."""

PIECE_BYTES = 64 * 1024
"""Of each log at a time, for whoever begins or has fallen behind."""

KEEP_ALIVE_S = 15.0
MOST_STREAMS = 1000


@dataclass
class Channel:
    """A run that is watched."""

    run: FolderRun
    reader: EventReader
    watchers: int = 0
    first: int = 0
    """The number of the oldest line that is kept."""
    recent: deque[LoggedLine] = field(default_factory=deque)
    status: bytes = b""
    status_mark: str = ""
    is_over: bool = False
    has_news: asyncio.Event = field(default_factory=asyncio.Event)
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_stale: bool = True
    """Whether there was news since it was last looked at."""

    @property
    def next(self) -> int:
        """The number of the next line."""
        return self.first + len(self.recent)


class Hub:
    """All runs that are watched. On one event loop."""

    def __init__(self, database: Database, system: System, jobs: Jobs) -> None:
        self._database = database
        self._system = system
        self._jobs = jobs
        self._channels: dict[str, Channel] = {}
        self._closing = asyncio.Event()
        self._log: Any = structlog.get_logger()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def streams(self) -> int:
        """How many are open."""
        return sum(channel.watchers for channel in self._channels.values())

    def close(self) -> None:
        """End every stream."""
        self._closing.set()
        for channel in self._channels.values():
            channel.has_news.set()

    async def listen(self, on_access: Callable[[], None]) -> None:
        """Hear of news until cancelled; `on_access` is called when somebody may do less."""
        while True:
            with contextlib.suppress(psycopg.Error, FilmgateError, OSError):
                await self._hear(on_access)
            on_access()
            self._look_at_all()
            await asyncio.sleep(1.0)

    async def events(self, run: FolderRun, place: list[int]) -> AsyncIterator[bytes]:
        """A run's events as server-sent events, from a place in its logs on, until its end."""
        if self.streams >= MOST_STREAMS:
            raise TooMany("too many streams are open", expected=f"up to {MOST_STREAMS}")
        channel = await self._watched(run)
        channel.watchers += 1
        try:
            async for event in self._stream(channel, list(place)):
                yield event
        finally:
            channel.watchers -= 1
            if channel.watchers == 0:
                self._channels.pop(_name(run), None)

    async def _stream(self, channel: Channel, place: list[int]) -> AsyncIterator[bytes]:
        yield format_sse_event(retry=2000, comment=f"run {channel.run.head.run_id}")
        stages = channel.run.head.stages
        following: int | None = None
        told = ""
        while not self._closing.is_set():
            news = channel.has_news
            is_over = channel.is_over
            if following is None or following < channel.first:
                following = channel.next
                mine = EventReader(channel.run, stages, place_text(place))
                while piece := await to_thread.run_sync(mine.read, PIECE_BYTES):
                    for each in piece:
                        yield _told(each, place)
            for number in range(following, channel.next):
                each = channel.recent[number - channel.first]
                if each.end > place[each.stage]:
                    yield _told(each, place)
            following = channel.next
            if channel.status_mark != told:
                told = channel.status_mark
                yield format_sse_event(event="status", data_str=channel.status.decode())
            if is_over:
                yield format_sse_event(
                    event="end", data_str=channel.status.decode(), id=place_text(place)
                )
                return
            try:
                await asyncio.wait_for(news.wait(), KEEP_ALIVE_S)
            except TimeoutError:
                yield format_sse_event(comment="still here")

    async def _watched(self, run: FolderRun) -> Channel:
        name = _name(run)
        channel = self._channels.get(name)
        if channel is None:
            reader = EventReader(run, run.head.stages)
            channel = self._channels.setdefault(name, Channel(run=run, reader=reader))
        if not channel.status:
            await self._look(channel)
        return channel

    async def _hear(self, on_access: Callable[[], None]) -> None:
        url = await to_thread.run_sync(self._database.reached)
        connection = await psycopg.AsyncConnection.connect(
            url, autocommit=True, application_name="filmgate"
        )
        async with connection:
            await connection.execute(f"listen {RUNS}; listen {ACCESS}")
            self._look_at_all()
            while True:
                async for notice in connection.notifies(timeout=LOOK_ANYWAY_S):
                    if notice.channel == ACCESS:
                        on_access()
                    elif (channel := self._channels.get(notice.payload)) is not None:
                        self._soon(channel)
                self._look_at_all()

    def _look_at_all(self) -> None:
        for channel in self._channels.values():
            self._soon(channel)

    def _soon(self, channel: Channel) -> None:
        channel.is_stale = True
        if channel.looking.locked():
            return
        task = asyncio.create_task(self._look(channel))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self, channel: Channel) -> None:
        """Look at a run once, for all who watch it."""
        async with channel.looking:
            while channel.is_stale:
                channel.is_stale = False
                await self._look_now(channel)
                await asyncio.sleep(AT_MOST_EVERY_S if channel.is_stale else 0.0)

    async def _look_now(self, channel: Channel) -> None:
        try:
            # First how it stands, then its lines: of a run that is over none is missed.
            answer = await to_thread.run_sync(self._status, channel.run)
            lines = await to_thread.run_sync(channel.reader.read, PIECE_BYTES)
            while lines:
                self._keep(channel, lines)
                lines = await to_thread.run_sync(channel.reader.read, PIECE_BYTES)
        except (FilmgateError, OSError) as error:
            self._log.warning("live.cannot_look", run=_name(channel.run), error=str(error))
            return
        told = answer.model_dump_json(by_alias=True).encode()
        steady = answer.model_copy(update={"silence_s": None})
        mark = sha256_hex(steady.model_dump_json(by_alias=True).encode())
        channel.status, channel.status_mark = told, mark
        is_job_open = answer.job is not None and not answer.job.state.is_over
        channel.is_over = not answer.is_at_work and not is_job_open
        news, channel.has_news = channel.has_news, asyncio.Event()
        news.set()

    @staticmethod
    def _keep(channel: Channel, lines: list[LoggedLine]) -> None:
        channel.recent.extend(lines)
        while len(channel.recent) > KEPT:
            channel.recent.popleft()
            channel.first += 1

    def _status(self, run: FolderRun) -> StatusAnswer:
        try:
            job = self._jobs.latest(run.head.asset.id, run.head.run_id)
        except Unavailable:
            job = None
        return status_answer(RunStatus.of(run, utc_now()), job)


def _name(run: FolderRun) -> str:
    """As the database tells of it."""
    return f"{run.head.asset.id}/{run.head.run_id}"


def _told(each: LoggedLine, place: list[int]) -> bytes:
    """A line as an event; the stream stands behind it then."""
    place[each.stage] = each.end
    line = each.line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return format_sse_event(event="log", data_str=line, id=place_text(place))
