"""Verification: compare the records of a run with its files, without executing any stage."""

from dataclasses import replace

from filmgate.core.gates import (
    Examination,
    Examine,
    UpstreamState,
    Verdict,
    check_files,
    check_foreign_records,
    check_lineage,
    check_untracked,
)
from filmgate.core.manifest import Ledger, Manifest, fold
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Plan
from filmgate.core.ports import RunDirectory
from filmgate.core.states import StageState
from filmgate.engine.validation import examine


def verify(run: RunDirectory, plan: Plan | None = None, registry: Registry = BUILT_IN) -> Manifest:
    """Verify every file of a run; return the manifest with the current verdicts. Writes nothing.

    Reads every byte of every artifact file. Needs neither the input nor the pipeline's code;
    if `plan` is given, altered files are validated against their contracts too. Raises Invalid
    if `run.json` was altered.
    """
    ledger = run.ledger()

    def examine_path(path: str) -> Examination | None:
        contract = plan.contracts.get(path) if plan else None
        return examine(contract, run.path_of(path), registry) if contract else None

    verdicts = (_verify_stage(name, ledger, run, examine_path) for name in ledger.head.stages)
    blocked = tuple(verdict for verdict in verdicts if not verdict.is_open)
    return fold(replace(ledger, verdicts=blocked), is_held=run.is_held())


def _verify_stage(stage: str, ledger: Ledger, run: RunDirectory, examine_path: Examine) -> Verdict:
    reasons = check_untracked(stage, [p for p in ledger.untracked_files(stage) if run.facts(p)])
    reasons += check_foreign_records(ledger.foreign_records(stage))
    record = ledger.current_record(stage)
    # Files that a crash left in staging are valid: the next holder of the lease moves them.
    is_in_place = record is not None and ledger.has_files_in_place(record)
    if record is not None and is_in_place and record.status is StageState.SUCCESS:
        own = UpstreamState(stage=stage, state=record.status, artifacts=record.artifacts)
        found = {ref.path: run.facts(ref.path) for ref in record.artifacts}
        reasons += check_files(own, found, examine_path)
        reasons += check_lineage(record, ledger.record_digests)
    return Verdict(stage=stage, reasons=tuple(reasons))
