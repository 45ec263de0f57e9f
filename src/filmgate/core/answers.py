"""The shape of answers from what was ingested, on the command line and over HTTP alike."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from filmgate.core.envelope import Envelope, LegacyArtifact
from filmgate.core.intake import Refusal
from filmgate.core.jump_filters import JumpFilters
from filmgate.core.questions import Direction, JumpKind, TextSource
from filmgate.core.rulebook import Span
from filmgate.core.screentime import Likeness
from filmgate.core.selection import Selection


class DataSource(StrEnum):
    """Where an answer comes from."""

    ARTIFACT = "artifact"
    """From runs: every envelope is whole."""
    LEGACY = "legacy"
    """From what an older product left; nobody knows how it was made."""


class Answer(BaseModel):
    """Frozen, and nothing in it undeclared."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class AssetAnswer(Answer):
    """What is said of one asset."""

    asset_id: str
    runs: dict[str, str]
    """Which run the answer was served from, by artifact type: a snapshot that can be pinned."""
    data_source: DataSource = DataSource.ARTIFACT


class JumpAnswer(AssetAnswer):
    """The nearest artifact in one direction."""

    kind: JumpKind
    direction: Direction
    from_ms: int
    filters: JumpFilters
    artifact: Envelope | LegacyArtifact


class Hit(Answer):
    """Something said or shown that matches."""

    artifact: Envelope | LegacyArtifact
    snippet: str
    """The matching part of its text."""
    highlights: tuple[tuple[int, int], ...]
    """[start, end) of every match in the snippet, in characters."""


class FindAnswer(AssetAnswer):
    """What matches, in order of time as seen from where one stands."""

    query: str
    source: TextSource
    direction: Direction
    from_ms: int | None
    hits: tuple[Hit, ...]
    next_cursor: str | None
    """Where the next page begins; None where this is all."""


class SearchAnswer(Answer):
    """What matches in all videos, those that came last first; in each, in order of time."""

    query: str
    source: TextSource
    hits: tuple[Hit, ...]
    """A few of each video; each names its run. Only what is served by default is searched."""
    next_cursor: str | None
    """There may be more where it is given, also after a page with fewer hits than were asked
    for: only so many videos are looked through for a page."""


class ArtifactPage(AssetAnswer):
    """Artifacts in order of time, a page of them."""

    artifacts: tuple[Envelope | LegacyArtifact, ...]
    next_cursor: str | None


class ServedType(Answer):
    """From where a type of artifact is served."""

    run_id: str
    producer: str
    model_profile: str
    finished_at: datetime
    manifest_sha256: str | None
    ordinal: int | None
    """The only artifact that is served, where one was pinned."""
    selection: Selection
    """The stored choice; `default` where nobody chose."""


class SnapshotAnswer(AssetAnswer):
    """What an asset is served from, type by type."""

    served: dict[str, ServedType]
    unserved: dict[str, Selection]
    """Types with a stored choice that no completed run fulfils."""
    data_sources: tuple[DataSource, ...]
    """What the asset has."""


class ProfileEntry(Answer):
    """The runs of one model profile that have a type."""

    artifact_type: str
    model_profile: str
    runs: int
    latest_run_id: str
    finished_at: datetime
    artifacts: int
    """In the latest of them."""
    is_served: bool
    """Whether the type is served by default from one of them."""


class ProfilesAnswer(Answer):
    """Under which profiles an asset was looked at, type by type."""

    asset_id: str
    profiles: tuple[ProfileEntry, ...]


class ChainLink(Answer):
    """A stage that the artifact stands on, with the record that committed it."""

    stage: str
    attempt: int
    fingerprint: str | None
    record_sha256: str | None
    producer: str | None
    producer_version: str | None
    weights_sha256: str | None
    ended_at: datetime | None
    stands_on: tuple[str, ...]
    """Stages, as its record names theirs."""


class ProvenanceAnswer(Answer):
    """Where an artifact comes from, all the way to the input."""

    artifact: Envelope
    stage: str | None
    """None where no stage made it."""
    path: str | None
    """Its file, in the run's folder."""
    file_sha256: str | None
    weights_sha256: str | None
    config: dict[str, Any]
    """Of its stage."""
    pipeline: str
    run_status: str
    is_served: bool
    """Whether its type is served by default from its run."""
    asset_uri: str
    source_sha_map: dict[str, str]
    manifest_sha256: str | None
    chain: tuple[ChainLink, ...]
    """Its own stage first, then all that it stands on, near before far."""


class Receipt(Answer):
    """What taking in a manifest did."""

    stage: str
    """Who took it in: `ingest` for whole runs, `sync_screenalytics` for what a product reads."""
    producer: str
    asset_id: str
    run_id: str
    manifest_sha256: str
    status: str
    """`completed`, `failed`, `incomplete` or `running`; only a completed run has artifacts."""
    artifacts: dict[str, int]
    """How many of each type are in the database now."""
    counts: dict[str, int]
    """Rows that were made, by table."""
    is_replay: bool
    """Whether the same manifest was taken in before, and nothing changed."""


class ReceiptEntry(Answer):
    """What was taken in once: when, from which bytes, into how many rows."""

    stage: str
    producer: str
    asset_id: str
    run_id: str
    manifest_sha256: str
    schema_version: int
    source: str
    """The address of the store, or of the run's folder."""
    manifest_key: str
    status: str
    artifacts: dict[str, int]
    """By type."""
    counts: dict[str, int]
    """Rows that were made, by table."""
    files: dict[str, str]
    """Files whose records became rows, with their sha256."""
    received_at: datetime
    is_current: bool
    """Whether the rows are still these, not those of a later revision of the run."""


