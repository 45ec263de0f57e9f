"""`manifest.json`: the index of a run, derived from its head, records and last verdicts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, Self

from pydantic import (
    BaseModel,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from filmgate.core.digest import canonical_json
from filmgate.core.envelope import Digest, Id, Int32, Moment, StorableText
from filmgate.core.errors import Invalid, first_fault, json_pointer
from filmgate.core.gates import ForeignRecord, Reason, ReasonCode, Verdict
from filmgate.core.ids import Layout
from filmgate.core.plan import Producer
from filmgate.core.records import (
    ERASED,
    ArtifactRef,
    Asset,
    ItemError,
    Lineage,
    Record,
    RunHead,
    StageConfigs,
    StageError,
    StageRecord,
)
from filmgate.core.states import RunState, StageState, StageView, merge, run_state

MANIFEST_VERSION = 1


class Blocked(Record):
    """The last verdict that blocked a stage."""

    reasons: tuple[Reason, ...]
    suggested_actions: tuple[str, ...]


class StageEntry(Record):
    """The manifest's entry for one stage."""

    status: StageState
    attempt: Int32
    started: Moment | None = None
    ended: Moment | None = None
    duration_s: float | None = None
    fingerprint: str | None = None
    record_sha256: str | None = None
    """Digest of the record that this entry is derived from."""
    lineage: tuple[Lineage, ...] = ()
    """Records that the record of this entry depends on."""
    artifacts: tuple[ArtifactRef, ...] = ()
    producer: Producer | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    metrics: dict[str, object] = Field(default_factory=dict)
    warnings: tuple[dict[str, object], ...] = ()
    item_errors: tuple[ItemError, ...] = ()
    error: StageError | None = None
    reason: str | None = None
    blocked: Blocked | None = None
    is_derived: bool
    derived_from: str


class Manifest(Record):
    """Version 1 of the index of a run."""

    schema_version: int = MANIFEST_VERSION
    producer: Id
    pipeline: StorableText
    asset: Asset
    source_sha_map: dict[str, Digest]
    run_id: Id
    env: StorableText
    profile: StorableText
    config: StageConfigs
    config_hash: Digest
    status: RunState
    revision: Int32
    """Rises with every record; see `Ledger.revision`."""
    created_at: Moment
    updated_at: Moment
    stages: dict[str, StageEntry]
    metrics: dict[str, object]
    job_id: Id | None = None
    """Equal to `run_id` in the job layout; None in the run layout."""
    passes: dict[str, StageEntry] | None = None
    """Equal to `stages` in the job layout; None in the run layout."""

    @model_validator(mode="after")
    def _check_job_fields(self) -> Self:
        if (self.job_id, self.passes) not in ((None, None), (self.run_id, self.stages)):
            raise ValueError("job_id does not equal run_id, or passes do not equal stages")
        return self

    @model_serializer(mode="wrap")
    def _omit_absent_job_fields(
        self, serialize: SerializerFunctionWrapHandler
    ) -> dict[str, object]:
        body: dict[str, object] = serialize(self)
        absent = [name for name in ("job_id", "passes") if body.get(name) is None]
        return {name: value for name, value in body.items() if name not in absent}

    def to_bytes(self) -> bytes:
        """Encode the manifest as stored on disk: one line of canonical JSON."""
        return canonical_json(self.model_dump(mode="json")) + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> "Manifest":
        """Parse a manifest. Raises Invalid if it is broken or its version is not supported.

        The version is checked first, because the other fields depend on it.
        """
        try:
            _check_version(_VersionField.model_validate_json(data))
            return cls.model_validate_json(data, strict=True)
        except ValidationError as error:
            raise Invalid(
                "manifest is invalid",
                expected=f"manifest version {MANIFEST_VERSION}",
                got=first_fault(error),
                hint="Publish the run again where it was made",
                reason=ReasonCode.SCHEMA_INVALID.value,
                json_pointer=json_pointer(error),
            ) from error

    @property
    def is_blocked(self) -> bool:
        """Whether a gate blocked a stage in the last invocation, and no stage failed."""
        states = {entry.status for entry in self.stages.values()}
        return StageState.BLOCKED in states and StageState.FAILED not in states

    @property
    def is_erased(self) -> bool:
        """Whether a person was erased from files of the run."""
        return any(entry.reason == ERASED for entry in self.stages.values())

    @property
    def artifact_refs(self) -> list[tuple[str, StageEntry, ArtifactRef]]:
        """(stage, entry, file) for every file of the successful stages, in plan order."""
        return [
            (name, entry, ref)
            for name, entry in self.stages.items()
            if entry.status is StageState.SUCCESS
            for ref in entry.artifacts
        ]

    def first_file_with_schema(self, schema: str) -> ArtifactRef | None:
        """Return the first file of a successful stage that has a given schema; None without one."""
        return next((ref for _, _, ref in self.artifact_refs if ref.schema_name == schema), None)


class _VersionField(BaseModel, defer_build=True):
    """The field that manifests of all versions have."""

    schema_version: object = None


