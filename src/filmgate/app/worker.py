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

from filmgate.app.clock import utc_now
from filmgate.app.database import Database
from filmgate.app.job_process import MB, Died, JobProcess, Work
from filmgate.app.jobs import Jobs
from filmgate.app.settings import Settings
from filmgate.core.errors import ExitCode, FilmgateError, Unavailable, error_body
from filmgate.core.jobs import JobOutcome

T = TypeVar("T")

HELD_AGAIN_S = 3
LONGEST_PAUSE_S = 300
RECONNECT_S = 1.0


class TryAgain(Exception):
    """The job is to be tried again, after so long."""

    def __init__(self, after_s: float) -> None:
        super().__init__(f"again in {after_s:g} s")
        self.after_s = after_s


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


class HandedBack(asyncio.CancelledError):
    """A worker that stops gives the job to others."""


class Worker:
    """Takes jobs until it is told to stop."""

    def __init__(self, settings: Settings, concurrency: int) -> None:
        self._settings = settings
        self._concurrency = concurrency
        self._database = Database(settings)
        self._jobs = Jobs(settings, self._database)
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._log: Any = structlog.get_logger()
        self._memory_mb = settings.job_memory_mb or max(
            256, int(psutil.virtual_memory().total * 0.8 / concurrency / MB)
        )
        self._at_work: set[int] = set()
        self._silence_s = settings.worker_silence_s

    def run(self, ready: Callable[[], None], *, drain: bool = False) -> None:
        """Work until SIGTERM or SIGINT, or with `drain` until no job is left; `ready` is called
        once jobs can be taken."""
        with self._database.pooled(self._concurrency + 2):
            self._jobs.prepare()
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
                if drain:
                    return
            except (procrastinate.exceptions.ProcrastinateException, FilmgateError) as error:
                self._log.warning("worker.lost_the_queue", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RECONNECT_S)

    async def _until_stopped(
        self, stop: asyncio.Event, ready: Callable[[], None], *, drain: bool
    ) -> None:
        async with self._queue() as queue:
            worker = QueueWorker(
                queue,
                queues=["runs"],
                name=self._name,
                concurrency=self._concurrency,
                wait=not drain,
                install_signal_handlers=False,
                fetch_job_polling_interval=5.0,
                abort_job_polling_interval=5.0,
                shutdown_graceful_timeout=self._settings.worker_grace_s,
                update_heartbeat_interval=self._silence_s / 4,
                stalled_worker_timeout=self._silence_s * 4,
            )
            working = asyncio.create_task(worker.run())  # type: ignore[no-untyped-call]
            stopping = asyncio.create_task(stop.wait())
            helping = asyncio.create_task(self._take_over(queue, worker))
            ready()
            try:
                await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
                worker.stop()  # type: ignore[no-untyped-call]
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
        queue.task(name="filmgate.run", pass_context=True, retry=Policy())(self._do)
        async with queue.open_async():
            yield queue

    async def _do(self, context: JobContext) -> None:
        """One try at a job."""
        job_id = context.job.id
        if job_id is None:
            return
        self._at_work.add(job_id)
        try:
            await self._try(context, job_id)
        finally:
            self._at_work.discard(job_id)

    async def _try(self, context: JobContext, job_id: int) -> None:
        task = await self._told(lambda: self._jobs.begin(job_id, self._name))
        if task is None:
            return
        self._log.info("job.started", job=job_id, asset=task.asset_id, run=task.run_id)
        work = Work(
            settings=self._settings,
            pipeline=task.pipeline,
            source=task.source,
            asset_id=task.asset_id,
            run_id=task.run_id,
            request=task.request,
        )
        try:
            outcome = await JobProcess(work, self._memory_mb).outcome()
        except Died as died:
            error = FilmgateError(str(died), hint="Its log tells how far it came")
            outcome = JobOutcome(
                exit_code=int(ExitCode.INTERRUPTED), error=error_body(error, utc_now())
            )
        except asyncio.CancelledError:
            if context.abort_reason() is not AbortReason.USER_REQUEST:
                self._log.info("job.handed_back", job=job_id)
                raise HandedBack from None
            stopped = JobOutcome(exit_code=int(ExitCode.INTERRUPTED))
            ending = self._told(lambda: self._jobs.end(job_id, stopped, is_cancelled=True))
            await asyncio.shield(ending)
            raise
        again_s = self._again(outcome, task.tries)
        self._log.info("job.ended", job=job_id, exit_code=outcome.exit_code, again_s=again_s)
        if again_s is not None:
            await self._told(lambda: self._jobs.try_again(job_id, outcome))
            raise TryAgain(again_s)
        await self._told(lambda: self._jobs.end(job_id, outcome))

    def _again(self, outcome: JobOutcome, tries: int) -> float | None:
        """In how many seconds a job is tried again; None where what came of it stands.

        A service that is away may come back, a process that died may live next time; the pauses
        double. Whoever holds the run will let it go.
        """
        code = outcome.exit_code
        is_held = code == ExitCode.HELD and "sealed" not in str(outcome.error)
        if is_held and tries < self._settings.job_tries * 20:
            return HELD_AGAIN_S
        if tries >= self._settings.job_tries:
            return None
        if code in {ExitCode.UNAVAILABLE, ExitCode.INTERRUPTED}:
            return float(min(LONGEST_PAUSE_S, 2 ** (tries - 1)))
        return None

    async def _told(self, tell: Callable[[], T]) -> T:
        """Say something to the database, however long it is away."""
        while True:
            try:
                return await asyncio.to_thread(tell)
            except Unavailable as error:
                self._log.warning("worker.no_database", error=str(error))
                await asyncio.sleep(RECONNECT_S)

    async def _take_over(self, queue: procrastinate.App, worker: QueueWorker) -> None:
        """Give jobs that nobody is at to whoever is free.

        What is this worker's own, but unknown to it (the queue's answer was lost on the way), is
        taken for that only when it is seen twice.
        """
        strange: set[int] = set()
        while True:
            await asyncio.sleep(self._silence_s / 4)
            if worker.worker_id is None:
                continue
            try:
                strange = await self._look_for_abandoned(queue, worker.worker_id, strange)
            except (procrastinate.exceptions.ProcrastinateException, FilmgateError) as error:
                self._log.warning("worker.cannot_look", error=str(error))

    async def _look_for_abandoned(
        self, queue: procrastinate.App, worker_id: int, strange: set[int]
    ) -> set[int]:
        found = await asyncio.to_thread(self._jobs.abandoned, worker_id, self._silence_s)
        mine = {each.job_id for each in found if each.is_mine} - self._at_work
        for each in found:
            if each.is_mine and (each.job_id not in mine or each.job_id not in strange):
                continue
            self._log.warning("job.taken_over", job=each.job_id)
            manager = queue.job_manager
            if each.is_ended or each.is_cancel_asked:
                stopped = JobOutcome(exit_code=int(ExitCode.INTERRUPTED))
                await asyncio.to_thread(self._jobs.end, each.job_id, stopped, is_cancelled=True)
                status = procrastinate.jobs.Status.ABORTED
                if each.is_ended and not each.is_cancel_asked:
                    status = procrastinate.jobs.Status.SUCCEEDED
                await manager.finish_job_by_id_async(each.job_id, status, delete_job=False)
            else:
                await manager.retry_job_by_id_async(each.job_id, utc_now())
        return mine
