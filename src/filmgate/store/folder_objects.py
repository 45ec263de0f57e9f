"""The port `ObjectStore` on a folder: objects are files, durable before they have their names."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from filmgate.core.errors import Invalid, NotFound, NotPermitted, Unavailable
from filmgate.core.objects import NO_STORE, ObjectEntry
from filmgate.core.publishing import is_plain_path
from filmgate.store.durable import inside, make_folders, new_file, sync_file, sync_folder
from filmgate.store.objects import PAGE, verified_parts


class FolderObjects:
    """Objects in a folder. Links in it are not listed, and none leads out of it."""

    def __init__(self, folder: Path) -> None:
        self.url = folder.as_uri()
        self._folder = folder
        self._root = os.path.realpath(folder)

    def create(self, key: str, data: bytes | Path, sha256: str | None = None) -> bool:
        """Make an object, or leave the one that is there."""
        target = self._place(key)
        with self._told(key):
            make_folders(target.parent)
            draft = target.with_name(f".{uuid4().hex}.tmp")
            try:
                with new_file(draft) as file:
                    for part in [data] if isinstance(data, bytes) else verified_parts(data, sha256):
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
        """Make an object, or give the one that is there other bytes."""
        target = self._place(key)
        draft = target.with_name(f".{uuid4().hex}.tmp")
        with self._told(key):
            make_folders(target.parent)
            try:
                with new_file(draft) as file:
                    for part in [data] if isinstance(data, bytes) else verified_parts(data, None):
                        file.write(part)
                draft.replace(target)
            finally:
                draft.unlink(missing_ok=True)
            sync_folder(target.parent)

    def read(self, key: str, start: int, size: int) -> bytes:
        """A piece of an object."""
        with self.open(key) as file, self._told(key):
            file.seek(start)
            return file.read(size)

    def remove(self, key: str) -> None:
        """Take the object away."""
        place = self._place(key)
        with suppress(NotFound), self._told(key):
            place.unlink()
            sync_folder(place.parent)

    def path(self, key: str) -> Path | None:
        """Where the object lies; None where there is none."""
        place = self._place(key)
        return place if place.is_file() else None

    def entry(self, key: str) -> ObjectEntry | None:
        """What is known of an object without reading it."""
        self._check_there()
        try:
            with self._told(key):
                return _entry(key, self._place(key).stat())
        except NotFound:
            return None

    def open(self, key: str) -> BinaryIO:
        """Read an object from its start to its end."""
        self._check_there()
        with self._told(key):
            return self._place(key).open("rb")

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[ObjectEntry]]:
        """All objects below a folder in order of their keys, which a disk does not keep."""
        self._check_there()
        with self._told(prefix):
            found = sorted(_files(self._folder / prefix, f"{prefix}/" if prefix else ""))
        wanted = [entry for entry in found if after is None or entry.key > after]
        for start in range(0, len(wanted), PAGE):
            yield wanted[start : start + PAGE]

    def _check_there(self) -> None:
        """A folder that is not mounted is no empty one."""
        if not self._folder.is_dir():
            raise NotFound(
                f"no folder {self._folder}",
                expected="the folder that was there",
                got="none",
                hint="Is its disk mounted?",
                reason=NO_STORE,
            )

    def _place(self, key: str) -> Path:
        """Where an object lies; Invalid where a link leads out of the folder."""
        target = inside(self._folder, key)
        if not os.path.realpath(target).startswith(f"{self._root}{os.sep}"):
            raise Invalid(
                "a link leads out of the store", expected="an object in it", got=repr(key)
            )
        return target

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """What the system says of a file, in the product's words."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(f"no {key} in {self.url}", expected="an object", got="none") from error
        except PermissionError as error:
            raise NotPermitted(
                f"{self.url} may not be used", got=str(error), hint="Check who owns it"
            ) from error
        except OSError as error:
            raise Unavailable(
                f"{self.url} cannot be used",
                got=error.strerror or str(error),
                hint="Look at its disk, then do it again; nothing was half-written",
            ) from error


def _files(folder: Path, prefix: str) -> Iterator[ObjectEntry]:
    """The regular files below a folder, but for links and names that no store takes."""
    try:
        found = os.scandir(folder)
    except FileNotFoundError:
        return
    with found:
        for each in found:
            key = f"{prefix}{each.name}"
            if each.is_dir(follow_symlinks=False):
                yield from _files(folder / each.name, f"{key}/")
            elif each.is_file(follow_symlinks=False) and is_plain_path(each.name):
                yield _entry(key, each.stat(follow_symlinks=False))


def _entry(key: str, stat: os.stat_result) -> ObjectEntry:
    mark = f"{stat.st_ino:x}-{stat.st_mtime_ns:x}-{stat.st_size:x}"
    return ObjectEntry(key=key, size_bytes=stat.st_size, mark=mark)
