"""Verification: hold everything that a run says against what is there, without running anything."""

from dataclasses import replace

from filmgate.core.gates import (
    Examination,
    Examine,
    Footing,
    Verdict,
    check_files,
    check_lineage,
    check_strangers,
    check_unrecorded,
)
from filmgate.core.manifest import Ledger, Manifest, fold
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Plan
from filmgate.core.ports import RunDirectory
from filmgate.core.states import StageState
from filmgate.engine.validation import examine


def verify(run: RunDirectory, plan: Plan | None = None, registry: Registry = BUILT_IN) -> Manifest:
    """The manifest as it would be if every file were asked about now; nothing is written.

    Reads every byte of every artifact file. Needs neither the input nor the pipeline's code;
    with its plan, altered files are held against their contracts too. Raises Invalid where a
    record itself was altered.
    """
    ledger = run.ledger()

    def examined(path: str) -> Examination | None:
        contract = plan.contracts.get(path) if plan else None
        return examine(contract, run.path_of(path), registry) if contract else None

    verdicts = (_verdict(name, ledger, run, examined) for name in ledger.head.stages)
    found = tuple(verdict for verdict in verdicts if not verdict.is_open)
    return fold(replace(ledger, verdicts=found), is_held=run.is_held())


def _verdict(stage: str, ledger: Ledger, run: RunDirectory, examined: Examine) -> Verdict:
    reasons = check_unrecorded(stage, [p for p in ledger.unrecorded(stage) if run.facts(p)])
    reasons += check_strangers(ledger.intruders(stage))
    record = ledger.current(stage)
    is_named = record is not None and ledger.is_named(record)  # else the next holder names it
    if record is not None and is_named and record.status is StageState.SUCCESS:
        own = Footing(stage=stage, state=record.status, artifacts=record.artifacts)
        found = {ref.path: run.facts(ref.path) for ref in record.artifacts}
        reasons += check_files(own, found, examined)
        reasons += check_lineage(record, ledger.digests)
    return Verdict(stage=stage, reasons=tuple(reasons))
