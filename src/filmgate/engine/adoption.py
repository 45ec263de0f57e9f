"""Adoption: files edited by hand become a new attempt of the stage, by the producer `human`."""

import shutil
from types import MappingProxyType

from filmgate.core.errors import ContractBroken, NotFound
from filmgate.core.files import FileContract
from filmgate.core.manifest import Manifest
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Plan, Producer, Stage
from filmgate.core.ports import Attempt, Clock, EventSink, RunDirectory
from filmgate.core.progress import NullObserver
from filmgate.core.records import ArtifactRef
from filmgate.core.resources import Resources
from filmgate.core.states import StageState
from filmgate.engine.attempt import AttemptResult, RecordWriter, read_lineage
from filmgate.engine.contract_writers import make_artifact_ref
from filmgate.engine.decision import Reuse, Situation, decide, find_skip
from filmgate.engine.gate_checker import GateChecker
from filmgate.engine.inputs import Inputs
from filmgate.engine.journal import Journal
from filmgate.engine.runner import record_interrupted_attempts
from filmgate.engine.validation import examine

HUMAN = Producer(name="human", version="1")
CHUNK_BYTES = 1 << 20
"""Size of one read while a file is copied, in bytes."""


def adopt(
    *,
    plan: Plan,
    run: RunDirectory,
    stage: Stage,
    registry: Registry,
    resources: Resources = MappingProxyType({}),
    clock: Clock,
    sinks: tuple[EventSink, ...],
) -> Manifest:
    """Commit the stage's files at the run's root as a new attempt; return the manifest.

    The gate is checked as for a normal execution: the files that the stage depends on must be
    intact. Each file is copied, validated and committed; then the stages that depend on it are
    due again. If the files are already recorded, nothing is written.

    Raises NotFound if a file is missing, ContractBroken if a file does not match its contract,
    Held if a runner is working on the run; in these cases, nothing is adopted.
    """
    journal = Journal(run, NullObserver(), clock, sinks=sinks)
    inputs = Inputs(files={}, digests=run.head.source_sha_map, identities={})
    gate = GateChecker(plan, run, inputs, registry, resources)
    with run.acquire_lease(clock()) as lease:
        run.check_not_sealed()
        writer = RecordWriter(run, lease, clock)
        record_interrupted_attempts(run, lease, writer, journal)
        ledger = run.ledger()
        verdict = gate.check(stage, ledger, protect_own=False)
        if not verdict.is_open:
            run.save_verdicts(lease, (verdict,))
            return run.close(lease)
        skip = find_skip(stage, ledger.head.config, ledger.skip_reasons)
        fingerprint = gate.fingerprint(stage, ledger, is_skipped=skip is not None)
        current = ledger.current_record(stage.name)
        attempt = run.begin(lease, stage.name, ledger.next_attempt(stage.name), clock())
        try:
            refs = tuple(_copy_file(run, attempt, contract, registry) for contract in stage.makes)
        except BaseException:
            run.discard(lease, attempt)
            run.close(lease)
            raise
        situation = Situation(stage=stage, ledger=ledger)
        decision = decide(situation, lambda: fingerprint, gate.has_intact_files)
        is_known = current is not None and current.artifacts == refs
        if is_known and isinstance(decision, Reuse):
            run.discard(lease, attempt)
        else:
            result = AttemptResult(
                status=StageState.SUCCESS,
                fingerprint=fingerprint,
                lineage=read_lineage(stage, ledger),
                artifacts=refs,
                producer=HUMAN,
                counts=_count_records(stage, refs),
            )
            record = writer.build(attempt, result)
            run.commit(lease, record)
            journal.log_record(record, warnings=0)
        run.save_verdicts(lease, ())
        return run.close(lease)


def _copy_file(
    run: RunDirectory, attempt: Attempt, contract: FileContract, registry: Registry
) -> ArtifactRef:
    """Copy one file into the attempt, and validate the copy against its contract."""
    try:
        source = run.open(contract.path)
    except FileNotFoundError as error:
        raise NotFound(
            f"{contract.path} is missing",
            expected=f"the file to adopt, {contract.path}, in the run's folder",
            got="no file",
            hint="Put the file in the run's folder, then adopt the stage again",
        ) from error
    with source, attempt.create(contract.path) as file:
        shutil.copyfileobj(source, file, CHUNK_BYTES)
    examination = examine(contract, attempt.staging_path(contract.path), registry)
    facts = attempt.facts(contract.path)
    if examination.fault is not None or examination.records is None or facts is None:
        raise ContractBroken(
            f"{contract.path} cannot be adopted",
            expected=f"{contract.schema} version {contract.schema_version}",
            got=examination.fault,
            hint="Correct the file, then adopt it again",
        )
    return make_artifact_ref(contract, facts.sha256, facts.size_bytes, examination.records)


def _count_records(stage: Stage, refs: tuple[ArtifactRef, ...]) -> dict[str, int]:
    """Number of records by the name under which a contract counts them."""
    names = {contract.path: contract.counted_as for contract in stage.makes}
    return {name: ref.records for ref in refs if (name := names[ref.path]) is not None}
