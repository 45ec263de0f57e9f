"""A local cache of objects, so that objects that are read repeatedly are fetched once."""

import os
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid
from filmgate.core.objects import ObjectStore
from filmgate.tools.byte_ranges import (
    ByteRanges,
    FileByteRanges,
    ObjectByteRanges,
    open_byte_ranges,
)

CHUNK_BYTES = 8 << 20
SUFFIX = ".fetched"
STALE_DRAFT_S = 3600
"""Seconds without a write after which the draft of a copy is considered abandoned."""


class ObjectCache:
    """A folder of copies of objects, which several processes may share.

    A copy is identified by the object's store, key and mark. The mark changes whenever the object's
    bytes change, so that an outdated copy is never used.
    """

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = most_bytes

    def open(self, store: ObjectStore, key: str) -> tuple[ByteRanges, bool]:
        """Open an object, fetching a copy if needed; return it, and whether a copy existed already.

        Objects of a store on the local disk are not copied. Raises NotFound if the object is
        missing, Invalid if it changes while it is fetched.
        """
        if store.path(key) is not None:
            return open_byte_ranges(store, key), False
        copy = self._copy_path(store, key)
        if copy is not None and copy.is_file():
            with suppress(OSError):  # another worker may have evicted the copy meanwhile
                os.utime(copy)
                return FileByteRanges(copy), True
        return self._fetch(store, key), False

    def drop(self, store: ObjectStore, key: str) -> None:
        """Remove the copy of an object, if there is one."""
        copy = self._copy_path(store, key)
        if copy is not None:
            copy.unlink(missing_ok=True)

    def _copy_path(self, store: ObjectStore, key: str) -> Path | None:
        """Return the path of an object's copy; None if the object is missing."""
        entry = store.entry(key)
        if entry is None:
            return None
        name = sha256_hex("\0".join((store.url, key, entry.mark)).encode())[:40]
        return self._folder / f"{name}{SUFFIX}"

    def _fetch(self, store: ObjectStore, key: str) -> ByteRanges:
        source = open_byte_ranges(store, key)
        copy = self._copy_path(store, key)
        is_remote = isinstance(source, ObjectByteRanges)
        if copy is None or not is_remote or source.size > self._max_bytes:
            return source
        self._folder.mkdir(parents=True, exist_ok=True)
        self._make_room(source.size)
        draft = self._folder / f".{uuid4().hex}.tmp"
        try:
            with draft.open("xb") as file:
                for start in range(0, source.size, CHUNK_BYTES):
                    file.write(source.read(start, min(CHUNK_BYTES, source.size - start)))
            if self._copy_path(store, key) != copy:
                raise Invalid(
                    f"{key} changed while it was fetched",
                    hint="Run the same command again",
                    reason="changed",
                )
            opened = FileByteRanges(draft)
            draft.replace(copy)
            return opened
        finally:
            draft.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        """Remove the least recently used copies and abandoned drafts until `size` bytes fit."""
        files = []
        drafts = [draft for draft in self._folder.glob(".*.tmp") if _is_abandoned(draft)]
        for path in [*drafts, *self._folder.glob(f"*{SUFFIX}")]:
            with suppress(FileNotFoundError):
                stat = path.stat()
                files.append((stat.st_mtime_ns, stat.st_size, path))
        total = sum(file_size for _, file_size, _ in files)
        for _, file_size, path in sorted(files):
            if total + size <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            total -= file_size


def _is_abandoned(draft: Path) -> bool:
    """Whether a draft was not written to for `STALE_DRAFT_S`."""
    try:
        return time.time() - draft.stat().st_mtime > STALE_DRAFT_S
    except FileNotFoundError:
        return False
