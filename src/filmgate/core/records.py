"""The immutable files of a run: its head, and one self-hashed record for every attempt."""

import json
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.digest import JsonDict, canonical_json, digest_of, sha256_hex
from filmgate.core.envelope import Digest, Id, Int64, Sha256, StorableText, Text
from filmgate.core.errors import FilmgateError, Invalid, first_fault
from filmgate.core.ids import Layout
from filmgate.core.plan import Plan, Producer
from filmgate.core.states import StageState, StageView

RECORD_VERSION: Literal[1] = 1
HEAD_VERSION: Literal[1] = 1


class Record(BaseModel):
    """Base of frozen values that are stored on disk."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        defer_build=True,
    )


class ArtifactRef(Record):
    """A file that a stage made: its name, digest and schema."""

    key: StorableText
    path: StorableText
    sha256: Sha256
    size_bytes: Int64
    media_type: StorableText
    schema_name: Annotated[StorableText, Field(alias="schema")]
    schema_version: Annotated[int, Field(ge=1, lt=1 << 15)]
    records: Int64
    """Number of records in the file; 1 for a document."""
    artifact_type: StorableText | None
    """Artifact type of the file's records; None if they are not artifacts."""


FileError = TypeVar("FileError", bound=FilmgateError)


def changed_file_error(
    kind: type[FileError], ref: ArtifactRef, found: str | None, since: str, hint: str | None = None
) -> FileError:
    """Make the error for a file that is not the one that a stage made.

    `found`: SHA-256 of the file as it is now; None if it is missing. `since`: the time when it was
    still the same, such as `the run`.
    """
    return kind(
        f"{ref.path} was changed after {since}",
        expected=f"sha256 {ref.sha256}",
        got=f"sha256 {found}" if found else "no file",
        hint=hint,
    )


StageConfigs = dict[str, dict[str, object]]
"""The resolved settings of a run, as JSON values by stage and setting."""


class Asset(Record):
    """The asset that a pipeline runs on."""

    id: Id
    input_hash: Digest
    uri: Text
    size_bytes: Int64
    media: dict[str, object]


class RunHead(Record):
    """`run.json`: the definition of a run, frozen when its directory is created."""

    schema_version: Literal[1] = HEAD_VERSION
    producer: Text
    pipeline: Text
    stages: tuple[Text, ...]
    """Stages of the plan, in canonical order."""
    stands_on: dict[str, tuple[str, ...]]
    """For each stage, the stages whose files it may read."""
    makes: dict[str, tuple[str, ...]]
    """For each stage, the paths of the files that it makes."""
    asset: Asset
    source_sha_map: dict[str, Digest]
    run_id: Id
    env: Text
    profile: Text
    config: StageConfigs
    config_hash: Digest
    created_at: datetime
    layout: Layout = Layout.RUN

    @classmethod
    def of(cls, plan: Plan, *, config: StageConfigs, **facts: object) -> "RunHead":
        """Make the head of a run of `plan` with a resolved config; `facts`: the other fields."""
        return cls(
            pipeline=plan.pipeline,
            stages=plan.names,
            stands_on=plan.depends_on,
            makes=plan.makes,
            config=config,
            config_hash=digest_of(config),
            **facts,
        )

    def to_bytes(self) -> bytes:
        """Encode the head as stored on disk, including its own digest."""
        return encode_with_digest(self)[0]

    @classmethod
    def parse(cls, data: bytes) -> "RunHead":
        """Parse `run.json`. Raises Invalid if it is torn, altered or of another version."""
        return decode_with_digest(cls, data, "run.json")[0]


class Change(Record):
    """One part of a fingerprint that differs from an earlier fingerprint."""

    part: Text
    """`version`, `config`, `sources.{name}`, `inputs.{path}`, `tools.{distribution}`,
    `resources.{name}` or `records.{stage}`."""
    was: str | None
    now: str | None


class Fingerprint(Record):
    """Hashes of everything that a stage's result depends on; no times, host names or run ids."""

    stage: Text
    version: int
    config: Digest
    sources: dict[str, Digest]
    inputs: dict[str, Sha256]
    """Digests of the files that the stage may read, by path."""
    tools: dict[str, str]
    """Versions of the distributions that the stage uses, by name."""
    resources: dict[str, Sha256] = Field(default_factory=dict)
    """Digests of the available resources outside the run, by name: weights, known people."""
    records: dict[str, Digest] = Field(default_factory=dict)
    """For a stage that reads upstream records: their digests without times and ids, by stage."""

    @cached_property
    def digest(self) -> str:
        """`sha256:{hex}` of all parts."""
        return digest_of(self.model_dump(mode="json"))

    def changes(self, earlier: "Fingerprint") -> tuple[Change, ...]:
        """Return every part that differs from `earlier`, sorted by name."""
        now, before = self._parts(), earlier._parts()
        return tuple(
            Change(part=part, was=before.get(part), now=now.get(part))
            for part in sorted({*now, *before})
            if now.get(part) != before.get(part)
        )

    def _parts(self) -> dict[str, str]:
        parts = {"version": str(self.version), "config": self.config}
        for kind in ("sources", "inputs", "tools", "resources", "records"):
            parts |= {f"{kind}.{name}": value for name, value in getattr(self, kind).items()}
        return parts


class Lineage(Record):
    """A record that another record depends on: its stage and digest."""

    stage: Text
    record: Sha256


