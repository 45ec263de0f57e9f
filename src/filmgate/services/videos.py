"""Service of videos that were uploaded over HTTP or have runs, and of their files."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from filmgate.core.digest import JsonDict
from filmgate.core.errors import Conflict, FilmgateError, NotFound, Unavailable
from filmgate.core.ids import AssetId, asset_id_from_name, parse_asset_id
from filmgate.core.pipeline import Pipeline
from filmgate.core.records import Asset, RunHead
from filmgate.core.runs import UploadAnswer, VideoAnswer
from filmgate.db.videos import VideoStore
from filmgate.services.run_choice import admit
from filmgate.store.home import Home
from filmgate.store.uploads import Draft, Uploads
from filmgate.wiring import pipelines
from filmgate.wiring.clock import utc_now
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings


@dataclass(frozen=True, kw_only=True)
class MediaFile:
    """The file of a video, in this home or at the path in a run's head."""

    path: Path
    sha256: str
    size_bytes: int


class VideoService:
    """Manages videos and their files. Each call opens a database session."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._database = database or Database(settings)
        self._home = Home(settings.home.expanduser())
        self._uploads = Uploads(self._home.root)

    def get(self, asset: str) -> VideoAnswer:
        """Return a video, and whether its file exists here unchanged; raises NotFound."""
        asset_id = parse_asset_id(asset)
        with self.stored() as store:
            video = store.get(asset_id)
        try:
            self.media(asset_id)
        except (NotFound, Conflict):
            return video.model_copy(update={"has_media": False})
        return video.model_copy(update={"has_media": True})

    def media(self, asset: str) -> MediaFile:
        """Return the file of a video: the upload, or else the input of a run in this home.

        Raises NotFound if the file is missing, Conflict if it has changed. Only records of this
        home are used: the path in a manifest from another installation could name any file here.
        """
        asset_id = parse_asset_id(asset)
        upload = self._uploads.find(asset_id)
        if upload is not None:
            note = upload.note
            found = upload.path.stat()
            if (found.st_size, found.st_mtime_ns) != (note.size_bytes, note.modified_ns):
                raise _changed(asset_id)
            return MediaFile(path=upload.path, sha256=note.sha256, size_bytes=note.size_bytes)
        takers = {pipeline.plan.pipeline for pipeline in _takers_of_uploads()}
        for run in reversed(self._home.runs(asset_id)):
            if run.head.pipeline in takers:
                return _input_file(run.head)
        raise NotFound(
            f"the file of {asset_id} is not on this server",
            expected="an uploaded video, or the input of a run on this server",
        )

    def draft(self, file_name: str) -> AbstractContextManager[Draft]:
        """Create a draft file for an upload."""
        return self._uploads.draft(file_name)

    def sweep(self) -> None:
        """Remove the drafts of uploads that were interrupted long ago."""
        self._uploads.remove_stale_drafts(utc_now())

    def store(self, draft: Draft, asset: str | None, user: str) -> UploadAnswer:
        """Store a draft as a video under the given id, or under an id derived from its file name.

        Raises Invalid if the draft is not a video, Conflict if another video has the id.
        """
        asset_id = parse_asset_id(asset) if asset else asset_id_from_name(draft.path.name)
        sha256 = draft.finish()
        media = self._probe(draft)
        name, size = draft.path.name, draft.size_bytes
        video = Asset(
            id=asset_id,
            input_hash=f"sha256:{sha256}",
            uri=self._uploads.path_of(asset_id, name).as_uri(),
            size_bytes=size,
            media=media,
        )
        with self.stored() as store:
            store.check(video)
            is_new = self._uploads.save(draft, asset_id, sha256, user, utc_now())
            path = self._uploads.require(
                asset_id
            ).path  # an existing video keeps its first file name
            store.add(video.model_copy(update={"uri": path.as_uri()}))
        return UploadAnswer(
            asset_id=asset_id,
            input_hash=video.input_hash,
            size_bytes=size,
            file_name=path.name,
            media=media,
            is_known=not is_new,
        )

    @staticmethod
    def _probe(draft: Draft) -> JsonDict:
        """Return what the first pipeline that accepts an uploaded file says about it.

        Raises the error of the first pipeline, such as Invalid, if none accepts the file.
        """
        refusals: list[FilmgateError] = []
        for pipeline in _takers_of_uploads():
            try:
                return dict(admit(pipeline, draft.path).media)
            except FilmgateError as error:
                refusals.append(error)
        raise next(iter(refusals), Unavailable("no installed pipeline takes uploaded files"))

    @contextmanager
    def stored(self) -> Iterator[VideoStore]:
        """Open a database session with the stored videos."""
        with self._database.session() as connection:
            yield VideoStore(connection)


def _takers_of_uploads() -> list[Pipeline]:
    """Return the pipelines whose input may be an uploaded file."""
    return [pipeline for pipeline in pipelines.load_all() if pipeline.inputs.takes_uploads]


def _input_file(head: RunHead) -> MediaFile:
    """Return the input file of a run if its size is unchanged and it was not written since.

    Raises NotFound if the file no longer exists, Conflict if it has changed.
    """
    asset = head.asset
    path = Path(url2pathname(urlsplit(asset.uri).path))
    try:
        path = path.resolve(strict=True)
        found = path.stat()
    except OSError as error:
        raise NotFound(f"the file of {asset.id} no longer exists", expected=path.name) from error
    is_later = found.st_mtime > head.created_at.timestamp()
    if found.st_size != asset.size_bytes or is_later or not path.is_file():
        raise _changed(AssetId(asset.id))
    sha256 = asset.input_hash.removeprefix("sha256:")
    return MediaFile(path=path, sha256=sha256, size_bytes=asset.size_bytes)


def _changed(asset_id: AssetId) -> Conflict:
    return Conflict(
        f"the file of {asset_id} has changed",
        expected="the file as it was uploaded, or at the start of its run",
        got="a file that was written since",
    )
