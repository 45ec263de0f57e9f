"""Videos in the database: uploaded, or imported from an older product."""

import json
from pathlib import Path

import psycopg
import pytest

from filmgate.core.answers import DataSource
from filmgate.core.errors import Conflict, NotFound, UsageError
from filmgate.core.ids import AssetId
from filmgate.core.records import Asset
from filmgate.db.videos import VideoStore
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
def videos(connection: psycopg.Connection, tmp_path: Path) -> VideoStore:
    """Add three uploaded videos, a book, and one with scenes of an older product."""
    store = VideoStore(connection)
    for name in ("b", "d", "e"):
        store.add(video(name))
    store.add(video("book").model_copy(update={"media": {}}))
    scenes = tmp_path / "scenes.jsonl"
    scenes.write_text(json.dumps({"start_ms": 0, "end_ms": 1000}) + "\n")
    import_legacy(connection, AssetId("c"), str(scenes), "scene")
    return store


def test_videos_are_listed_by_id_in_pages(videos: VideoStore) -> None:
    names, cursor = [], None
    while True:
        page = videos.all(2, cursor)
        assert len(page.videos) <= 2
        names += [listed.asset_id for listed in page.videos]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert names == ["b", "c", "d", "e"]
    with pytest.raises(UsageError, match="cursor is invalid for this query"):
        videos.all(2, "elsewhere")


def test_the_path_of_a_file_on_the_server_is_not_disclosed(videos: VideoStore) -> None:
    answer = videos.get("b")
    assert answer.file_name == "b cut.mkv"
    assert "somewhere" not in answer.model_dump_json()


def test_a_video_of_an_older_product_has_the_data_source_legacy(videos: VideoStore) -> None:
    assert videos.get("c").data_source is DataSource.LEGACY
    assert videos.get("b").data_source is DataSource.ARTIFACT
    assert videos.runs("c", 10, None).runs == ()
    with pytest.raises(NotFound, match="video 'x' does not exist"):
        videos.runs("x", 10, None)


def test_another_video_with_the_same_id_is_a_conflict(videos: VideoStore) -> None:
    videos.check(video("b"))
    videos.check(video("c"))
    videos.check(video("new"))
    with pytest.raises(Conflict, match="another video with the id b already exists"):
        videos.check(video("b", "f"))
