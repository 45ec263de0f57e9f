"""Videos as the database knows them: uploaded, run on, or left by an older product."""

import json
from pathlib import Path

import psycopg
import pytest

from filmgate.core.answers import DataSource
from filmgate.core.errors import Conflict, NotFound, UsageError
from filmgate.core.ids import AssetId
from filmgate.core.records import Asset
from filmgate.db.videos import Videos
from filmgate.sync.legacy import import_legacy

MEDIA = {"format": "matroska,webm", "video": "mpeg4", "audio": [], "subtitles": []}


def video(name: str, letter: str = "a") -> Asset:
    return Asset(
        id=name,
        input_hash=f"sha256:{letter * 64}",
        uri=f"file:///somewhere/on/the/server/{name}%20cut.mkv",
        size_bytes=1000,
        media=MEDIA,
    )


@pytest.fixture
def videos(connection: psycopg.Connection, tmp_path: Path) -> Videos:
    """Three that were uploaded, a book, and one that an older product left scenes of."""
    stored = Videos(connection)
    for name in ("b", "d", "e"):
        stored.add(video(name))
    stored.add(video("book").model_copy(update={"media": {}}))
    scenes = tmp_path / "scenes.jsonl"
    scenes.write_text(json.dumps({"start_ms": 0, "end_ms": 1000}) + "\n")
    import_legacy(connection, AssetId("c"), str(scenes), "scene")
    return stored


def test_videos_are_listed_by_id_a_page_at_a_time(videos: Videos) -> None:
    names, cursor = [], None
    while True:
        page = videos.all(2, cursor)
        assert len(page.videos) <= 2
        names += [each.asset_id for each in page.videos]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert names == ["b", "c", "d", "e"]
    with pytest.raises(UsageError, match="no cursor of this question"):
        videos.all(2, "elsewhere")


def test_where_a_file_lies_on_the_server_is_not_told(videos: Videos) -> None:
    told = videos.get("b")
    assert told.file_name == "b cut.mkv"
    assert "somewhere" not in told.model_dump_json()


def test_what_an_older_product_left_is_a_video_labelled_so(videos: Videos) -> None:
    assert videos.get("c").data_source is DataSource.LEGACY
    assert videos.get("b").data_source is DataSource.ARTIFACT
    assert videos.runs("c", 10, None).runs == ()
    with pytest.raises(NotFound, match="no video 'x'"):
        videos.runs("x", 10, None)


def test_other_bytes_under_an_id_are_in_the_way(videos: Videos) -> None:
    videos.check(video("b"))
    videos.check(video("c"))
    videos.check(video("new"))
    with pytest.raises(Conflict, match="another video goes by b"):
        videos.check(video("b", "f"))
