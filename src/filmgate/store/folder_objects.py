"""Implementation of the port `ObjectStore` on a folder.

Objects are files whose bytes are durable before the files get their names.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from filmgate.core.errors import Invalid, NotFound, StoreNotFound, Unavailable
from filmgate.core.objects import PAGE_KEYS, ObjectEntry, check_prefix
from filmgate.core.os_errors import permission_error
from filmgate.core.publishing import is_plain_path
from filmgate.store.durable import make_folders, new_file, safe_join, sync_file, sync_folder
from filmgate.store.file_parts import read_verified_parts


class FolderObjects:
    """Objects in a folder. Links are not listed; links to places outside it are refused."""

    def __init__(self, folder: Path) -> None:
        self.url = folder.as_uri()
        self._folder = folder
        self._root = os.path.realpath(folder)

    def check(self) -> None:
        """Raise StoreNotFound if the folder is missing: an unmounted store must not look empty."""
        with self._translate_errors(""):
            is_folder = self._folder.is_dir()
        if not is_folder:
            raise StoreNotFound(
                f"folder {self._folder} does not exist",
                expected="the folder of the store",
                got="no folder",
                hint="Check that its disk is mounted",
            )

    def create(self, key: str, data: bytes | Path, sha256: str | None = None) -> bool:
        """Create an object; return False, without changing it, if it exists."""
        target = self._path(key)
        with self._translate_errors(key):
            make_folders(target.parent)
            draft = target.with_name(f".{uuid4().hex}.tmp")
            try:
                with new_file(draft) as file:
                    for part in _parts(data, sha256):
                        file.write(part)
                os.link(draft, target)
            except FileExistsError:
                sync_file(target)
                return False
            finally:
                draft.unlink(missing_ok=True)
                sync_folder(target.parent)
        return True

    def replace(self, key: str, data: bytes | Path) -> None:
        """Create an object, or replace its bytes."""
        target = self._path(key)
        draft = target.with_name(f".{uuid4().hex}.tmp")
        with self._translate_errors(key):
            make_folders(target.parent)
            try:
                with new_file(draft) as file:
                    for part in _parts(data, None):
                        file.write(part)
                draft.replace(target)
            finally:
                draft.unlink(missing_ok=True)
            sync_folder(target.parent)

    def read(self, key: str, start: int, size: int) -> bytes:
        """Read at most `size` bytes of an object, from the offset `start`."""
        with self.open(key) as file, self._translate_errors(key):
            file.seek(start)
            return file.read(size)

    def remove(self, key: str) -> None:
        """Remove an object, if it exists."""
        path = self._path(key)
        with suppress(NotFound), self._translate_errors(key):
            path.unlink()
            sync_folder(path.parent)

    def path(self, key: str) -> Path | None:
        """Path of the object's file; None if the object does not exist."""
        path = self._path(key)
        with self._translate_errors(key):
            return path if path.is_file() else None

    def entry(self, key: str) -> ObjectEntry | None:
        """Key, size and mark of an object, without reading it; None if it does not exist."""
        self.check()
        try:
            with self._translate_errors(key):
                return _entry(key, self._path(key).stat())
        except NotFound:
            return None

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading."""
        self.check()
        with self._translate_errors(key):
            return self._path(key).open("rb")

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[ObjectEntry]]:
        """Yield all objects below the folder `prefix` in pages, sorted by key."""
        check_prefix(prefix)
        self.check()
        with self._translate_errors(prefix):
            folder = self._path(prefix) if prefix else self._folder
            found = sorted(_files(folder, f"{prefix}/" if prefix else ""))
        wanted = [entry for entry in found if after is None or entry.key > after]
        for start in range(0, len(wanted), PAGE_KEYS):
            yield wanted[start : start + PAGE_KEYS]

    def _path(self, key: str) -> Path:
        """Path of an object's file; raise Invalid if a link points outside the folder."""
        target = safe_join(self._folder, key)
        if not os.path.realpath(target).startswith(f"{self._root}{os.sep}"):
            raise Invalid(
                "a link points outside the store", expected="an object in the store", got=repr(key)
            )
        return target

    @contextmanager
    def _translate_errors(self, key: str) -> Iterator[None]:
        """Translate OSError into the errors of the port."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(
                f"object {key} does not exist in {self.url}", expected="an object", got="none"
            ) from error
        except PermissionError as error:
            place = Path(error.filename or self._folder)
            is_draft = place.name.startswith(".") and place.suffix == ".tmp"
            raise permission_error(
                place.parent if is_draft else place, got=error.strerror or str(error)
            ) from error
        except OSError as error:
            raise Unavailable(
                f"{self.url} is not available",
                got=error.strerror or str(error),
                hint="Check its disk, then try again; no object was written in part",
            ) from error


def _parts(data: bytes | Path, sha256: str | None) -> Iterable[bytes]:
    return [data] if isinstance(data, bytes) else read_verified_parts(data, sha256)


def _files(folder: Path, prefix: str) -> Iterator[ObjectEntry]:
    """Yield the regular files below a folder, except links and names that are not valid keys."""
    try:
        found = os.scandir(folder)
    except FileNotFoundError:
        return
    with found:
        for entry in found:
            key = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _files(folder / entry.name, f"{key}/")
            elif entry.is_file(follow_symlinks=False) and is_plain_path(entry.name):
                yield _entry(key, entry.stat(follow_symlinks=False))


def _entry(key: str, stat: os.stat_result) -> ObjectEntry:
    mark = f"{stat.st_ino:x}-{stat.st_mtime_ns:x}-{stat.st_size:x}"
    return ObjectEntry(key=key, size_bytes=stat.st_size, mark=mark)
