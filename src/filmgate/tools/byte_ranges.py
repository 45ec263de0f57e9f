"""Random access to the bytes of an object: from a mapped file, or by range requests to a store."""

import io
import mmap
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from filmgate.core.errors import Invalid, NotFound
from filmgate.core.objects import ObjectStore
from filmgate.core.os_errors import os_errors_translated

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]

BLOCK_BYTES = 1 << 20
MAX_CACHED_BLOCKS = 8
END_BYTES = 1 << 17
"""Size of the ranges at the start and the end of an object that are fetched whole, in bytes."""
MAX_READ_BYTES = 64 << 20
"""Maximum number of bytes that a parser may read at once; a header that requires more is
invalid."""


class ByteRanges(Protocol):
    """The bytes of one object, read by range."""

    size: int
    """Size of the object in bytes."""

    @property
    def request_count(self) -> int:
        """Number of requests sent so far; 0 for a file."""

    def read(self, start: int, size: int) -> "Buffer":
        """Read exactly these bytes; raise Invalid if the object ends before."""

    def close(self) -> None:
        """Release the resources held for the object."""


class FileByteRanges:
    """A file, mapped into memory."""

    request_count = 0

    def __init__(self, path: Path) -> None:
        with os_errors_translated(), path.open("rb") as file:
            self.size = file.seek(0, io.SEEK_END)
            # an empty file cannot be mapped
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self.size else None

    def read(self, start: int, size: int) -> "Buffer":
        """Return a view of the mapped bytes."""
        _check(start, size, self.size)
        return memoryview(self._map)[start : start + size] if self._map is not None else b""

    def close(self) -> None:
        """Drop the reference to the mapping, which lives as long as views of it do."""
        self._map = None


class ObjectByteRanges:
    """An object in a store, read by range requests.

    The first and the last `END_BYTES`, where headers and directories are, are fetched with one
    request each, and reused.
    """

    def __init__(self, store: ObjectStore, key: str, size: int) -> None:
        self._store = store
        self._key = key
        self.size = size
        self.request_count = 0
        self._ends: dict[int, bytes] = {}

    def read(self, start: int, size: int) -> "Buffer":
        """Read the bytes with one request, or from the cached start or end of the object."""
        _check(start, size, self.size)
        for begin in (0, max(0, self.size - END_BYTES)):
            end = min(begin + END_BYTES, self.size)
            if begin <= start and start + size <= end:
                if begin not in self._ends:
                    self._ends[begin] = self._read(begin, end - begin)
                return memoryview(self._ends[begin])[start - begin : start - begin + size]
        return self._read(start, size)

    def _read(self, start: int, size: int) -> bytes:
        self.request_count += 1
        data = self._store.read(self._key, start, size)
        if len(data) != size:
            raise Invalid(
                f"{self._key} changed while it was read",
                expected=f"{size} bytes from {start}",
                got=f"{len(data)}",
                hint="Run the same command again",
                reason="changed_meanwhile",
            )
        return data

    def close(self) -> None:
        """Do nothing: no resources are held."""


def _check(start: int, size: int, end: int) -> None:
    if start < 0 or size < 0 or start + size > end:
        raise Invalid(
            "the file is truncated",
            expected=f"{size} bytes from {start}",
            got=f"{end} bytes in all",
            hint="Fetch the file again, or make it again",
            reason="truncated",
        )


def open_byte_ranges(store: ObjectStore, key: str) -> ByteRanges:
    """Open an object of a store; raise NotFound if it is missing."""
    path = store.path(key)
    if path is not None:
        return FileByteRanges(path)
    entry = store.entry(key)
    if entry is None:
        raise NotFound(f"{key} is missing in {store.url}", expected="an object", got="none")
    return ObjectByteRanges(store, key, entry.size_bytes)


class OversizedHeader(Invalid):
    """A library wanted to read more at once than any valid header has."""

    reason = "header_bomb"


class ByteRangesFile(io.RawIOBase):
    """A seekable read-only file over a window of byte ranges, for libraries that need a file.

    The last few blocks are cached. Reading more than `MAX_READ_BYTES` at once raises
    OversizedHeader.
    """

    def __init__(
        self,
        source: ByteRanges,
        start: int = 0,
        size: int | None = None,
        *,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self._source = source
        self._block_bytes = block_bytes
        self._start = start
        self._size = source.size - start if size is None else size
        self._position = 0
        self._blocks: OrderedDict[int, memoryview] = OrderedDict()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Change the position, and return it."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if origin + offset < 0:
            raise ValueError("the position is before the start of the file")
        self._position = origin + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Read `size` bytes, or all if negative; fewer only at the end of the file."""
        left = max(0, self._size - self._position)
        wanted = left if size < 0 else min(size, left)
        if max(wanted, size) > MAX_READ_BYTES:
            raise OversizedHeader(
                "a header is too large",
                expected=f"at most {MAX_READ_BYTES:,} bytes",
                got=f"{max(wanted, size):,}",
            )
        parts = []
        while wanted > 0:
            block = self._block(self._position // self._block_bytes)
            part = block[self._position % self._block_bytes :][:wanted]
            parts.append(bytes(part))
            self._position += len(part)
            wanted -= len(part)
        return b"".join(parts)

    def readinto(self, buffer: "Buffer") -> int:
        """Fill a buffer; return the number of bytes read."""
        view = memoryview(buffer)
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _block(self, number: int) -> memoryview:
        if number not in self._blocks:
            begin = number * self._block_bytes
            size = min(self._block_bytes, self._size - begin)
            self._blocks[number] = memoryview(self._source.read(self._start + begin, size))
            if len(self._blocks) > MAX_CACHED_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]
