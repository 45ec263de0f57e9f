"""A shift: what one holder of the lease does with the stages of a run."""

import time
import traceback
from contextlib import suppress

from filmgate.core.errors import FilmgateError, Interrupted, Invalid
from filmgate.core.gates import Verdict, provider_unavailable, stage_disabled
from filmgate.core.manifest import Ledger
from filmgate.core.plan import Outcome, Stage
from filmgate.core.ports import Executor, Lease
from filmgate.core.records import Fingerprint, ItemError, StageError, StageRecord
from filmgate.core.states import StageState
from filmgate.engine.bench import StageBench
from filmgate.engine.crew import Crew, Ended
from filmgate.engine.failures import stage_error
from filmgate.engine.fan_out import FanOut
from filmgate.engine.gatekeeper import Gatekeeper
from filmgate.engine.invocation import Invocation
from filmgate.engine.journal import Journal
from filmgate.engine.recorder import Recorder
from filmgate.engine.work import SWITCHED_OFF, OpenWork


class Shift:
    """Takes every stage that is asked for as far as it goes."""

    def __init__(
        self,
        asked: Invocation,
        lease: Lease,
        recorder: Recorder,
        journal: Journal,
        executor: Executor,
    ) -> None:
        self._asked = asked
        self._plan = asked.plan
        self._run = asked.run
        self._request = asked.request
        self._gate = Gatekeeper(
            asked.plan, asked.run, asked.inputs, asked.registry, asked.resources
        )
        self._lease = lease
        self._recorder = recorder
        self._journal = journal
        self._executor = executor
        self._crew: Crew[str, Outcome] = Crew(asked.request.jobs)
        self._open: dict[str, OpenWork] = {}
        self.verdicts: list[Verdict] = []

    def work(self) -> None:
        """Every stage that is concerned, once all that it stands on has been seen to."""
        waiting = [each for each in self._plan.stages if self._request.concerns(self._plan, each)]
        try:
            self._go_on(waiting)
            self._look_at_the_rest()
        except BaseException:
            self._crew.stop.set()
            self._executor.close()
            raise
        finally:
            self._crew.dismiss()

    def _go_on(self, waiting: list[Stage]) -> None:
        """As long as there is something to do."""
        while waiting or self._crew.at_work:
            ready = self._next_ready(waiting) if self._crew.has_room else None
            if ready is None:
                self._conclude(self._crew.wait())
            else:
                waiting.remove(ready)
                self._advance(ready)

    def _look_at_the_rest(self) -> None:
        """Stages that were not asked for are verified, not trusted."""
        rest = [each for each in self._plan.stages if not self._request.concerns(self._plan, each)]
        if not rest:
            return
        ledger = self._run.ledger()
        for stage in rest:
            verdict = self._gate.verify(stage, ledger)
            if not verdict.is_open:
                self._block(verdict)

    def abandon(self, error: BaseException) -> None:
        """Give what is still at work a record that says why it ended."""
        is_stopped = isinstance(error, Interrupted | KeyboardInterrupt)
        code = "interrupted" if is_stopped else "abandoned"
        goes_on = "interrupted; the same command goes on from here"
        message = goes_on if is_stopped else f"the run ended: {stage_error(error).message}"
        for opened in tuple(self._open.values()):
            with suppress(Exception):
                self._fail(opened, StageError(code=code, message=message))

    def _next_ready(self, waiting: list[Stage]) -> Stage | None:
        undecided = self._crew.at_work | {stage.name for stage in waiting}
        return next(
            (each for each in waiting if not undecided & self._plan.ancestors(each.name)), None
        )

    def _advance(self, stage: Stage) -> None:
        """Take a stage as far as it goes without its work; then hand that to the crew."""
        ledger = self._run.ledger()
        verdict = self._gate.ask(stage, ledger, protect_own=self._request.protects(stage))
        if not verdict.is_open:
            self._block(verdict)
            return
        try:
            fingerprint = self._gate.fingerprint(stage, ledger)
        except FilmgateError as error:
            reason = provider_unavailable(stage.name, str(error))
            self._block(Verdict(stage=stage.name, reasons=(reason,)))
            return
        self._journal.detail(stage.name, "gate.open", fingerprint=fingerprint.digest)
        is_forced = self._request.forces(stage)
        if not is_forced and self._gate.is_up_to_date(stage, ledger, fingerprint):
            self._journal.ended(stage.name, StageState.SUCCESS, "up to date", reused=True)
            return
        opened = self._begin(stage, ledger, fingerprint)
        self._journal.started(stage.name, opened.attempt.number, fingerprint.inputs)
        self._crew.give(stage.name, opened.do)

    def _begin(self, stage: Stage, ledger: Ledger, fingerprint: Fingerprint) -> OpenWork:
        """Open an attempt, and lay the bench."""
        name, journal = stage.name, self._journal
        number = ledger.next_attempt(name)
        attempt = self._run.begin(self._lease, name, number, self._asked.clock())

        def item_failed(error: ItemError) -> None:
            journal.event(name, "item.failed", level="error", **error.model_dump())

        fan_out = FanOut(self._executor, item_failed, is_strict=self._request.strict)
        bench = StageBench(
            stage=stage,
            run=self._run,
            attempt=attempt,
            standing={each: record for each in stage.stands_on if (record := ledger.current(each))},
            sources=self._asked.inputs.files,
            readable=self._gate.readable(stage, ledger),
            registry=self._asked.registry,
            resources=self._asked.resources,
            open_store=self._asked.open_store,
            fan_out=fan_out,
            report=lambda done, total: journal.progress(name, done, total),
            measured=lambda gauges, failures: journal.measured(name, gauges, failures),
            warned=lambda warning: journal.warned(name, warning),
            stop=self._crew.stop,
        )
        self._open[name] = OpenWork(
            stage=stage,
            attempt=attempt,
            bench=bench,
            fan_out=fan_out,
            fingerprint=fingerprint,
            ledger=ledger,
            began=time.perf_counter(),
        )
        return self._open[name]

    def _conclude(self, ended: Ended[str, Outcome]) -> None:
        """Commit how a stage's work ended."""
        opened = self._open[ended.key]
        try:
            facts = opened.facts(ended.value(), ended.at)
            record = self._recorder.record(opened.attempt, **facts)
            self._check_inputs()
        except Exception as error:  # noqa: BLE001 - whatever a stage raises is its failure
            told = "".join(traceback.format_exception(error))
            self._journal.event(ended.key, "stage.error", level="error", traceback=told)
            self._fail(opened, stage_error(error), ended.at)
            return
        if record.status is StageState.SKIPPED and not self._request.protects(opened.stage):
            altered = self._gate.altered(opened.stage, opened.ledger)
            self._run.remove(self._lease, altered)
        try:
            if opened.says_nothing_new(record):
                self._recorder.discard(opened.attempt)
            else:
                self._recorder.commit(record)
        except Invalid as error:
            self._fail(opened, stage_error(error), ended.at)
            return
        del self._open[ended.key]
        self._tell(record)

    def _check_inputs(self) -> None:
        """Refuse what was made of an input that changed while it was worked on."""
        if changed := self._asked.inputs.changed():
            raise Invalid(
                "the input changed while it was worked on",
                expected=f"{', '.join(changed)} to stay as it was",
                got="another file, or another time of change",
                hint="Wait until it is written, then run again with --new",
            )

    def _fail(self, opened: OpenWork, error: StageError, at: float | None = None) -> None:
        del self._open[opened.stage.name]
        known = opened.known(at if at is not None else time.perf_counter())
        try:
            record = self._recorder.failure(opened.attempt, error, **known)
        except ValueError:  # what the stage said cannot be kept; that it failed can
            record = self._recorder.failure(opened.attempt, error, known["duration_s"])
        self._journal.recorded(record, warnings=len(opened.bench.warnings))

    def _tell(self, record: StageRecord) -> None:
        self._journal.recorded(record, warnings=len(record.warnings))
        if record.status is StageState.SKIPPED and record.stage in self._request.named:
            reason = (
                stage_disabled(record.stage)
                if record.reason == SWITCHED_OFF
                else provider_unavailable(record.stage, record.reason or "nothing")
            )
            self._block(Verdict(stage=record.stage, reasons=(reason,)))

    def _block(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)
        note = ", ".join(dict.fromkeys(reason.code.value for reason in verdict.reasons))
        reasons = [reason.model_dump(mode="json") for reason in verdict.reasons]
        self._journal.ended(verdict.stage, StageState.BLOCKED, note, reasons=reasons)
