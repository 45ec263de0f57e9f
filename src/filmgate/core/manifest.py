"""`manifest.json`: the run's index, a fold of its head, its records and its last verdicts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple, Self

from pydantic import (
    BaseModel,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from filmgate.core.digest import canonical_json
from filmgate.core.envelope import Digest, Id, Int32, Moment, Word
from filmgate.core.errors import Invalid, first_fault, json_pointer
from filmgate.core.gates import Reason, ReasonCode, Stranger, Verdict
from filmgate.core.ids import Layout
from filmgate.core.plan import Producer
from filmgate.core.records import (
    ArtifactRef,
    Asset,
    ItemError,
    Lineage,
    Record,
    RunHead,
    StageError,
    StageRecord,
)
from filmgate.core.states import RunState, StageState, StageView, merge, run_state

MANIFEST_VERSION = 1


class Blocked(Record):
    """The verdict that stopped a stage last."""

    reasons: tuple[Reason, ...]
    suggested_actions: tuple[str, ...]


class StageEntry(Record):
    """What the manifest says of one stage."""

    status: StageState
    attempt: Int32
    started: Moment | None = None
    ended: Moment | None = None
    duration_s: float | None = None
    fingerprint: str | None = None
    record_sha256: str | None = None
    """The record that tells all this."""
    lineage: tuple[Lineage, ...] = ()
    """The records that it stood on."""
    artifacts: tuple[ArtifactRef, ...] = ()
    producer: Producer | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)
    warnings: tuple[dict[str, Any], ...] = ()
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
    pipeline: Word
    asset: Asset
    source_sha_map: dict[str, Digest]
    run_id: Id
    env: Word
    profile: Word
    config: dict[str, Any]
    config_hash: Digest
    status: RunState
    revision: Int32
    """Rises with every record."""
    created_at: Moment
    updated_at: Moment
    stages: dict[str, StageEntry]
    metrics: dict[str, Any]
    job_id: Id | None = None
    """Of a job: its run id."""
    passes: dict[str, StageEntry] | None = None
    """Of a job: its stages."""

    @model_validator(mode="after")
    def _speaks_of_one_job(self) -> Self:
        if (self.job_id, self.passes) not in ((None, None), (self.run_id, self.stages)):
            raise ValueError("passes are the stages, and job_id is the run_id, of a job")
        return self

    @model_serializer(mode="wrap")
    def _without_job(self, told: SerializerFunctionWrapHandler) -> dict[str, Any]:
        body: dict[str, Any] = told(self)
        absent = [name for name in ("job_id", "passes") if body.get(name) is None]
        return {name: value for name, value in body.items() if name not in absent}

    def to_bytes(self) -> bytes:
        """As it stands on disk: one line of canonical JSON."""
        return canonical_json(self.model_dump(mode="json")) + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> "Manifest":
        """Read a manifest; raise Invalid where it is broken or of an unknown version.

        The version is looked at first: of what else stands in it, another version may decide.
        """
        try:
            _check_version(_Versioned.model_validate_json(data))
            return cls.model_validate_json(data, strict=True)
        except ValidationError as error:
            raise Invalid(
                "this is no manifest",
                expected=f"manifest version {MANIFEST_VERSION}",
                got=first_fault(error),
                hint="Publish the run again, from where it was made",
                reason=ReasonCode.SCHEMA_INVALID.value,
                json_pointer=json_pointer(error),
            ) from error

    @property
    def is_blocked(self) -> bool:
        """Whether a gate stopped it last, and no stage failed."""
        states = {entry.status for entry in self.stages.values()}
        return StageState.BLOCKED in states and StageState.FAILED not in states

    @property
    def artifact_refs(self) -> list[tuple[str, StageEntry, ArtifactRef]]:
        """(stage, entry, file) for every file of its successful stages, in order."""
        return [
            (name, entry, ref)
            for name, entry in self.stages.items()
            if entry.status is StageState.SUCCESS
            for ref in entry.artifacts
        ]

    def the_file_of(self, schema: str) -> ArtifactRef | None:
        """The first file of a schema that a successful stage made."""
        return next((ref for _, _, ref in self.artifact_refs if ref.schema_name == schema), None)


class _Versioned(BaseModel, defer_build=True):
    """What any manifest has, of whichever version."""

    schema_version: Any = None


def _check_version(body: _Versioned) -> None:
    found = body.schema_version
    if type(found) is not int or found != MANIFEST_VERSION:
        raise Invalid(
            "this manifest is of a version unknown here",
            expected=f"schema_version {MANIFEST_VERSION}",
            got=repr(found) if "schema_version" in body.model_fields_set else "none",
            hint="Use a Filmgate that knows it, or one that writes a version known here",
            reason=ReasonCode.SCHEMA_VERSION_UNSUPPORTED.value,
            found=found,
            supported=[MANIFEST_VERSION],
            json_pointer="/schema_version",
        )


class OpenAttempt(NamedTuple):
    """An attempt without a record yet: at work, or dead."""

    stage: str
    attempt: int
    epoch: int
    started: datetime
    has_files: bool = False
    """Whether files that it made lie where they were made, and have no names at the root yet."""

    @property
    def view(self) -> StageView:
        """What it says of its stage."""
        return StageView(state=StageState.RUNNING, attempt=self.attempt, epoch=self.epoch)


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Everything that a run's directory says about the run; the manifest is derived from it."""

    head: RunHead
    records: tuple[StageRecord, ...] = ()
    """Those of this run."""
    strangers: tuple[Stranger, ...] = ()
    open_attempts: tuple[OpenAttempt, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    def current(self, stage: str) -> StageRecord | None:
        """The record that speaks for a stage; None while an attempt is open, or none was made."""
        return self._current[stage]

    def last_success(self, stage: str) -> StageRecord | None:
        """The latest attempt that succeeded, whatever was tried since: whose files lie there."""
        successes = [r for r in self._by_stage[stage] if r.status is StageState.SUCCESS]
        return max(successes, key=lambda record: record.view.weight, default=None)

    def is_named(self, record: StageRecord) -> bool:
        """Whether its files have their names at the root; not so after a crash in between."""
        mine = (record.stage, record.attempt)
        return all(
            (each.stage, each.attempt) != mine for each in self.open_attempts if each.has_files
        )

    def intruders(self, stage: str) -> tuple[Stranger, ...]:
        """Strangers among a stage's records that no later attempt of its own outweighs."""
        own = max((record.attempt for record in self._by_stage[stage]), default=0)
        return tuple(s for s in self.strangers if s.stage == stage and s.attempt > own)

    def state(self, stage: str) -> StageState:
        """The stage's state by evidence, before any verdict.

        A success is PENDING again once what it stands on is not what it stood on.
        """
        return self._states[stage]

    def next_attempt(self, stage: str) -> int:
        """The number of the next attempt at a stage, from 1."""
        used = [record.attempt for record in self._by_stage[stage]]
        used += [stranger.attempt for stranger in self.strangers if stranger.stage == stage]
        return max([0, *used, *(opened.attempt for opened in self._opened(stage))]) + 1

    def standing(self, stage: str) -> tuple[StageRecord, ...]:
        """The records of the successful stages that `stage` stands on directly."""
        return tuple(
            record
            for name in self.head.stands_on[stage]
            if (record := self.current(name)) is not None and self.state(name) is StageState.SUCCESS
        )

    def unrecorded(self, stage: str) -> list[str]:
        """Paths that the stage makes and that no record of it names."""
        named = {ref.path for r in self.records if r.stage == stage for ref in r.artifacts}
        return [path for path in self.head.makes[stage] if path not in named]

    @cached_property
    def digests(self) -> frozenset[str]:
        """Of all records: what lineage can point to."""
        return frozenset(record.digest for record in self.records)

    @property
    def revision(self) -> int:
        """Rises with every record, and with every holder of the lease that wrote one; so it
        also rises where a record was lost and made again."""
        return len(self.records) + max((record.epoch for record in self.records), default=0)

    def _opened(self, stage: str) -> list[OpenAttempt]:
        """Attempts without a record."""
        if not self.open_attempts:
            return []
        opened = [each for each in self.open_attempts if each.stage == stage]
        recorded = {record.attempt for record in self._by_stage[stage]} if opened else set()
        return [each for each in opened if each.attempt not in recorded]

    @cached_property
    def _current(self) -> Mapping[str, StageRecord | None]:
        return {stage: self._speaking_for(stage) for stage in self.head.stages}

    @cached_property
    def _by_stage(self) -> Mapping[str, list[StageRecord]]:
        grouped: dict[str, list[StageRecord]] = {stage: [] for stage in self.head.stages}
        for record in self.records:
            grouped.setdefault(record.stage, []).append(record)
        return grouped

    def _speaking_for(self, stage: str) -> StageRecord | None:
        records = self._by_stage[stage]
        if not records:
            return None
        view = merge([r.view for r in records] + [o.view for o in self._opened(stage)])
        return next((record for record in records if record.view == view), None)

    @cached_property
    def _states(self) -> Mapping[str, StageState]:
        """In the plan's order, so that every stage finds those it stands on decided."""
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
        standing = {
            ref.path: ref.sha256
            for name in self.head.stands_on[record.stage]
            if states[name] is StageState.SUCCESS and (stood := self._current[name]) is not None
            for ref in stood.artifacts
        }
        return standing != (record.fingerprint.inputs if record.fingerprint else {})


def fold(ledger: Ledger, *, is_held: bool) -> Manifest:
    """Derive the manifest: the same ledger and lease give the same bytes."""
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
    record = ledger.current(name)
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


def _totals(entries: Iterable[StageEntry]) -> dict[str, Any]:
    """Sums over the stages. `wall_s` counts stages that ran side by side each in full; `tokens`
    is None where no stage measured any."""
    done = list(entries)
    tokens = [n for entry in done if isinstance(n := entry.metrics.get("tokens"), int)]
    return {
        "wall_s": round(sum(entry.duration_s or 0.0 for entry in done), 6),
        "tokens": sum(tokens) if tokens else None,
        "counts": {
            "artifact_files": sum(len(entry.artifacts) for entry in done),
            "records": sum(ref.records for entry in done for ref in entry.artifacts),
            "warnings": sum(len(entry.warnings) for entry in done),
            "failed_items": sum(entry.counts.get("failed", 0) for entry in done),
        },
    }
