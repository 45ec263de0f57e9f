"""Videos in the database, and their ingested runs."""

from functools import cache
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from filmgate.core.answers import DataSource
from filmgate.core.database import Row
from filmgate.core.errors import Conflict, NotFound
from filmgate.core.questions import Cursor
from filmgate.core.records import Asset
from filmgate.core.runs import IngestedRun, IngestedRunsAnswer, VideoAnswer, VideosAnswer
from filmgate.db import rows
from filmgate.db.queries import queries
from filmgate.db.sessions import DatabaseSession, compose

LATEST = 2**31 - 1


class VideoStore:
    """Stores videos over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._session = DatabaseSession(connection)

    def add(self, asset: Asset) -> None:
        """Store a video; an existing one does not change."""
        self._session.execute(queries("ingest")["add_asset"], rows.of_asset(asset))

    def check(self, asset: Asset) -> None:
        """Raise Conflict if a video with the same id and other bytes exists."""
        stored = self._session.one(_with_video("video"), {"asset_id": asset.id})
        if stored is None or stored["is_legacy"]:
            return
        if stored["input_hash"] != asset.input_hash:
            raise Conflict(
                f"another video with the id {asset.id} already exists",
                expected=f"the video {stored['input_hash']}",
                got=asset.input_hash,
                hint="Choose another asset_id",
            )

    def all(self, limit: int, cursor: str | None) -> VideosAnswer:
        """List a page of videos, sorted by id."""
        (after,) = Cursor.decode(cursor, ["videos"], (str,)) if cursor else ("",)
        parameters = {"after": after, "limit": limit + 1}
        videos = [_video(row) for row in self._session.all(_with_video("videos"), parameters)]
        following = Cursor.after_page(videos, limit, ["videos"], lambda video: [video.asset_id])
        return VideosAnswer(videos=tuple(videos[:limit]), next_cursor=following)

    def get(self, asset_id: str) -> VideoAnswer:
        """Return a video; NotFound if none has this id."""
        row = self._session.one(_with_video("video"), {"asset_id": asset_id})
        if row is None:
            raise NotFound(
                f"video {asset_id!r} does not exist",
                expected="a video that was uploaded or run",
                hint="List the videos with GET /v1/videos",
            )
        return _video(row)

    def runs(self, asset_id: str, limit: int, cursor: str | None) -> IngestedRunsAnswer:
        """List a page of the runs of a video, the latest first."""
        question = ["runs", asset_id]
        (before,) = Cursor.decode(cursor, question, (int,)) if cursor else (LATEST,)
        parameters = {"asset_id": asset_id, "before": min(before, LATEST), "limit": limit + 1}
        found = self._session.all(queries("videos")["runs"], parameters)
        following = Cursor.after_page(found, limit, question, lambda row: [row["run_key"]])
        fields = IngestedRun.model_fields
        runs = [IngestedRun(**{name: row[name] for name in fields}) for row in found[:limit]]
        if not runs:
            self.get(asset_id)
        return IngestedRunsAnswer(asset_id=asset_id, runs=tuple(runs), next_cursor=following)


@cache
def _with_video(name: str) -> str:
    statements = queries("videos")
    counts = sql.SQL(statements["fragment_run_counts"])
    return compose(statements[name], run_counts=counts).as_string()


def _video(row: Row) -> VideoAnswer:
    """Build an answer with the name of the video's file, but without its path on the server."""
    is_legacy = row["is_legacy"]
    return VideoAnswer(
        asset_id=row["asset_id"],
        input_hash=row["input_hash"],
        size_bytes=row["size_bytes"],
        file_name=unquote(urlsplit(row["uri"]).path).rpartition("/")[2],
        media=row["media"],
        runs=row["runs"],
        completed=row["completed"],
        has_media=None,
        data_source=DataSource.LEGACY if is_legacy else DataSource.ARTIFACT,
    )
