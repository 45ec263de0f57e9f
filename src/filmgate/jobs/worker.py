"""Worker that takes jobs from the queue and executes each in a separate process.

The jobs of a worker that dies are not lost. When the worker has sent no heartbeat for
`worker_silence_s`, another worker (or the same one after a restart) takes over its jobs, and the
engine resumes their runs.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import procrastinate
import psutil
import structlog
from procrastinate.job_context import AbortReason, JobContext
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from procrastinate.worker import Worker as QueueWorker
from structlog.typing import FilteringBoundLogger

from filmgate.core.errors import ExitCode, FilmgateError, Held, Unavailable
from filmgate.core.jobs import JobOutcome
from filmgate.db.jobs import TASK, JobStore, JobTask
from filmgate.jobs.job_process import MB, JobProcess, ProcessDied, failed_outcome
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings

T = TypeVar("T")

TRANSIENT = frozenset({ExitCode.UNAVAILABLE, ExitCode.INTERRUPTED})
"""Exit codes of a job's process after which the job is retried."""

HELD_RETRY_S = 3
"""Pause before a job is retried if another process has the lease of its run, in seconds."""

MAX_PAUSE_S = 300
"""Longest pause before a failed job is retried, in seconds; the pause doubles at each failure."""

RECONNECT_S = 1.0
"""Pause before a failed call of the database or the queue is repeated, in seconds."""


class RetryJob(Exception):
    """Raised in the task of a job so that the job is retried after a pause."""

    def __init__(self, after_s: float) -> None:
        super().__init__(f"retry in {after_s:g} s")
        self.after_s = after_s


class JobHandedBack(asyncio.CancelledError):
    """Raised in the task of a job when the worker stops, so that the job returns to the queue."""


