"""The port of result stores, into which runs are ingested, and the rows that they receive."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from filmgate.core.manifest import Manifest
from filmgate.core.plan import Producer
from filmgate.core.publishing import ManifestLocation
from filmgate.core.records import ArtifactRef, RunHead
from filmgate.core.summaries import SummaryRows

if TYPE_CHECKING:
    from filmgate.core.answers import Receipt


class ArtifactRow(NamedTuple):
    """A validated record of an artifact file; its payload is JSON text."""

    ordinal: int
    span_start_ms: int
    span_end_ms: int
    payload: bytes


class ArtifactRows(NamedTuple):
    """The rows of one artifact file, to be ingested."""

    stage: str
    ref: ArtifactRef
    artifact_type: str
    producer: Producer
    created_at: datetime
    rows: Iterable[ArtifactRow]
    """Rows in file order; at the end, iteration raises Invalid if the bytes do not match `ref`."""


class ResultStore(Protocol):
    """Stores the results of runs."""

    def begin(self, head: RunHead) -> None:
        """Store that a run is running, unless the run was already ingested as completed."""

    def end(self, manifest: Manifest) -> None:
        """Store the final state of a run that is not ingested, or not ingested yet."""

    def ingest(
        self,
        manifest: Manifest,
        manifest_sha256: str,
        origin: ManifestLocation,
        files: Iterable[ArtifactRows],
        summaries: Sequence[SummaryRows] = (),
    ) -> "Receipt":
        """Ingest a run atomically.

        Ingesting the same manifest again changes nothing. A later revision of the run replaces an
        earlier one. Raises Conflict if the stored revision is later, has the same number but
        other bytes, or was published.
        """
