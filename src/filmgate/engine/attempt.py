"""An attempt in progress, the result of its work, and the record that stores the result."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from filmgate.core.digest import JsonObject
from filmgate.core.errors import ContractBroken
from filmgate.core.manifest import Ledger
from filmgate.core.plan import Done, Outcome, Producer, Skipped, Stage
from filmgate.core.ports import Attempt, Clock, Lease, RunDirectory
from filmgate.core.records import (
    ArtifactRef,
    Fingerprint,
    ItemError,
    Lineage,
    StageError,
    StageRecord,
    WarningCode,
)
from filmgate.core.redaction import redact
from filmgate.core.states import StageState
from filmgate.engine.fan_out import FanOut
from filmgate.engine.stage_context import EngineStageContext


@dataclass(frozen=True, kw_only=True)
class AttemptResult:
    """What an attempt adds to its record; see `StageRecord` for the fields."""

    status: StageState
    duration_s: float = 0.0
    fingerprint: Fingerprint | None = None
    lineage: tuple[Lineage, ...] = ()
    artifacts: tuple[ArtifactRef, ...] = ()
    producer: Producer | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    metrics: JsonObject = field(default_factory=dict)
    warnings: tuple[JsonObject, ...] = ()
    item_errors: tuple[ItemError, ...] = ()
    error: StageError | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class OpenAttempt:
    """An attempt that is in progress."""

    stage: Stage
    attempt: Attempt
    context: EngineStageContext
    fan_out: FanOut
    fingerprint: Fingerprint
    skip: Skipped | None
    """Outcome of a stage that is skipped without its work."""
    ledger: Ledger
    """State of the run at the time of the gate check."""
    started_s: float
    """Time when the work started, in seconds of `time.perf_counter`."""

    def run(self) -> Outcome:
        """Do the stage's work, unless it is skipped."""
        if self.skip is not None:
            return self.skip
        config = self.ledger.head.config[self.stage.name]
        return self.stage.work(self.context, self.stage.settings.model_validate(config))

    def failure(self, error: StageError, ended_s: float) -> AttemptResult:
        """Make the result of a failed attempt; for `ended_s`, see `result`."""
        return replace(self._result(StageState.FAILED, ended_s), error=error)

    def result(self, outcome: Outcome, ended_s: float) -> AttemptResult:
        """Make the result of an outcome.

        `ended_s`: time when the work ended, in seconds of `time.perf_counter`. Raises
        ContractBroken if the stage returned something other than an outcome, did not make its
        files, or reported wrong counts; Invalid if every item failed.
        """
        match outcome:
            case Done(producer=producer, counts=counts, metrics=metrics):
                self.fan_out.check()
                if self.fan_out.unconsumed:
                    left = "some results of map() were not consumed"
                    self.context.warn(WarningCode.ITEMS_LEFT, left)
                if self.fan_out.has_only_failures:
                    self.context.warn(WarningCode.EVERY_ITEM_FAILED, "every item failed")
                return replace(
                    self._result(StageState.SUCCESS, ended_s),
                    artifacts=self.context.finish(),
                    producer=producer,
                    counts=self._merge_counts(counts),
                    metrics=dict(metrics),
                )
            case Skipped(reason=reason):
                return replace(self._result(StageState.SKIPPED, ended_s), reason=reason)
            case _:
                raise ContractBroken(
                    f"the outcome of stage {self.stage.name} is invalid",
                    expected="Done or Skipped",
                    got=type(outcome).__name__,
                )

    def is_unchanged_skip(self, record: StageRecord) -> bool:
        """Whether the last attempt was skipped, too, for the same reason and on equal records."""
        earlier = self.ledger.current_record(self.stage.name)
        return (
            earlier is not None
            and not self.ledger.foreign_records(self.stage.name)
            and record.lineage == earlier.lineage
            and record.status is earlier.status is StageState.SKIPPED
            and (record.reason, record.fingerprint) == (earlier.reason, earlier.fingerprint)
        )

    def _result(self, status: StageState, ended_s: float) -> AttemptResult:
        """Make a result with the fields that do not depend on the outcome."""
        return AttemptResult(
            status=status,
            duration_s=round(ended_s - self.started_s, 6),
            fingerprint=self.fingerprint,
            lineage=read_lineage(self.stage, self.ledger),
            warnings=tuple(self.context.warnings),
            item_errors=tuple(self.fan_out.errors),
            counts=self._engine_counts(),
        )

    def _merge_counts(self, reported: Mapping[str, int]) -> dict[str, int]:
        """Merge the stage's counts and the engine's; raise ContractBroken if they differ."""
        counts = {str(name): _to_int(name, count) for name, count in reported.items()}
        for name, count in self._engine_counts().items():
            if counts.setdefault(name, count) != count:
                raise ContractBroken(
                    f"count {name!r} of stage {self.stage.name} is wrong",
                    expected=str(count),
                    got=str(counts[name]),
                )
        return counts

    def _engine_counts(self) -> dict[str, int]:
        """Counts of the engine: records that were written, and items that failed."""
        counts = dict(self.context.counts)
        if self.fan_out.failed is not None:
            counts["failed"] = self.fan_out.failed
        return counts


class RecordWriter:
    """Builds the records of one run, and commits those of failures; they contain no secrets."""

    def __init__(self, run: RunDirectory, lease: Lease, clock: Clock) -> None:
        self._run = run
        self._lease = lease
        self._clock = clock

    def build(self, attempt: Attempt, result: AttemptResult) -> StageRecord:
        """Build the record of an attempt, and verify that it can be parsed again.

        Secrets are removed from the fields whose contents a stage chooses freely. Raises
        ValidationError if a field is invalid.
        """
        head = self._run.head
        record = StageRecord(
            asset_id=head.asset.id,
            run_id=head.run_id,
            stage=attempt.stage,
            attempt=attempt.number,
            epoch=self._lease.epoch,
            status=result.status,
            started=attempt.started,
            ended=self._clock(),
            duration_s=result.duration_s,
            fingerprint=result.fingerprint,
            lineage=result.lineage,
            artifacts=result.artifacts,
            producer=result.producer,
            counts=dict(result.counts),
            metrics=redact(result.metrics),
            warnings=redact(result.warnings),
            item_errors=result.item_errors,
            error=result.error,
            reason=redact(result.reason),
        )
        StageRecord.parse(record.to_bytes(), record.name)
        return record

    def commit_failure(self, attempt: Attempt, result: AttemptResult) -> StageRecord:
        """Commit the record of a failed attempt; if a field is invalid, only with its error.

        Raises Conflict if the attempt already has a record, Held if the lease was lost.
        """
        try:
            record = self.build(attempt, result)
        except ValueError:
            error, duration_s = result.error, result.duration_s
            reduced = AttemptResult(status=StageState.FAILED, error=error, duration_s=duration_s)
            record = self.build(attempt, reduced)
        self._run.commit(self._lease, record)
        return record


def read_lineage(stage: Stage, ledger: Ledger) -> tuple[Lineage, ...]:
    """References to the records of the successful stages that a stage directly depends on."""
    records = ledger.upstream_records(stage.name)
    return tuple(Lineage(stage=record.stage, record=record.digest) for record in records)


def _to_int(name: str, count: int) -> int:
    try:
        return operator.index(count)
    except TypeError as error:
        raise ContractBroken(
            f"count {name!r} is not an integer", expected="an int", got=repr(count)
        ) from error
