"""The recorder: puts the outcome of an attempt into words that last."""

from typing import Any

from filmgate.core.ports import Attempt, Clock, Lease, RunDirectory
from filmgate.core.records import StageError, StageRecord
from filmgate.core.redaction import redact
from filmgate.core.states import StageState


class Recorder:
    """Makes and commits the records of one run, without secrets in them."""

    def __init__(self, run: RunDirectory, lease: Lease, clock: Clock) -> None:
        self._run = run
        self._lease = lease
        self._clock = clock

    def record(self, attempt: Attempt, **facts: Any) -> StageRecord:
        """A record that can be read again; ValidationError where the facts are not such."""
        head = self._run.head
        record = StageRecord(
            asset_id=head.asset.id,
            run_id=head.run_id,
            stage=attempt.stage,
            attempt=attempt.number,
            epoch=self._lease.epoch,
            started=attempt.started,
            ended=self._clock(),
            **{name: redact(facts[name]) if name in TOLD else facts[name] for name in facts},
        )
        StageRecord.parse(record.to_bytes(), record.name)
        return record

    def commit(self, record: StageRecord) -> None:
        """Make it permanent; raises Conflict or Held where that is not for this runner to do."""
        self._run.commit(self._lease, record)

    def discard(self, attempt: Attempt) -> None:
        """Forget the attempt."""
        self._run.discard(self._lease, attempt)

    def failure(
        self, attempt: Attempt, error: StageError, duration_s: float, **facts: Any
    ) -> StageRecord:
        """Commit that an attempt failed, with what is known of it besides."""
        record = self.record(
            attempt, status=StageState.FAILED, duration_s=duration_s, error=error, **facts
        )
        self.commit(record)
        return record


TOLD = frozenset({"warnings", "metrics", "reason"})
"""The fields in which a stage speaks in its own words."""
