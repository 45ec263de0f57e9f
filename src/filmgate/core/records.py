"""What a run keeps for good: its head, and one self-hashed record per outcome of an attempt."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from filmgate.core.digest import canonical_json, digest_of, sha256_hex
from filmgate.core.envelope import Digest, Id, Sha256, Text
from filmgate.core.errors import Invalid
from filmgate.core.plan import Producer
from filmgate.core.states import StageState, StageView

RECORD_VERSION: Literal[1] = 1
HEAD_VERSION: Literal[1] = 1


class Record(BaseModel):
    """A frozen value that crosses a disk."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


class ArtifactRef(Record):
    """A file that a stage made, by name and digest."""

    key: Text
    path: Text
    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=0)]
    media_type: Text
    schema_name: Annotated[Text, Field(alias="schema")]
    schema_version: Annotated[int, Field(ge=1)]
    records: Annotated[int, Field(ge=0)]
    """Lines of a file of records; 1 for a document."""
    artifact_type: Text | None
    """Set where its records are artifacts."""


class Asset(Record):
    """What the pipeline is run on."""

    id: Id
    input_hash: Digest
    uri: Text
    size_bytes: Annotated[int, Field(ge=0)]
    media: dict[str, Any]


class RunHead(Record):
    """`run.json`: what a run is, frozen when its directory is reserved."""

    schema_version: Literal[1] = HEAD_VERSION
    producer: Text
    pipeline: Text
    stages: tuple[Text, ...]
    """The plan's stages in canonical order."""
    asset: Asset
    source_sha_map: dict[str, Digest]
    run_id: Id
    env: Text
    profile: Text
    config: dict[str, Any]
    config_hash: Digest
    created_at: datetime

    def to_bytes(self) -> bytes:
        """As it stands on disk."""
        return canonical_json(self.model_dump(mode="json")) + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> "RunHead":
        """Read `run.json`, or raise Invalid."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise Invalid("run.json cannot be read", got=str(error)) from error


class Fingerprint(Record):
    """What a stage's result depends on, part by part. Holds no clock, no host, no run id."""

    stage: Text
    version: int
    config: Digest
    sources: dict[str, Digest]
    inputs: dict[str, Sha256]
    """The files it stands on, by path."""
    tools: dict[str, str]

    @property
    def digest(self) -> str:
        """`sha256:…` over all parts."""
        return digest_of(self.model_dump(mode="json"))


class Lineage(Record):
    """The record of a stage that this one stood on."""

    stage: Text
    record: Sha256


class StageError(Record):
    """Why an attempt failed."""

    code: Text
    message: Text
    details: dict[str, Any] = Field(default_factory=dict)


class StageRecord(Record):
    """`commits/{stage}.a{attempt}.json`: how one attempt at a stage ended."""

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
    metrics: dict[str, Any] = Field(default_factory=dict)
    warnings: tuple[dict[str, Any], ...] = ()
    error: StageError | None = None
    reason: str | None = None
    """Why it was skipped."""

    @property
    def name(self) -> str:
        """Its file's name in `commits/`."""
        return f"{self.stage}.a{self.attempt}.json"

    @property
    def view(self) -> StageView:
        """What this record says of its stage."""
        return StageView(state=self.status, attempt=self.attempt, epoch=self.epoch)

    @property
    def digest(self) -> str:
        """Over its canonical JSON: what later records name it by."""
        return sha256_hex(canonical_json(self.model_dump(mode="json")))

    def to_bytes(self) -> bytes:
        """As it stands on disk, with its own digest inside."""
        body = self.model_dump(mode="json") | {"record_sha256": self.digest}
        return canonical_json(body) + b"\n"

    @classmethod
    def parse(cls, data: bytes, name: str) -> "StageRecord":
        """Read a record; raise Invalid where it is torn, altered or of another version."""
        try:
            body = json.loads(data)
            claimed = body.pop("record_sha256")
            record = cls.model_validate(body)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise Invalid(
                f"the record {name} cannot be read",
                expected=f"a stage record, version {RECORD_VERSION}",
                got=str(error),
            ) from error
        if record.digest != claimed or record.name != name:
            raise Invalid(
                f"the record {name} was altered",
                expected=f"sha256 {claimed}",
                got=f"sha256 {record.digest}",
                hint="Records are written once; restore it, or begin anew with --new",
            )
        return record
