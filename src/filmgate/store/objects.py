"""Implementation of the port `ObjectStore` with obstore, for S3-compatible buckets."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from filmgate.core.errors import (
    FilmgateError,
    Invalid,
    NotFound,
    StoreNotFound,
    Unavailable,
)
from filmgate.core.objects import PAGE_KEYS, ObjectEntry, check_prefix, unconditional_error
from filmgate.core.os_errors import permission_error
from filmgate.store.file_parts import PART_BYTES, read_verified_parts

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]

    from obstore import ObjectMeta

CHUNK_BYTES = 1 << 20
"""Minimum size of one chunk of a download, in bytes."""

MAX_ERROR_CHARACTERS = 300
"""Maximum length of the library's message in an error."""

DENIED = (PermissionDeniedError, UnauthenticatedError, PermissionError)
"""Exceptions of the library that mean that access is denied."""


class BucketObjects:
    """Objects below a prefix of an S3-compatible bucket."""

    def __init__(self, url: str, store: S3Store) -> None:
        self.url = url
        self._store = store

    def check(self) -> None:
        """Request the first page of the bucket's listing."""
        next(self.pages(""), None)

    def create(self, key: str, data: bytes | Path, sha256: str | None = None) -> bool:
        """Create an object; return False, without changing it, if it exists.

        A Path is sent as a multipart upload.
        """
        if isinstance(data, Path):
            if self.entry(key) is not None:
                return False
            with self._translate_errors(key):
                obstore.put(
                    self._store, key, read_verified_parts(data, sha256), chunk_size=PART_BYTES
                )
            return True
        with self._translate_errors(key):
            try:
                obstore.put(self._store, key, data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def replace(self, key: str, data: bytes | Path) -> None:
        """Create an object, or replace its bytes. A Path is sent as a multipart upload."""
        with self._translate_errors(key):
            obstore.put(self._store, key, data, chunk_size=PART_BYTES)

    def read(self, key: str, start: int, size: int) -> bytes:
        """Read at most `size` bytes of an object, from the offset `start`, with one request."""
        if size <= 0:
            return b""
        try:
            with self._translate_errors(key):
                return bytes(obstore.get_range(self._store, key, start=start, length=size))
        except Unavailable:
            entry = self.entry(key)  # servers refuse a range that starts after the last byte
            if entry is not None and start >= entry.size_bytes:
                return b""
            raise

    def remove(self, key: str) -> None:
        """Remove an object, if it exists."""
        with suppress(NotFound), self._translate_errors(key):
            obstore.delete(self._store, key)

    def path(self, key: str) -> Path | None:  # noqa: ARG002 - signature of the port
        """Return None: no object of a bucket is a file on this machine."""
        return None

    def entry(self, key: str) -> ObjectEntry | None:
        """Key, size and mark (it changes with the bytes) of an object; None if missing."""
        try:
            with self._translate_errors(key):
                return _entry(obstore.head(self._store, key))
        except NotFound:
            return None

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading."""
        with self._translate_errors(key):
            chunks = iter(obstore.get(self._store, key).stream(min_chunk_size=CHUNK_BYTES))
        return io.BufferedReader(_ChunkReader(self._translate_chunk_errors(key, chunks)))

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[ObjectEntry]]:
        """Yield all objects below the folder `prefix` in pages, sorted by key."""
        check_prefix(prefix)
        with self._translate_errors(prefix):
            pages = obstore.list(
                self._store, f"{prefix}/" if prefix else None, offset=after, chunk_size=PAGE_KEYS
            )
            for page in pages:
                yield [_entry(meta) for meta in page]

    def _translate_chunk_errors(self, key: str, chunks: "Iterator[Buffer]") -> "Iterator[Buffer]":
        with self._translate_errors(key):
            yield from chunks

    @contextmanager
    def _translate_errors(self, key: str) -> Iterator[None]:
        """Translate the library's exceptions into the errors of the port."""
        try:
            yield
        except FilmgateError:
            raise
        except (BaseError, OSError, ValueError) as error:
            raise self._to_filmgate_error(key, error) from error

    def _to_filmgate_error(self, key: str, error: Exception) -> FilmgateError:
        message = str(error).partition("\n\nDebug source")[0].replace("\n", " ")
        message = _RETRY_INFO.sub("", message.removeprefix("Generic S3 error: "))
        message = message[:MAX_ERROR_CHARACTERS]
        if "NoSuchBucket" in str(error):
            return StoreNotFound(
                f"the bucket of {self.url} does not exist",
                expected="a bucket that exists",
                got=message,
                hint="Create it, or correct the address or FILMGATE_S3_ENDPOINT",
            )
        if isinstance(error, FileNotFoundError):
            return NotFound(
                f"object {key} does not exist in {self.url}", expected="an object", got="none"
            )
        if isinstance(error, DENIED) or _status(message) in {"401", "403"}:
            return permission_error(
                self.url,
                got=message,
                hint="Check the credentials and their permissions (FILMGATE_S3_AUTH)",
            )
        if _status(message) == "501":
            return unconditional_error(self.url, message)
        if isinstance(error, ValueError):
            return Invalid("the object key is invalid", expected="a/relative/path", got=repr(key))
        return Unavailable(
            f"{self.url} is not available",
            got=message,
            hint="Check the address (FILMGATE_S3_ENDPOINT), then try again; no object was "
            "written in part",
        )


class _ChunkReader(io.RawIOBase):
    """A readable file over an iterator of chunks."""

    def __init__(self, chunks: "Iterator[Buffer]") -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True: the file can be read."""
        return True

    def readinto(self, buffer: "Buffer") -> int:
        """Copy bytes of the current chunk, or of the next one; return their number."""
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        view = memoryview(buffer)
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


_RETRY_INFO = re.compile(
    r" in [\d.]+m?s(, after \d+ retries, max_retries: \d+, retry_timeout: \d+s)?"
)
"""Pattern of duration and retries in the library's message; they are removed from it."""


def _status(message: str) -> str | None:
    """HTTP status of the response; the library gives it only in the text of its message."""
    match = re.search(r"status code: (\d{3})", message)
    return match.group(1) if match else None


def _entry(meta: "ObjectMeta") -> ObjectEntry:
    tag = meta["e_tag"] or meta["last_modified"].isoformat()
    return ObjectEntry(key=meta["path"], size_bytes=meta["size"], mark=tag)