def _check_version(body: _VersionField) -> None:
    found = body.schema_version
    if type(found) is not int or found != MANIFEST_VERSION:
        raise Invalid(
            "manifest version is not supported",
            expected=f"schema_version {MANIFEST_VERSION}",
            got=repr(found) if "schema_version" in body.model_fields_set else "none",
            hint="Use a Filmgate release that supports it, or publish with an older release",
            reason=ReasonCode.SCHEMA_VERSION_UNSUPPORTED.value,
            found=found,
            supported=[MANIFEST_VERSION],
            json_pointer="/schema_version",
        )


class UnrecordedAttempt(NamedTuple):
    """An attempt without a record: running, or interrupted."""

    stage: str
    attempt: int
    epoch: int
    started: datetime
    has_files: bool = False
    """Whether files of the attempt are still in the staging folder, not at the run's root."""

    @property
    def view(self) -> StageView:
        """The state of the stage according to this attempt."""
        return StageView(state=StageState.RUNNING, attempt=self.attempt, epoch=self.epoch)


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """All records, attempts and verdicts in a run's directory; the manifest is derived from it."""

    head: RunHead
    records: tuple[StageRecord, ...] = ()
    """Valid records of this run."""
    all_foreign_records: tuple[ForeignRecord, ...] = ()
    unrecorded_attempts: tuple[UnrecordedAttempt, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    """Verdicts of the last invocation."""

    def current_record(self, stage: str) -> StageRecord | None:
        """Return the record that determines a stage's state.

        None if the stage has no record, or a later attempt is in progress or was interrupted.
        """
        return self._current[stage]

    def last_success(self, stage: str) -> StageRecord | None:
        """Return the record of the latest successful attempt, whose files are at the run's root.

        Later attempts that failed or were skipped do not count. None without a success.
        """
        successes = [r for r in self._by_stage[stage] if r.status is StageState.SUCCESS]
        return max(successes, key=lambda record: record.view.precedence, default=None)

    def has_files_in_place(self, record: StageRecord) -> bool:
        """Whether the record's files are at the run's root.

        They are still in staging after a crash between the commit and the renaming of the files.
        """
        attempt = (record.stage, record.attempt)
        return all(
            (opened.stage, opened.attempt) != attempt
            for opened in self.unrecorded_attempts
            if opened.has_files
        )

    def foreign_records(self, stage: str) -> tuple[ForeignRecord, ...]:
        """Return the foreign records of a stage that are later than all its valid records."""
        last = max((record.attempt for record in self._by_stage[stage]), default=0)
        return tuple(
            foreign
            for foreign in self.all_foreign_records
            if foreign.stage == stage and foreign.attempt > last
        )

    def state(self, stage: str) -> StageState:
        """Return the stage's state according to its records and attempts, before any verdict.

        A successful stage is PENDING again once a file that it depends on has another digest.
        """
        return self._states[stage]

    def next_attempt(self, stage: str) -> int:
        """Return the number of the next attempt at a stage, from 1."""
        used = [record.attempt for record in self._by_stage[stage]]
        used += [foreign.attempt for foreign in self.all_foreign_records if foreign.stage == stage]
        return max([0, *used, *(opened.attempt for opened in self._opened(stage))]) + 1

    def upstream_records(self, stage: str) -> tuple[StageRecord, ...]:
        """Return the records of the successful stages that `stage` depends on directly."""
        return tuple(
            record
            for name in self.head.stands_on[stage]
            if (record := self.current_record(name)) is not None
            and self.state(name) is StageState.SUCCESS
        )

    def readable_files(self, stage: str) -> dict[str, ArtifactRef]:
        """Return the files that a stage may read, by path."""
        upstreams = self.upstream_records(stage)
        return {ref.path: ref for record in upstreams for ref in record.artifacts}

    @property
    def skip_reasons(self) -> dict[str, str]:
        """Reason of every skipped stage, by name."""
        return {
            name: str(record.reason)
            for name, record in self._current.items()
            if record is not None and self.state(name) is StageState.SKIPPED
        }

    def untracked_files(self, stage: str) -> list[str]:
        """Return the output paths of a stage that none of its records names."""
        named = {ref.path for r in self.records if r.stage == stage for ref in r.artifacts}
        return [path for path in self.head.makes[stage] if path not in named]

    @cached_property
    def record_digests(self) -> frozenset[str]:
        """Digests of all valid records, which a lineage can refer to."""
        return frozenset(record.digest for record in self.records)

    @property
    def revision(self) -> int:
        """Revision of the manifest: the number of records plus their highest epoch.

        It rises with every record, even if a lost record is replaced by a later lease holder.
        """
        return len(self.records) + max((record.epoch for record in self.records), default=0)

    def _opened(self, stage: str) -> list[UnrecordedAttempt]:
        """Return the attempts at a stage that have no record."""
        if not self.unrecorded_attempts:
            return []
        opened = [attempt for attempt in self.unrecorded_attempts if attempt.stage == stage]
        recorded = {record.attempt for record in self._by_stage[stage]} if opened else set()
        return [attempt for attempt in opened if attempt.attempt not in recorded]

    @cached_property
    def _current(self) -> Mapping[str, StageRecord | None]:
        return {stage: self._find_current(stage) for stage in self.head.stages}

    @cached_property
    def _by_stage(self) -> Mapping[str, list[StageRecord]]:
        grouped: dict[str, list[StageRecord]] = {stage: [] for stage in self.head.stages}
        for record in self.records:
            grouped.setdefault(record.stage, []).append(record)
        return grouped

    def _find_current(self, stage: str) -> StageRecord | None:
        records = self._by_stage[stage]
        if not records:
            return None
        view = merge([r.view for r in records] + [o.view for o in self._opened(stage)])
        return next((record for record in records if record.view == view), None)

    @cached_property
    def _states(self) -> Mapping[str, StageState]:
        """States in plan order, so that upstream states are known before they are needed."""
        states: dict[str, StageState] = {}
        for stage in self.head.stages:
            record = self._current[stage]
            if record is None:
                is_open = bool(self._opened(stage))
                states[stage] = StageState.RUNNING if is_open else StageState.PENDING
            elif record.status is StageState.SUCCESS and self._is_stale(record, states):
                states[stage] = StageState.PENDING
            else:
                states[stage] = record.status
        return states

    def _is_stale(self, record: StageRecord, states: Mapping[str, StageState]) -> bool:
        inputs = {
            ref.path: ref.sha256
            for name in self.head.stands_on[record.stage]
            if states[name] is StageState.SUCCESS and (upstream := self._current[name]) is not None
            for ref in upstream.artifacts
        }
        return inputs != (record.fingerprint.inputs if record.fingerprint else {})


def fold(ledger: Ledger, *, is_held: bool) -> Manifest:
    """Derive the manifest; the same ledger and `is_held` give the same bytes."""
    head = ledger.head
    verdicts = {verdict.stage: verdict for verdict in ledger.verdicts if not verdict.is_open}
    entries = {name: _entry(ledger, name, verdicts) for name in head.stages}
    return Manifest(
        producer=head.producer,
        pipeline=head.pipeline,
        asset=head.asset,
        source_sha_map=head.source_sha_map,
        run_id=head.run_id,
        env=head.env,
        profile=head.profile,
        config=head.config,
        config_hash=head.config_hash,
        status=run_state((entry.status for entry in entries.values()), is_held=is_held),
        revision=ledger.revision,
        created_at=head.created_at,
        updated_at=max([head.created_at, *(record.ended for record in ledger.records)]),
        stages=entries,
        metrics=_totals(entries.values()),
        job_id=head.run_id if head.layout is Layout.JOB else None,
        passes=entries if head.layout is Layout.JOB else None,
    )


def _entry(ledger: Ledger, name: str, verdicts: Mapping[str, Verdict]) -> StageEntry:
    record = ledger.current_record(name)
    state = ledger.state(name)
    verdict = verdicts.get(name)
    blocked = None
    if verdict is not None and state is not StageState.RUNNING:
        state = StageState.BLOCKED
        blocked = Blocked(reasons=verdict.reasons, suggested_actions=verdict.suggested_actions)
    if record is None:
        return StageEntry(
            status=state,
            attempt=ledger.next_attempt(name) - 1,
            blocked=blocked,
            is_derived=True,
            derived_from="an open attempt" if state is StageState.RUNNING else "no record",
        )
    return StageEntry(
        status=state,
        attempt=record.attempt,
        started=record.started,
        ended=record.ended,
        duration_s=record.duration_s,
        fingerprint=record.fingerprint.digest if record.fingerprint else None,
        record_sha256=record.digest,
        lineage=record.lineage,
        artifacts=record.artifacts,
        producer=record.producer,
        counts=record.counts,
        metrics=record.metrics,
        warnings=record.warnings,
        item_errors=record.item_errors,
        error=record.error,
        reason=record.reason,
        blocked=blocked,
        is_derived=state is not record.status,
        derived_from=f"commits/{record.name}",
    )


def _totals(entries: Iterable[StageEntry]) -> dict[str, object]:
    """Sum metrics over the stages.

    `wall_s` is the sum of all durations, also of stages that ran in parallel; `tokens` is None if
    no stage measured any.
    """
    stages = list(entries)
    tokens = [n for entry in stages if isinstance(n := entry.metrics.get("tokens"), int)]
    return {
        "wall_s": round(sum(entry.duration_s or 0.0 for entry in stages), 6),
        "tokens": sum(tokens) if tokens else None,
        "counts": {
            "artifact_files": sum(len(entry.artifacts) for entry in stages),
            "records": sum(ref.records for entry in stages for ref in entry.artifacts),
            "warnings": sum(len(entry.warnings) for entry in stages),
            "failed_items": sum(entry.counts.get("failed", 0) for entry in stages),
        },
    }
