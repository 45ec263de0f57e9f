"""Uploads: videos that came in over HTTP, each in a folder of its own in the home."""

import hashlib
import os
import shutil
import unicodedata
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from filmgate.core.errors import Conflict, Invalid, NotFound
from filmgate.core.ids import AssetId
from filmgate.store.durable import make_folders, new_file, stat_mark, sync_folder

NOTE = "upload.json"
INCOMING = ".incoming"
LONGEST_NAME = 200
"""Bytes of a file's name."""

STALE_S = 24 * 3600.0
"""After so long without a change a draft is nobody's any more."""


class UploadNote(BaseModel):
    """`upload.json`: what lies beside it, and as it was when it came."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    asset_id: str
    file_name: str
    sha256: str
    size_bytes: int
    uploaded_by: str
    uploaded_at: datetime
    modified_ns: int
    """When its bytes were written; that survives a copy that keeps times."""
    mark: tuple[int, ...]
    """Device, inode, size and times of change: while they stay, so do the bytes."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that came in whole."""

    note: UploadNote
    path: Path


class Draft:
    """A file that is coming in. Not for several threads at once."""

    def __init__(self, folder: Path, file_name: str) -> None:
        self.folder = folder
        self.path = folder / file_name
        self.size_bytes = 0
        self._digest = hashlib.sha256()
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        view = memoryview(chunk)
        while view:
            view = view[os.write(self._file, view) :]
        self._digest.update(chunk)
        self.size_bytes += len(chunk)

    def finish(self) -> str:
        """All of it is there, and on the disk; its sha256."""
        os.fsync(self._file)
        self.close()
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class Uploads:
    """The folder `uploads` of a home."""

    def __init__(self, home: Path) -> None:
        self._root = home.absolute() / "uploads"

    @contextmanager
    def draft(self, file_name: str) -> Iterator[Draft]:
        """A place for a file that comes in; nothing is left of one that is not kept."""
        name = plain_name(file_name)
        folder = self._root / INCOMING / uuid.uuid4().hex
        draft = None
        try:
            make_folders(folder)
            draft = Draft(folder, name)
            yield draft
        finally:
            if draft is not None:
                draft.close()
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, draft: Draft, asset_id: AssetId, sha256: str, by: str, now: datetime) -> bool:
        """Give a finished draft its place, in one step; False where the same bytes lie there.

        Raises Conflict where others do.
        """
        note = UploadNote(
            asset_id=asset_id,
            file_name=draft.path.name,
            sha256=sha256,
            size_bytes=draft.size_bytes,
            uploaded_by=by,
            uploaded_at=now,
            modified_ns=draft.path.stat().st_mtime_ns,
            mark=stat_mark(draft.path),  # which renaming its folder does not change
        )
        with new_file(draft.folder / NOTE) as writer:
            writer.write(note.model_dump_json().encode() + b"\n")
        sync_folder(draft.folder)
        try:
            draft.folder.rename(self._root / asset_id)
        except OSError:
            there = self.find(asset_id)
            if there is None:
                raise
            if there.note.sha256 == sha256:
                return False
            raise Conflict(
                f"another file goes by {asset_id}",
                expected=f"the file sha256 {there.note.sha256}",
                got=f"sha256 {sha256}",
                hint="Give it an asset_id of its own",
            ) from None
        sync_folder(self._root)
        return True

    def place_of(self, asset_id: AssetId, file_name: str) -> Path:
        """Where a file will lie."""
        return (self._root / asset_id / file_name).absolute()

    def find(self, asset_id: AssetId) -> Upload | None:
        """What was uploaded by that name; None where nothing was, or it is not as it came."""
        folder = self._root / asset_id
        try:
            if folder.is_symlink() or (folder / NOTE).is_symlink():
                return None
            note = UploadNote.model_validate_json((folder / NOTE).read_bytes())
        except (OSError, ValueError):
            return None
        path = folder / note.file_name
        if note.file_name != Path(note.file_name).name or path.is_symlink() or not path.is_file():
            return None
        return Upload(note=note, path=path)

    def need(self, asset_id: AssetId) -> Upload:
        """What was uploaded by that name, or NotFound."""
        upload = self.find(asset_id)
        if upload is None:
            raise NotFound(
                f"no upload {asset_id!r}",
                expected="a video that was uploaded",
                hint="POST /v1/videos takes one",
            )
        return upload

    def sha256_of(self, path: Path) -> str | None:
        """The digest of an uploaded file that is as it came; None for any other file."""
        if path.parent.parent != self._root:
            return None
        upload = self.find(AssetId(path.parent.name))
        if upload is None or upload.path != path or stat_mark(path) != upload.note.mark:
            return None
        return upload.note.sha256

    def sweep(self, now: datetime) -> None:
        """Remove what killed uploads left."""
        for draft in (self._root / INCOMING).glob("*"):
            changed = max((each.stat().st_mtime for each in [draft, *draft.glob("*")]), default=0)
            if now.timestamp() - changed > STALE_S:
                shutil.rmtree(draft, ignore_errors=True)


def plain_name(file_name: str) -> str:
    """The last part of a file's name as it may be kept; Invalid where nothing is left of it."""
    last = unicodedata.normalize("NFC", file_name).replace("\\", "/").rpartition("/")[2].strip()
    is_good = bool(last) and last.isprintable() and not last.startswith(".") and last != NOTE
    if not is_good or len(last.encode("utf-8", "replace")) > LONGEST_NAME:
        raise Invalid(
            "this is no name for a file",
            expected=f"up to {LONGEST_NAME} bytes of printable text, the first no dot",
            got=repr(file_name[:80]),
        )
    return last
