"""The rules that all run directories follow: valid records, recovery, lease and seal."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from filmgate.core.errors import Conflict, Held, Invalid
from filmgate.core.gates import ForeignRecord
from filmgate.core.manifest import Ledger, UnrecordedAttempt
from filmgate.core.publishing import Seal
from filmgate.core.records import RunHead, StageRecord
from filmgate.core.states import StageState

_RECORD = re.compile(r"(?P<stage>.+)\.a[1-9][0-9]{0,5}\.json")


def is_record_name(name: str, stages: Collection[str]) -> bool:
    """Whether a file in `commits/` has the name of a record of one of the stages."""
    match = _RECORD.fullmatch(name)
    return match is not None and match["stage"] in stages


def read_records(
    head: RunHead, names: Iterable[str], read: Callable[[str], StageRecord]
) -> tuple[list[StageRecord], list[ForeignRecord]]:
    """Read the files with names of records; return the records of the run, and the other files.

    `read`: function that parses the file with a name; raises Invalid if it is not a valid record.
    """
    records: list[StageRecord] = []
    foreign_records: list[ForeignRecord] = []
    for name in names:
        try:
            record = read(name)
        except Invalid as error:
            expected = error.expected or "a record with a valid digest"
            foreign_records.append(
                _foreign_record(name, expected, str(error), is_of_another_run=False)
            )
            continue
        if (record.asset_id, record.run_id) == (head.asset.id, head.run_id):
            records.append(record)
        else:
            expected = f"a record of {head.asset.id}/{head.run_id}"
            got = f"a record of {record.asset_id}/{record.run_id}"
            foreign_records.append(_foreign_record(name, expected, got, is_of_another_run=True))
    return records, foreign_records


def _foreign_record(
    name: str, expected: str, got: str, *, is_of_another_run: bool
) -> ForeignRecord:
    stage, _, number = name.removesuffix(".json").rpartition(".a")
    return ForeignRecord(
        stage=stage,
        attempt=int(number),
        expected=expected,
        got=got,
        is_of_another_run=is_of_another_run,
    )


@dataclass(frozen=True, kw_only=True)
class UnfinishedAttempt:
    """An attempt that an interrupted runner left, and what its recovery has to do."""

    opened: UnrecordedAttempt
    is_committed: bool
    """Whether the attempt has a record; its entry in the staging folder is then removed."""
    record_to_install: StageRecord | None = None
    """Record whose files have to be moved to the run's root; None if there is nothing to move."""


def plan_recovery(ledger: Ledger) -> list[UnfinishedAttempt]:
    """Decide what to do with each attempt that an interrupted runner left.

    Files are moved to the run's root only if no later attempt has replaced them.
    """
    recorded = {(record.stage, record.attempt): record for record in ledger.records}
    unfinished = []
    for opened in ledger.unrecorded_attempts:
        record = recorded.get((opened.stage, opened.attempt))
        is_current = record is not None and ledger.current_record(opened.stage) == record
        is_success = record is not None and record.status is StageState.SUCCESS
        unfinished.append(
            UnfinishedAttempt(
                opened=opened,
                is_committed=record is not None,
                record_to_install=record if is_current and is_success else None,
            )
        )
    return unfinished


def superseded_paths(record: StageRecord, records: Iterable[StageRecord]) -> list[str]:
    """Paths of files of earlier attempts at the stage that `record` does not name."""
    current = {ref.path for ref in record.artifacts}
    return [
        ref.path
        for earlier in records
        if earlier.stage == record.stage and earlier.attempt < record.attempt
        for ref in earlier.artifacts
        if ref.path not in current
    ]


def blocked_path_error(blocking: object, path: str, *, expected: str, got: str) -> Invalid:
    """Make the error for a file whose place at the run's root is taken by something else."""
    return Invalid(
        f"{blocking} is not {expected}",
        expected=f"{expected}, for {path}",
        got=got,
        hint="Move it away, then run again",
    )


def sealed_error(head: RunHead, seal: Seal) -> Conflict:
    """Make the error for a change of a sealed run."""
    return Conflict(
        f"run {head.run_id} is sealed because it was published",
        expected="a run that is not sealed",
        got=f"a run published to {seal.to} at {seal.sealed_at:%Y-%m-%d %H:%M:%S} UTC",
        hint="Start a new run with --new",
        reason="sealed",
    )


def held_error(info: Mapping[str, object]) -> Held:
    """Make the error for a lease that another runner has.

    `info`: the holder's `pid`, `host`, `since` and `epoch`, as in `lease.json`.
    """
    return Held(
        "the run is held by another runner",
        expected="a free lease",
        got=f"process {info.get('pid')} on {info.get('host')}, since {info.get('since')}",
        hint="Wait for it, or stop it; a lease ends with its process",
        holder=info,
    )


def lost_lease_error(epoch: int, current_epoch: object) -> Held:
    """Make the error for a runner whose lease was taken by another runner."""
    return Held(
        "the lease of the run was taken by another runner",
        expected=f"epoch {epoch}",
        got=f"epoch {current_epoch}",
        hint="Nothing was written; check `filmgate status`",
    )
