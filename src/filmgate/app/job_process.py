"""A job's process: each job runs in one of its own, so that what befalls it befalls no other.

The worker holds one end of a wire, the process the other. The worker's end falling shut, however
that happens, means stop, and so does a word on it; what came of the job comes back over it.
"""

import asyncio
import contextlib
import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from filmgate.app.clock import utc_now
from filmgate.app.interruption import heed_signals
from filmgate.app.jobs import options_of
from filmgate.app.run_options import RunReport
from filmgate.app.settings import Settings
from filmgate.core.errors import (
    ExitCode,
    FilmgateError,
    Interrupted,
    Stopped,
    Unavailable,
    error_body,
)
from filmgate.core.jobs import JobOutcome, JobRequest

LOOK_S = 0.2
"""How often a job's memory is looked at."""

STOP_S = 20.0
"""How long a job may take to end in order, before it is killed."""

MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a process is to do."""

    settings: Settings
    pipeline: str
    source: str
    asset_id: str
    run_id: str
    request: JobRequest


class JobProcess:
    """A job at work, as the worker sees it."""

    def __init__(self, work: Work, memory_mb: int) -> None:
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(["filmgate.app.job_process", "filmgate.app.system"])
        self._wire, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_run, args=(work, theirs), daemon=False)
        self._memory = memory_mb * MB
        self._is_too_large = False
        self._theirs = theirs

    async def outcome(self) -> JobOutcome:
        """Start it, and wait for its end. Cancelled, it is stopped in order first.

        Raises Died where it ended without a word; an outcome says so where it took more memory
        than it may.
        """
        starting = asyncio.create_task(asyncio.to_thread(self._process.start))
        try:
            await asyncio.shield(starting)
            self._theirs.close()
            await self._ended(None)
        except asyncio.CancelledError:
            stopping = asyncio.create_task(self._stop(starting))
            while not stopping.done():  # however often one is told
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.shield(stopping)
            raise
        finally:
            said = self._said()
            self._wire.close()
        if self._is_too_large:
            error = FilmgateError(
                "the job took more memory than it may",
                expected=f"up to {self._memory // MB} MB for all its processes",
                hint="Run it with fewer workers or a lighter profile, or raise "
                "FILMGATE_JOB_MEMORY_MB",
            )
            return JobOutcome(exit_code=int(error.exit_code), error=error_body(error, utc_now()))
        if said is None:
            raise Died(self._process.exitcode)
        return said

    async def _ended(self, within_s: float | None) -> bool:
        """Wait until the process is gone, or so long; kill it where it grows too large."""
        deadline = asyncio.get_running_loop().time() + (within_s or 0.0)
        while self._process.is_alive():
            if within_s is not None and asyncio.get_running_loop().time() > deadline:
                return False
            if not self._is_too_large and await asyncio.to_thread(self._resident) > self._memory:
                self._is_too_large = True
                self._kill()
            await asyncio.sleep(LOOK_S)
        self._process.join()
        self._kill()  # what it may have left behind
        return True

    async def _stop(self, starting: asyncio.Task[None]) -> None:
        """End it in order, or else by force; one that is just being started, once it is there."""
        await asyncio.gather(starting, return_exceptions=True)
        if self._process.pid is None:
            return
        with contextlib.suppress(OSError):
            self._wire.send_bytes(b"stop")
        if not await self._ended(STOP_S):
            self._kill()
            await self._ended(STOP_S)

    def _said(self) -> JobOutcome | None:
        with contextlib.suppress(EOFError, OSError, ValueError):
            if self._wire.poll():
                return JobOutcome.model_validate_json(self._wire.recv_bytes())
        return None

    def _resident(self) -> int:
        """Bytes that the process and its children hold in memory; what they share counts for
        each."""
        try:
            process = psutil.Process(self._process.pid)
            family = [process, *process.children(recursive=True)]
        except psutil.Error:
            return 0
        total = 0
        for each in family:
            with contextlib.suppress(psutil.Error):
                total += each.memory_info().rss
        return total

    def _kill(self) -> None:
        """The process and all that it started: they are a session of their own."""
        pid = self._process.pid
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if pid is not None:
                os.killpg(pid, signal.SIGKILL)


class Died(FilmgateError):
    """A job's process ended without a word."""

    code = "process_died"

    def __init__(self, exit_code: int | None) -> None:
        killed = exit_code is not None and exit_code < 0
        how = f"signal {-exit_code}" if killed and exit_code else f"code {exit_code}"
        super().__init__(
            f"the job's process died by {how}", hint="The run's log tells how far it came"
        )


def _run(work: Work, wire: Connection) -> None:
    """The whole work of a job's process."""
    with contextlib.suppress(OSError):
        os.setsid()
    heed_signals()
    threading.Thread(target=_heed, args=(wire,), name="wire", daemon=True).start()
    try:
        outcome = _outcome_of(work)
    except Interrupted:
        outcome = failed(Stopped("interrupted", hint="The run can go on from here"))
    with contextlib.suppress(OSError):
        wire.send_bytes(outcome.model_dump_json().encode())


def _heed(wire: Connection) -> None:
    """Stop when told to, or when nobody is there any more to tell; where that is not enough within
    the time for it, end at once."""
    with contextlib.suppress(EOFError, OSError):
        wire.recv_bytes()
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(STOP_S)
    os.killpg(os.getpid(), signal.SIGKILL)


def _outcome_of(work: Work) -> JobOutcome:
    from dataclasses import replace

    from filmgate.app import logs
    from filmgate.app.system import System, nobody_is_told
    from filmgate.engine.journal import Unwatched

    logs.configure("WARNING")
    options = replace(
        options_of(work.request), asset_id=work.asset_id, run_id=work.run_id, new=False
    )
    try:
        report = System(work.settings).run(
            work.pipeline, Path(work.source), options, Unwatched(), nobody_is_told
        )
    except FilmgateError as error:
        return failed(error)
    except OSError as error:
        return failed(Unavailable("the system refused something", got=str(error)))
    except Exception as error:  # noqa: BLE001 - a fault of ours; the worker goes on
        return failed(FilmgateError(f"{type(error).__name__}: {error}"))
    return JobOutcome(
        exit_code=int(report.exit_code),
        run_status=report.manifest.status.value,
        error=_why(report) if report.exit_code is not ExitCode.DONE else None,
        notes=report.notes,
    )


def _why(report: RunReport) -> dict[str, Any] | None:
    """What stopped a run first, or kept it from being ingested."""
    for name, entry in report.manifest.stages.items():
        if entry.error is not None:
            told = FilmgateError(f"{name}: {entry.error.message}", **entry.error.details)
            return error_body(told, utc_now()) | {"error": entry.error.code}
        if entry.blocked is not None:
            reason = entry.blocked.reasons[0]
            told = FilmgateError(f"{name} is blocked: {reason}")
            return error_body(told, utc_now()) | {"error": reason.code.value}
    error = report.ingest_error
    return error_body(error, utc_now()) if error is not None else None


def failed(error: FilmgateError) -> JobOutcome:
    """What came of a job that ended with an error."""
    return JobOutcome(exit_code=int(error.exit_code), error=error_body(error, utc_now()))
