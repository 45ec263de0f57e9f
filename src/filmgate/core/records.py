"""What a run keeps for good: its head, and one self-hashed record per outcome of an attempt."""

import json
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.digest import canonical_json, digest_of, sha256_hex
from filmgate.core.envelope import Digest, Id, Int64, Sha256, Text, Word
from filmgate.core.errors import Invalid, first_fault
from filmgate.core.ids import Layout
from filmgate.core.plan import Plan, Producer
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
        defer_build=True,
    )


class ArtifactRef(Record):
    """A file that a stage made, by name and digest."""

    key: Word
    path: Word
    sha256: Sha256
    size_bytes: Int64
    media_type: Word
    schema_name: Annotated[Word, Field(alias="schema")]
    schema_version: Annotated[int, Field(ge=1, lt=1 << 15)]
    records: Int64
    """Lines of a file of records; 1 for a document."""
    artifact_type: Word | None
    """Set where its records are artifacts."""


class Asset(Record):
    """What the pipeline is run on."""

    id: Id
    input_hash: Digest
    uri: Text
    size_bytes: Int64
    media: dict[str, Any]


class RunHead(Record):
    """`run.json`: what a run is, frozen when its directory is reserved."""

    schema_version: Literal[1] = HEAD_VERSION
    producer: Text
    pipeline: Text
    stages: tuple[Text, ...]
    """The plan's stages in canonical order."""
    stands_on: dict[str, tuple[str, ...]]
    """The stages whose files each of them may read."""
    makes: dict[str, tuple[str, ...]]
    """The paths of the files that each of them makes."""
    asset: Asset
    source_sha_map: dict[str, Digest]
    run_id: Id
    env: Text
    profile: Text
    config: dict[str, Any]
    config_hash: Digest
    created_at: datetime
    layout: Layout = Layout.RUN

    @classmethod
    def of(cls, plan: Plan, *, config: dict[str, Any], **facts: Any) -> "RunHead":
        """The head of a run of `plan` under a resolved config."""
        return cls(
            pipeline=plan.pipeline,
            stages=plan.names,
            stands_on=plan.stands_on,
            makes=plan.makes,
            config=config,
            config_hash=digest_of(config),
            **facts,
        )

    def to_bytes(self) -> bytes:
        """As it stands on disk, with its own digest inside."""
        return sealed(self)[0]

    @classmethod
    def parse(cls, data: bytes) -> "RunHead":
        """Read `run.json`; Invalid where it is torn, altered or of another version."""
        return unsealed(cls, data, "run.json")[0]


class Change(Record):
    """One part of a fingerprint that is not what it was."""

    part: Text
    """`version`, `config`, `sources.{name}`, `inputs.{path}`, `tools.{distribution}`,
    `resources.{name}` or `records.{stage}`."""
    was: str | None
    now: str | None


class Fingerprint(Record):
    """What a stage's result depends on, part by part. Holds no clock, no host, no run id."""

    stage: Text
    version: int
    config: Digest
    sources: dict[str, Digest]
    inputs: dict[str, Sha256]
    """The files it stands on, by path."""
    tools: dict[str, str]
    resources: dict[str, Sha256] = Field(default_factory=dict)
    """What it could consult besides the run, by name: weights, known people."""
    records: dict[str, Digest] = Field(default_factory=dict)
    """How the stages ended whose ends it tells, without clocks and ids."""

    @cached_property
    def digest(self) -> str:
        """`sha256:…` over all parts."""
        return digest_of(self.model_dump(mode="json"))

    def changes(self, earlier: "Fingerprint") -> tuple[Change, ...]:
        """Every part that is not what it was in `earlier`, in a fixed order."""
        mine, theirs = self._parts(), earlier._parts()
        return tuple(
            Change(part=part, was=theirs.get(part), now=mine.get(part))
            for part in sorted({*mine, *theirs})
            if mine.get(part) != theirs.get(part)
        )

    def _parts(self) -> dict[str, str]:
        parts = {"version": str(self.version), "config": self.config}
        for kind in ("sources", "inputs", "tools", "resources", "records"):
            parts |= {f"{kind}.{name}": value for name, value in getattr(self, kind).items()}
        return parts


