"""Execution of a job in a separate process, so that a crash affects no other job.

The worker and the process share a pipe. The process stops when it receives a message, or when the
worker's end of the pipe is closed, which also happens if the worker dies. The process sends the
outcome of the job back over the pipe.
"""

import asyncio
import contextlib
import os
import signal
import threading
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from filmgate.core.digest import JsonDict
from filmgate.core.errors import ExitCode, FilmgateError, Interrupted, NotFound, Stopped, error_body
from filmgate.core.jobs import JobOutcome
from filmgate.core.os_errors import error_from_os
from filmgate.core.progress import NullObserver, ignore_progress
from filmgate.db.jobs import JobTask
from filmgate.jobs.queue import parse_options
from filmgate.services.run_options import RunOptions, RunReport, frozen_settings
from filmgate.services.runs import Runs
from filmgate.wiring import logs
from filmgate.wiring.clock import utc_now
from filmgate.wiring.settings import Settings
from filmgate.wiring.signals import install_signal_handlers

POLL_S = 0.2
"""Time between two checks of a job's process and its memory, in seconds."""

STOP_S = 20.0
"""Time after a request to stop, in seconds, after which a job's process is killed."""

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

MB = 1_000_000


class JobProcess:
    """The process of a job, as seen by the worker."""

    def __init__(self, settings: Settings, task: JobTask, memory_mb: int) -> None:
        """`memory_mb`: limit of the resident memory of all processes of the job, in MB."""
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(
            ["filmgate.jobs.job_process", "filmgate.services.runs"]
        )
        self._pipe, self._child_pipe = self._context.Pipe()
        args = (settings, task, self._child_pipe)
        self._process = self._context.Process(target=_main, args=args, daemon=False)
        self._memory_limit = memory_mb * MB
        self._exceeded_memory = False

    async def run(self) -> JobOutcome:
        """Start the process, wait for its end and return its outcome.

        If this call is cancelled, the process is stopped first. A process that exceeds the memory
        limit is killed, and the outcome contains that error. Raises ProcessDied if the process
        ended without an outcome.
        """
        starting = asyncio.create_task(asyncio.to_thread(self._start))
        try:
            await asyncio.shield(starting)
            self._child_pipe.close()
            await self._wait(None)
        except asyncio.CancelledError:
            stopping = asyncio.create_task(self._stop(starting))
            while not stopping.done():  # further cancellations do not interrupt the stop
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.shield(stopping)
            raise
        finally:
            outcome = self._receive_outcome()
            self._pipe.close()
        if self._exceeded_memory:
            error = FilmgateError(
                "the job exceeded its memory limit",
                expected=f"up to {self._memory_limit // MB} MB for all its processes",
                hint="Run it with fewer workers or a lighter profile, or raise "
                "FILMGATE_JOB_MEMORY_MB",
            )
            return JobOutcome(exit_code=int(error.exit_code), error=error_body(error, utc_now()))
        if outcome is None:
            raise ProcessDied(self._process.exitcode)
        return outcome

    def _start(self) -> None:
        """Start the process, so that a signal to the worker's process group does not end it.

        The process and the fork server inherit the signal mask of this thread. Only this thread
        blocks the signals, so that the worker itself still receives them.
        """
        resource_tracker.ensure_running()  # its start would unblock the signals
        earlier = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, earlier)

    async def _wait(self, timeout_s: float | None) -> bool:
        """Wait for the end of the process; return False after a timeout.

        Kills the process if it exceeds the memory limit.
        """
        deadline = asyncio.get_running_loop().time() + (timeout_s or 0.0)
        while self._process.is_alive():
            if timeout_s is not None and asyncio.get_running_loop().time() > deadline:
                return False
            if not self._exceeded_memory:
                resident = await asyncio.to_thread(self._resident_bytes)
                if resident > self._memory_limit:
                    self._exceeded_memory = True
                    self._kill()
            await asyncio.sleep(POLL_S)
        self._process.join()
        self._kill()  # also kills child processes that the process left running
        return True

    async def _stop(self, starting: asyncio.Task[None]) -> None:
        """Ask the process to stop once it has started; kill it after `STOP_S`."""
        await asyncio.gather(starting, return_exceptions=True)
        if self._process.pid is None:
            return
        with contextlib.suppress(OSError):
            self._pipe.send_bytes(b"stop")
        if not await self._wait(STOP_S):
            self._kill()
            await self._wait(STOP_S)

    def _receive_outcome(self) -> JobOutcome | None:
        with contextlib.suppress(EOFError, OSError, ValueError):
            if self._pipe.poll():
                return JobOutcome.model_validate_json(self._pipe.recv_bytes())
        return None

    def _resident_bytes(self) -> int:
        """Return the resident memory of the process and its children, in bytes.

        Shared memory is counted once per process.
        """
        try:
            process = psutil.Process(self._process.pid)
            processes = [process, *process.children(recursive=True)]
        except psutil.Error:
            return 0
        total = 0
        for process in processes:
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total

    def _kill(self) -> None:
        """Kill the process and all processes that it started: they share a process group."""
        pid = self._process.pid
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if pid is not None:
                os.killpg(pid, signal.SIGKILL)


