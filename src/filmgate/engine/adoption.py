"""Adoption: files mended by hand become a new attempt of the stage, by producer `human`."""

from types import MappingProxyType

from filmgate.core.errors import ContractBroken, NotFound
from filmgate.core.files import FileContract
from filmgate.core.gates import Verdict
from filmgate.core.manifest import Manifest
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Plan, Producer, Stage
from filmgate.core.ports import Attempt, Clock, EventSink, Lease, RunDirectory
from filmgate.core.records import ArtifactRef
from filmgate.core.resources import Resources
from filmgate.core.states import StageState
from filmgate.engine.gatekeeper import Gatekeeper
from filmgate.engine.inputs import Inputs
from filmgate.engine.journal import Journal, Unwatched
from filmgate.engine.recorder import Recorder
from filmgate.engine.runner import bury_the_dead
from filmgate.engine.validation import examine
from filmgate.engine.work import lineage_of
from filmgate.engine.writing import ref_to

HUMAN = Producer(name="human", version="1")
CHUNK_BYTES = 1 << 20


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
    """Take the stage's files as they lie at the run's root for its result; the manifest then.

    The gate is asked as for a run: what the stage stands on must be whole. Each file is copied,
    validated and committed as the next attempt, so that what stands on it is due again. Where
    the files are those recorded already, nothing is written. Raises NotFound where one is not
    there, ContractBroken where one is not what its contract says, Held where a runner works on
    the run; then nothing is changed.
    """
    journal = Journal(run, Unwatched(), clock, sinks=sinks)
    inputs = Inputs(files={}, digests=run.head.source_sha_map, marks={})
    gate = Gatekeeper(plan, run, inputs, registry, resources)
    with run.hold(clock()) as lease:
        run.check_open()
        recorder = Recorder(run, lease, clock)
        bury_the_dead(run, lease, recorder, journal)
        ledger = run.ledger()
        verdict = gate.ask(stage, ledger, protect_own=False)
        if not verdict.is_open:
            return _refuse(run, lease, verdict)
        fingerprint = gate.fingerprint(stage, ledger)
        current = ledger.current(stage.name)
        attempt = run.begin(lease, stage.name, ledger.next_attempt(stage.name), clock())
        try:
            refs = tuple(_take(run, attempt, made, registry) for made in stage.makes)
        except BaseException:
            run.discard(lease, attempt)
            run.close(lease)
            raise
        is_known = current is not None and current.artifacts == refs
        if is_known and gate.is_up_to_date(stage, ledger, fingerprint):
            run.discard(lease, attempt)
        else:
            record = recorder.record(
                attempt,
                status=StageState.SUCCESS,
                duration_s=0.0,
                fingerprint=fingerprint,
                lineage=lineage_of(stage, ledger),
                artifacts=refs,
                producer=HUMAN,
                counts=_counts(stage, refs),
            )
            recorder.commit(record)
            journal.recorded(record, warnings=0)
        run.rule(lease, ())
        return run.close(lease)


def _refuse(run: RunDirectory, lease: Lease, verdict: Verdict) -> Manifest:
    run.rule(lease, (verdict,))
    return run.close(lease)


def _take(
    run: RunDirectory, attempt: Attempt, contract: FileContract, registry: Registry
) -> ArtifactRef:
    """Copy one file into the attempt, and hold the copy against its contract."""
    try:
        source = run.open(contract.path)
    except FileNotFoundError as error:
        raise NotFound(
            f"there is no {contract.path} to adopt",
            expected=f"a file {contract.path} in the run's folder",
            got="no file",
            hint="Put it in the run's folder first",
        ) from error
    with source, attempt.create(contract.path) as file:
        while chunk := source.read(CHUNK_BYTES):
            file.write(chunk)
    seen = examine(contract, attempt.place(contract.path), registry)
    facts = attempt.facts(contract.path)
    if seen.fault is not None or seen.records is None or facts is None:
        raise ContractBroken(
            f"{contract.path} cannot be adopted",
            expected=f"{contract.schema} version {contract.schema_version}",
            got=seen.fault,
            hint="Mend the file, then adopt again",
        )
    return ref_to(contract, facts.sha256, facts.size_bytes, seen.records)


def _counts(stage: Stage, refs: tuple[ArtifactRef, ...]) -> dict[str, int]:
    named = {made.path: made.counted_as for made in stage.makes}
    return {name: ref.records for ref in refs if (name := named[ref.path]) is not None}
