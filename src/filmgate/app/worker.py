"""A worker: takes jobs from the queue, so many at a time, and gives each a process of its own.

Whatever happens to a worker, its jobs are not lost: what it was at is taken over by another (or by
itself, started again) once it has been silent for long enough, and the engine goes on where the
run stood.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import procrastinate
import psutil
import structlog
from procrastinate.job_context import AbortReason, JobContext
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from procrastinate.worker import Worker as QueueWorker

from filmgate.app.database import Database
from filmgate.app.job_process import MB, Died, JobProcess, Work, failed
from filmgate.app.settings import Settings
from filmgate.core.errors import ExitCode, FilmgateError, Held, Unavailable
from filmgate.core.jobs import JobOutcome
from filmgate.db.jobs import QUEUE, TASK, Jobs, Task

T = TypeVar("T")

TRANSIENT = frozenset({ExitCode.UNAVAILABLE, ExitCode.INTERRUPTED})
HELD_AGAIN_S = 3
LONGEST_PAUSE_S = 300
RECONNECT_S = 1.0


class TryAgain(Exception):
    """The job is to be tried again, after so long."""

    def __init__(self, after_s: float) -> None:
        super().__init__(f"again in {after_s:g} s")
        self.after_s = after_s


class HandedBack(asyncio.CancelledError):
    """A worker that stops gives the job to others."""


class Policy(BaseRetryStrategy):
    """What is tried again is what says so, and what a worker that stops hands back."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """When a job is tried again; None where it is not."""
        del job
        if isinstance(exception, HandedBack):
            return RetryDecision()
        if isinstance(exception, TryAgain):
            return RetryDecision(retry_in={"seconds": int(exception.after_s)})
        return None


class Worker:
    """Takes jobs until it is told to stop."""

    def __init__(self, settings: Settings, concurrency: int) -> None:
        self._settings = settings
        self._concurrency = concurrency
        self._database = Database(settings)
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._log: Any = structlog.get_logger()
        self._memory_mb = settings.job_memory_mb or max(
            256, int(psutil.virtual_memory().total * 0.8 / concurrency / MB)
        )
        self._at_work: dict[int, asyncio.Task[Any]] = {}
        self._unheard: set[int] = set()
        """Jobs at work that somebody wants cancelled, of which the queue has not told."""
        self._silence_s = settings.worker_silence_s

    def run(self, ready: Callable[[], None], *, drain: bool = False) -> None:
        """Work until SIGTERM or SIGINT, or with `drain` until no job is left; `ready` is called
        once jobs can be taken."""
        with self._database.pooled(self._concurrency + 2):
            with self._database.session() as connection:
                Jobs(connection).prepare()
            asyncio.run(self._work(ready, drain=drain))

    async def _work(self, ready: Callable[[], None], *, drain: bool) -> None:
        """Take jobs; where the database goes away, start again when it is back."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for asked in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(asked, stop.set)
        while not stop.is_set():
            try:
                await self._until_stopped(stop, ready, drain=drain)
                if drain and not await self._told(lambda jobs: jobs.is_any_queued()):
                    return
            except (procrastinate.exceptions.ProcrastinateException, FilmgateError) as error:
                self._log.warning("worker.lost_the_queue", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RECONNECT_S)

    async def _until_stopped(
        self, stop: asyncio.Event, ready: Callable[[], None], *, drain: bool
    ) -> None:
        """Take jobs. Those at work are waited for, also where the queue was lost meanwhile; once
        this worker is to stop, only for as long as it is patient."""
        async with self._queue() as queue:
            worker = QueueWorker(
                queue,
                queues=[QUEUE],
                name=self._name,
                concurrency=self._concurrency,
                wait=not drain,
                install_signal_handlers=False,
                shutdown_graceful_timeout=None,
                update_heartbeat_interval=self._silence_s / 4,
                stalled_worker_timeout=self._silence_s * 4,
            )
            working = asyncio.create_task(worker.run())  # type: ignore[no-untyped-call]
            stopping = asyncio.create_task(stop.wait())
            helping = asyncio.create_task(self._help(worker))
            ready()
            try:
                await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
                worker.stop()  # type: ignore[no-untyped-call]
                if self._at_work and stop.is_set():
                    grace_s = self._settings.worker_grace_s
                    self._log.info("worker.waiting", jobs=list(self._at_work), up_to_s=grace_s)
                await asyncio.wait({working}, timeout=self._settings.worker_grace_s)
                for task in list(self._at_work.values()):
                    task.cancel()
                await working
            finally:
                for task in (stopping, helping):
                    task.cancel()
                await asyncio.gather(stopping, helping, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _queue(self) -> AsyncIterator[procrastinate.App]:
        """The queue, with the one task that there is."""
        url = await asyncio.to_thread(self._database.reached)
        connector = procrastinate.PsycopgConnector(
            conninfo=url,
            kwargs={"options": "-c search_path=queue,public", "application_name": "filmgate"},
            min_size=1,
            max_size=4,
        )
        queue = procrastinate.App(connector=connector)
        queue.task(name=TASK, pass_context=True, retry=Policy())(self._do)
        async with queue.open_async():
            yield queue

    async def _do(self, context: JobContext) -> None:
        """One try at a job."""
        job_id, mine = context.job.id, asyncio.current_task()
        if job_id is None or mine is None:
            return
        self._at_work[job_id] = mine
        tries: int | None = None
        try:
            task = await self._told(lambda jobs: jobs.begin(job_id, self._name))
            if task is None:
                return
            tries = task.tries
            self._log.info("job.started", job=job_id, asset=task.asset_id, run=task.run_id)
            await self._judge(task, await self._outcome(task))
        except asyncio.CancelledError:
            is_asked = context.abort_reason() is AbortReason.USER_REQUEST
            if not is_asked and job_id not in self._unheard:
                self._log.info("job.handed_back", job=job_id)
                raise HandedBack from None
            self._log.info("job.cancelled", job=job_id)
            await asyncio.shield(self._ended(job_id, STOPPED, tries, is_cancelled=True))
            raise
        except TryAgain:
            raise
        except Exception as error:
            self._log.exception("job.fault", job=job_id)
            fault = FilmgateError(f"{type(error).__name__}: {error}")
            await self._ended(job_id, failed(fault), tries)
            raise
        finally:
            self._at_work.pop(job_id, None)
            self._unheard.discard(job_id)

    async def _outcome(self, task: Task) -> JobOutcome:
        """Do it, in a process of its own."""
        work = Work(
            settings=self._settings,
            pipeline=task.pipeline,
            source=task.source,
            asset_id=task.asset_id,
            run_id=task.run_id,
            request=task.request,
        )
        try:
            return await JobProcess(work, self._memory_mb).outcome()
        except Died as died:
            return failed(died)

    async def _judge(self, task: Task, outcome: JobOutcome) -> None:
        """End a job, or have it tried again: a service that is away may come back, a process that
        died may live next time, and whoever holds the run lets it go. The pauses double."""
        code = outcome.error["error"] if outcome.error is not None else None
        is_held = code == Held.code
        is_failure = code == Died.code or outcome.exit_code in TRANSIENT
        failures = task.failures + is_failure
        is_final = not is_held and (not is_failure or failures >= self._settings.job_tries)
        self._log.info("job.ended", job=task.job_id, exit_code=outcome.exit_code, is_final=is_final)
        if is_final:
            await self._ended(task.job_id, outcome, task.tries)
            return
        await self._told(
            lambda jobs: jobs.try_again(
                task.job_id, outcome, tries=task.tries, is_failure=is_failure
            )
        )
        raise TryAgain(HELD_AGAIN_S if is_held else min(LONGEST_PAUSE_S, 2 ** (failures - 1)))

    async def _ended(
        self, job_id: int, outcome: JobOutcome, tries: int | None, *, is_cancelled: bool = False
    ) -> None:
        await self._told(
            lambda jobs: jobs.end(job_id, outcome, tries=tries, is_cancelled=is_cancelled)
        )

    async def _told(self, tell: Callable[[Jobs], T]) -> T:
        """Say something to the database, however long it is away."""
        while True:
            try:
                return await self._asked(tell)
            except Unavailable as error:
                self._log.warning("worker.no_database", error=str(error))
                await asyncio.sleep(RECONNECT_S)

    async def _asked(self, ask: Callable[[Jobs], T]) -> T:
        """Say something to the database, now."""

        def now() -> T:
            with self._database.session() as connection:
                return ask(Jobs(connection))

        return await asyncio.to_thread(now)

    async def _help(self, worker: QueueWorker) -> None:
        """Say at which jobs this worker is, and see to those that nobody is at."""
        strange: set[int] = set()
        while True:
            await asyncio.sleep(self._silence_s / 4)
            try:
                await self._asked(lambda jobs: jobs.beat(self._at_work, self._name))
                await self._heed_cancels()
                for job_id in await self._asked(
                    lambda jobs: jobs.end_orphans(self._silence_s, STOPPED)
                ):
                    self._log.warning("job.orphan_ended", job=job_id)
                if worker.worker_id is not None:
                    strange = await self._take_over(worker.worker_id, strange)
            except FilmgateError as error:
                self._log.warning("worker.cannot_look", error=str(error))

    async def _heed_cancels(self) -> None:
        """Stop jobs that are to be cancelled, where the queue does not: once it was lost, it tells
        nothing of those still at work. So that there are no two who stop a job, only what is
        found twice."""
        asked = await self._asked(lambda jobs: jobs.cancel_asked(self._at_work))
        for job_id in asked & self._unheard:
            task = self._at_work.get(job_id)
            if task is not None and not task.cancelling():
                task.cancel()
        self._unheard |= asked & self._at_work.keys()

    async def _take_over(self, worker_id: int, strange: set[int]) -> set[int]:
        """Give jobs that nobody is at to whoever is free; those of this worker that it does not
        know of.

        These (the queue's answer was lost on the way) are taken for that only when they are seen
        twice: they may just have come.
        """
        found = await self._asked(lambda jobs: jobs.abandoned(worker_id, self._silence_s))
        mine = {each.job_id for each in found if each.is_mine} - self._at_work.keys()
        for each in found:
            if each.is_mine and each.job_id not in mine & strange:
                continue
            became = await self._asked(
                lambda jobs, each=each: jobs.take_over(  # type: ignore[misc]
                    each, most_failures=self._settings.job_tries, died=DEADLY
                )
            )
            self._log.warning("job.taken_over", job=each.job_id, became=became)
        return mine


STOPPED = JobOutcome(exit_code=int(ExitCode.INTERRUPTED))
DEADLY = failed(
    FilmgateError(
        "the workers that did this job died of it, or were stopped in the middle",
        hint="Its log tells how far it came; FILMGATE_JOB_TRIES is how often that may be",
    )
)