class ProcessDied(FilmgateError):
    """A job's process ended without an outcome."""

    code = "process_died"

    def __init__(self, exit_code: int | None) -> None:
        killed = exit_code is not None and exit_code < 0
        how = f"signal {-exit_code}" if killed and exit_code else f"code {exit_code}"
        super().__init__(f"the job's process died with {how}", hint="See the log of the run")


def _main(settings: Settings, task: JobTask, pipe: Connection) -> None:
    """Execute a job; the entry point of the job's process."""
    with contextlib.suppress(OSError):
        os.setsid()
    for number in STOP_SIGNALS:  # drops a pending signal, which was for the worker's group
        signal.signal(number, signal.SIG_IGN)
    install_signal_handlers()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    threading.Thread(target=_wait_for_stop, args=(pipe,), name="stop-listener", daemon=True).start()
    try:
        outcome = _execute(settings, task)
    except Interrupted:
        outcome = failed_outcome(Stopped("interrupted", hint="To resume, submit the run again"))
    with contextlib.suppress(OSError):
        pipe.send_bytes(outcome.model_dump_json().encode())


def _wait_for_stop(pipe: Connection) -> None:
    """Interrupt this process when a message arrives or the worker's end of the pipe is closed.

    After `STOP_S` the process group is killed.
    """
    with contextlib.suppress(EOFError, OSError):
        pipe.recv_bytes()
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(STOP_S)
    os.killpg(os.getpid(), signal.SIGKILL)


def _execute(settings: Settings, task: JobTask) -> JobOutcome:
    logs.configure("WARNING")
    try:
        runs = Runs(settings)
        report = runs.run(
            task.pipeline, Path(task.source), _options(task, runs), NullObserver(), ignore_progress
        )
    except FilmgateError as error:
        return failed_outcome(error)
    except OSError as error:
        return failed_outcome(error_from_os(error, retry="submit the run again"))
    except Exception as error:  # noqa: BLE001 - a bug ends this job, not the worker
        return failed_outcome(FilmgateError(f"{type(error).__name__}: {error}"))
    return JobOutcome(
        exit_code=int(report.exit_code),
        run_status=report.manifest.status.value,
        error=_first_error(report) if report.exit_code is not ExitCode.DONE else None,
        notes=report.notes,
    )


def _options(task: JobTask, runs: Runs) -> RunOptions:
    """Return the options of a job, with the settings with which its run was reserved.

    Parsed again, the request could give other settings: paths depend on the current folder, and
    defaults on the release.
    """
    options = parse_options(task.pipeline, task.request).with_values(
        asset_id=task.asset_id, run_id=task.run_id, new=False
    )
    try:
        head = runs.find(f"{task.asset_id}/{task.run_id}").head
    except NotFound:
        return options
    return options.with_values(settings=frozen_settings(head), profile=head.profile)


def _first_error(report: RunReport) -> JsonDict | None:
    """Return the error body of the first failed or blocked stage, else of the failed ingest."""
    for name, entry in report.manifest.stages.items():
        if entry.error is not None:
            error = FilmgateError(f"{name}: {entry.error.message}", **entry.error.details)
            return error_body(error, utc_now()) | {"error": entry.error.code}
        if entry.blocked is not None:
            reason = entry.blocked.reasons[0]
            error = FilmgateError(f"{name} is blocked: {reason}")
            return error_body(error, utc_now()) | {"error": reason.code.value}
    ingest_error = report.ingest_error
    return error_body(ingest_error, utc_now()) if ingest_error is not None else None


def failed_outcome(error: FilmgateError) -> JobOutcome:
    """Return the outcome of a job that ended with an error."""
    return JobOutcome(exit_code=int(error.exit_code), error=error_body(error, utc_now()))
