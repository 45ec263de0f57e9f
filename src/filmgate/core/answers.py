"""Response models of the command line and of HTTP for ingested data."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from filmgate.core.command import Answer
from filmgate.core.envelope import Envelope, LegacyArtifact
from filmgate.core.intake import Refusal
from filmgate.core.jump_filters import JumpFilters
from filmgate.core.people import Likeness
from filmgate.core.questions import Direction, JumpKind, TextSource
from filmgate.core.selection import Selection


class DataSource(StrEnum):
    """Origin of a response's data."""

    ARTIFACT = "artifact"
    """Results of runs; every artifact has a complete envelope."""
    LEGACY = "legacy"
    """Results of an older product, without provenance."""


class AssetAnswer(Answer):
    """Base of responses about one asset."""

    asset_id: str
    runs: dict[str, str]
    """Ids of the runs from which the response was served, by artifact type; a run can be pinned."""
    data_source: DataSource = DataSource.ARTIFACT


class JumpAnswer(AssetAnswer):
    """The nearest artifact in one direction."""

    kind: Annotated[JumpKind | str, Field(union_mode="left_to_right")]
    """A kind, or an artifact type that has none."""
    direction: Direction
    from_ms: int
    filters: JumpFilters
    artifact: Envelope | LegacyArtifact


class Hit(Answer):
    """An artifact that matches a text query."""

    artifact: Envelope | LegacyArtifact
    snippet: str
    """Matching part of the artifact's text."""
    highlights: tuple[tuple[int, int], ...]
    """[start, end) of every match in the snippet, in characters."""


class FindAnswer(AssetAnswer):
    """Matches of a text query in one asset, sorted by time, from `from_ms` in `direction`."""

    query: str
    source: TextSource
    direction: Direction
    from_ms: int | None
    hits: tuple[Hit, ...]
    next_cursor: str | None
    """Cursor of the next page; None on the last page."""


class SearchAnswer(Answer):
    """Matches of a text query in all videos: newest video first, sorted by time within a video."""

    query: str
    source: TextSource
    hits: tuple[Hit, ...]
    """A few matches of each video; each match names its run. The query searches only artifacts that
    are served by default."""
    next_cursor: str | None
    """Cursor of the next page; None on the last page. An earlier page may have fewer hits than
    the limit, because a page covers a limited number of videos."""


class ArtifactPage(AssetAnswer):
    """A page of artifacts, sorted by time."""

    artifacts: tuple[Envelope | LegacyArtifact, ...]
    next_cursor: str | None


class ServedType(Answer):
    """The run from which an artifact type is served."""

    run_id: str
    producer: str
    model_profile: str
    finished_at: datetime
    manifest_sha256: str | None
    ordinal: int | None
    """Ordinal of the only served artifact; None if all artifacts of the run are served."""
    selection: Selection
    """Stored selection policy; `default` if none is stored."""


class SnapshotAnswer(AssetAnswer):
    """The runs from which an asset is served, by artifact type."""

    served: dict[str, ServedType]
    unserved: dict[str, Selection]
    """Types with a stored selection policy that no completed run matches."""
    data_sources: tuple[DataSource, ...]
    """Data sources that the asset has."""


class ProfileEntry(Answer):
    """The runs of one model profile with artifacts of a type."""

    artifact_type: str
    model_profile: str
    runs: int
    latest_run_id: str
    finished_at: datetime
    artifacts: int
    """Number of artifacts in the latest run."""
    is_served: bool
    """Whether the type is served by default from one of these runs."""


class ProfilesAnswer(Answer):
    """The model profiles with which an asset was processed, by artifact type."""

    asset_id: str
    profiles: tuple[ProfileEntry, ...]


class ChainLink(Answer):
    """A stage that the artifact depends on, with the record that committed it."""

    stage: str
    attempt: int
    fingerprint: str | None
    record_sha256: str | None
    producer: str | None
    producer_version: str | None
    weights_sha256: str | None
    ended_at: datetime | None
    stands_on: tuple[str, ...]
    """Stages whose records are in the lineage of this record."""


class ProvenanceAnswer(Answer):
    """The provenance of an artifact, back to the input."""

    artifact: Envelope
    stage: str | None
    """Stage that made the artifact; None if no stage did."""
    path: str | None
    """Path of the artifact's file, relative to the run's folder."""
    file_sha256: str | None
    weights_sha256: str | None
    config: dict[str, object]
    """Settings of the stage."""
    pipeline: str
    run_status: str
    is_served: bool
    """Whether the artifact's type is served by default from its run."""
    asset_uri: str
    source_sha_map: dict[str, str]
    manifest_sha256: str | None
    chain: tuple[ChainLink, ...]
    """The artifact's stage, then the stages that it depends on, direct ones first."""


class Receipt(Answer):
    """The result of ingesting a manifest."""

    stage: str
    """Consumer: `ingest` for whole runs, `sync_screenalytics` for the data that a product reads."""
    producer: str
    asset_id: str
    run_id: str
    manifest_sha256: str
    status: str
    """`completed`, `failed`, `incomplete` or `running`; only a completed run has artifacts."""
    artifacts: dict[str, int]
    """Number of artifacts in the database now, by type."""
    counts: dict[str, int]
    """Number of rows written, by table."""
    is_replay: bool
    """Whether the same manifest had been ingested before, so that this ingest changed nothing."""


