"""The ingested artifacts: choose the served runs, rebuild what is derived, import old artifacts."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from filmgate.core.answers import LegacyReceipt, SnapshotAnswer
from filmgate.core.digest import JsonDict
from filmgate.core.ids import parse_asset_id
from filmgate.core.selection import DEFAULT, Selection
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


class ArchiveService:
    """Manages the ingested artifacts. Each call opens a database session."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._database = database or Database(settings)

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
        cited: Mapping[str, JsonDict] | None = None,
    ) -> SnapshotAnswer:
        """Pin every artifact type to the run from which it is served, or to the run in `runs`.

        `runs` and `cited` are parts of an earlier snapshot, see `Selections.pin`.
        """
        asset_id = parse_asset_id(asset)
        with self._selections() as selections:
            selections.pin(asset_id, runs, cited)
            return selections.snapshot(asset_id)

    def rebuild_projections(self) -> dict[str, int]:
        """Rebuild all projections; return the number of rows of each table."""
        with self._database.session() as connection:
            made = rebuild(connection, registry().projections)
            session = DatabaseSession(connection)
            for pipeline in pipelines.load_all():
                for summary in pipeline.summaries:
                    made |= summary.rebuild(session) if summary.rebuild is not None else {}
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
