"""The runner: hold the run, take its stages as far as they go, and leave it in order."""

from contextlib import suppress

from filmgate.core.errors import FilmgateError
from filmgate.core.manifest import Manifest
from filmgate.core.ports import Lease, RunDirectory
from filmgate.core.records import StageError
from filmgate.engine.invocation import Invocation
from filmgate.engine.journal import Journal
from filmgate.engine.recorder import Recorder
from filmgate.engine.shift import Shift


def execute(asked: Invocation) -> Manifest:
    """Run what has to run, in order; the manifest of how the run stands then.

    Raises Held where another runner works on the run, Conflict where the run is sealed. A stage
    that fails or is blocked stops what stands on it and nothing else. KeyboardInterrupt and
    Interrupted go on to the caller once the open attempts have their records.
    """
    run = asked.run
    journal = Journal(
        run, asked.observer, asked.clock, sinks=asked.sinks, is_detailed=asked.is_detailed
    )
    with run.hold(asked.clock()) as lease:
        run.check_open()
        recorder = Recorder(run, lease, asked.clock)
        bury_the_dead(run, lease, recorder, journal)
        run.rule(lease, ())
        journal.run_event("run.started", jobs=asked.request.jobs)
        executor = asked.executor(lease.lock)
        shift = Shift(asked, lease, recorder, journal, executor)
        try:
            with journal.telling(lease):
                shift.work()
        except BaseException as error:
            with suppress(OSError, FilmgateError):
                shift.abandon(error)
                bury_the_dead(run, lease, recorder, journal)
                journal.run_ended(run.close(lease))
            raise
        finally:
            executor.close()
        run.rule(lease, shift.verdicts)
        manifest = run.close(lease)
    journal.run_ended(manifest)
    return manifest


def bury_the_dead(run: RunDirectory, lease: Lease, recorder: Recorder, journal: Journal) -> None:
    """Give every attempt that died without a record one that says so."""
    for attempt in run.settle(lease):
        message = "the runner died before the stage had ended"
        recorder.failure(attempt, StageError(code="interrupted", message=message), 0.0)
        journal.event(attempt.stage, "stage.interrupted", level="warning", attempt=attempt.number)
