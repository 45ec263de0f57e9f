"""Erasure: the files of a run without a person become new attempts with the reason `erased`.

The record of each attempt depends on the same things as before, apart from the erased files and the
known people. So all gates stay open, and no stage is due again because of an erasure.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from filmgate.core.digest import JsonObject, sha256_hex
from filmgate.core.erasure import PersonErasure, Traces
from filmgate.core.errors import ContractBroken, Invalid
from filmgate.core.files import FileContract
from filmgate.core.manifest import Ledger, Manifest, fold
from filmgate.core.payloads.registry import Registry
from filmgate.core.people import Person
from filmgate.core.plan import Outcome, Plan, Producer, Stage
from filmgate.core.ports import Attempt, Clock, EventSink, Lease, RunDirectory
from filmgate.core.progress import NullObserver
from filmgate.core.publishing import Seal
from filmgate.core.records import (
    ERASED,
    ArtifactRef,
    Fingerprint,
    StageRecord,
    changed_file_error,
)
from filmgate.core.redaction import to_json_value
from filmgate.core.states import StageState
from filmgate.engine.attempt import AttemptResult, OpenAttempt, RecordWriter, read_lineage
from filmgate.engine.executors.in_process import InProcess
from filmgate.engine.fan_out import FanOut
from filmgate.engine.gate_checker import GateChecker
from filmgate.engine.inputs import Inputs
from filmgate.engine.invocation import refuse_store
from filmgate.engine.journal import Journal
from filmgate.engine.runner import record_interrupted_attempts
from filmgate.engine.stage_context import EngineStageContext, StageEnvironment
from filmgate.engine.validation import examine

ERASURE = Producer(name="erasure", version="1")
"""Producer of the files from which a person was erased; their reason is `ERASED`."""

CHUNK_BYTES = 1 << 20
"""Size of one read while a file is copied, in bytes."""


class RecordedFiles:
    """Implementation of `RunContents`: the files of the last success of each stage."""

    def __init__(self, run: RunDirectory, ledger: Ledger) -> None:
        self._run = run
        self._refs: dict[str, ArtifactRef] = {}
        self._known: dict[str, bytes] = {}
        for stage in ledger.head.stages:
            record = ledger.last_success(stage)
            self._refs |= {ref.path: ref for ref in record.artifacts} if record else {}
        self._is_current = {
            ref.path: record.status is StageState.SUCCESS
            for stage in ledger.head.stages
            if (record := ledger.current_record(stage)) is not None
            for ref in record.artifacts
        }

    def read(self, contract: FileContract) -> bytes | None:
        """Return the bytes of a file; None if it was not made."""
        ref = self._refs.get(contract.path)
        if ref is None:
            return None
        if ref.path in self._known:
            return self._known[ref.path]
        try:
            with self._run.open(ref.path) as file:
                data = file.read()
        except FileNotFoundError:
            if not self._is_current.get(ref.path):
                return None
            raise _altered(ref, None) from None
        if sha256_hex(data) != ref.sha256:
            raise _altered(ref, sha256_hex(data))
        self._known[ref.path] = data
        return data


@dataclass(frozen=True, kw_only=True)
class ErasureRequest:
    """The erasure of one person from one run."""

    plan: Plan
    erasure: PersonErasure
    person: Person
    traces: Traces
    current_stages: frozenset[str]
    """Stages that were up to date before the erasure; they are up to date afterwards, too."""
    resources: Mapping[str, str | None]
    """New digest by the old digest, for resources that contained the person; None: none is left."""
    is_resumed: bool
    """Whether an erasure of this run was interrupted before."""


def find_current_stages(ledger: Ledger) -> frozenset[str]:
    """Return the stages whose success depends on nothing that has changed."""
    return frozenset(
        stage for stage in ledger.head.stages if ledger.state(stage) is StageState.SUCCESS
    )


def uses_resource(ledger: Ledger, digests: Mapping[str, str | None]) -> bool:
    """Whether the current record of a stage names one of the resources."""
    records = (ledger.current_record(stage) for stage in ledger.head.stages)
    return any(
        digest in digests
        for record in records
        if record is not None and record.fingerprint is not None
        for digest in record.fingerprint.resources.values()
    )


def erase(
    request: ErasureRequest,
    run: RunDirectory,
    registry: Registry,
    clock: Clock,
    sinks: tuple[EventSink, ...],
) -> tuple[str, ...]:
    """Erase a person from a run, also from a sealed one; return the paths of the changed files.

    It can be repeated: after an interruption, the remaining files are replaced. A sealed run gets a
    new seal with its new manifest. Files of attempts that are no longer valid are removed.

    Raises Invalid if a file was altered since its record, Held if a runner works on the run,
    Unavailable if a tool for a stage that has to be executed again is missing.
    """
    journal = Journal(run, NullObserver(), clock, sinks=sinks)
    with run.acquire_lease(clock()) as lease:
        writer = RecordWriter(run, lease, clock)
        if request.is_resumed:
            for attempt in run.recover(lease):
                run.discard(lease, attempt)
        else:
            record_interrupted_attempts(run, lease, writer, journal)
        task = _Task(
            request=request,
            run=run,
            lease=lease,
            writer=writer,
            journal=journal,
            registry=registry,
            clock=clock,
        )
        try:
            task.erase_stages()
            _renew_seal(run, lease)
        finally:
            run.close(lease)
        return tuple(task.changed)


@dataclass(kw_only=True)
class _Task:
    """The erasure of a person from one run, under its lease."""

    request: ErasureRequest
    run: RunDirectory
    lease: Lease
    writer: RecordWriter
    journal: Journal
    registry: Registry
    clock: Clock
    new: Mapping[str, bytes] = field(default_factory=dict)
    """New bytes by path."""
    changed: list[str] = field(default_factory=list)
    """Paths of the files that were replaced or removed."""

    def erase_stages(self) -> None:
        """Commit a new attempt of every stage whose files or inputs change."""
        request = self.request
        contents = RecordedFiles(self.run, self.run.ledger())
        self.new = request.erasure.rewrite(contents, request.person, request.traces)
        for stage in request.plan.stages:
            self._erase_stage(stage, self.run.ledger())

    def _erase_stage(self, stage: Stage, ledger: Ledger) -> None:
        record = ledger.current_record(stage.name)
        paths = [contract.path for contract in stage.makes if contract.path in self.new]
        is_remade = stage.name in self.request.erasure.remake
        is_current = stage.name in self.request.current_stages
        if record is None or record.status is not StageState.SUCCESS:
            self._remove([contract.path for contract in stage.makes] if is_remade else paths)
            return
        if is_remade and not is_current:
            # The stage is due again. It is removed, because its file cannot be edited.
            self._remove([ref.path for ref in record.artifacts])
            return
        now = self._fingerprint(record, ledger) if is_current else record.fingerprint
        if not paths and now == record.fingerprint:
            return
        has_new_inputs = (
            now is None or record.fingerprint is None or (now.inputs != record.fingerprint.inputs)
        )
        attempt = self.run.begin(
            self.lease,
            stage.name,
            ledger.next_attempt(stage.name),
            self.clock(),
            despite_seal=True,
        )
        try:
            if is_remade and has_new_inputs:
                result = self._remake(stage, attempt, ledger)
            else:
                result = self._copy(record, attempt, ledger, now)
        except BaseException:
            self.run.discard(self.lease, attempt)
            raise
        committed = self.writer.build(attempt, result)
        self.run.commit(self.lease, committed)
        self.journal.log_record(committed, warnings=len(committed.warnings))
        earlier = {ref.path: ref.sha256 for ref in record.artifacts}
        self.changed += [
            ref.path for ref in committed.artifacts if ref.sha256 != earlier.get(ref.path)
        ]

    def _remove(self, paths: list[str]) -> None:
        existing = [path for path in paths if self.run.facts(path) is not None]
        self.run.remove(self.lease, existing)
        self.changed += existing

    def _fingerprint(self, record: StageRecord, ledger: Ledger) -> Fingerprint | None:
        """Return a fingerprint with the current inputs, known people and upstream records."""
        before = record.fingerprint
        if before is None:
            return None
        new = self.request.resources
        resources = {name: new.get(digest, digest) for name, digest in before.resources.items()}
        upstreams = {name: ledger.current_record(name) for name in before.records}
        files = ledger.readable_files(record.stage)
        return before.model_copy(
            update={
                "inputs": {path: ref.sha256 for path, ref in files.items()},
                "resources": {name: now for name, now in resources.items() if now is not None},
                "records": {
                    name: upstream.report_digest
                    for name, upstream in upstreams.items()
                    if upstream is not None
                },
            }
        )

    def _copy(
        self,
        record: StageRecord,
        attempt: Attempt,
        ledger: Ledger,
        fingerprint: Fingerprint | None,
    ) -> AttemptResult:
        """Copy the files of a record into an attempt, with new bytes for those that changed."""
        stage = self.request.plan.find_stage(record.stage)
        refs = tuple(self._copy_file(ref, attempt) for ref in record.artifacts)
        result = AttemptResult(
            status=StageState.SUCCESS,
            fingerprint=fingerprint,
            lineage=read_lineage(stage, ledger),
            artifacts=refs,
            reason=ERASED,
        )
        if refs != record.artifacts:
            names = {contract.path: contract.counted_as for contract in stage.makes}
            counts = {name: ref.records for ref in refs if (name := names.get(ref.path))}
            return replace(
                result,
                producer=_erasure_of(record),
                counts=counts,
                warnings=(_erasure_warning(record),),
            )
        return replace(
            result,
            producer=record.producer,
            counts=record.counts,
            metrics=to_json_value(record.metrics),
            warnings=to_json_value(record.warnings),
            item_errors=record.item_errors,
        )

    def _copy_file(self, ref: ArtifactRef, attempt: Attempt) -> ArtifactRef:
        new = self.new.get(ref.path)
        with attempt.create(ref.path) as file:
            if new is not None:
                file.write(new)
            else:
                with self.run.open(ref.path) as source:
                    for chunk in iter(partial(source.read, CHUNK_BYTES), b""):
                        file.write(chunk)
        facts = attempt.facts(ref.path)
        assert facts is not None
        if new is None:
            if facts.sha256 != ref.sha256:
                raise _altered(ref, facts.sha256)
            return ref
        contract = self.request.plan.contracts[ref.path]
        found = examine(contract, attempt.staging_path(ref.path), self.registry)
        if found.fault is not None or found.records is None:
            raise ContractBroken(
                f"{ref.path} without the person does not match its contract", got=found.fault
            )
        return ref.model_copy(
            update={
                "sha256": facts.sha256,
                "size_bytes": facts.size_bytes,
                "records": found.records,
            }
        )

    def _remake(self, stage: Stage, attempt: Attempt, ledger: Ledger) -> AttemptResult:
        """Execute a stage on the erased files."""
        inputs = Inputs(files={}, digests=self.run.head.source_sha_map, identities={})
        gate = GateChecker(self.request.plan, self.run, inputs, self.registry)
        fan_out = FanOut(
            InProcess(), partial(self.journal.log_item_error, stage.name), is_strict=True
        )
        context = EngineStageContext(
            stage=stage,
            attempt=attempt,
            ledger=ledger,
            environment=StageEnvironment(
                run=self.run,
                sources={},
                registry=self.registry,
                resources={},
                open_store=refuse_store,
            ),
            journal=self.journal,
            stop_event=threading.Event(),
            fan_out=fan_out,
        )
        opened = OpenAttempt(
            stage=stage,
            attempt=attempt,
            context=context,
            fan_out=fan_out,
            fingerprint=gate.fingerprint(stage, ledger, is_skipped=False),
            skip=None,
            ledger=ledger,
            started_s=time.perf_counter(),
        )
        outcome: Outcome = opened.run()
        return replace(opened.result(outcome, time.perf_counter()), reason=ERASED)


def _erasure_of(record: StageRecord) -> Producer:
    """Return the erasure as the producer of files; the weights of the model stay known."""
    weights = record.producer.weights_sha256 if record.producer else None
    return ERASURE.model_copy(update={"weights_sha256": weights})


def _erasure_warning(record: StageRecord) -> JsonObject:
    """Return a warning that names the program which made the files before the first erasure."""
    earlier = [each for each in record.warnings if each.get("code") == ERASED]
    if earlier:
        warning: JsonObject = to_json_value(earlier[0])
        return warning
    made_by = record.producer or ERASURE
    return {
        "code": ERASED,
        "message": f"records about a person were erased from files of {made_by.name} "
        f"{made_by.version}, attempt {record.attempt}",
    }


def _renew_seal(run: RunDirectory, lease: Lease) -> None:
    """Replace the manifest in the seal of a published run by that of its current records."""
    seal = run.read_seal()
    if seal is None:
        return
    now = fold(run.ledger(), is_held=False)
    sealed = Manifest.parse(seal.manifest.encode("utf-8"))
    if _record_digests(now) == _record_digests(sealed):
        return
    data = seal.manifest.encode("utf-8")
    renewed = Seal(
        manifest=now.to_bytes().decode("utf-8"),
        sealed_at=seal.sealed_at,
        to=seal.to,
        published_sha256=seal.published_sha256 or sha256_hex(data),
    )
    run.seal(lease, renewed, replace=True)


def _record_digests(manifest: Manifest) -> dict[str, str | None]:
    return {name: entry.record_sha256 for name, entry in manifest.stages.items()}


def _altered(ref: ArtifactRef, found: str | None) -> Invalid:
    return changed_file_error(
        Invalid,
        ref,
        found,
        "its record",
        "Restore the file, adopt it or make it again with --repair; then erase the person again",
    )