class StageError(Record):
    """Why an attempt failed."""

    code: Text
    message: Text
    details: JsonDict = Field(default_factory=dict)


class ItemError(Record):
    """Why one item of a stage failed."""

    item: Text
    code: Text
    message: Text


class FailureCode(StrEnum):
    """Error codes of attempts and items that did not fail with a FilmgateError."""

    UNEXPECTED = "unexpected"
    """An exception of another type; its traceback is in the stage's log."""
    INTERRUPTED = "interrupted"
    """A signal, or the end of the runner, stopped the attempt."""
    ABANDONED = "abandoned"
    """An error outside the stage stopped the run."""
    DISK_FULL = "disk_full"
    OUT_OF_MEMORY = "out_of_memory"
    WORKER_DIED = "worker_died"
    """Every worker process that worked on the item died."""


class WarningCode(StrEnum):
    """Codes of the warnings that the engine adds to a record."""

    ITEMS_LEFT = "items_left"
    """The stage did not consume all results of `map`."""
    EVERY_ITEM_FAILED = "every_item_failed"
    """The stage succeeded although all its items failed."""


ERASED = "erased"
"""Reason of a successful attempt that replaced files from which a person was erased."""

MAX_ITEM_ERRORS = 1000
"""Maximum number of item errors in a record; the log and `counts.failed` include all errors."""


class StageRecord(Record):
    """`commits/{stage}.a{attempt}.json`: the outcome of one attempt at a stage."""

    schema_version: Literal[1] = RECORD_VERSION
    asset_id: Id
    run_id: Id
    stage: Text
    attempt: Annotated[int, Field(ge=1)]
    epoch: Annotated[int, Field(ge=1)]
    status: StageState
    started: datetime
    ended: datetime
    duration_s: Annotated[float, Field(ge=0)]
    fingerprint: Fingerprint | None = None
    lineage: tuple[Lineage, ...] = ()
    artifacts: tuple[ArtifactRef, ...] = ()
    producer: Producer | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    metrics: dict[str, object] = Field(default_factory=dict)
    warnings: tuple[dict[str, object], ...] = ()
    item_errors: Annotated[tuple[ItemError, ...], Field(max_length=MAX_ITEM_ERRORS)] = ()
    error: StageError | None = None
    reason: str | None = None
    """Why the stage was skipped; `ERASED` if a person was erased from its files or from those that
    it depends on; None for every other outcome."""

    @property
    def name(self) -> str:
        """File name of the record in `commits/`."""
        return f"{self.stage}.a{self.attempt}.json"

    @property
    def report_digest(self) -> str:
        """`sha256:{hex}` of the fields that a report may show: without times and ids."""
        included = {
            "status",
            "fingerprint",
            "producer",
            "counts",
            "metrics",
            "warnings",
            "error",
            "reason",
        }
        return digest_of(self.model_dump(mode="json", include=included))

    @cached_property
    def view(self) -> StageView:
        """The state of the stage according to this record."""
        return StageView(state=self.status, attempt=self.attempt, epoch=self.epoch)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the record, by which the lineage of later records names it."""
        return self._encoded[1]

    @cached_property
    def _encoded(self) -> tuple[bytes, str]:
        return encode_with_digest(self)

    def to_bytes(self) -> bytes:
        """Encode the record as stored on disk, including its own digest."""
        return self._encoded[0]

    @classmethod
    def parse(cls, data: bytes, name: str) -> "StageRecord":
        """Parse a record. Raises Invalid if it is torn, altered, renamed or of another version.

        `name`: name of its file.
        """
        record, digest = decode_with_digest(cls, data, name)
        record.__dict__["digest"] = digest  # of the bytes on disk
        if record.name != name:
            raise Invalid(f"{name} was altered", expected=record.name, got=name, hint=RESTORE_HINT)
        return record


SelfHashed = TypeVar("SelfHashed", bound=Record)

DIGEST_FIELD = "record_sha256"
RESTORE_HINT = "Records never change: restore the file, or start a new run with --new"


def encode_with_digest(record: Record) -> tuple[bytes, str]:
    """Encode a record as one line of canonical JSON with the SHA-256 of all other fields.

    Returns the line and the digest (hex).
    """
    body = record.model_dump(mode="json")
    digest = sha256_hex(canonical_json(body))
    return canonical_json(body | {DIGEST_FIELD: digest}) + b"\n", digest


def decode_with_digest(model: type[SelfHashed], data: bytes, name: str) -> tuple[SelfHashed, str]:
    """Parse a record and verify its digest. Returns the record and the digest (hex).

    Raises Invalid, naming the file `name`, if the digest does not match or `model` rejects it.
    """
    try:
        body = json.loads(data)
        claimed = body.pop(DIGEST_FIELD)
        found = sha256_hex(canonical_json(body))
        record = model.model_validate(body) if claimed == found else None
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        fault = first_fault(error) if isinstance(error, ValueError) else f"no {DIGEST_FIELD}"
        raise Invalid(
            f"{name} cannot be read",
            expected=f"a JSON object with {DIGEST_FIELD}",
            got=fault,
            hint=RESTORE_HINT,
        ) from error
    if record is None:
        raise Invalid(
            f"{name} was altered",
            expected=f"sha256 {claimed}",
            got=f"sha256 {found}",
            hint=RESTORE_HINT,
        )
    return record, claimed
