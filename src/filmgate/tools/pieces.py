"""Pieces of an object: read where they are needed, from a mapped file or by range from a store."""

import io
import mmap
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from filmgate.core.errors import Invalid, NotFound
from filmgate.core.objects import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]

BLOCK_BYTES = 1 << 20
BLOCKS_KEPT = 8
END_BYTES = 1 << 17
MAX_READ_BYTES = 64 << 20
"""What a parser may ask for at once: headers that claim more are lying."""


class Pieces(Protocol):
    """The bytes of one object, read by the piece."""

    size: int

    @property
    def calls(self) -> int:
        """How many requests it took so far; 0 for a file."""

    def read(self, start: int, size: int) -> "Buffer":
        """Exactly these bytes; Invalid where the object ends before."""

    def close(self) -> None:
        """Let it go."""


class FilePieces:
    """A file, mapped into memory."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self.size = file.seek(0, io.SEEK_END)
            # an empty file cannot be mapped
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self.size else None

    @property
    def calls(self) -> int:
        """None."""
        return 0

    def read(self, start: int, size: int) -> "Buffer":
        """A view of the mapped bytes."""
        _check(start, size, self.size)
        return memoryview(self._map)[start : start + size] if self._map is not None else b""

    def close(self) -> None:
        """Nothing to do: the mapping lives as long as views of it do."""
        self._map = None


class ObjectPieces:
    """An object in a store, by range. What is small and near its start or its end, where headers
    and directories are, comes with one request for each of the two."""

    def __init__(self, store: ObjectStore, key: str, size: int) -> None:
        self._store = store
        self._key = key
        self.size = size
        self._calls = 0
        self._ends: dict[int, bytes] = {}

    @property
    def calls(self) -> int:
        """How many requests it took so far."""
        return self._calls

    def read(self, start: int, size: int) -> "Buffer":
        """One request, or a piece of what an earlier one brought."""
        _check(start, size, self.size)
        for begin in (0, max(0, self.size - END_BYTES)):
            end = min(begin + END_BYTES, self.size)
            if begin <= start and start + size <= end:
                if begin not in self._ends:
                    self._ends[begin] = self._read(begin, end - begin)
                return memoryview(self._ends[begin])[start - begin : start - begin + size]
        return self._read(start, size)

    def _read(self, start: int, size: int) -> bytes:
        self._calls += 1
        data = self._store.read(self._key, start, size)
        if len(data) != size:
            raise Invalid(
                f"{self._key} changed while it was read",
                expected=f"{size} bytes from {start}",
                got=f"{len(data)}",
                hint="Run it again",
                reason="changed_meanwhile",
            )
        return data

    def close(self) -> None:
        """Nothing is held."""


def _check(start: int, size: int, end: int) -> None:
    if start < 0 or size < 0 or start + size > end:
        raise Invalid(
            "it ends too soon",
            expected=f"{size} bytes from {start}",
            got=f"{end} bytes in all",
            hint="It is cut off: fetch or make it again",
            reason="truncated",
        )


def open_pieces(store: ObjectStore, key: str) -> Pieces:
    """An object of a store; NotFound where there is none."""
    place = store.path(key)
    if place is not None:
        return FilePieces(place)
    entry = store.entry(key)
    if entry is None:
        raise NotFound(f"no {key} in {store.url}", expected="an object", got="none")
    return ObjectPieces(store, key, entry.size_bytes)


class PiecesFile(io.RawIOBase):
    """Pieces as a file that can be sought in, a window of them, for libraries that want a file.

    Blocks that were read are kept, a few at a time. Reading more than 64 MiB at once is refused:
    no honest reader of headers wants that.
    """

    def __init__(
        self,
        pieces: Pieces,
        start: int = 0,
        size: int | None = None,
        *,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self._pieces = pieces
        self._block_bytes = block_bytes
        self._start = start
        self._size = pieces.size - start if size is None else size
        self._place = 0
        self._blocks: OrderedDict[int, memoryview] = OrderedDict()

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if origin + offset < 0:
            raise ValueError("no place before the start")
        self._place = origin + offset
        return self._place

    def read(self, size: int = -1) -> bytes:
        """As much as is asked for, fewer bytes only at the end."""
        left = max(0, self._size - self._place)
        wanted = left if size < 0 else min(size, left)
        if max(wanted, size) > MAX_READ_BYTES:
            raise Invalid(
                "a header claims more than a header holds",
                expected=f"at most {MAX_READ_BYTES:,} bytes",
                got=f"{max(wanted, size):,}",
                reason="header_bomb",
            )
        parts = []
        while wanted > 0:
            block = self._block(self._place // self._block_bytes)
            part = block[self._place % self._block_bytes :][:wanted]
            parts.append(bytes(part))
            self._place += len(part)
            wanted -= len(part)
        return b"".join(parts)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _block(self, number: int) -> memoryview:
        if number not in self._blocks:
            begin = number * self._block_bytes
            size = min(self._block_bytes, self._size - begin)
            self._blocks[number] = memoryview(self._pieces.read(self._start + begin, size))
            if len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]
