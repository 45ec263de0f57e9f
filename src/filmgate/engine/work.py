"""Work: an attempt that is being worked on, and what its outcome puts into its record."""

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
from filmgate.engine.bench import StageBench
from filmgate.engine.fan_out import FanOut

SWITCHED_OFF = "switched off in the run's config"


@dataclass(frozen=True, kw_only=True)
class OpenWork:
    """An attempt that is being worked on."""

    stage: Stage
    attempt: Attempt
    bench: StageBench
    fan_out: FanOut
    fingerprint: Fingerprint
    ledger: Ledger
    """The run as it stood when the gate was asked."""
    began: float
    """By the clock that only counts (`time.perf_counter`)."""

    def do(self) -> Outcome:
        """The stage's own work, unless there is nothing for it to stand on, or it is off."""
        skipped = [
            name for name in self.stage.requires if self.ledger.state(name) is StageState.SKIPPED
        ]
        if skipped:
            cause = self.ledger.current(skipped[0])
            return Skipped(f"{skipped[0]} was skipped: {cause.reason if cause else 'no reason'}")
        config = self.ledger.head.config[self.stage.name]
        settings = self.stage.settings.model_validate(config)
        if not settings.enabled:
            return Skipped(SWITCHED_OFF)
        return self.stage.work(self.bench, settings)

    def known(self, at: float) -> dict[str, Any]:
        """What goes into the record however the work ended, at that moment."""
        return {
            "duration_s": round(at - self.began, 6),
            "fingerprint": self.fingerprint,
            "lineage": lineage_of(self.stage, self.ledger),
            "warnings": tuple(self.bench.warnings),
            "item_errors": tuple(self.fan_out.errors),
            "counts": self._seen(),
        }

    def facts(self, outcome: Outcome, at: float) -> dict[str, Any]:
        """What an outcome puts into the record; ContractBroken where it is not what was due."""
        facts = self.known(at)
        match outcome:
            case Done(producer=producer, counts=counts, metrics=metrics):
                self.fan_out.check()
                if self.fan_out.left:
                    self.bench.warn("items_left", "not every item that was fanned out was taken")
                if self.fan_out.is_all_bad:
                    self.bench.warn(EVERY_ITEM_FAILED, "not one item was good")
                facts["warnings"] = tuple(self.bench.warnings)
                return facts | {
                    "status": StageState.SUCCESS,
                    "artifacts": self.bench.finish(),
                    "producer": producer,
                    "counts": self._counts(counts),
                    "metrics": dict(metrics),
                }
            case Skipped(reason=reason):
                return facts | {"status": StageState.SKIPPED, "reason": reason}
            case _:
                raise ContractBroken(
                    f"stage {self.stage.name} ended with no outcome",
                    expected="Done or Skipped",
                    got=type(outcome).__name__,
                )

    def says_nothing_new(self, record: StageRecord) -> bool:
        """Whether the stage was skipped before too, for the same reason and on the same records."""
        earlier = self.ledger.current(self.stage.name)
        return (
            earlier is not None
            and not self.ledger.intruders(self.stage.name)
            and record.lineage == earlier.lineage
            and record.status is earlier.status is StageState.SKIPPED
            and (record.reason, record.fingerprint) == (earlier.reason, earlier.fingerprint)
        )

    def _counts(self, told: Mapping[str, int]) -> dict[str, int]:
        """What the stage counted, with what was counted for it."""
        counts = {str(name): _whole(name, count) for name, count in told.items()}
        for name, count in self._seen().items():
            if counts.setdefault(name, count) != count:
                raise ContractBroken(
                    f"stage {self.stage.name} miscounted its {name}",
                    expected=str(count),
                    got=str(counts[name]),
                )
        return counts

    def _seen(self) -> dict[str, int]:
        """What was counted without the stage."""
        seen = dict(self.bench.counts)
        if self.fan_out.failed is not None:
            seen["failed"] = self.fan_out.failed
        return seen


def _whole(name: str, count: Any) -> int:
    try:
        return operator.index(count)
    except TypeError as error:
        raise ContractBroken(
            f"count {name!r} is no whole number", expected="an int", got=repr(count)
        ) from error


def lineage_of(stage: Stage, ledger: Ledger) -> tuple[Lineage, ...]:
    """The records that a stage stands on."""
    standing = ledger.standing(stage.name)
    return tuple(Lineage(stage=stood.stage, record=stood.digest) for stood in standing)
