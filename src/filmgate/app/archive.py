"""The archive: what was ingested, how it is served, and what it answers. Every face calls this."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from filmgate.app.artifact_types import registry
from filmgate.app.database import Database
from filmgate.app.settings import Settings
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

if TYPE_CHECKING:
    from filmgate.db.selections import Selections
    from filmgate.db.serving import Serving


class Archive:
    """What the database holds. Each call is a session of its own."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._database = database or Database(settings)

    def lasting(self) -> AbstractContextManager[None]:
        """Keep the database running for a block with several questions."""
        return self._database.lasting()

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
        """The next or previous thing of a kind in a video."""
        asset_id = parse_asset_id(asset)
        filters.given(kind)
        with self._serving() as serving:
            return serving.jump(asset_id, kind, direction, from_ms, filters, selection)

    def find(self, asset: str, query: str, **asked: Any) -> FindAnswer:
        """Where words stand in a video; see `Serving.find`."""
        asset_id = parse_asset_id(asset)
        with self._serving() as serving:
            return serving.find(asset_id, query, **asked)

    def search(
        self, query: str, *, source: TextSource, limit: int, cursor: str | None
    ) -> SearchAnswer:
        """Where words stand in all videos."""
        with self._serving() as serving:
            return serving.search(query, source=source, limit=limit, cursor=cursor)

    def artifacts(self, asset: str, **asked: Any) -> ArtifactPage:
        """Artifacts of a video in order of time; see `Serving.artifacts`."""
        asset_id = parse_asset_id(asset)
        with self._serving() as serving:
            return serving.artifacts(asset_id, **asked)

    def screentime(self, asset: str, selection: Selection = DEFAULT) -> ScreentimeAnswer:
        """How long everybody in a video is on screen."""
        asset_id = parse_asset_id(asset)
        with self._serving() as serving:
            return serving.screentime(asset_id, selection)

    def snapshot(self, asset: str) -> SnapshotAnswer:
        """What a video is served from, type by type."""
        asset_id = parse_asset_id(asset)
        with self._selections() as selections:
            return selections.snapshot(asset_id)

    def choice(self, asset: str, artifact_type: str) -> Selection:
        """The stored choice for a type of a video; `default` where nobody chose."""
        told = self.snapshot(asset)
        served = told.served.get(artifact_type)
        return told.unserved.get(artifact_type, served.selection if served else DEFAULT)

    def counts(self) -> dict[str, dict[tuple[str, ...], int]]:
        """How many runs, stages and receipts there are, by what they are and how they stand."""
        from filmgate.db.counts import counts  # slow, and rarely needed

        with self._database.session() as connection:
            return counts(connection)

    def select(self, asset: str, artifact_type: str, selection: Selection) -> SnapshotAnswer:
        """Choose what a type is served from; the snapshot after that."""
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
        """Pin every type to the run it is served from now, or to those of an earlier answer;
        `cited` is what it told of each, see `Selections.pin`."""
        asset_id = parse_asset_id(asset)
        with self._selections() as selections:
            selections.pin(asset_id, runs, cited)
            return selections.snapshot(asset_id)

    def profiles(self, asset: str, artifact_type: str | None = None) -> ProfilesAnswer:
        """Under which profiles a video was looked at."""
        asset_id = parse_asset_id(asset)
        with self._selections() as selections:
            return selections.profiles(asset_id, artifact_type)

    def provenance(self, artifact: str, installation: str | None = None) -> ProvenanceAnswer:
        """Where an artifact comes from."""
        from filmgate.db.artifacts import Artifacts  # slow, and not every command needs it

        with self._database.session() as connection:
            artifacts = Artifacts(connection, BUILT_IN)  # nothing is looked into
            return artifacts.provenance(artifact, installation=installation)

    def rebuild_projections(self) -> dict[str, int]:
        """Make every projection again; how many rows each has."""
        from filmgate.db.books import count_again, has_books  # slow, and not every command needs it
        from filmgate.db.projections import rebuild
        from filmgate.db.sessions import Session
        from filmgate.sync.corpus import counted
        from filmgate.tools.words import version

        with self._database.session() as connection:
            made = rebuild(connection, registry().projections)
            session = Session(connection)
            if not has_books(session):
                return made
            return made | {"corpus.postings": count_again(session, counted, version())}

    def import_legacy(
        self, asset: str, source: str, artifact_type: str | None = None
    ) -> tuple[LegacyReceipt, ...]:
        """Take in what an older product left of a video: a file, a folder of files, or a table
        of the database (`table:schema.name`)."""
        from filmgate.sync.legacy import import_legacy  # slow, and rarely needed

        asset_id = parse_asset_id(asset)
        with self._database.session() as connection:
            return import_legacy(connection, asset_id, source, artifact_type)

    @contextmanager
    def _selections(self) -> "Iterator[Selections]":
        from filmgate.db.selections import Selections  # slow, and not every command needs it

        with self._database.session() as connection:
            yield Selections(connection)

    @contextmanager
    def _serving(self) -> "Iterator[Serving]":
        from filmgate.db.serving import Serving  # slow, and not every command needs it

        with self._database.session() as connection:
            yield Serving(connection)
