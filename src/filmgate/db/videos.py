"""Videos in the database: which there are, and which runs of each are known."""

from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from filmgate.core.answers import DataSource
from filmgate.core.errors import Conflict, NotFound
from filmgate.core.questions import Cursor
from filmgate.core.records import Asset
from filmgate.core.runs import IngestedRun, IngestedRunsAnswer, VideoAnswer, VideosAnswer
from filmgate.db import rows
from filmgate.db.queries import queries
from filmgate.db.sessions import Session, composed

LATEST = 2**31 - 1


class Videos:
    """Over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._session = Session(connection)

    def add(self, asset: Asset) -> None:
        """Let it be known."""
        self._session.do(queries("ingest")["add_asset"], rows.of_asset(asset))

    def check(self, asset: Asset) -> None:
        """Raise Conflict where other bytes go by that id."""
        known = self._session.one(_with_video("video"), {"asset_id": asset.id})
        if known is None or known["is_legacy"]:
            return
        if known["input_hash"] != asset.input_hash:
            raise Conflict(
                f"another video goes by {asset.id}",
                expected=f"the video {known['input_hash']}",
                got=asset.input_hash,
                hint="Give it an asset_id of its own",
            )

    def all(self, limit: int, cursor: str | None) -> VideosAnswer:
        """Videos, by id."""
        (after,) = Cursor.read(cursor, ["videos"], (str,)) if cursor else ("",)
        asked = {"after": after, "limit": limit + 1}
        videos = [_video(row) for row in self._session.all(_with_video("videos"), asked)]
        following = Cursor.after(videos, limit, ["videos"], lambda video: [video.asset_id])
        return VideosAnswer(videos=tuple(videos[:limit]), next_cursor=following)

    def get(self, asset_id: str) -> VideoAnswer:
        """A video; NotFound where the database knows none of that id."""
        row = self._session.one(_with_video("video"), {"asset_id": asset_id})
        if row is None:
            raise NotFound(
                f"no video {asset_id!r}",
                expected="one that was uploaded, or run on",
                hint="GET /v1/videos lists them",
            )
        return _video(row)

    def runs(self, asset_id: str, limit: int, cursor: str | None) -> IngestedRunsAnswer:
        """The runs of a video, the latest first."""
        question = ["runs", asset_id]
        (before,) = Cursor.read(cursor, question, (int,)) if cursor else (LATEST,)
        asked = {"asset_id": asset_id, "before": min(before, LATEST), "limit": limit + 1}
        found = self._session.all(queries("videos")["runs"], asked)
        following = Cursor.after(found, limit, question, lambda row: [row["run_key"]])
        fields = IngestedRun.model_fields
        runs = [IngestedRun(**{name: row[name] for name in fields}) for row in found[:limit]]
        if not runs:
            self.get(asset_id)
        return IngestedRunsAnswer(asset_id=asset_id, runs=tuple(runs), next_cursor=following)


@cache
def _with_video(name: str) -> str:
    statements = queries("videos")
    counted = sql.SQL(statements["fragment_runs_of"])
    return composed(statements[name], runs_of=counted).as_string()


def _video(row: Mapping[str, Any]) -> VideoAnswer:
    """Where its file lies on the server is nobody's business; what it is called is."""
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
