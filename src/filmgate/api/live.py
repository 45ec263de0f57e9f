"""Live: what happens to a run, told to all who watch it, as it happens.

The logs of the run and its records are what is told; they lie in the home. The database only says
that there is news (LISTEN/NOTIFY), so that nobody looks for it again and again: a run is looked at
once for all who watch it, when there is news, and every ten seconds in case some was lost.
"""

import asyncio
import contextlib
import json
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
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
from filmgate.core.errors import FilmgateError, TooMany, Unavailable
from filmgate.core.runs import StatusAnswer
from filmgate.db.notices import ACCESS, RUNS
from filmgate.store.event_log import EventReader, LoggedLine, place_text
from filmgate.store.run_directory import FolderRun

LOOK_ANYWAY_S = 10.0
AT_MOST_EVERY_S = 0.25
KEPT = 1000
"""Lines that are kept for those who are a little behind; who is further back reads the logs."""

PIECE_BYTES = 64 * 1024
"""Of each log at a time, for whoever begins or has fallen behind."""

KEEP_ALIVE_S = 15.0
MOST_STREAMS, MOST_OF_ONE = 1000, 500
"""That are open at once; and of one user."""

May = Callable[[], Awaitable[bool]]
"""Whether whoever watches may, still."""


@dataclass
class Channel:
    """A run that is watched."""

    run: FolderRun
    reader: EventReader
    watchers: int = 0
    first: int = 0
    """The number of the oldest line that is kept."""
    recent: deque[LoggedLine] = field(default_factory=deque)
    news: dict[str, str] = field(default_factory=dict)
    """The latest of each kind of event that tells how it stands."""
    is_over: bool = False
    has_news: asyncio.Event = field(default_factory=asyncio.Event)
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_stale: bool = True
    """Whether there was news since it was last looked at."""

    @property
    def next(self) -> int:
        """The number of the next line."""
        return self.first + len(self.recent)

    def since(self, number: int) -> list[LoggedLine] | None:
        """The lines from a number on; None where some of them are not kept any more."""
        if number < self.first:
            return None
        return list(self.recent)[number - self.first :]


