"""The runner: pick a stage, ask its gate, run it, validate, commit, report."""

import errno
import operator
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from filmgate.core.errors import FilmgateError, Interrupted, Invalid
from filmgate.core.gates import Verdict, provider_unavailable
from filmgate.core.ids import StageName
from filmgate.core.manifest import Ledger, Manifest
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Done, Outcome, Plan, Skipped, Stage
from filmgate.core.ports import Attempt, Clock, Lease, Observer, RunDirectory
from filmgate.core.records import Fingerprint, Lineage, StageError, StageRecord
from filmgate.core.states import StageState
from filmgate.engine.bench import StageBench
from filmgate.engine.gatekeeper import Gatekeeper
from filmgate.engine.inputs import Inputs
from filmgate.engine.journal import Journal


@dataclass(frozen=True, kw_only=True)
class Request:
    """What an invocation asks of a run."""

    stages: frozenset[StageName]
    """Which stages may run; the others are verified, not trusted."""
    named: frozenset[StageName] = frozenset()
    """Which of them were asked for by name: these may not be skipped in silence."""
    force: bool = False
    """Run the stages again though they are up to date."""
    repair: bool = False
    """Make missing or altered files again, also those of stages that these stand on."""


class Runner:
    """One invocation of a plan on a run."""

    def __init__(
        self,
        *,
        plan: Plan,
        run: RunDirectory,
        inputs: Inputs,
        request: Request,
        registry: Registry,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._plan = plan
        self._run = run
        self._inputs = inputs
        self._request = request
        self._registry = registry
        self._clock = clock
        self._gate = Gatekeeper(plan, run, inputs)
        self._journal = Journal(run, observer, clock)
        self._verdicts: list[Verdict] = []

    def execute(self) -> Manifest:
        """Run what has to run, in order; the manifest of how the run stands then.

        Raises Held where another runner works on the run. A stage that fails or is blocked
        stops what stands on it and nothing else. KeyboardInterrupt and Interrupted go on to
        the caller once the open attempt has its record.
        """
        with self._run.hold(self._clock()) as lease:
            self._bury_the_dead(lease)
            self._run.rule(lease, ())
            try:
                for stage in self._plan.stages:
                    if self._concerns(stage):
                        self._advance(lease, stage)
            except BaseException:
                with suppress(OSError, FilmgateError):
                    self._bury_the_dead(lease)
                    self._run.close(lease)
                raise
            self._run.rule(lease, self._verdicts)
            return self._run.close(lease)

    def _concerns(self, stage: Stage) -> bool:
        """Whether the stage was asked for, or under repair, one that stands on it."""
        if stage.name in self._request.stages:
            return True
        return self._request.repair and any(
            stage.name in self._plan.ancestors(name) for name in self._request.stages
        )

    def _advance(self, lease: Lease, stage: Stage) -> None:
        """Take one stage as far as it goes."""
        ledger = self._run.ledger()
        forced = self._request.force and stage.name in self._request.stages
        verdict = self._gate.ask(stage, ledger, protect_own=not (self._request.repair or forced))
        if not verdict.is_open:
            self._block(stage, verdict)
            return
        fingerprint = self._gate.fingerprint(stage, ledger)
        if not forced and self._gate.is_up_to_date(stage, ledger, fingerprint):
            self._journal.ended(stage.name, StageState.SUCCESS, "up to date", reused=True)
            return
        self._run_attempt(lease, stage, ledger, fingerprint)

    def _run_attempt(
        self, lease: Lease, stage: Stage, ledger: Ledger, fingerprint: Fingerprint
    ) -> None:
        """Open an attempt, let the stage work, and commit how it ended."""
        number = ledger.next_attempt(stage.name)
        attempt = self._run.begin(lease, stage.name, number, self._clock())
        began = time.perf_counter()
        try:
            self._run.refold(lease)
            self._journal.started(stage.name, number)
            bench = self._bench(stage, ledger, attempt)
            outcome = self._work(stage, ledger, bench)
            self._check_inputs()
            facts = _facts_of(outcome, bench) | {
                "duration_s": _seconds_since(began),
                "fingerprint": fingerprint,
                "lineage": tuple(
                    Lineage(stage=stood.stage, record=stood.digest)
                    for stood in ledger.standing(stage.name)
                ),
            }
            record = self._record(lease, attempt, **facts)
        except (Interrupted, KeyboardInterrupt):
            self._fail(lease, attempt, began, StageError(code="interrupted", message="stopped"))
            raise
        except Exception as error:  # noqa: BLE001 - whatever a stage raises is its failure
            self._journal.event(
                stage.name, "stage.error", level="error", traceback=traceback.format_exc()
            )
            self._fail(lease, attempt, began, _stage_error(error))
            return
        if _says_the_same(record, ledger.current(stage.name)):
            self._run.discard(lease, attempt)
        else:
            self._run.commit(lease, record)
        self._tell(stage, record)

    def _work(self, stage: Stage, ledger: Ledger, bench: StageBench) -> Outcome:
        skipped = [name for name in stage.requires if ledger.state(name) is StageState.SKIPPED]
        if skipped:
            cause = ledger.current(skipped[0])
            return Skipped(f"{skipped[0]} was skipped: {cause.reason if cause else 'no reason'}")
        settings = stage.settings.model_validate(ledger.head.config[stage.name])
        return stage.work(bench, settings)

    def _bench(self, stage: Stage, ledger: Ledger, attempt: Attempt) -> StageBench:
        name = stage.name
        return StageBench(
            stage=stage,
            run=self._run,
            attempt=attempt,
            sources=self._inputs.files,
            readable=self._gate.readable(stage, ledger),
            registry=self._registry,
            report=lambda done, total: self._journal.progress(name, done, total),
            warned=lambda warning: self._journal.warned(name, warning),
        )

    def _check_inputs(self) -> None:
        """Refuse what was made of an input that changed while it was worked on."""
        if changed := self._inputs.changed():
            raise Invalid(
                "the input changed while it was worked on",
                expected=f"{', '.join(changed)} to stay as it was",
                got="another file, or another time of change",
                hint="Wait until it is written, then run again with --new",
            )

    def _record(self, lease: Lease, attempt: Attempt, **facts: Any) -> StageRecord:
        """A record that can be read again; ValidationError where the facts are not such."""
        head = self._run.head
        record = StageRecord(
            asset_id=head.asset.id,
            run_id=head.run_id,
            stage=attempt.stage,
            attempt=attempt.number,
            epoch=lease.epoch,
            started=attempt.started,
            ended=self._clock(),
            **facts,
        )
        return StageRecord.parse(record.to_bytes(), record.name)

    def _fail(self, lease: Lease, attempt: Attempt, began: float, error: StageError) -> None:
        record = self._record(
            lease,
            attempt,
            status=StageState.FAILED,
            duration_s=_seconds_since(began),
            error=error,
        )
        self._run.commit(lease, record)
        self._journal.ended(
            attempt.stage, StageState.FAILED, error.message, code=error.code, attempt=attempt.number
        )

    def _tell(self, stage: Stage, record: StageRecord) -> None:
        note = record.reason or ", ".join(
            f"{count} {name}" for name, count in record.counts.items()
        )
        self._journal.ended(
            stage.name,
            record.status,
            note,
            attempt=record.attempt,
            duration_s=record.duration_s,
            counts=record.counts,
            warnings=len(record.warnings),
        )
        if record.status is StageState.SKIPPED:
            self._insist(stage, note)

    def _insist(self, stage: Stage, reason: str) -> None:
        """A stage asked for by name that was skipped is told as blocked."""
        if stage.name in self._request.named:
            reasons = (provider_unavailable(stage.name, reason),)
            self._block(stage, Verdict(stage=stage.name, reasons=reasons))

    def _block(self, stage: Stage, verdict: Verdict) -> None:
        self._verdicts.append(verdict)
        note = ", ".join(dict.fromkeys(reason.code.value for reason in verdict.reasons))
        reasons = [reason.model_dump(mode="json") for reason in verdict.reasons]
        self._journal.ended(stage.name, StageState.BLOCKED, note, reasons=reasons)

    def _bury_the_dead(self, lease: Lease) -> None:
        """Give every attempt that died without a record one that says so."""
        for attempt in self._run.settle(lease):
            error = StageError(
                code="interrupted", message="the runner died before the stage had ended"
            )
            record = self._record(
                lease, attempt, status=StageState.FAILED, duration_s=0.0, error=error
            )
            self._run.commit(lease, record)
            self._journal.event(
                attempt.stage, "stage.interrupted", level="warning", attempt=attempt.number
            )


def _facts_of(outcome: Outcome, bench: StageBench) -> dict[str, Any]:
    """What a stage's outcome puts into its record."""
    match outcome:
        case Done(producer=producer, counts=counts, metrics=metrics):
            return {
                "status": StageState.SUCCESS,
                "artifacts": bench.finish(),
                "producer": producer,
                "counts": {name: operator.index(count) for name, count in counts.items()},
                "metrics": dict(metrics),
                "warnings": tuple(bench.warnings),
            }
        case Skipped(reason=reason):
            return {
                "status": StageState.SKIPPED,
                "reason": reason,
                "warnings": tuple(bench.warnings),
            }


def _says_the_same(record: StageRecord, earlier: StageRecord | None) -> bool:
    """Whether a stage was skipped again, for the same reason."""
    return (
        earlier is not None
        and record.status is earlier.status is StageState.SKIPPED
        and (record.reason, record.fingerprint) == (earlier.reason, earlier.fingerprint)
    )


def _seconds_since(began: float) -> float:
    return round(time.perf_counter() - began, 6)


def _stage_error(error: Exception) -> StageError:
    """A failure as the record keeps it: what happened, in words a person can act on."""
    if isinstance(error, FilmgateError):
        return StageError(code=error.code, message=str(error) or error.code, details=error.details)
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StageError(
            code="disk_full",
            message="the disk is full: free some space, then run the same command again",
        )
    return StageError(code="unexpected", message=f"{type(error).__name__}: {error}")
