"""Queries of the database: jump, find, search, artifacts, selections and provenance."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from filmgate.core.answers import (
    ArtifactPage,
    FindAnswer,
    JumpAnswer,
    LegacyReceipt,
    ProfilesAnswer,
    ProvenanceAnswer,
    ScreentimeAnswer,
    SearchAnswer,
    SnapshotAnswer,
)
from filmgate.core.ids import parse_asset_id
from filmgate.core.jump_filters import NO_FILTERS, JumpFilters
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.questions import Direction, JumpKind, TextSource
from filmgate.core.selection import DEFAULT, Selection
from filmgate.db.artifact_queries import (
    ArtifactQueries,
)
from filmgate.db.artifacts import Artifacts
from filmgate.db.counts import counts
from filmgate.db.projections import rebuild
from filmgate.db.selections import Selections
from filmgate.db.sessions import DatabaseSession
from filmgate.db.statistics import refresh_statistics
from filmgate.sync.legacy import import_legacy
from filmgate.wiring import pipelines
from filmgate.wiring.artifact_types import registry
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings


class Queries:
    """Queries ingested runs. Each call opens a database session."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._database = database or Database(settings)

    def keep_running(self) -> AbstractContextManager[None]:
        """Keep the embedded database running for a block with several queries."""
        return self._database.keep_running()

    def jump(
        self,
        asset: str,
        kind: JumpKind,
        *,
        direction: Direction,
        from_ms: int,
        filters: JumpFilters = NO_FILTERS,
        selection: Selection = DEFAULT,
    ) -> JumpAnswer:
        """Return the next or previous artifact of a kind in a video; raises NotFound."""
        asset_id = parse_asset_id(asset)
        filters.for_kind(kind)
        with self._artifacts() as artifacts:
            return artifacts.jump(asset_id, kind, direction, from_ms, filters, selection)

    def find(
        self,
        asset: str,
        query: str,
        *,
        source: TextSource = TextSource.TRANSCRIPT,
        direction: Direction = Direction.NEXT,
        from_ms: int | None = None,
        limit: int = 20,
        cursor: str | None = None,
        selection: Selection = DEFAULT,
    ) -> FindAnswer:
        """Search for a text in a video; see `ArtifactQueries.find`."""
        asset_id = parse_asset_id(asset)
        with self._artifacts() as artifacts:
            return artifacts.find(
                asset_id,
                query,
                source=source,
                direction=direction,
                from_ms=from_ms,
                limit=limit,
                cursor=cursor,
                selection=selection,
            )

    def search(
        self, query: str, *, source: TextSource, limit: int, cursor: str | None
    ) -> SearchAnswer:
        """Search for a text in all videos; see `ArtifactQueries.search`."""
        with self._artifacts() as artifacts:
            return artifacts.search(query, source=source, limit=limit, cursor=cursor)

    def artifacts(
        self,
        asset: str,
        *,
        artifact_types: Iterable[str] = (),
        from_ms: int | None = None,
        to_ms: int | None = None,
        producer: str | None = None,
        producer_version: str | None = None,
        config_hash: str | None = None,
        selection: Selection = DEFAULT,
        limit: int = 1000,
        cursor: str | None = None,
    ) -> ArtifactPage:
        """List the artifacts of a video, sorted by time; see `ArtifactQueries.artifacts`."""
        asset_id = parse_asset_id(asset)
        with self._artifacts() as artifacts:
            return artifacts.artifacts(
                asset_id,
                artifact_types=artifact_types,
                from_ms=from_ms,
                to_ms=to_ms,
                producer=producer,
                producer_version=producer_version,
                config_hash=config_hash,
                selection=selection,
                limit=limit,
                cursor=cursor,
            )

    def screentime(self, asset: str, selection: Selection = DEFAULT) -> ScreentimeAnswer:
        """Return the screen time of every person in a video."""
        asset_id = parse_asset_id(asset)
        with self._artifacts() as artifacts:
            return artifacts.screentime(asset_id, selection)

    def snapshot(self, asset: str) -> SnapshotAnswer:
        """Return the run from which each artifact type of a video is served."""
        asset_id = parse_asset_id(asset)
        with self._selections() as selections:
            return selections.snapshot(asset_id)

    def stored_selection(self, asset: str, artifact_type: str) -> Selection:
        """Return the stored selection for an artifact type; `default` if none is stored."""
        snapshot = self.snapshot(asset)
        served = snapshot.served.get(artifact_type)
        return snapshot.unserved.get(artifact_type, served.selection if served else DEFAULT)

    def counts(self) -> dict[str, dict[tuple[str, ...], int]]:
        """Return the numbers of runs, stages and receipts, by metric name and label values."""
        with self._database.session() as connection:
            return counts(connection)

    def select(self, asset: str, artifact_type: str, selection: Selection) -> SnapshotAnswer:
        """Store the selection for an artifact type; return the resulting snapshot."""
        asset_id = parse_asset_id(asset)
        with self._selections() as selections:
            selections.select(asset_id, artifact_type, selection)
            return selections.snapshot(asset_id)

    def pin(
        self,
        asset: str,
        runs: Mapping[str, str] | None = None,
        cited: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> SnapshotAnswer:
        """Pin every artifact type to the run from which it is served, or to the run in `runs`.

        `runs` and `cited` are parts of an earlier snapshot, see `Selections.pin`.
        """
        asset_id = parse_asset_id(asset)
        with self._selections() as selections:
            selections.pin(asset_id, runs, cited)
            return selections.snapshot(asset_id)

    def profiles(self, asset: str, artifact_type: str | None = None) -> ProfilesAnswer:
        """List the model profiles of a video's runs, by artifact type."""
        asset_id = parse_asset_id(asset)
        with self._selections() as selections:
            return selections.profiles(asset_id, artifact_type)

    def provenance(self, artifact: str, installation: str | None = None) -> ProvenanceAnswer:
        """Return the provenance of an artifact."""
        with self._database.session() as connection:
            artifacts = Artifacts(connection, BUILT_IN)  # a provenance query parses no payload
            return artifacts.provenance(artifact, installation=installation)

    def rebuild_projections(self) -> dict[str, int]:
        """Rebuild all projections; return the number of rows of each table."""
        with self._database.session() as connection:
            made = rebuild(connection, registry().projections)
            for summary in pipelines.summaries():
                if summary.rebuild is not None:
                    made |= summary.rebuild(DatabaseSession(connection))
            refresh_statistics(connection)
            return made

    def import_legacy(
        self, asset: str, source: str, artifact_type: str | None = None
    ) -> tuple[LegacyReceipt, ...]:
        """Import artifacts of a video from an older product.

        `source`: a file, a folder of files, or a table of the database (`table:schema.name`).
        """
        asset_id = parse_asset_id(asset)
        with self._database.session() as connection:
            receipts = import_legacy(connection, asset_id, source, artifact_type)
            refresh_statistics(connection)
            return receipts

    @contextmanager
    def _selections(self) -> Iterator[Selections]:
        with self._database.session() as connection:
            yield Selections(connection)

    @contextmanager
    def _artifacts(self) -> Iterator[ArtifactQueries]:
        with self._database.session() as connection:
            yield ArtifactQueries(connection)