class Hub:
    """All runs that are watched. On one event loop."""

    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._database = database
        self._jobs = jobs
        self._channels: dict[str, Channel] = {}
        self._of_user: Counter[str] = Counter()
        self._closing = asyncio.Event()
        self._generation = 0
        """Rises whenever somebody may do less than before."""
        self._log: Any = structlog.get_logger()
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """End every stream."""
        self._closing.set()
        for channel in self._channels.values():
            channel.has_news.set()

    async def listen(self, on_access: Callable[[], None]) -> None:
        """Hear of news until cancelled; `on_access` is called when somebody may do less."""

        def heard() -> None:
            on_access()
            self._generation += 1
            for channel in self._channels.values():
                _wake(channel)

        while True:
            try:
                await self._hear(heard)
            except Exception as error:  # noqa: BLE001 - whatever it is, it goes on listening
                self._log.warning("live.deaf", error=str(error))
            heard()
            self._look_at_all()
            await asyncio.sleep(1.0)

    async def watch(
        self, run: FolderRun, place: list[int], user: str, may: May, *, is_resumed: bool
    ) -> AsyncIterator[bytes] | None:
        """A run's events as server-sent events, from a place in its logs on, until its end; None
        where somebody comes back (`is_resumed`) for whom there is nothing more.

        Raises TooMany where too many streams are open. What is returned must be iterated, or
        closed.
        """
        if self._of_user.total() >= MOST_STREAMS or self._of_user[user] >= MOST_OF_ONE:
            raise TooMany(
                "too many streams are open",
                expected=f"up to {MOST_OF_ONE}, and of all of us {MOST_STREAMS}",
                got="more",
                retry_after_s=10,
            )
        name = _name(run)
        channel = self._channels.setdefault(
            name, Channel(run=run, reader=EventReader(run, run.head.stages))
        )
        stream = self._counted(channel, name, place, user, may)
        await anext(stream)  # counts it: from now on the channel is kept
        try:
            if not channel.news:
                await self._look(channel)
            if is_resumed and channel.is_over and channel.reader.place == place:
                await stream.aclose()
                return None
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def _counted(
        self, channel: Channel, name: str, place: list[int], user: str, may: May
    ) -> AsyncGenerator[bytes, None]:
        channel.watchers += 1
        self._of_user[user] += 1
        try:
            yield b""
            async for event in self._stream(channel, list(place), may):
                yield event
        finally:
            channel.watchers -= 1
            self._of_user[user] -= 1
            if channel.watchers == 0 and self._channels.get(name) is channel:
                del self._channels[name]

    async def _stream(self, channel: Channel, place: list[int], may: May) -> AsyncIterator[bytes]:
        yield format_sse_event(retry=2000, comment=f"run {channel.run.head.run_id}")
        following = -1
        loop = asyncio.get_running_loop()
        generation, ask_again = self._generation, loop.time() + KEEP_ALIVE_S
        told: dict[str, str] = {}
        while not self._closing.is_set():
            news, is_over, lines = channel.has_news, channel.is_over, channel.since(following)
            if lines is None:
                following = channel.next
                async for each in self._history(channel.run, place):
                    yield _told(each, place)
                continue
            following += len(lines)
            for each in _unseen(lines, place):
                yield _told(each, place)
            now = dict(channel.news)
            for kind in sorted(now, reverse=True):  # how it stands, then how far it is
                if told.get(kind) != now[kind]:
                    yield format_sse_event(event=kind, data_str=now[kind])
            told = now
            if is_over:
                data = channel.news["status"]
                yield format_sse_event(event="end", data_str=data, id=place_text(place))
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), KEEP_ALIVE_S)
            if generation != self._generation or loop.time() > ask_again:
                generation, ask_again = self._generation, loop.time() + KEEP_ALIVE_S
                if not await may():
                    return
                yield format_sse_event(comment="still here")

    @staticmethod
    async def _history(run: FolderRun, place: list[int]) -> AsyncIterator[LoggedLine]:
        """What lies in the logs behind a place, read a piece at a time."""
        reader = EventReader(run, run.head.stages, place_text(place))
        while piece := await to_thread.run_sync(reader.read, PIECE_BYTES):
            for each in piece:
                yield each

    async def _hear(self, on_access: Callable[[], None]) -> None:
        url = await to_thread.run_sync(self._database.reached)
        connection = await psycopg.AsyncConnection.connect(
            url, autocommit=True, application_name="filmgate", connect_timeout=10
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
                await asyncio.wait_for(connection.execute("select 1"), LOOK_ANYWAY_S)
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
            answer, is_known = await to_thread.run_sync(self._status, channel.run)
            while lines := await to_thread.run_sync(channel.reader.read, PIECE_BYTES):
                self._keep(channel, lines)
        except (FilmgateError, OSError) as error:
            self._log.warning("live.cannot_look", run=_name(channel.run), error=str(error))
            return
        channel.news = _news(answer)
        is_job_over = answer.job is None or answer.job.state.is_over
        channel.is_over = is_known and is_job_over and not answer.is_at_work
        _wake(channel)

    @staticmethod
    def _keep(channel: Channel, lines: list[LoggedLine]) -> None:
        channel.recent.extend(lines)
        while len(channel.recent) > KEPT:
            channel.recent.popleft()
            channel.first += 1

    def _status(self, run: FolderRun) -> tuple[StatusAnswer, bool]:
        """How a run stands, and whether it is known which job is on it."""
        stands = RunStatus.of(run, utc_now())
        try:
            job = self._jobs.latest(run.head.asset.id, run.head.run_id)
        except Unavailable:
            return status_answer(stands, None), False
        return status_answer(stands, job), True


def _news(answer: StatusAnswer) -> dict[str, str]:
    """What is told of how a run stands: all of it where a state changes; where only work goes on,
    how far it is."""
    progress = {
        name: {"done": stage.done, "total": stage.total}
        for name, stage in answer.stages.items()
        if stage.done is not None
    }
    still = {
        name: stage.model_copy(update={"done": None, "total": None})
        for name, stage in answer.stages.items()
    }
    steady = answer.model_copy(update={"stages": still, "silence_s": None})
    news = {"status": steady.model_dump_json(by_alias=True)}
    return news | ({"progress": json.dumps(progress)} if progress else {})


def _wake(channel: Channel) -> None:
    """Tell all who watch it."""
    news, channel.has_news = channel.has_news, asyncio.Event()
    news.set()


def _name(run: FolderRun) -> str:
    """As the database tells of it."""
    return f"{run.head.asset.id}/{run.head.run_id}"


def _unseen(lines: list[LoggedLine], place: list[int]) -> Iterator[LoggedLine]:
    """Those that lie behind a place, which may move on meanwhile."""
    return (each for each in lines if each.end > place[each.stage])


def _told(each: LoggedLine, place: list[int]) -> bytes:
    """A line as an event; the stream stands behind it then."""
    place[each.stage] = each.end
    line = each.line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return format_sse_event(event="log", data_str=line, id=place_text(place))
