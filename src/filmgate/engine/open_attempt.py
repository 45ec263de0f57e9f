"""An attempt in progress, and the fields that its outcome adds to its record."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from filmgate.core.errors import ContractBroken
from filmgate.core.manifest import Ledger
from filmgate.core.plan import Done, Outcome, Skipped, Stage
from filmgate.core.ports import Attempt
from filmgate.core.records import EVERY_ITEM_FAILED, Fingerprint, Lineage, StageRecord
from filmgate.core.states import StageState
from filmgate.engine.fan_out import FanOut
from filmgate.engine.stage_context import EngineStageContext

SWITCHED_OFF = "switched off in the run's config"
"""Reason of a stage that was skipped because its setting `enabled` is false."""


@dataclass(frozen=True, kw_only=True)
class OpenAttempt:
    """An attempt that is in progress."""

    stage: Stage
    attempt: Attempt
    context: EngineStageContext
    fan_out: FanOut
    fingerprint: Fingerprint
    ledger: Ledger
    """State of the run at the time of the gate check."""
    started_s: float
    """Time when the work started, in seconds of `time.perf_counter`."""

    def run(self) -> Outcome:
        """Do the stage's work; skip it if the stage is disabled or a required stage was skipped."""
        skipped = [
            name for name in self.stage.requires if self.ledger.state(name) is StageState.SKIPPED
        ]
        if skipped:
            cause = self.ledger.current_record(skipped[0])
            return Skipped(f"{skipped[0]} was skipped: {cause.reason if cause else 'no reason'}")
        config = self.ledger.head.config[self.stage.name]
        settings = self.stage.settings.model_validate(config)
        if not settings.enabled:
            return Skipped(SWITCHED_OFF)
        return self.stage.work(self.context, settings)

    def common_fields(self, ended_s: float) -> dict[str, Any]:
        """Fields of the record that do not depend on how the work ended.

        `ended_s`: time when the work ended, in seconds of `time.perf_counter`.
        """
        return {
            "duration_s": round(ended_s - self.started_s, 6),
            "fingerprint": self.fingerprint,
            "lineage": read_lineage(self.stage, self.ledger),
            "warnings": tuple(self.context.warnings),
            "item_errors": tuple(self.fan_out.errors),
            "counts": self._engine_counts(),
        }

    def result_fields(self, outcome: Outcome, ended_s: float) -> dict[str, Any]:
        """Fields of the record for an outcome.

        Raises ContractBroken if the stage returned something other than an outcome, did not make
        its files, or reported wrong counts; Invalid if every item failed.
        """
        fields = self.common_fields(ended_s)
        match outcome:
            case Done(producer=producer, counts=counts, metrics=metrics):
                self.fan_out.check()
                if self.fan_out.unconsumed:
                    self.context.warn("items_left", "some results of map() were not consumed")
                if self.fan_out.has_only_failures:
                    self.context.warn(EVERY_ITEM_FAILED, "every item failed")
                fields["warnings"] = tuple(self.context.warnings)
                return fields | {
                    "status": StageState.SUCCESS,
                    "artifacts": self.context.finish(),
                    "producer": producer,
                    "counts": self._merge_counts(counts),
                    "metrics": dict(metrics),
                }
            case Skipped(reason=reason):
                return fields | {"status": StageState.SKIPPED, "reason": reason}
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


def _to_int(name: str, count: Any) -> int:
    try:
        return operator.index(count)
    except TypeError as error:
        raise ContractBroken(
            f"count {name!r} is not an integer", expected="an int", got=repr(count)
        ) from error


def read_lineage(stage: Stage, ledger: Ledger) -> tuple[Lineage, ...]:
    """References to the records of the successful stages that a stage directly depends on."""
    records = ledger.upstream_records(stage.name)
    return tuple(Lineage(stage=record.stage, record=record.digest) for record in records)
