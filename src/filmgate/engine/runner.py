"""The runner: takes the lease of a run, executes its stages and closes the run."""

from contextlib import suppress

from filmgate.core.errors import FilmgateError
from filmgate.core.manifest import Manifest
from filmgate.core.ports import Lease, RunDirectory
from filmgate.core.records import FailureCode, StageError
from filmgate.core.states import StageState
from filmgate.engine.attempt import AttemptResult, RecordWriter
from filmgate.engine.invocation import Invocation
from filmgate.engine.journal import Journal
from filmgate.engine.scheduler import Scheduler


def execute(invocation: Invocation) -> Manifest:
    """Execute the stages that have to run; return the manifest of the closed run.

    Each stage runs after the stages that it depends on. A failed or blocked stage stops only the
    stages that depend on it. Raises Held if another runner works on the run, Conflict if the run is
    sealed. KeyboardInterrupt and Interrupted are raised again once every open attempt has a record.
    """
    run = invocation.run
    journal = Journal(
        run,
        invocation.observer,
        invocation.clock,
        sinks=invocation.sinks,
        is_detailed=invocation.is_detailed,
    )
    with run.acquire_lease(invocation.clock()) as lease:
        run.check_not_sealed()
        writer = RecordWriter(run, lease, invocation.clock)
        record_interrupted_attempts(run, lease, writer, journal)
        run.save_verdicts(lease, ())
        journal.log_run_event("run.started", jobs=invocation.request.jobs)
        executor = invocation.executor(lease.lock)
        scheduler = Scheduler(invocation, lease, writer, journal, executor)
        try:
            with journal.heartbeat(lease):
                scheduler.run()
        except BaseException as error:
            with suppress(OSError, FilmgateError):
                scheduler.abort(error)
                record_interrupted_attempts(run, lease, writer, journal)
                journal.log_run_end(run.close(lease))
            raise
        finally:
            executor.close()
        run.save_verdicts(lease, scheduler.verdicts)
        manifest = run.close(lease)
    journal.log_run_end(manifest)
    return manifest


def record_interrupted_attempts(
    run: RunDirectory, lease: Lease, writer: RecordWriter, journal: Journal
) -> None:
    """Commit a record for every attempt whose runner died before it wrote one."""
    for attempt in run.recover(lease):
        error = StageError(
            code=FailureCode.INTERRUPTED, message="the runner died before the stage ended"
        )
        writer.commit_failure(attempt, AttemptResult(status=StageState.FAILED, error=error))
        journal.log_event(
            attempt.stage, "stage.interrupted", level="warning", attempt=attempt.number
        )
