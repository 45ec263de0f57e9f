"""Videos: those that came in over HTTP, those that runs were made of, and their files."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from filmgate.app import pipelines
from filmgate.app.clock import utc_now
from filmgate.app.database import Database
from filmgate.app.settings import Settings
from filmgate.core.errors import Conflict, NotFound
from filmgate.core.ids import AssetId, asset_id_from_name, parse_asset_id
from filmgate.core.records import Asset, RunHead
from filmgate.core.runs import IngestedRunsAnswer, UploadAnswer, VideoAnswer, VideosAnswer
from filmgate.store.home import Home
from filmgate.store.uploads import Draft, Uploads

if TYPE_CHECKING:
    from filmgate.db.videos import Videos as Stored

EPISODE = "episode"


@dataclass(frozen=True, kw_only=True)
class MediaFile:
    """A video's file, here."""

    path: Path
    sha256: str
    size_bytes: int


class Videos:
    """Of these settings. Each call is a session of the database of its own."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._database = database or Database(settings)
        self._home = Home(settings.home.expanduser())
        self._uploads = Uploads(self._home.root)

    def all(self, limit: int, cursor: str | None) -> VideosAnswer:
        """Videos, by id."""
        with self._stored() as stored:
            return stored.all(limit, cursor)

    def get(self, asset: str) -> VideoAnswer:
        """A video, and whether its file can be played here."""
        asset_id = parse_asset_id(asset)
        with self._stored() as stored:
            video = stored.get(asset_id)
        try:
            self.media(asset_id)
        except (NotFound, Conflict):
            return video.model_copy(update={"has_media": False})
        return video.model_copy(update={"has_media": True})

    def runs(self, asset: str, limit: int, cursor: str | None) -> IngestedRunsAnswer:
        """The runs of a video that the database knows."""
        with self._stored() as stored:
            return stored.runs(parse_asset_id(asset), limit, cursor)

    def media(self, asset: str) -> MediaFile:
        """A video's file: what was uploaded, or what a run here was made of. NotFound where none
        lies here, Conflict where it is not what it was.

        Only what the home itself tells is believed: a manifest from elsewhere names no file here.
        """
        asset_id = parse_asset_id(asset)
        upload = self._uploads.find(asset_id)
        if upload is not None:
            note = upload.note
            found = upload.path.stat()
            if (found.st_size, found.st_mtime_ns) != (note.size_bytes, note.modified_ns):
                raise _altered(asset_id)
            return MediaFile(path=upload.path, sha256=note.sha256, size_bytes=note.size_bytes)
        for run in reversed(self._home.runs(asset_id)):
            if run.head.pipeline == EPISODE:
                return _input_of(run.head)
        raise NotFound(
            f"the file of {asset_id} does not lie here",
            expected="a video that was uploaded, or run on here",
        )

    def draft(self, file_name: str) -> AbstractContextManager[Draft]:
        """A place for a file that comes in."""
        return self._uploads.draft(file_name)

    def sweep(self) -> None:
        """Remove what uploads left that were killed long ago."""
        self._uploads.sweep(utc_now())

    def keep(self, draft: Draft, asset: str | None, user: str) -> UploadAnswer:
        """Take a draft for good, under the id given or the one that its name suggests.

        Raises Invalid where it is no video, Conflict where another goes by that id.
        """
        asset_id = parse_asset_id(asset) if asset else asset_id_from_name(draft.path.name)
        sha256 = draft.finish()
        media = self._looked_at(draft)
        name, size = draft.path.name, draft.size_bytes
        video = Asset(
            id=asset_id,
            input_hash=f"sha256:{sha256}",
            uri=self._uploads.place_of(asset_id, name).as_uri(),
            size_bytes=size,
            media=media,
        )
        with self._stored() as stored:
            stored.check(video)
            is_new = self._uploads.keep(draft, asset_id, sha256, user, utc_now())
            kept = self._uploads.need(asset_id).path  # by its first name, if it was there
            stored.add(video.model_copy(update={"uri": kept.as_uri()}))
        return UploadAnswer(
            asset_id=asset_id,
            input_hash=video.input_hash,
            size_bytes=size,
            file_name=kept.name,
            media=media,
            is_known=not is_new,
        )

    @staticmethod
    def _looked_at(draft: Draft) -> dict[str, Any]:
        """What is known of a video by opening it."""
        admit = pipelines.load(EPISODE).admit
        return dict(admit(draft.path).media) if admit is not None else {}

    @contextmanager
    def _stored(self) -> "Iterator[Stored]":
        from filmgate.db.videos import Videos as Stored  # slow, and not always needed

        with self._database.session() as connection:
            yield Stored(connection)


def _input_of(head: RunHead) -> MediaFile:
    """The file that a run was made of, where it still is as it was: of its size, and not written to
    since the run was begun."""
    asset = head.asset
    path = Path(url2pathname(urlsplit(asset.uri).path))
    try:
        path = path.resolve(strict=True)
        found = path.stat()
    except OSError as error:
        raise NotFound(
            f"the file of {asset.id} does not lie here any more", expected=path.name
        ) from error
    is_later = found.st_mtime > head.created_at.timestamp()
    if found.st_size != asset.size_bytes or is_later or not path.is_file():
        raise _altered(AssetId(asset.id))
    sha256 = asset.input_hash.removeprefix("sha256:")
    return MediaFile(path=path, sha256=sha256, size_bytes=asset.size_bytes)


def _altered(asset_id: AssetId) -> Conflict:
    return Conflict(
        f"the file of {asset_id} is not what it was",
        expected="the bytes that runs were made of",
        got="a file that was written to since",
    )
