"""The port of result stores: what takes in runs, and what a run's files are on their way there."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from filmgate.core.corpus import IndexedBooks
from filmgate.core.manifest import Manifest
from filmgate.core.plan import Producer
from filmgate.core.publishing import Origin
from filmgate.core.records import ArtifactRef, RunHead
from filmgate.core.screentime import ScreenTime

if TYPE_CHECKING:
    from filmgate.core.answers import Receipt


class ArtifactRow(NamedTuple):
    """A validated record of an artifact file, with its payload as JSON text."""

    ordinal: int
    span_start_ms: int
    span_end_ms: int
    payload: bytes


class ArtifactRows(NamedTuple):
    """An artifact file on its way into a store."""

    stage: str
    ref: ArtifactRef
    artifact_type: str
    producer: Producer
    created_at: datetime
    rows: Iterable[ArtifactRow]
    """Raises Invalid at its end where the bytes were not those that `ref` names."""


class ResultStore(Protocol):
    """Takes in runs."""

    def begin(self, head: RunHead) -> None:
        """Note that a run is worked on; one that was taken in as completed stays as it is."""

    def end(self, manifest: Manifest) -> None:
        """Note how a run ended that is not to be taken in, or not now."""

    def ingest(
        self,
        manifest: Manifest,
        manifest_sha256: str,
        origin: Origin,
        files: Iterable[ArtifactRows],
        screentime: ScreenTime | None = None,
        corpus: IndexedBooks | None = None,
    ) -> "Receipt":
        """Take in a run: all of it or, where anything raises, nothing.

        The same manifest again changes nothing. A later revision of the run takes the place of
        an earlier one; Conflict where the one stored is as late and has other bytes, or later, or
        was published.
        """
