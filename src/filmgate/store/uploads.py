"""Uploads: videos received over HTTP, each in its own folder in the home."""

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
from filmgate.store.durable import HashingWriter, make_folders, new_file, stat_identity, sync_folder

NOTE = "upload.json"
INCOMING = ".incoming"
MAX_NAME_BYTES = 200
"""Maximum length of a file name, in bytes."""

STALE_S = 24 * 3600.0
"""Number of seconds after its last change when a draft is removed as abandoned."""


class UploadNote(BaseModel):
    """`upload.json`: facts about the uploaded file in the same folder, as it was received."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    asset_id: str
    file_name: str
    sha256: str
    size_bytes: int
    uploaded_by: str
    uploaded_at: datetime
    modified_ns: int
    """Modification time of the file, in nanoseconds since the epoch; `cp -p` preserves it."""
    mark: tuple[int, ...]
    """Device, inode, size, modification and change time of the file; equal if it is unchanged."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A completely received file."""

    note: UploadNote
    path: Path


class Draft:
    """A file that is being received. Not thread-safe."""

    def __init__(self, folder: Path, file_name: str) -> None:
        self.folder = folder
        self.path = folder / file_name
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self._writer = HashingWriter(self._file)

    def write(self, chunk: bytes) -> None:
        """Append the next bytes."""
        self._writer.write(chunk)

    @property
    def size_bytes(self) -> int:
        """Number of bytes that were written."""
        return self._writer.size_bytes

    def finish(self) -> str:
        """Flush the file to disk and close it; return its sha256."""
        self._writer.finish(durable=True)
        self.close()
        return self._writer.facts.sha256

    def close(self) -> None:
        """Close the file; can be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class Uploads:
    """The folder `uploads` of a home."""

    def __init__(self, home: Path) -> None:
        self._root = home.absolute() / "uploads"

    @contextmanager
    def draft(self, file_name: str) -> Iterator[Draft]:
        """Create a draft; it is removed at the end of the block unless it was saved."""
        name = clean_file_name(file_name)
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

    def save(self, draft: Draft, asset_id: AssetId, sha256: str, by: str, now: datetime) -> bool:
        """Save a finished draft as an upload, atomically.

        Returns False if the same bytes were already uploaded with this asset id. Raises Conflict if
        other bytes were uploaded with it.
        """
        note = UploadNote(
            asset_id=asset_id,
            file_name=draft.path.name,
            sha256=sha256,
            size_bytes=draft.size_bytes,
            uploaded_by=by,
            uploaded_at=now,
            modified_ns=draft.path.stat().st_mtime_ns,
            mark=stat_identity(draft.path),  # not changed by renaming the folder
        )
        with new_file(draft.folder / NOTE) as writer:
            writer.write(note.model_dump_json().encode() + b"\n")
        sync_folder(draft.folder)
        try:
            draft.folder.rename(self._root / asset_id)
        except OSError:
            existing = self.find(asset_id)
            if existing is None:
                raise
            if existing.note.sha256 == sha256:
                return False
            raise Conflict(
                f"an upload {asset_id} with other bytes already exists",
                expected=f"a file with sha256 {existing.note.sha256}",
                got=f"sha256 {sha256}",
                hint="Choose another asset_id",
            ) from None
        sync_folder(self._root)
        return True

    def path_of(self, asset_id: AssetId, file_name: str) -> Path:
        """Path that a file will have after it is saved."""
        return (self._root / asset_id / file_name).absolute()

    def find(self, asset_id: AssetId) -> Upload | None:
        """Return the upload with an asset id; None if there is none, or its folder was altered."""
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

    def require(self, asset_id: AssetId) -> Upload:
        """Return the upload with an asset id; raise NotFound if there is none."""
        upload = self.find(asset_id)
        if upload is None:
            raise NotFound(
                f"upload {asset_id!r} does not exist",
                expected="the id of an uploaded video",
                hint="Upload it with POST /v1/videos",
            )
        return upload

    def sha256_of(self, path: Path) -> str | None:
        """Return the recorded digest of an unchanged uploaded file; None for any other file."""
        if path.parent.parent != self._root:
            return None
        upload = self.find(AssetId(path.parent.name))
        if upload is None or upload.path != path or stat_identity(path) != upload.note.mark:
            return None
        return upload.note.sha256

    def remove_stale_drafts(self, now: datetime) -> None:
        """Remove drafts that interrupted uploads left, after `STALE_S` without a change."""
        for draft in (self._root / INCOMING).glob("*"):
            changed = max((path.stat().st_mtime for path in [draft, *draft.glob("*")]), default=0)
            if now.timestamp() - changed > STALE_S:
                shutil.rmtree(draft, ignore_errors=True)


def clean_file_name(file_name: str) -> str:
    """Return the last part of a path; raise Invalid if it is not a valid file name."""
    last = unicodedata.normalize("NFC", file_name).replace("\\", "/").rpartition("/")[2].strip()
    is_valid = bool(last) and last.isprintable() and not last.startswith(".") and last != NOTE
    if not is_valid or len(last.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        raise Invalid(
            "the file name is invalid",
            expected=f"up to {MAX_NAME_BYTES} bytes of printable text that do not begin with a dot",
            got=repr(file_name[:80]),
        )
    return last
