"""The record writer: builds and commits the record of an attempt's outcome."""

from typing import Any

from filmgate.core.ports import Attempt, Clock, Lease, RunDirectory
from filmgate.core.records import StageError, StageRecord
from filmgate.core.redaction import redact
from filmgate.core.states import StageState


class RecordWriter:
    """Builds and commits the records of one run; they contain no secrets."""

    def __init__(self, run: RunDirectory, lease: Lease, clock: Clock) -> None:
        self._run = run
        self._lease = lease
        self._clock = clock

    def build(self, attempt: Attempt, **fields: Any) -> StageRecord:
        """Build the record of an attempt, and verify that it can be parsed again.

        `fields`: fields of `StageRecord`. Raises ValidationError if they are invalid.
        """
        head = self._run.head
        record = StageRecord(
            asset_id=head.asset.id,
            run_id=head.run_id,
            stage=attempt.stage,
            attempt=attempt.number,
            epoch=self._lease.epoch,
            started=attempt.started,
            ended=self._clock(),
            **{
                name: redact(value) if name in FREE_TEXT_FIELDS else value
                for name, value in fields.items()
            },
        )
        StageRecord.parse(record.to_bytes(), record.name)
        return record

    def commit(self, record: StageRecord) -> None:
        """Make the record permanent.

        Raises Conflict if the attempt already has a record, Held if the lease was lost.
        """
        self._run.commit(self._lease, record)

    def discard(self, attempt: Attempt) -> None:
        """Remove the attempt as if it had never been opened."""
        self._run.discard(self._lease, attempt)

    def commit_failure(
        self, attempt: Attempt, error: StageError, duration_s: float, **fields: Any
    ) -> StageRecord:
        """Build and commit the record of a failed attempt; `fields`: its other fields."""
        record = self.build(
            attempt, status=StageState.FAILED, duration_s=duration_s, error=error, **fields
        )
        self.commit(record)
        return record


FREE_TEXT_FIELDS = frozenset({"warnings", "metrics", "reason"})
"""Fields whose contents a stage chooses freely; secrets are removed from them."""