class ReceiptEntry(Answer):
    """A stored receipt: when a manifest was ingested, from which bytes, into how many rows."""

    stage: str
    producer: str
    asset_id: str
    run_id: str
    manifest_sha256: str
    schema_version: int
    source: str
    """Address of the store, or of the run's folder."""
    manifest_key: str
    status: str
    artifacts: dict[str, int]
    """Number of artifacts, by type."""
    counts: dict[str, int]
    """Number of rows written, by table."""
    files: dict[str, str]
    """SHA-256 of each file whose records were written as rows, by file."""
    received_at: datetime
    is_current: bool
    """Whether the rows in the database come from this receipt, not from a later revision."""


class RefusalEntry(Answer):
    """A manifest that was not ingested, and why."""

    stage: str
    source: str
    manifest_key: str
    asset_id: str | None
    """None if the manifest could not be read."""
    run_id: str | None
    manifest_sha256: str | None
    attempt: int
    next_attempt_at: datetime | None
    """Time of the next automatic attempt; None if there is none."""
    ended_at: datetime
    error_details: Refusal


class ReceiptsAnswer(Answer):
    """The receipts and refusals of a run in this database."""

    receipts: tuple[ReceiptEntry, ...]
    """Receipts, latest first."""
    refusals: tuple[RefusalEntry, ...]


class SyncedSource(Answer):
    """The progress of one consumer with the manifests of one store."""

    stage: str
    source: str
    taken_in: int
    """Number of ingested manifests."""
    waiting: int
    """Number of pending manifests."""
    retrying: int
    """Number of refused manifests that are retried automatically."""
    refused: int
    """Number of refused manifests that are not retried."""
    last_at: datetime | None
    next_at: datetime | None
    """Time of the next retry."""


class SyncStatusAnswer(Answer):
    """The state of synchronisation with other installations."""

    sources: tuple[SyncedSource, ...]
    refusals: tuple[RefusalEntry, ...]
    """The latest refusals, latest first."""
    latest: tuple[ReceiptEntry, ...]
    """The latest receipts."""


class PublishedAnswer(Answer):
    """A completely published run."""

    producer: str
    asset_id: str
    run_id: str
    source: str
    """Address of the store."""
    manifest_key: str
    manifest_sha256: str
    files: int
    """Number of objects of the run, including its manifest."""
    size_bytes: int
    uploaded: int
    """Number of objects that this call created; the others already existed."""
    is_announced: bool
    """Whether the run was announced in an outbox."""


class SyncOutcome(Answer):
    """The outcome of one manifest."""

    source: str
    manifest_key: str
    receipt: Receipt | None
    refusal: Refusal | None
    next_attempt_at: datetime | None
    """Time of the next attempt; None if there is none."""


class SyncAnswer(Answer):
    """The outcome of one pass over a source."""

    stage: str
    source: str
    noticed: int
    """Number of newly found manifests."""
    known: int
    """Total number of manifests found in the source so far."""
    outcomes: tuple[SyncOutcome, ...]
    is_dry_run: bool


class LegacyReceipt(Answer):
    """The result of importing an older product's results."""

    asset_id: str
    artifact_type: str
    source: str
    artifacts: int


class NamedCluster(Answer):
    """A face cluster that was named after a person."""

    asset_id: str
    run_id: str
    cluster_id: str
    model: str
    """Model of the cluster's embeddings."""


class PersonAnswer(Answer):
    """A person who is known across runs."""

    person_id: str
    name: str
    clusters: tuple[NamedCluster, ...]


class PeopleAnswer(Answer):
    """All known people."""

    people: tuple[PersonAnswer, ...]


class ErasedRun(Answer):
    """A run from which a person was erased, or would be."""

    asset_id: str
    run_id: str
    clusters: tuple[str, ...]
    """Face clusters that showed the person."""
    files: tuple[str, ...]
    """Paths of the files with new digests; in a dry run, of those that would get one."""
    is_sealed: bool
    """Whether the run is published, so that copies exist."""


class PublishedCopy(Answer):
    """A published copy of a run, which the operator has to delete."""

    asset_id: str
    run_id: str
    source: str
    """Address of the store."""
    manifest_key: str
    """Key of the manifest; the run's objects have the same prefix."""


class ErasureAnswer(Answer):
    """What the erasure of a person changed, or would change."""

    person_id: str
    name: str
    is_dry_run: bool
    runs: tuple[ErasedRun, ...]
    published: tuple[PublishedCopy, ...]
    """Copies that still contain the person."""
    unsure: tuple[str, ...]
    """Clusters, as `asset/run/cluster`, that only resemble the person. They are not erased."""
    notes: tuple[str, ...]
    """What could not be erased, and what the operator has to do."""


class PersonTimeAnswer(Answer):
    """One person's screen time; None for values that were not measured."""

    identity_id: str
    """Id of the face cluster, as accepted by `jump --cluster`."""
    person_id: str | None
    name: str | None
    is_named: bool
    """Whether a user named the person in this run; otherwise the person was recognised."""
    onscreen_ms: int
    face_visible_ms: int
    body_only_ms: int
    gap_bridged_ms: int
    speaking_ms: int | None
    confessional_ms: int | None
    first_ms: int
    last_ms: int
    appearances: int
    share: float
    is_singleton: bool
    unsure: tuple[Likeness, ...]
    """Known people whose faces resemble this person's."""


class ScreentimeAnswer(AssetAnswer):
    """The screen time of all people in a video, longest screen time first."""

    people: tuple[PersonTimeAnswer, ...]
