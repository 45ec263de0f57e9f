"""Verification: hold everything that a run says against what is there, without running anything."""

from filmgate.core.gates import (
    Footing,
    Verdict,
    check_files,
    check_lineage,
    check_unrecorded,
)
from filmgate.core.manifest import Ledger, Manifest, fold
from filmgate.core.ports import RunDirectory
from filmgate.core.states import StageState


def verify(run: RunDirectory) -> Manifest:
    """The manifest as it would be if every file were asked about now; nothing is written.

    Reads every byte of every artifact file. Needs neither the input nor the pipeline's code.
    Raises Invalid where a record itself was altered.
    """
    ledger = run.ledger()
    verdicts = (_verdict(name, ledger, run) for name in ledger.head.stages)
    found = tuple(verdict for verdict in verdicts if not verdict.is_open)
    return fold(
        Ledger(
            head=ledger.head,
            records=ledger.records,
            open_attempts=ledger.open_attempts,
            verdicts=found,
        ),
        is_held=run.is_held(),
    )


def _verdict(stage: str, ledger: Ledger, run: RunDirectory) -> Verdict:
    strangers = [path for path in ledger.unrecorded(stage) if run.facts(path)]
    reasons = check_unrecorded(stage, strangers)
    record = ledger.current(stage)
    if record is not None and record.status is StageState.SUCCESS:
        own = Footing(stage=stage, state=record.status, artifacts=record.artifacts)
        reasons += check_files(own, {ref.path: run.facts(ref.path) for ref in record.artifacts})
        reasons += check_lineage(record, {each.digest for each in ledger.records})
    return Verdict(stage=stage, reasons=tuple(reasons))