class RetryPolicy(BaseRetryStrategy):
    """Retries jobs that end with `RetryJob` or `JobHandedBack`."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """Return when to retry a job; None if the job must not be retried."""
        del job
        if isinstance(exception, JobHandedBack):
            return RetryDecision()
        if isinstance(exception, RetryJob):
            return RetryDecision(retry_in={"seconds": int(exception.after_s)})
        return None


class Worker:
    """Executes up to `concurrency` jobs at a time until it is asked to stop."""

    def __init__(self, settings: Settings, concurrency: int) -> None:
        self._settings = settings
        self._concurrency = concurrency
        self._database = Database(settings)
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._log: FilteringBoundLogger = structlog.get_logger()
        self._memory_mb = settings.job_memory_mb or max(
            256, int(psutil.virtual_memory().total * 0.8 / concurrency / MB)
        )
        self._running: dict[int, asyncio.Task[object]] = {}
        self._cancel_requested: set[int] = set()
        """Running jobs whose cancellation is requested in the database."""
        self._silence_s = settings.worker_silence_s
        self._is_stopping = False
        """Whether the worker was asked to stop."""

    def run(self, ready: Callable[[], None], *, drain: bool = False) -> None:
        """Execute jobs until SIGTERM or SIGINT, or with `drain` until the queue is empty.

        `ready` is called each time the worker has connected to the queue.
        """
        with self._database.pooled(self._concurrency + 2):
            with self._database.session() as connection:
                JobStore(connection).prepare()
            asyncio.run(self._work(ready, drain=drain))

    async def _work(self, ready: Callable[[], None], *, drain: bool) -> None:
        """Execute jobs; if the queue or the database fails, connect again."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            self._is_stopping = True
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        while not stop.is_set():
            try:
                await self._work_until_stopped(stop, ready, drain=drain)
                if drain and not await self._call_store_until_available(
                    lambda jobs: jobs.is_any_queued()
                ):
                    return
            except (procrastinate.exceptions.ProcrastinateException, FilmgateError) as error:
                self._log.warning("worker.lost_the_queue", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RECONNECT_S)

    async def _work_until_stopped(
        self, stop: asyncio.Event, ready: Callable[[], None], *, drain: bool
    ) -> None:
        """Execute jobs over one connection to the queue.

        If the connection fails or the worker is asked to stop, it waits up to `worker_grace_s` for
        running jobs, then cancels them.
        """
        async with self._queue() as queue:
            worker = QueueWorker(
                queue,
                queues=[self._settings.database_schema],
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
            maintaining = asyncio.create_task(self._maintain(worker))
            ready()
            try:
                await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
                worker.stop()  # type: ignore[no-untyped-call]
                if self._running and stop.is_set():
                    grace_s = self._settings.worker_grace_s
                    self._log.info("worker.waiting", jobs=list(self._running), up_to_s=grace_s)
                await asyncio.wait({working}, timeout=self._settings.worker_grace_s)
                for task in list(self._running.values()):
                    task.cancel()
                await working
            finally:
                for task in (stopping, maintaining):
                    task.cancel()
                await asyncio.gather(stopping, maintaining, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _queue(self) -> AsyncIterator[procrastinate.App]:
        """Connect to the queue, and register the task that executes jobs."""
        url = await asyncio.to_thread(self._database.reachable_url)
        connector = procrastinate.PsycopgConnector(
            conninfo=url,
            kwargs={
                "options": f'-c search_path="{self._settings.database_schema}",public',
                "application_name": "filmgate",
            },
            min_size=1,
            max_size=4,
        )
        queue = procrastinate.App(connector=connector)
        queue.task(name=TASK, pass_context=True, retry=RetryPolicy())(self._attempt)
        async with queue.open_async():
            yield queue

    async def _attempt(self, context: JobContext) -> None:
        """Make one attempt at a job."""
        job_id, current = context.job.id, asyncio.current_task()
        if job_id is None or current is None:
            return
        self._running[job_id] = current
        tries: int | None = None
        try:
            task = await self._call_store_until_available(
                lambda jobs: jobs.begin(job_id, self._name)
            )
            if task is None:
                return
            tries = task.tries
            self._log.info("job.started", job=job_id, asset=task.asset_id, run=task.run_id)
            await self._end_or_retry(task, await self._execute(task))
        except asyncio.CancelledError:
            is_aborted_by_user = context.abort_reason() is AbortReason.USER_REQUEST
            if not is_aborted_by_user and job_id not in self._cancel_requested:
                self._log.info("job.handed_back", job=job_id)
                raise JobHandedBack from None
            self._log.info("job.cancelled", job=job_id)
            await asyncio.shield(self._record_end(job_id, STOPPED, tries, is_cancelled=True))
            raise
        except RetryJob:
            raise
        except Exception as error:
            self._log.exception("job.fault", job=job_id)
            fault = FilmgateError(f"{type(error).__name__}: {error}")
            await self._record_end(job_id, failed_outcome(fault), tries)
            raise
        finally:
            self._running.pop(job_id, None)
            self._cancel_requested.discard(job_id)

    async def _execute(self, task: JobTask) -> JobOutcome:
        """Execute a job in a separate process."""
        try:
            return await JobProcess(self._settings, task, self._memory_mb).run()
        except ProcessDied as died:
            return failed_outcome(died)

    async def _end_or_retry(self, task: JobTask, outcome: JobOutcome) -> None:
        """Record the end of a job, or raise RetryJob.

        A job is retried if a service was unavailable or its process died. The pause doubles at
        each failure, and the job ends after `job_tries` failed attempts. If another process has the
        lease of the run, the job is retried without limit.

        If the worker is stopping, the signal that stopped it may also have ended the job's process.
        Such a job is handed back, and the attempt is not a failure.
        """
        code = outcome.error["error"] if outcome.error is not None else None
        is_cut_short = code == ProcessDied.code or outcome.exit_code == ExitCode.INTERRUPTED
        if self._is_stopping and is_cut_short:
            raise JobHandedBack
        is_held = code == Held.code
        is_failure = code == ProcessDied.code or outcome.exit_code in TRANSIENT
        failures = task.failures + is_failure
        is_final = not is_held and (not is_failure or failures >= self._settings.job_tries)
        self._log.info("job.ended", job=task.job_id, exit_code=outcome.exit_code, is_final=is_final)
        if is_final:
            await self._record_end(task.job_id, outcome, task.tries)
            return
        await self._call_store_until_available(
            lambda jobs: jobs.record_retry(
                task.job_id, outcome, tries=task.tries, is_failure=is_failure
            )
        )
        raise RetryJob(HELD_RETRY_S if is_held else min(MAX_PAUSE_S, 2 ** (failures - 1)))

    async def _record_end(
        self, job_id: int, outcome: JobOutcome, tries: int | None, *, is_cancelled: bool = False
    ) -> None:
        await self._call_store_until_available(
            lambda jobs: jobs.end(job_id, outcome, tries=tries, is_cancelled=is_cancelled)
        )

    async def _call_store_until_available(self, call: Callable[[JobStore], T]) -> T:
        """Call the store of jobs; repeat the call while the database is unavailable."""
        while True:
            try:
                return await self._call_store(call)
            except Unavailable as error:
                self._log.warning("worker.no_database", error=str(error))
                await asyncio.sleep(RECONNECT_S)

    async def _call_store(self, call: Callable[[JobStore], T]) -> T:
        """Call the store of jobs in a thread, over a new database session."""

        def call_in_session() -> T:
            with self._database.session() as connection:
                return call(JobStore(connection))

        return await asyncio.to_thread(call_in_session)

    async def _maintain(self, worker: QueueWorker) -> None:
        """Record heartbeats of running jobs, stop cancelled jobs, take over abandoned jobs."""
        unknown: set[int] = set()
        while True:
            await asyncio.sleep(self._silence_s / 4)
            try:
                await self._call_store(
                    lambda jobs: jobs.record_heartbeat(self._running, self._name)
                )
                await self._stop_cancelled()
                for job_id in await self._call_store(
                    lambda jobs: jobs.end_orphans(self._silence_s, STOPPED)
                ):
                    self._log.warning("job.orphan_ended", job=job_id)
                if worker.worker_id is not None:
                    unknown = await self._take_over(worker.worker_id, unknown)
            except FilmgateError as error:
                self._log.warning("worker.cannot_look", error=str(error))

    async def _stop_cancelled(self) -> None:
        """Stop running jobs whose cancellation was requested but that the queue did not abort.

        After its connection was lost, the queue library does not abort jobs that are still running.
        A job is stopped at the second check that finds the request, so that the queue can abort it
        first.
        """
        requested = await self._call_store(lambda jobs: jobs.cancel_requested(self._running))
        for job_id in requested & self._cancel_requested:
            task = self._running.get(job_id)
            if task is not None and not task.cancelling():
                task.cancel()
        self._cancel_requested |= requested & self._running.keys()

    async def _take_over(self, worker_id: int, unknown: set[int]) -> set[int]:
        """Return abandoned jobs to the queue, or end them if they failed too often.

        A job is abandoned if its worker sends no heartbeats, or if the queue assigned it to this
        worker but the response was lost. In the second case the job may also have just arrived.
        Therefore it is taken over only if two successive calls find it: `unknown` is the result of
        the previous call.
        """
        found = await self._call_store(lambda jobs: jobs.abandoned(worker_id, self._silence_s))
        not_running = {job.job_id for job in found if job.is_own} - self._running.keys()
        for job in found:
            if job.is_own and job.job_id not in not_running & unknown:
                continue
            became = await self._call_store(
                lambda jobs, job=job: jobs.take_over(  # type: ignore[misc]
                    job, most_failures=self._settings.job_tries, died=DEADLY
                )
            )
            self._log.warning("job.taken_over", job=job.job_id, became=became)
        return not_running


STOPPED = JobOutcome(exit_code=int(ExitCode.INTERRUPTED))
"""Outcome of a cancelled job."""

DEADLY = failed_outcome(
    FilmgateError(
        "the workers of this job died or were killed too often",
        hint="See the log of the run; FILMGATE_JOB_TRIES is the maximum number of attempts",
    )
)
"""Outcome of a job whose workers died too often."""
