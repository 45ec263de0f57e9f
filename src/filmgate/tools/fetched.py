"""Copies of objects on this machine, so that what is read again and again is fetched once."""

import os
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid
from filmgate.core.objects import ObjectStore
from filmgate.tools.pieces import FilePieces, ObjectPieces, Pieces, open_pieces

CHUNK_BYTES = 8 << 20
ENDING = ".fetched"
LEFT_S = 3600


class FetchedCopies:
    """A folder of copies, none of which outlives its object: a copy is of the object as it was
    when it had a mark, which changes with its bytes. Several processes may share it."""

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        self._folder = folder
        self._most = most_bytes

    def open(self, store: ObjectStore, key: str) -> tuple[Pieces, bool]:
        """The object, and whether its copy was there already. What lies on this machine is not
        copied. NotFound where there is none."""
        if store.path(key) is not None:
            return open_pieces(store, key), False
        place = self._place(store, key)
        if place is not None and place.is_file():
            with suppress(OSError):  # another worker may have made room meanwhile
                os.utime(place)
                return FilePieces(place), True
        return self._fetch(store, key), False

    def drop(self, store: ObjectStore, key: str) -> None:
        """Throw a copy away that is not what it should be."""
        place = self._place(store, key)
        if place is not None:
            place.unlink(missing_ok=True)

    def _place(self, store: ObjectStore, key: str) -> Path | None:
        entry = store.entry(key)
        if entry is None:
            return None
        name = sha256_hex("\0".join((store.url, key, entry.mark)).encode())[:40]
        return self._folder / f"{name}{ENDING}"

    def _fetch(self, store: ObjectStore, key: str) -> Pieces:
        pieces = open_pieces(store, key)
        place = self._place(store, key)
        if place is None or not isinstance(pieces, ObjectPieces) or pieces.size > self._most:
            return pieces
        self._folder.mkdir(parents=True, exist_ok=True)
        self._make_room(pieces.size)
        draft = self._folder / f".{uuid4().hex}.tmp"
        try:
            with draft.open("xb") as file:
                for start in range(0, pieces.size, CHUNK_BYTES):
                    file.write(pieces.read(start, min(CHUNK_BYTES, pieces.size - start)))
            if self._place(store, key) != place:
                raise Invalid(
                    f"{key} changed while it was fetched", hint="Run it again", reason="changed"
                )
            opened = FilePieces(draft)
            draft.replace(place)
            return opened
        finally:
            draft.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        """Throw away what was not used for longest, until there is room."""
        there = []
        drafts = [each for each in self._folder.glob(".*.tmp") if _is_left(each)]
        for each in [*drafts, *self._folder.glob(f"*{ENDING}")]:
            with suppress(FileNotFoundError):
                stat = each.stat()
                there.append((stat.st_mtime_ns, stat.st_size, each))
        total = sum(held for _, held, _ in there)
        for _, held, each in sorted(there):
            if total + size <= self._most:
                return
            each.unlink(missing_ok=True)
            total -= held


def _is_left(draft: Path) -> bool:
    """Whether whoever wrote a draft is gone: nothing was added to it for long."""
    try:
        return time.time() - draft.stat().st_mtime > LEFT_S
    except FileNotFoundError:
        return False
