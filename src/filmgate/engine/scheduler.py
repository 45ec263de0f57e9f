"""The scheduler: executes the stages of a run, for the holder of its lease."""

import time
import traceback
from contextlib import suppress
from functools import partial

from filmgate.core.errors import Interrupted, Invalid
from filmgate.core.gates import Verdict
from filmgate.core.plan import Outcome, Skipped, Stage
from filmgate.core.ports import Executor, Lease
from filmgate.core.records import FailureCode, Fingerprint, StageError
from filmgate.core.states import StageState
from filmgate.engine.attempt import OpenAttempt, RecordWriter
from filmgate.engine.decision import Block, Reuse, Situation, decide, find_skip, skip_reason
from filmgate.engine.failures import make_stage_error
from filmgate.engine.fan_out import FanOut
from filmgate.engine.gate_checker import GateChecker
from filmgate.engine.invocation import Invocation
from filmgate.engine.journal import Journal
from filmgate.engine.stage_context import EngineStageContext, StageEnvironment
from filmgate.engine.stage_threads import FinishedWork, StageThreads


class Scheduler:
    """Executes the selected stages in the order of their dependencies, up to `jobs` at a time."""

    def __init__(
        self,
        invocation: Invocation,
        lease: Lease,
        writer: RecordWriter,
        journal: Journal,
        executor: Executor,
    ) -> None:
        self._invocation = invocation
        self._plan = invocation.plan
        self._run = invocation.run
        self._request = invocation.request
        self._gate = GateChecker(
            invocation.plan,
            invocation.run,
            invocation.inputs,
            invocation.registry,
            invocation.resources,
        )
        self._environment = StageEnvironment(
            run=invocation.run,
            sources=invocation.inputs.files,
            registry=invocation.registry,
            resources=invocation.resources,
            open_store=invocation.open_store,
        )
        self._lease = lease
        self._writer = writer
        self._journal = journal
        self._executor = executor
        self._threads: StageThreads[str, Outcome] = StageThreads(invocation.request.jobs)
        self._open: dict[str, OpenAttempt] = {}
        self.verdicts: list[Verdict] = []
        """Verdicts of the stages that were blocked."""

    def run(self) -> None:
        """Execute every selected stage, each after all stages it depends on; verify the others."""
        waiting = [s for s in self._plan.stages if self._request.selects(self._plan, s)]
        try:
            self._run_stages(waiting)
            self._verify_unselected()
        except BaseException:
            self._threads.stop_event.set()
            self._executor.close()
            raise
        finally:
            self._threads.stop()

    def _run_stages(self, waiting: list[Stage]) -> None:
        """Start stages and commit finished ones until none is left; empties `waiting`."""
        while waiting or self._threads.running:
            ready = self._next_ready(waiting) if self._threads.has_free_thread else None
            if ready is None:
                self._conclude(self._threads.wait())
            else:
                waiting.remove(ready)
                self._advance(ready)

    def _verify_unselected(self) -> None:
        """Verify the stages that were not selected, and block those with faults."""
        unselected = [s for s in self._plan.stages if not self._request.selects(self._plan, s)]
        if not unselected:
            return
        ledger = self._run.ledger()
        for stage in unselected:
            verdict = self._gate.verify(stage, ledger)
            if not verdict.is_open:
                self._block(verdict)

    def abort(self, error: BaseException) -> None:
        """Commit a failure record for every open attempt, with `error` as the cause."""
        if isinstance(error, Interrupted | KeyboardInterrupt):
            code = FailureCode.INTERRUPTED
            message = "interrupted; run the same command again to resume"
        else:
            code = FailureCode.ABANDONED
            message = f"the run was aborted: {make_stage_error(error).message}"
        for opened in tuple(self._open.values()):
            with suppress(Exception):
                self._fail(opened, StageError(code=code, message=message))

    def _next_ready(self, waiting: list[Stage]) -> Stage | None:
        undecided = self._threads.running | {stage.name for stage in waiting}
        return next(
            (stage for stage in waiting if not undecided & self._plan.ancestors(stage.name)), None
        )

    def _advance(self, stage: Stage) -> None:
        """Check the gate of a stage; then block it, reuse it, or start its work in a thread."""
        ledger = self._run.ledger()
        verdict = self._gate.check(stage, ledger, protect_own=self._request.protects(stage))
        skip = find_skip(stage, ledger.head.config, ledger.skip_reasons)
        situation = Situation(
            stage=stage,
            ledger=ledger,
            reasons=verdict.reasons,
            skip=skip,
            is_forced=self._request.forces(stage),
        )
        decision = decide(
            situation,
            lambda: self._gate.fingerprint(stage, ledger, is_skipped=skip is not None),
            self._gate.has_intact_files,
        )
        if isinstance(decision, Block):
            self._block(Verdict(stage=stage.name, reasons=decision.reasons))
            return
        self._journal.log_detail(stage.name, "gate.open", fingerprint=decision.fingerprint.digest)
        if isinstance(decision, Reuse):
            self._journal.log_end(stage.name, StageState.SUCCESS, "up to date", reused=True)
            return
        opened = self._open_attempt(situation, decision.fingerprint)
        self._journal.log_start(stage.name, opened.attempt.number, decision.fingerprint.inputs)
        self._threads.submit(stage.name, opened.run)

    def _open_attempt(self, situation: Situation, fingerprint: Fingerprint) -> OpenAttempt:
        """Open an attempt, and make the context that is passed to the stage."""
        stage, ledger = situation.stage, situation.ledger
        number = ledger.next_attempt(stage.name)
        attempt = self._run.begin(self._lease, stage.name, number, self._invocation.clock())
        log_item_error = partial(self._journal.log_item_error, stage.name)
        fan_out = FanOut(self._executor, log_item_error, is_strict=self._request.strict)
        context = EngineStageContext(
            stage=stage,
            attempt=attempt,
            ledger=ledger,
            environment=self._environment,
            journal=self._journal,
            stop_event=self._threads.stop_event,
            fan_out=fan_out,
        )
        self._open[stage.name] = OpenAttempt(
            stage=stage,
            attempt=attempt,
            context=context,
            fan_out=fan_out,
            fingerprint=fingerprint,
            skip=situation.skip,
            ledger=ledger,
            started_s=time.perf_counter(),
        )
        return self._open[stage.name]

    def _conclude(self, finished: FinishedWork[str, Outcome]) -> None:
        """Commit the outcome of a stage's work."""
        opened = self._open[finished.key]
        try:
            outcome = finished.future.result()
            result = opened.result(outcome, finished.ended_s)
            record = self._writer.build(opened.attempt, result)
            self._check_inputs()
        except Exception as error:  # noqa: BLE001 - any exception of a stage is its failure
            text = "".join(traceback.format_exception(error))
            self._journal.log_event(finished.key, "stage.error", level="error", traceback=text)
            self._fail(opened, make_stage_error(error), finished.ended_s)
            return
        if record.status is StageState.SKIPPED and not self._request.protects(opened.stage):
            altered = self._gate.altered_files(opened.stage, opened.ledger)
            self._run.remove(self._lease, altered)
        try:
            if opened.is_unchanged_skip(record):
                self._run.discard(self._lease, opened.attempt)
            else:
                self._run.commit(self._lease, record)
        except Invalid as error:
            self._fail(opened, make_stage_error(error), finished.ended_s)
            return
        del self._open[finished.key]
        self._journal.log_record(record, warnings=len(record.warnings))
        if isinstance(outcome, Skipped) and record.stage in self._request.named:
            reason = skip_reason(record.stage, outcome.cause, record.reason)
            self._block(Verdict(stage=record.stage, reasons=(reason,)))

    def _check_inputs(self) -> None:
        """Raise Invalid if an input changed while the stage worked on it."""
        if changed := self._invocation.inputs.changed_files():
            raise Invalid(
                "an input changed during the run",
                expected=f"{', '.join(changed)} to stay unchanged",
                got="another file, or another modification time",
                hint="Wait until the input is completely written, then run again with --new",
            )

    def _fail(self, opened: OpenAttempt, error: StageError, ended_s: float | None = None) -> None:
        del self._open[opened.stage.name]
        result = opened.failure(error, time.perf_counter() if ended_s is None else ended_s)
        record = self._writer.commit_failure(opened.attempt, result)
        self._journal.log_record(record, warnings=len(opened.context.warnings))

    def _block(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)
        note = ", ".join(dict.fromkeys(reason.code.value for reason in verdict.reasons))
        reasons = [reason.model_dump(mode="json") for reason in verdict.reasons]
        self._journal.log_end(verdict.stage, StageState.BLOCKED, note, reasons=reasons)