class Lineage(Record):
    """The record of a stage that this one stood on."""

    stage: Text
    record: Sha256


class StageError(Record):
    """Why an attempt failed."""

    code: Text
    message: Text
    details: dict[str, Any] = Field(default_factory=dict)


class ItemError(Record):
    """One item of a stage that fanned out, and what went wrong with it."""

    item: Text
    code: Text
    message: Text


UNEXPECTED = "unexpected"
"""The code of a failure that is no error of ours: its traceback stands in the stage's log."""

EVERY_ITEM_FAILED = "every_item_failed"
"""The warning of a stage that ended well, though none of its items did."""

MAX_ITEM_ERRORS = 1000
"""So many are kept in a record; `counts.failed` and the stage's log tell of all."""


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
    item_errors: Annotated[tuple[ItemError, ...], Field(max_length=MAX_ITEM_ERRORS)] = ()
    error: StageError | None = None
    reason: str | None = None
    """Why it was skipped."""

    @property
    def name(self) -> str:
        """Its file's name in `commits/`."""
        return f"{self.stage}.a{self.attempt}.json"

    @property
    def told(self) -> str:
        """`sha256:…` over what a report may tell of it: neither clocks nor ids."""
        kept = {
            "status",
            "fingerprint",
            "producer",
            "counts",
            "metrics",
            "warnings",
            "error",
            "reason",
        }
        return digest_of(self.model_dump(mode="json", include=kept))

    @cached_property
    def view(self) -> StageView:
        """What this record says of its stage."""
        return StageView(state=self.status, attempt=self.attempt, epoch=self.epoch)

    @cached_property
    def digest(self) -> str:
        """Its seal: what later records name it by."""
        return self._sealed[1]

    @cached_property
    def _sealed(self) -> tuple[bytes, str]:
        return sealed(self)

    def to_bytes(self) -> bytes:
        """As it stands on disk, with its own digest inside."""
        return self._sealed[0]

    @classmethod
    def parse(cls, data: bytes, name: str) -> "StageRecord":
        """Read a record; Invalid where it is torn, altered, renamed or of another version."""
        record, seal = unsealed(cls, data, name)
        record.__dict__["digest"] = seal  # the one on disk, also where fields came with a version
        if record.name != name:
            raise Invalid(f"{name} was altered", expected=record.name, got=name, hint=RESTORE)
        return record


Sealed = TypeVar("Sealed", bound=Record)

SEAL = "record_sha256"
RESTORE = "It is written once: restore it, or begin a run anew with --new"


def sealed(record: Record) -> tuple[bytes, str]:
    """Canonical JSON on a line, with the digest of all other fields; and that digest."""
    body = record.model_dump(mode="json")
    seal = sha256_hex(canonical_json(body))
    return canonical_json(body | {SEAL: seal}) + b"\n", seal


def unsealed(model: type[Sealed], data: bytes, name: str) -> tuple[Sealed, str]:
    """A sealed record and its seal, held against the model and the digest; else Invalid."""
    try:
        body = json.loads(data)
        claimed = body.pop(SEAL)
        found = sha256_hex(canonical_json(body))
        record = model.model_validate(body) if claimed == found else None
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        fault = first_fault(error) if isinstance(error, ValueError) else "no sealed record"
        raise Invalid(
            f"{name} cannot be read", expected="a sealed record", got=fault, hint=RESTORE
        ) from error
    if record is None:
        raise Invalid(
            f"{name} was altered",
            expected=f"sha256 {claimed}",
            got=f"sha256 {found}",
            hint=RESTORE,
        )
    return record, claimed