class RefusalEntry(Answer):
    """A manifest that was not taken in, and why."""

    stage: str
    source: str
    manifest_key: str
    asset_id: str | None
    """None where the manifest could not be read."""
    run_id: str | None
    manifest_sha256: str | None
    attempt: int
    next_attempt_at: datetime | None
    """None where it is not tried again by itself."""
    ended_at: datetime
    error_details: Refusal


class ReceiptsAnswer(Answer):
    """What came of a run here."""

    receipts: tuple[ReceiptEntry, ...]
    """The latest first."""
    refusals: tuple[RefusalEntry, ...]


class SyncedSource(Answer):
    """How far one consumer is with what one store holds."""

    stage: str
    source: str
    taken_in: int
    waiting: int
    retrying: int
    """Refused for now; tried again by itself."""
    refused: int
    last_at: datetime | None
    next_at: datetime | None
    """When the first of those is tried again."""


class SyncStatusAnswer(Answer):
    """What was taken in from elsewhere, what is to come, and what was refused."""

    sources: tuple[SyncedSource, ...]
    refusals: tuple[RefusalEntry, ...]
    """The latest first, some of them."""
    latest: tuple[ReceiptEntry, ...]
    """The last receipts."""


class PublishedAnswer(Answer):
    """A run that lies whole in a store."""

    producer: str
    asset_id: str
    run_id: str
    source: str
    """The store's address."""
    manifest_key: str
    manifest_sha256: str
    files: int
    """Objects of the run, its manifest included."""
    size_bytes: int
    uploaded: int
    """How many of them were made now; the others lay there already."""
    is_announced: bool
    """Whether an outbox tells of it."""


class SyncOutcome(Answer):
    """What came of one manifest."""

    source: str
    manifest_key: str
    receipt: Receipt | None
    refusal: Refusal | None
    next_attempt_at: datetime | None
    """When it is tried again; None where that is no use."""


class SyncAnswer(Answer):
    """What one pass over a source did."""

    stage: str
    source: str
    noticed: int
    """Manifests that were not known before."""
    known: int
    """Manifests that were ever seen there."""
    outcomes: tuple[SyncOutcome, ...]
    is_dry_run: bool


class LegacyReceipt(Answer):
    """What taking in an older product's results did."""

    asset_id: str
    artifact_type: str
    source: str
    artifacts: int


class NamedCluster(Answer):
    """A cluster that somebody named after a person."""

    asset_id: str
    run_id: str
    cluster_id: str
    model: str
    """Whose vectors it is known by."""


class PersonAnswer(Answer):
    """Somebody known across runs."""

    person_id: str
    name: str
    clusters: tuple[NamedCluster, ...]


class PeopleAnswer(Answer):
    """Everybody who is known."""

    people: tuple[PersonAnswer, ...]


class PersonTimeAnswer(Answer):
    """One person's screen time; what was not measured is None."""

    identity_id: str
    """The cluster: what `jump --cluster` asks for."""
    person_id: str | None
    name: str | None
    is_named: bool
    """Whether the name was given by hand in this run, not recognised."""
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
    """Known people that it may be."""


class ScreentimeAnswer(AssetAnswer):
    """Everybody in a video, the longest on screen first."""

    people: tuple[PersonTimeAnswer, ...]


class Related(Answer):
    """Something that hangs together with what was asked for, and where that is written."""

    name: str
    kind: str
    relation: str
    rule: str
    pdf_page: int
    printed_page: str | None


class Citation(Answer):
    """A passage of a book, and all that is needed to find it again on paper."""

    book: str
    title: str
    """Of the book."""
    format: str
    pdf_page: int
    """Of the file, from 1."""
    printed_page: str | None
    """As it stands on the page; None where it has no number."""
    section: tuple[str, ...]
    """The titles around it, the outermost first."""
    kind: str
    text: str
    span: tuple[Span, ...]
    score: float
    how: str
    """By what it was found: a title, words, a table's row, an edge of the graph, likeness."""
    chunk_id: str
    related: tuple[Related, ...] = ()
    attribution: str | None
    licence: str | None


class AskAnswer(Answer):
    """The passages that answer a question, best first."""

    question: str
    env: str
    answers: tuple[Citation, ...]


class BookAnswer(Answer):
    """A book that can be asked."""

    book: str
    env: str
    title: str
    file: str
    format: str
    pages: int
    chunks: int
    words_version: str
    licence: str | None
    attribution: str | None
    job_id: str


class BooksAnswer(Answer):
    """Every book that can be asked."""

    books: tuple[BookAnswer, ...]


class CheckCount(Answer):
    """What a check said of the sessions of a quality manifest."""

    name: str
    flagged: int
    judged: int


class FailureCount(Answer):
    """Items of a quality manifest that failed in one way."""

    code: str
    count: int
    example: str


class QualityReportAnswer(Answer):
    """`filmgate gameplay report`: what the page tells, and where it is."""

    page: str
    sessions: int
    clean: int
    """Those that no check flagged."""
    failed: int
    without_frames: int
    """Flagged sessions that are shown without frames, since their `.pt` files cannot be read."""
    checks: tuple[CheckCount, ...]
    failures: tuple[FailureCount, ...]
